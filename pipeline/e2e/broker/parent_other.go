//go:build !linux

package broker

import "syscall"

func endWithParent() *syscall.SysProcAttr { return nil }
