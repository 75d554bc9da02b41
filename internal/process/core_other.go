//go:build !linux

package process

import "golang.org/x/sys/unix"

// leaveNoCore keeps the memory, with tokens and keys, out of a crash's core file. It is always allowed to lower a limit.
func leaveNoCore() { _ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}) }
