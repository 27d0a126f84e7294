package local

import (
	"fmt"
	"os"
	"path/filepath"
	"unsafe"

	"golang.org/x/sys/unix"
)

// confined are the rights that the engine keeps only where it needs them. REFER, renaming between folders, is denied
// everywhere unless it is among them (landlock(7)).
const confined = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_REFER

const readable = unix.LANDLOCK_ACCESS_FS_READ_FILE

// confine lets this thread, and what it becomes by exec, read and write the engine's own files and read what every program
// on the system reads, and no other file: the engine's SQL function file() opens whatever its process may, and no grant
// governs it. It needs Linux 5.19 with Landlock.
func confine(dir string, programs ...string) error {
	rules, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return fmt.Errorf("landlock: %w", errno)
	}
	if rules < 2 {
		return fmt.Errorf("landlock: version %d of 2", rules)
	}
	attr := unix.LandlockRulesetAttr{Handled_access_fs: confined}
	set, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr.Handled_access_fs), 0)
	if errno != 0 {
		return fmt.Errorf("landlock: %w", errno)
	}
	defer unix.Close(int(set))
	for _, name := range []string{"data", "tmp", "user_files", "format_schemas"} {
		if err := allow(int(set), filepath.Join(dir, name), confined); err != nil {
			return err
		}
	}
	paths := append([]string{filepath.Join(dir, "config.xml"), filepath.Join(dir, "users.xml"), "/usr", "/lib", "/lib64", "/sys", "/etc/ld.so.cache",
		"/etc/localtime", "/etc/timezone", "/etc/hosts", "/etc/resolv.conf", "/etc/nsswitch.conf", "/proc/self", "/proc/meminfo", "/proc/cpuinfo",
		"/proc/stat", "/proc/loadavg", "/proc/uptime", "/proc/version", "/proc/filesystems", "/proc/sys", "/dev/urandom", "/dev/random"}, programs...)
	for _, p := range paths {
		if err := allow(int(set), p, readable); err != nil {
			return err
		}
	}
	if err := allow(int(set), "/dev/null", readable|unix.LANDLOCK_ACCESS_FS_WRITE_FILE); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, set, 0, 0); errno != 0 {
		return fmt.Errorf("landlock: %w", errno)
	}
	return nil
}

// allow adds the rights beneath a path; REFER is a folder's only. A path that is not there needs none.
func allow(set int, path string, rights uint64) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	defer unix.Close(fd)
	rule := unix.LandlockPathBeneathAttr{Allowed_access: rights, Parent_fd: int32(fd)}
	_, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(set), unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&rule)), 0, 0, 0)
	if errno != 0 {
		return fmt.Errorf("landlock: %s: %w", path, errno)
	}
	return nil
}
