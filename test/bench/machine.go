package main

import (
	"cmp"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// A machine is the computer on which the numbers were measured.
type machine struct {
	cpu    string
	cores  int
	memory int64 // bytes
	kernel string
	load   string // processes that wanted a core in the minute before
	date   time.Time
}

// describeMachine reads what Linux says about itself. Elsewhere it is only the name of the system.
func describeMachine() machine {
	m := machine{
		cpu:    cmp.Or(procField("/proc/cpuinfo", "model name"), runtime.GOARCH),
		cores:  runtime.NumCPU(),
		kernel: runtime.GOOS,
		load:   "unknown",
		date:   time.Now().UTC(),
	}
	if kilobytes, err := strconv.ParseInt(strings.TrimSuffix(procField("/proc/meminfo", "MemTotal"), " kB"), 10, 64); err == nil {
		m.memory = kilobytes << 10
	}
	if release, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		version, _, _ := strings.Cut(strings.TrimSpace(string(release)), "-") // what follows names the host's own build
		m.kernel = "Linux " + version
	}
	if load, err := os.ReadFile("/proc/loadavg"); err == nil {
		m.load, _, _ = strings.Cut(string(load), " ")
	}
	return m
}

// procField is the first value of a name in a file of NAME: VALUE lines, empty if there is none.
func procField(file, name string) string {
	data, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(data)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
