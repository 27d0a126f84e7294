package local

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// TestMain lets the test binary be the engine's child, and a process that holds a lease until it is killed.
func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == ChildCommand {
		os.Exit(RunChild(os.Args[2], os.Args[3]))
	}
	if len(os.Args) == 3 && os.Args[1] == "hold" {
		l, err := Acquire(context.Background(), os.Args[2], library())
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("held", l.access.PID)
		select {}
	}
	os.Exit(m.Run())
}

func library() string {
	p, _ := filepath.Abs("../../../.engine/node_modules/@chdb/lib-linux-x64-gnu/libchdb.so")
	return p
}

func acquire(t *testing.T, dir string) *Lease {
	t.Helper()
	l, err := Acquire(t.Context(), dir, library())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func connect(t *testing.T, dsn string) driver.Conn {
	t.Helper()
	o, err := clickhouse.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	o.Auth.Database = "" // it is not made yet
	c, err := clickhouse.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// gone waits until the process has ended (a zombie counts).
func gone(t *testing.T, pid int) {
	t.Helper()
	deadline := time.Now().Add(15 * time.Second)
	for time.Now().Before(deadline) {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
		<-time.After(10 * time.Millisecond)
	}
	t.Fatalf("the engine, pid %d, is still there", pid)
}

func TestEngineServesAndPersists(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("a long state directory's name ", 6))
	l := acquire(t, dir)
	c := connect(t, l.DSN())
	for _, q := range []string{
		"CREATE DATABASE bounceline",
		"CREATE TABLE bounceline.t (x UInt8) ENGINE = MergeTree ORDER BY x",
		"INSERT INTO bounceline.t VALUES (7)",
	} {
		if err := c.Exec(t.Context(), q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
	first := l.access.PID
	c.Close()
	l.Close()
	gone(t, first)
	l = acquire(t, dir)
	var x uint8
	if err := connect(t, l.ReaderDSN()).QueryRow(t.Context(), "SELECT x FROM bounceline.t").Scan(&x); err != nil || x != 7 {
		t.Fatalf("after a restart the table holds %d, %v", x, err)
	}
	if l.access.PID == first {
		t.Fatal("the engine was not started anew")
	}
	filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().Perm()&0o077 != 0 && info.Mode()&os.ModeSymlink == 0 {
			t.Errorf("%s has mode %04o", path, info.Mode().Perm())
		}
		return nil
	})
}

// TestNobodyWaitsForADeadStarter: an engine that finds another one in its folder does not wait to take its place when the process
// that started it is gone.
func TestNobodyWaitsForADeadStarter(t *testing.T) {
	dir := t.TempDir()
	acquire(t, dir)
	cmd := exec.Command(os.Args[0], ChildCommand, dir, library())
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d", startedBy, os.Getpid()+1))
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "who wanted this one is gone") {
		t.Errorf("%v, %s", err, out)
	}
}

func TestOneEngineWhileAnybodyUsesIt(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], "hold", dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	var pid int
	if _, err := fmt.Fscanf(out, "held %d\n", &pid); err != nil {
		t.Fatal(err)
	}
	l := acquire(t, dir)
	if l.access.PID != pid {
		t.Fatalf("a second engine %d was started beside %d", l.access.PID, pid)
	}
	cmd.Process.Signal(syscall.SIGKILL) // the one that started it dies
	cmd.Wait()
	c := connect(t, l.DSN())
	if err := c.Exec(t.Context(), "SELECT 1"); err != nil {
		t.Fatalf("the engine ended with the process that started it: %v", err)
	}
	c.Close()
	l.Close()
	gone(t, pid)
}

func TestLockedDown(t *testing.T) {
	dir := t.TempDir()
	l := acquire(t, dir)
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("top\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := connect(t, l.DSN())
	if err := c.Exec(t.Context(), "CREATE DATABASE bounceline"); err != nil {
		t.Fatal(err)
	}
	nobody := fmt.Sprintf("clickhouse://default@127.0.0.1:%d/", l.access.Port)
	for _, dsn := range []string{nobody, l.DSN(), l.ReaderDSN()} {
		c := connect(t, dsn)
		for _, q := range []string{
			"SELECT * FROM file('" + secret + "', LineAsString)",
			"SELECT * FROM url('http://127.0.0.1:1/', LineAsString)",
			"SELECT * FROM remote('127.0.0.1', system.one)",
			"CREATE TABLE bounceline.f (x String) ENGINE = File(LineAsString, '" + secret + "')",
			"SELECT * FROM executable('id', LineAsString, 'x String')",
			"SELECT file('" + secret + "')",
			"SELECT file('/etc/passwd')",
			"SELECT file('" + filepath.Join(dir, "engine", "engine.json") + "')",
		} {
			if err := c.Exec(t.Context(), q); err == nil {
				t.Errorf("allowed: %s", q)
			}
		}
	}
	for _, q := range []string{"SELECT * FROM system.processes", "CREATE DATABASE x", "SYSTEM SHUTDOWN", "SYSTEM FLUSH LOGS"} {
		if err := connect(t, nobody).Exec(t.Context(), q); err == nil {
			t.Errorf("allowed to user default: %s", q)
		}
	}
	if err := connect(t, l.ReaderDSN()).Exec(t.Context(), "CREATE TABLE bounceline.w (x UInt8) ENGINE = MergeTree ORDER BY x"); err == nil {
		t.Error("the reader may create tables")
	}
}

func TestRefusals(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := Acquire(t.Context(), dir, library()); err == nil || !strings.Contains(err.Error(), "written by others") {
		t.Errorf("a folder that others may write: %v", err)
	}
	if _, err := Acquire(t.Context(), t.TempDir(), "/nowhere/libchdb.so"); err == nil || !strings.Contains(err.Error(), "/nowhere/libchdb.so") {
		t.Errorf("a library that is not there: %v", err)
	}
	bad := filepath.Join(t.TempDir(), "libchdb.so")
	if err := os.WriteFile(bad, []byte("no library"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Acquire(t.Context(), t.TempDir(), bad); err == nil || !strings.Contains(err.Error(), "engine.log") {
		t.Errorf("a library that does not load: %v", err)
	}
}

// TestResetConnections: clients that are killed with answers unread do not take the engine along.
func TestResetConnections(t *testing.T) {
	dir := t.TempDir()
	l := acquire(t, dir)
	other := connect(t, l.DSN())
	for range 20 {
		o, err := clickhouse.ParseDSN(l.DSN())
		if err != nil {
			t.Fatal(err)
		}
		o.Auth.Database = ""
		var raw net.Conn
		o.DialContext = func(ctx context.Context, _ string) (net.Conn, error) {
			var err error
			raw, err = l.Dial(ctx)
			return raw, err
		}
		c, err := clickhouse.Open(o)
		if err != nil {
			t.Fatal(err)
		}
		rows, err := c.Query(t.Context(), "SELECT number, repeat('x', 1000) FROM system.numbers LIMIT 20000")
		if err != nil {
			t.Fatal(err)
		}
		rows.Next()
		if err := raw.(*net.TCPConn).SetLinger(0); err != nil { // closing resets it, as the kernel does for a process that is killed
			t.Fatal(err)
		}
		raw.Close()
		rows.Close()
		c.Close()
	}
	select {
	case <-l.Gone():
		t.Fatal("the engine ended")
	default:
	}
	if err := other.Exec(t.Context(), "SELECT 1"); err != nil {
		t.Error(err)
	}
}
