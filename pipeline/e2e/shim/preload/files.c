// Stands before libc's file operations in a process (LD_PRELOAD), counts those on files beneath one folder, and at a given one
// kills the process or makes the operation fail as on a full disk. The file that BOUNCELINE_SHIM names says what is to be
// done; whoever maps it may change that while the process runs.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { COUNT, KILL_BEFORE, KILL_AFTER, FULL };

// As type control in shim.go has it.
struct control {
	_Atomic int32_t armed; // nothing is counted and nothing happens while it is 0; it becomes 0 when something has happened
	int32_t what;
	int64_t at;                  // the operation that it happens to, counted from 1; with FULL only those that need room are counted
	_Atomic int64_t operations;  // since it was armed
	_Atomic int64_t needing;     // of these, those that need room on the disk
	_Atomic int64_t happened;    // the number of the operation that it has happened to
	char name[64];               // and what that was
	char folder[1024];
};

static struct control *control;

#define DESCRIPTORS 65536
static _Atomic char ours[DESCRIPTORS]; // whether the descriptor is of a file beneath the folder

#define REAL(name) ({ static __typeof__(&name) real; if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name); real; })

__attribute__((constructor)) static void map_control(void) {
	const char *path = getenv("BOUNCELINE_SHIM");
	int fd = path ? REAL(open)(path, O_RDWR | O_CLOEXEC) : -1;
	if (fd < 0)
		return;
	void *p = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p != MAP_FAILED)
		control = p;
	REAL(close)(fd);
}

static void die(void) {
	kill(getpid(), SIGKILL);
	for (;;)
		pause();
}

// happens claims what is to happen for this operation: it happens once.
static int happens(const char *name, int64_t n) {
	int32_t armed = 1;
	if (n != control->at || !atomic_compare_exchange_strong(&control->armed, &armed, 0))
		return 0;
	strncpy(control->name, name, sizeof control->name - 1);
	control->happened = n;
	return 1;
}

// before counts an operation. It returns what is to be done: 0 is nothing, 1 to fail, 2 to die behind it.
static int before(const char *name, int mine, int needs_room) {
	if (!control || !mine || !atomic_load(&control->armed))
		return 0;
	int64_t n = atomic_fetch_add(&control->operations, 1) + 1;
	if (needs_room) {
		int64_t m = atomic_fetch_add(&control->needing, 1) + 1;
		if (control->what == FULL)
			return happens(name, m);
	}
	if (control->what == KILL_BEFORE && happens(name, n))
		die();
	return control->what == KILL_AFTER && happens(name, n) ? 2 : 0;
}

static int beneath(const char *path) {
	return control && path && strncmp(path, control->folder, strlen(control->folder)) == 0;
}

static int of(int fd) { return fd >= 0 && fd < DESCRIPTORS && ours[fd]; }

static void note(int fd, int mine) {
	if (fd >= 0 && fd < DESCRIPTORS)
		ours[fd] = mine;
}

// OPERATION runs a call between the two moments at which the process may die, or fails it.
#define OPERATION(name, mine, needs_room, call)         \
	({                                              \
		int todo = before(name, mine, needs_room); \
		if (todo == 1) {                        \
			errno = ENOSPC;                 \
			return -1;                      \
		}                                       \
		__auto_type result = call;              \
		if (todo == 2)                          \
			die();                          \
		result;                                 \
	})

#define WRITES(flags) ((flags) & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC))

#define OPEN(function, ...)                                                                                            \
	({                                                                                                             \
		mode_t mode = 0;                                                                                       \
		if (flags & (O_CREAT | __O_TMPFILE)) {                                                                 \
			va_list list;                                                                                  \
			va_start(list, flags);                                                                         \
			mode = va_arg(list, mode_t);                                                                   \
			va_end(list);                                                                                  \
		}                                                                                                      \
		int fd = OPERATION(#function, beneath(path) && WRITES(flags), flags & O_CREAT, REAL(function)(__VA_ARGS__, flags, mode)); \
		note(fd, beneath(path));                                                                               \
		fd;                                                                                                    \
	})

int open(const char *path, int flags, ...) { return OPEN(open, path); }
int open64(const char *path, int flags, ...) { return OPEN(open64, path); }
int openat(int dir, const char *path, int flags, ...) { return OPEN(openat, dir, path); }
int openat64(int dir, const char *path, int flags, ...) { return OPEN(openat64, dir, path); }

int close(int fd) {
	note(fd, 0);
	return REAL(close)(fd);
}

ssize_t write(int fd, const void *p, size_t n) { return OPERATION("write", of(fd), 1, REAL(write)(fd, p, n)); }
ssize_t pwrite(int fd, const void *p, size_t n, off_t at) { return OPERATION("pwrite", of(fd), 1, REAL(pwrite)(fd, p, n, at)); }
ssize_t pwrite64(int fd, const void *p, size_t n, off64_t at) { return OPERATION("pwrite64", of(fd), 1, REAL(pwrite64)(fd, p, n, at)); }
ssize_t writev(int fd, const struct iovec *v, int n) { return OPERATION("writev", of(fd), 1, REAL(writev)(fd, v, n)); }
int fsync(int fd) { return OPERATION("fsync", of(fd), 0, REAL(fsync)(fd)); }
int fdatasync(int fd) { return OPERATION("fdatasync", of(fd), 0, REAL(fdatasync)(fd)); }
int ftruncate(int fd, off_t size) { return OPERATION("ftruncate", of(fd), 0, REAL(ftruncate)(fd, size)); }
int ftruncate64(int fd, off64_t size) { return OPERATION("ftruncate64", of(fd), 0, REAL(ftruncate64)(fd, size)); }
int rename(const char *from, const char *to) { return OPERATION("rename", beneath(to), 1, REAL(rename)(from, to)); }
int renameat(int a, const char *from, int b, const char *to) { return OPERATION("renameat", beneath(to), 1, REAL(renameat)(a, from, b, to)); }
int renameat2(int a, const char *from, int b, const char *to, unsigned how) {
	return OPERATION("renameat2", beneath(to), 1, REAL(renameat2)(a, from, b, to, how));
}
int link(const char *from, const char *to) { return OPERATION("link", beneath(to), 1, REAL(link)(from, to)); }
int linkat(int a, const char *from, int b, const char *to, int how) { return OPERATION("linkat", beneath(to), 1, REAL(linkat)(a, from, b, to, how)); }
int unlink(const char *path) { return OPERATION("unlink", beneath(path), 0, REAL(unlink)(path)); }
int unlinkat(int dir, const char *path, int how) { return OPERATION("unlinkat", beneath(path), 0, REAL(unlinkat)(dir, path, how)); }
int remove(const char *path) { return OPERATION("remove", beneath(path), 0, REAL(remove)(path)); }
int rmdir(const char *path) { return OPERATION("rmdir", beneath(path), 0, REAL(rmdir)(path)); }
int mkdir(const char *path, mode_t mode) { return OPERATION("mkdir", beneath(path), 1, REAL(mkdir)(path, mode)); }
int mkdirat(int dir, const char *path, mode_t mode) { return OPERATION("mkdirat", beneath(path), 1, REAL(mkdirat)(dir, path, mode)); }
