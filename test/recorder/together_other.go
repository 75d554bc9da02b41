//go:build !linux

package main

import "syscall"

// dieTogether needs Linux: elsewhere the program outlives a recorder that is killed, until TIMEOUT.
func dieTogether() *syscall.SysProcAttr { return nil }
