// Package local runs the ClickHouse engine that bounceline uses where no server is configured: the same engine, wire
// protocol and SQL as a server, in a child process of its own that serves native TCP on the loopback address.
//
// There is one engine a state directory. It lives as long as somebody holds a lease on it, whoever started it.
package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// minFree is the free disk space, in bytes, below which nothing is inserted: the engine does not notice a write that fails on
// a full disk, and acknowledges what is gone.
const minFree = 256 << 20

// MinFreeVariable is the environment variable with another minimum, in MiB.
const MinFreeVariable = "BOUNCELINE_ENGINE_MIN_FREE_MIB"

// floor is the free space, in bytes, below which the engine refuses inserts; Room refuses a little earlier.
func floor() uint64 {
	if n, err := strconv.ParseUint(os.Getenv(MinFreeVariable), 10, 40); err == nil {
		return n << 20
	}
	return minFree
}

// margin is what Room wants above the engine's own floor: more than a batch takes.
const margin = 64 << 20

// ErrFull says that the engine's disk has too little room for an insert.
var ErrFull = errors.New("the disk is nearly full")

// Room returns an error that wraps ErrFull where the engine's disk has too little room for an insert.
func Room(stateDir string) error {
	var fs unix.Statfs_t
	if err := unix.Statfs(filepath.Join(stateDir, "engine"), &fs); err != nil {
		return fmt.Errorf("free space of %s: %w", stateDir, err)
	}
	free, need := fs.Bavail*uint64(fs.Bsize), floor()+margin
	if free >= need {
		return nil
	}
	return fmt.Errorf("%w: %d MiB are free where %s is, and the local engine wants %d: free some space, or move the state directory (what is stored stays stored)",
		ErrFull, free>>20, stateDir, need>>20)
}

// FailedWrites counts the engine's writes to files that failed since it was started. The library takes a write that failed for
// done: it goes on, acknowledges the insert, and has files that are empty or cut. When it is started the next time it sets
// parts with such files aside, and goes back to those that they were merged from. So an engine that has failed to write ends
// by itself, and an insert is stored when it was acknowledged and this is 0 afterwards.
const FailedWrites = "SELECT sum(value) FROM system.events WHERE event = 'WriteBufferFromFileDescriptorWriteFailed'"

const socketName = "lease.sock"

// ChildCommand is the hidden subcommand that must call RunChild with its two arguments, state directory and library.
const ChildCommand = "engine-child"

// A Lease keeps the engine of a state directory running. Its process's death ends it, too.
type Lease struct {
	conn   net.Conn
	access access
	gone   chan struct{}
}

// Gone is closed when the engine has died, or Close was called.
func (l *Lease) Gone() <-chan struct{} { return l.gone }

// DSN is how the engine is reached with all rights on database bounceline. It holds a password.
func (l *Lease) DSN() string { return l.access.dsn(l.access.User, l.access.Password) }

// ReaderDSN is how it is reached for reading only, within limits of memory, time and result size. It holds a password.
func (l *Lease) ReaderDSN() string {
	return l.access.dsn(l.access.ReaderUser, l.access.ReaderPassword)
}

// Address is the engine's, host and port.
func (l *Lease) Address() string { return l.access.address() }

// Dial connects to the engine.
func (l *Lease) Dial(ctx context.Context) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "tcp4", l.Address())
}

// Close gives the lease back.
func (l *Lease) Close() error { return l.conn.Close() }

