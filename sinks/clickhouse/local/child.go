package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
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

	"golang.org/x/sys/unix"

	"bounceline/pipeline/fault"
)

// idle is how long a new engine waits for its first user.
const idle = 15 * time.Second

// drain is how long running inserts may go on when the last user has left.
const drain = 2 * time.Second

// RunChild is the engine's process: it serves until the last lease on it has ended. Its exit status is the process's. It
// writes what goes wrong to standard error, which is the engine's log.
//
// It runs in two steps. The first takes the folder's lock and writes the configuration, then shuts itself out of all files
// that the engine has no use for and becomes the second, which inherits that and serves.
func RunChild(stateDir, library string) int {
	syscall.Umask(0o077)
	signal.Ignore(syscall.SIGPIPE) // a client that dies while it is written to must not take the engine along
	dir := filepath.Join(stateDir, "engine")
	step := prepare
	if os.Getenv(handedOver) != "" {
		step = serveClients
	}
	if err := step(dir, library); err != nil {
		fmt.Fprintln(os.Stderr, "bounceline engine:", err)
		return 1
	}
	return 0
}

// handedOver is set for the second step: the descriptor from which it reads how clients reach it.
const handedOver = "BOUNCELINE_ENGINE_ACCESS_FD"

// prepare is the first step. It returns only if it fails.
func prepare(dir, library string) error {
	lock, err := waitForLock(filepath.Join(dir, "engine.lock"))
	if err != nil {
		return err
	}
	if err := dropScratch(dir); err != nil {
		return err
	}
	a, err := loadAccess(dir)
	if err != nil {
		return err
	}
	if a.Port, err = freePort(a.Port); err != nil {
		return err
	}
	for a.EnginePort = a.Port; a.EnginePort == a.Port; {
		if a.EnginePort, err = freePort(0); err != nil {
			return err
		}
	}
	a.PID = os.Getpid()
	if err := errors.Join(writeConfig(dir, a), a.save(dir)); err != nil {
		return err
	}
	handover, err := a.pipe()
	if err != nil {
		return err
	}
	for _, f := range []*os.File{lock, handover} { // the lock is held for as long as the descriptor is open
		if _, err := unix.FcntlInt(f.Fd(), unix.F_SETFD, 0); err != nil {
			return err
		}
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	runtime.LockOSThread() // what is given up is given up by this thread, and inherited by what it becomes
	if err := confine(dir, self, library); err != nil {
		fmt.Fprintf(os.Stderr, "bounceline engine: the kernel does not let it shut itself out of other files (%v): whoever has one of its passwords can read what this account can\n", err)
	}
	env := []string{handedOver + "=" + strconv.Itoa(int(handover.Fd()))}
	for _, name := range append([]string{"PATH", "HOME", "LANG", "LC_ALL", "TZ"}, fault.Environment...) { // the engine's SQL can read its environment
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	err = syscall.Exec(self, []string{self, ChildCommand, filepath.Dir(dir), library}, env)
	return fmt.Errorf("%s: %w", self, err)
}

// dropScratch forgets the tables that hold the difference between rows and rollups while these are mended. No engine runs, so nobody
// needs them; and one that was being made when the disk was full, or the engine was killed, may have empty files, over which no engine
// would start again.
func dropScratch(dir string) error {
	tables, err := fs.Glob(os.DirFS(dir), "data/store/*/*/rollup_*_difference_*.sql")
	for _, t := range tables {
		err = errors.Join(err, os.Remove(filepath.Join(dir, t)))
	}
	return err
}

// serveClients is the second step.
func serveClients(dir, library string) error {
	a, err := receiveAccess(os.Getenv(handedOver))
	if err != nil {
		return err
	}
	failed := make(chan error, 1)
	go func() { failed <- serve(dir, library) }()
	if err := waitForPort(a.EnginePort, failed); err != nil {
		return err
	}
	clients, err := net.Listen("tcp4", a.address())
	if err != nil {
		return err
	}
	go relay(clients, loopback(a.EnginePort))
	users, err := listen(dir)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	broken := make(chan error, 1)
	go func() { broken <- watchWrites(ctx, a) }()
	select {
	case err := <-failed:
		return err
	case err := <-broken:
		fmt.Fprintln(os.Stderr, "bounceline engine:", err)
		end()
	case <-users:
	}
	finish(a)
	return nil
}

// watchEvery is how often the engine is asked for writes that failed: much more often than it removes the parts from which a
// larger one was merged, which is after eight minutes.
const watchEvery = time.Second

// watchWrites returns when a write has failed, see FailedWrites, or ctx is done.
func watchWrites(ctx context.Context, a access) error {
	db, err := a.connect()
	if err != nil {
		return err
	}
	defer db.Close()
	for {
		var n uint64
		if err := db.QueryRow(ctx, FailedWrites).Scan(&n); err == nil && n > 0 {
			return fmt.Errorf("%d writes failed, so the disk is full or failing: it ends, and leaves aside at its next start what was not written", n)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(watchEvery):
		}
	}
}

// serve runs the engine in this thread. It returns only if the engine ends by itself, which is a failure.
func serve(dir, library string) error {
	runtime.LockOSThread()
	if filepath.Base(library) == "clickhouse" {
		return serveBinary(dir, library)
	}
	main, err := load(library)
	if err != nil {
		return err
	}
	argv := append([]string{"clickhouse"}, arguments(dir)...)
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

// arguments are clickhouse-local's. It says what it dies of, and nothing else. Its own session, as user default, may do no more than open the port and wait.
func arguments(dir string) []string {
	return []string{
		"--config-file=" + filepath.Join(dir, "config.xml"), "--path=" + filepath.Join(dir, "data"), "--logger.console=1", "--log-level=fatal",
		"--query=SYSTEM START LISTEN TCP; SELECT sleepEachRow(3) FROM system.numbers SETTINGS max_block_size=1, max_execution_time=0 FORMAT Null",
	}
}

// startedBy is the environment variable with the process that started the engine. An engine that waits for another one's end
// waits as long as that process does: nobody else has asked for it.
const startedBy = "BOUNCELINE_ENGINE_STARTED_BY"

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
		if starter := os.Getenv(startedBy); starter != "" && starter != strconv.Itoa(os.Getppid()) {
			f.Close()
			return nil, errors.New("another engine has the folder, and who wanted this one is gone")
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
	l, err := net.Listen("tcp4", loopback(port))
	if err != nil {
		if l, err = net.Listen("tcp4", loopback(0)); err != nil {
			return 0, err
		}
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

func waitForPort(port int, failed <-chan error) error {
	deadline := time.After(60 * time.Second)
	for {
		c, err := net.Dial("tcp4", loopback(port))
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
	end()
}

// end ends this process. The library's threads and handlers do not outlive it; a plain exit would run its destructors under them.
func end() { _ = syscall.Kill(os.Getpid(), syscall.SIGKILL) }
