// Package smalldisk gives tests a file system of their own that is full, or read-only, when they want it.
package smalldisk

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// A Disk is a small file system in memory. It is unmounted at the end of the test.
type Disk struct{ Dir string }

// Mount makes a disk of so many MiB. It takes root.
func Mount(t testing.TB, mib int) *Disk {
	t.Helper()
	d := &Disk{t.TempDir()}
	if err := unix.Mount("bounceline-test", d.Dir, "tmpfs", 0, fmt.Sprintf("size=%dm,mode=0700", mib)); err != nil {
		t.Fatalf("mount a small file system: %v (this test is for root, with CAP_SYS_ADMIN)", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(d.Dir, unix.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", d.Dir, err)
		}
	})
	return d
}

func (d *Disk) neighbour() string { return filepath.Join(d.Dir, "neighbour") }

// Fill lets a neighbour take all that is free.
func (d *Disk) Fill(t testing.TB) {
	t.Helper()
	f, err := os.OpenFile(d.neighbour(), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for data := make([]byte, 1<<20); len(data) > 0; {
		_, err := f.Write(data)
		switch {
		case errors.Is(err, syscall.ENOSPC):
			data = data[:len(data)/2]
		case err != nil:
			t.Fatal(err)
		}
	}
}

// Free gives back what the neighbour has taken.
func (d *Disk) Free(t testing.TB) {
	t.Helper()
	if err := os.Remove(d.neighbour()); err != nil {
		t.Fatal(err)
	}
}

// ReadOnly makes the disk read-only, or writable again. No file on it may be open for writing.
func (d *Disk) ReadOnly(t testing.TB, only bool) {
	t.Helper()
	flags := uintptr(unix.MS_REMOUNT)
	if only {
		flags |= unix.MS_RDONLY
	}
	if err := unix.Mount("", d.Dir, "", flags, ""); err != nil {
		t.Fatalf("remount: %v", err)
	}
}