// Acquire returns a lease on the engine of the state directory, which it makes and starts if need be. It waits up to ten
// seconds for a dying engine. Library is where the engine's library is; empty means to look for it.
func Acquire(ctx context.Context, stateDir, library string) (*Lease, error) {
	dir := filepath.Join(stateDir, "engine")
	for _, d := range []string{stateDir, dir} {
		if err := PrivateDir(d); err != nil {
			return nil, err
		}
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if l, err := join(dir); err == nil {
		return l, nil
	}
	if library, err = findLibrary(library); err != nil {
		return nil, err
	}
	start, err := os.OpenFile(filepath.Join(dir, "start.lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	defer start.Close()
	for {
		if l, err := join(dir); err == nil {
			return l, nil
		}
		if syscall.Flock(int(start.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
			break
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return nil, err
		}
	}
	if l, err := join(dir); err == nil { // somebody started it while we waited
		return l, nil
	}
	return launch(ctx, dir, library)
}

// launch starts the child and takes the first lease on it.
func launch(ctx context.Context, dir, library string) (*Lease, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	logPath := filepath.Join(dir, "engine.log")
	rotateLog(logPath)
	log, err := os.OpenFile(logPath, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	begin, _ := log.Seek(0, io.SeekEnd)
	cmd := exec.Command(self, ChildCommand, filepath.Dir(dir), library)
	cmd.Stdout, cmd.Stderr, cmd.Dir = log, log, dir
	cmd.Env = append(os.Environ(), startedBy+"="+strconv.Itoa(os.Getpid()))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // Ctrl-C reaches only us
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the local engine: %w", err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	for {
		if l, err := join(dir); err == nil {
			return l, nil
		}
		select {
		case err := <-exited:
			err = fmt.Errorf("the local engine did not start (%w): %s; its log is %s", err, lastLine(logPath, begin), logPath)
			if full := Room(filepath.Dir(dir)); full != nil {
				err = fmt.Errorf("%w: %w", full, err)
			}
			return nil, err
		default:
		}
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return nil, err
		}
	}
}

// join takes a lease on the engine that runs in dir.
func join(dir string) (*Lease, error) {
	c, err := dialUnix(dir)
	if err != nil {
		return nil, err
	}
	var b [1]byte
	_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.ReadFull(c, b[:]); err != nil {
		c.Close()
		return nil, err // it is ending
	}
	_ = c.SetReadDeadline(time.Time{})
	a, err := loadAccess(dir)
	if err != nil {
		c.Close()
		return nil, err
	}
	l := &Lease{conn: c, access: a, gone: make(chan struct{})}
	go func() {
		_, _ = io.Copy(io.Discard, c) // nothing comes: it ends with the engine
		close(l.gone)
	}()
	return l, nil
}

// dialUnix and listenUnix name the socket through an open folder: a socket's whole path may have 107 bytes only (unix(7)).
func dialUnix(dir string) (net.Conn, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return net.Dial("unix", fmt.Sprintf("/proc/self/fd/%d/%s", d.Fd(), socketName))
}

func listenUnix(dir string) (net.Listener, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	l, err := net.Listen("unix", fmt.Sprintf("/proc/self/fd/%d/%s", d.Fd(), socketName))
	if err != nil {
		return nil, err
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false) // the path is no longer valid then
	return l, nil
}

// PrivateDir makes the folder, or refuses one that others may write or that is another user's.
func PrivateDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("state directory: %w", err)
	}
	st, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("state directory: %w", err)
	}
	switch owner := st.Sys().(*syscall.Stat_t).Uid; {
	case !st.IsDir():
		return fmt.Errorf("state directory %s is a file: name a directory", dir)
	case int(owner) != os.Geteuid():
		return fmt.Errorf("state directory %s belongs to uid %d, and this is uid %d: run as its owner, or give another --state-dir", dir, owner, os.Geteuid())
	case st.Mode().Perm()&0o022 != 0:
		return fmt.Errorf("state directory %s can be written by others (mode %04o): chmod 700 it, or give another --state-dir", dir, st.Mode().Perm())
	case st.Mode().Perm() != 0o700:
		return os.Chmod(dir, 0o700)
	}
	return nil
}

// findLibrary looks where a build, a package and a developer's checkout put the library.
func findLibrary(configured string) (string, error) {
	if configured == "" {
		configured = os.Getenv("BOUNCELINE_ENGINE_LIBRARY")
	}
	if configured != "" {
		if _, err := os.Stat(configured); err != nil {
			return "", fmt.Errorf("the local engine's library: %w", err)
		}
		return configured, nil
	}
	if path, err := exec.LookPath("clickhouse"); err == nil {
		return path, nil
	}
	var places []string
	if self, err := os.Executable(); err == nil {
		if real, err := filepath.EvalSymlinks(self); err == nil {
			self = real
		}
		dir := filepath.Dir(self)
		places = append(places, filepath.Join(dir, "libchdb.so"), filepath.Join(dir, "..", "lib", "bounceline", "libchdb.so"))
	}
	places = append(places, "/usr/lib/bounceline/libchdb.so")
	for _, p := range places {
		if _, err := os.Stat(p); err == nil {
			return p, nil
		}
	}
	return "", fmt.Errorf("the local engine's library libchdb.so is not installed (looked at %s): run make engine, or put a clickhouse binary on PATH, or name a server with --clickhouse (on %s/%s the library may not exist)",
		strings.Join(places, ", "), runtime.GOOS, runtime.GOARCH)
}

// rotateLog keeps one older log, so that the two together stay small.
func rotateLog(path string) {
	if st, err := os.Stat(path); err == nil && st.Size() > 4<<20 {
		_ = os.Rename(path, path+".1")
	}
}

func lastLine(path string, from int64) string {
	data, err := os.ReadFile(path)
	if err != nil || int64(len(data)) <= from {
		return "it said nothing"
	}
	lines := strings.Split(strings.TrimSpace(string(data[from:])), "\n")
	return lines[len(lines)-1]
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}
