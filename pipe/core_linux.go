package main

import "golang.org/x/sys/unix"

// leaveNoCore keeps the memory, tokens and keys in it, out of a crash's core file: the working directory is the build's,
// which steps share and upload. Not even a handler that the host names in core_pattern gets it, and no other process of the
// same user can read it. [prctl(2), PR_SET_DUMPABLE; core(5)]
//
// It cannot fail but where a host forbids the call, and there a login is worth more than a crash's core is likely.
func leaveNoCore() { _ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) }
