package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/ebitengine/purego"
)

// idle is how long a new engine waits for its first user.
const idle = 15 * time.Second

// drain is how long running inserts may go on when the last user has left.
const drain = 2 * time.Second

// RunChild is the engine's process: it serves until the last lease on it has ended. Its exit status is the process's. It
// writes what goes wrong to standard error, which is the engine's log.
func RunChild(stateDir, library string) int {
	syscall.Umask(0o077)
	signal.Ignore(syscall.SIGPIPE) // a client that dies while it is written to must not take the engine along
	if err := runChild(filepath.Join(stateDir, "engine"), library); err != nil {
		fmt.Fprintln(os.Stderr, "bounceline engine:", err)
		return 1
	}
	return 0
}

func runChild(dir, library string) error {
	lock, err := waitForLock(filepath.Join(dir, "engine.lock"))
	if err != nil {
		return err
	}
	defer lock.Close()
	access, err := loadAccess(dir)
	if err != nil {
		return err
	}
	if access.Port, err = freePort(access.Port); err != nil {
		return err
	}
	if err := writeConfig(dir, access); err != nil {
		return err
	}
	failed := make(chan error, 1)
	go func() { failed <- serve(dir, library) }()
	if err := waitForPort(access.Port, failed); err != nil {
		return err
	}
	access.PID = os.Getpid()
	if err := access.save(dir); err != nil {
		return err
	}
	users, err := listen(dir)
	if err != nil {
		return err
	}
	select {
	case err := <-failed:
		return err
	case <-users:
	}
	finish(access)
	return nil
}

// serve runs the engine in this thread. It returns only if the engine ends by itself, which is a failure.
func serve(dir, library string) error {
	runtime.LockOSThread()
	var argv []string
	if filepath.Base(library) == "clickhouse" {
		return serveBinary(dir, library)
	}
	handle, err := purego.Dlopen(library, purego.RTLD_NOW|purego.RTLD_GLOBAL)
	if err != nil {
		return fmt.Errorf("load %s: %w", library, err)
	}
	var main func(argc int32, argv **byte) int32
	purego.RegisterLibFunc(&main, handle, "chdb_query_cmdline")
	argv = append([]string{"clickhouse"}, arguments(dir)...)
	pointers := make([]*byte, len(argv)+1)
	for i, a := range argv {
		pointers[i], _ = syscall.BytePtrFromString(a)
	}
	code := main(int32(len(argv)), &pointers[0])
	return fmt.Errorf("the engine ended with status %d: its log above says why", code)
}

func serveBinary(dir, binary string) error {
	cmd := exec.Command(binary, append([]string{"local"}, arguments(dir)...)...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return fmt.Errorf("the engine ended: %w", errors.Join(cmd.Run(), errors.New("its log above says why")))
}

// arguments are clickhouse-local's. Its own session, as user default, may do no more than open the port and wait.
func arguments(dir string) []string {
	return []string{
		"--config-file=" + filepath.Join(dir, "config.xml"), "--path=" + filepath.Join(dir, "data"), "--log-level=warning",
		"--query=SYSTEM START LISTEN TCP; SELECT sleepEachRow(3) FROM system.numbers SETTINGS max_block_size=1, max_execution_time=0 FORMAT Null",
	}
}

// waitForLock takes the folder's lock; a dying engine may hold it for a moment.
func waitForLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	deadline := time.Now().Add(10 * time.Second)
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if time.Now().After(deadline) {
			f.Close()
			return nil, fmt.Errorf("another engine has had %s for ten seconds and does not answer: end it (pid in engine.json there)", filepath.Dir(path))
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// freePort returns the port if it is free, else another one.
func freePort(port int) (int, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:"+strconv.Itoa(port))
	if err != nil {
		if l, err = net.Listen("tcp4", "127.0.0.1:0"); err != nil {
			return 0, err
		}
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

func waitForPort(port int, failed <-chan error) error {
	deadline := time.After(60 * time.Second)
	for {
		c, err := net.Dial("tcp4", "127.0.0.1:"+strconv.Itoa(port))
		if err == nil {
			c.Close()
			return nil
		}
		select {
		case err := <-failed:
			return err
		case <-deadline:
			return errors.New("the engine did not answer within a minute")
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// listen accepts leases on the folder's socket. The channel is closed when the last one has ended.
func listen(dir string) (<-chan struct{}, error) {
	path := filepath.Join(dir, socketName)
	os.Remove(path)
	l, err := listenUnix(dir)
	if err != nil {
		return nil, err
	}
	over := make(chan struct{})
	var mu sync.Mutex
	users, ended := 0, false
	leave := func() {
		mu.Lock()
		defer mu.Unlock()
		if users == 0 && !ended {
			ended = true
			l.Close()
			os.Remove(path)
			close(over)
		}
	}
	time.AfterFunc(idle, leave)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			if ended {
				mu.Unlock()
				c.Close()
				return
			}
			users++
			mu.Unlock()
			go func() {
				_, _ = c.Write([]byte{'+'})
				var b [1]byte
				_, _ = c.Read(b[:]) // blocks until the user closes or dies
				c.Close()
				mu.Lock()
				users--
				mu.Unlock()
				leave()
			}()
		}
	}()
	return over, nil
}

// finish lets running inserts end and leaves. Everything acknowledged is on disk: inserts are synced.
func finish(a access) {
	ctx, cancel := context.WithTimeout(context.Background(), drain)
	defer cancel()
	waitForInserts(ctx, a)
	// The library's threads and handlers do not outlive this; a plain exit would run its destructors under them.
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
}

func (a access) save(dir string) error {
	data, err := json.MarshalIndent(a, "", "  ")
	if err != nil {
		return err
	}
	tmp := filepath.Join(dir, "engine.json.new")
	if err := os.WriteFile(tmp, append(data, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, filepath.Join(dir, "engine.json"))
}
