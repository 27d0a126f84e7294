package broker

import "syscall"

// endWithParent makes the kernel kill the broker when the test process dies, whatever it dies of.
func endWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
