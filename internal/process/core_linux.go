package process

import "golang.org/x/sys/unix"

// leaveNoCore keeps the memory, with tokens and keys, out of a crash's core file: the working directory is the build directory, which
// steps share and upload. It also keeps the memory from the handler that the host names in core_pattern, and from other
// processes of the same user. [prctl(2), PR_SET_DUMPABLE; core(5)]
//
// It fails only where a host forbids the call. The program goes on there: a crash is unlikely.
func leaveNoCore() { _ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) }
