// Package shim stands between a process and its files: it counts their operations, and at a given one kills the process or
// says that the disk is full. The process must load the shim; the local engine of a program that is built with the tag
// "faults" does.
package shim

import (
	"bytes"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

//go:embed preload/files.c
var source []byte

// What happens at an operation.
type What int32

const (
	Nothing    What = iota // operations are counted
	KillBefore             // the process is killed before the operation
	KillAfter              // the process is killed behind it
	Full                   // the operation fails for want of room; only those that need room are counted
)

// control is struct control of files.c.
type control struct {
	armed      int32
	what       What
	at         int64
	operations int64
	needing    int64
	happened   int64
	name       [64]byte
	folder     [1024]byte
}

// A Shim watches the files beneath one folder.
type Shim struct {
	library, file string
	control       *control
	memory        []byte
}

// New compiles the shim into dir, where the process must be able to read and write, and lets it watch the folder.
func New(dir, folder string) (*Shim, error) {
	s := &Shim{library: filepath.Join(dir, "shim.so"), file: filepath.Join(dir, "shim.control")}
	cmd := exec.Command("gcc", "-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-x", "c", "-o", s.library, "-")
	cmd.Stdin = bytes.NewReader(source)
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("gcc: %w\n%s", err, out)
	}
	f, err := os.OpenFile(s.file, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size := int(unsafe.Sizeof(control{}))
	if err := f.Truncate(int64(size)); err != nil {
		return nil, err
	}
	if s.memory, err = unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return nil, fmt.Errorf("%s: %w", s.file, err)
	}
	s.control = (*control)(unsafe.Pointer(&s.memory[0]))
	if copy(s.control.folder[:len(s.control.folder)-1], folder) < len(folder) {
		return nil, fmt.Errorf("%s: the name is too long", folder)
	}
	return s, nil
}

// Close gives the memory back. The process may live on.
func (s *Shim) Close() error { return unix.Munmap(s.memory) }

// Environment is what the process needs to find the shim.
func (s *Shim) Environment() []string {
	return []string{"LD_PRELOAD=" + s.library, "BOUNCELINE_SHIM=" + s.file}
}

// Arm begins to count, and lets it happen at the operation of that number, once.
func (s *Shim) Arm(what What, at int) {
	c := s.control
	atomic.StoreInt32(&c.armed, 0)
	c.what, c.at, c.name = what, int64(at), [64]byte{}
	for _, n := range []*int64{&c.operations, &c.needing, &c.happened} {
		atomic.StoreInt64(n, 0)
	}
	atomic.StoreInt32(&c.armed, 1)
}

// An Account is what has happened since Arm.
type Account struct {
	Operations, NeedingRoom int
	Happened                string // the operation that it happened to; empty if it did not
}

// Disarm ends what Arm began.
func (s *Shim) Disarm() Account {
	c := s.control
	atomic.StoreInt32(&c.armed, 0)
	a := Account{Operations: int(atomic.LoadInt64(&c.operations)), NeedingRoom: int(atomic.LoadInt64(&c.needing))}
	if atomic.LoadInt64(&c.happened) > 0 {
		a.Happened = string(c.name[:bytes.IndexByte(c.name[:], 0)])
	}
	return a
}
