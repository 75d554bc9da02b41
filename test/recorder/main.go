// Command recorder replaces a program in the stories: it starts the real one, which has the same name in the folder real beside
// it, and sends everything that can be seen of it from outside to the address in $RECORDER: first its command line, quoted, on one
// line, and then what it prints.
package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

func main() {
	status, err := run()
	if err != nil {
		fmt.Fprintln(os.Stderr, "recorder:", err)
		status = 125
	}
	os.Exit(status)
}

// commandLine is how the system shows the process to others. Linux shows nothing for a moment while a program starts, and
// nothing from its end; then, and elsewhere, it is as it was given.
func commandLine(pid int) string {
	for range 100 {
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err != nil {
			break
		}
		if len(line) > 0 {
			return string(line)
		}
		time.Sleep(100 * time.Microsecond)
	}
	return strings.Join(os.Args, "\x00")
}

// A record lets output wait until the command line was told.
type record struct {
	net.Conn
	mu sync.Mutex
}

func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.Conn.Write(p)
}

func run() (int, error) {
	conn, err := net.Dial("tcp", os.Getenv("RECORDER"))
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	record := &record{Conn: conn}
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	cmd := exec.Command(filepath.Join(filepath.Dir(self), "real", filepath.Base(self)), os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, io.MultiWriter(os.Stdout, record), io.MultiWriter(os.Stderr, record)
	cmd.SysProcAttr = dieTogether()

	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	record.mu.Lock()
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	fmt.Fprintf(conn, "%q\n", commandLine(cmd.Process.Pid))
	record.mu.Unlock()
	go func() {
		for s := range signals {
			_ = cmd.Process.Signal(s)
		}
	}()
	err = cmd.Wait()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		return 0, err
	}
	if status := cmd.ProcessState.Sys().(syscall.WaitStatus); status.Signaled() {
		signal.Reset()
		_ = syscall.Kill(os.Getpid(), status.Signal())
	}
	return cmd.ProcessState.ExitCode(), nil
}
