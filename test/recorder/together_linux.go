package main

import (
	"runtime"
	"syscall"
)

// dieTogether ends the program when the recorder is killed, which can tell it nothing more. The kernel takes the end of the
// starting thread for the recorder's.
func dieTogether() *syscall.SysProcAttr {
	runtime.LockOSThread()
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
