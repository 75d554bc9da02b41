package nowait_test

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"bitbucket-oidc/internal/nowait"
)

// soon fails the test where f waits.
func soon(t *testing.T, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { f(); close(done) }()
	select {
	case <-done:
	case <-time.After(5 * time.Second):
		t.Fatal("it waits")
	}
}

// zoo is a folder with one of each kind.
func zoo(t *testing.T) (string, *os.Root) {
	t.Helper()
	dir, err := os.MkdirTemp("", "zoo") // short, because a socket's name must be
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	at := func(name string) string { return filepath.Join(dir, name) }
	listener, err := net.Listen("unix", at("socket"))
	err = errors.Join(err,
		os.WriteFile(at("file"), []byte("text"), 0o600), os.WriteFile(at("large"), []byte(strings.Repeat("x", 11)), 0o600),
		syscall.Mkfifo(at("pipe"), 0o600), os.Mkdir(at("folder"), 0o700),
		os.Symlink("file", at("link")), os.Symlink("pipe", at("link to a pipe")), os.Symlink("/dev/zero", at("link to a device")),
	)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = root.Close() })
	return dir, root
}

func TestRead(t *testing.T) {
	dir, root := zoo(t)
	for _, c := range []struct {
		name     string
		read, in error // nil: the text
	}{
		{name: "file"},
		{name: "large", read: nowait.ErrSize, in: nowait.ErrSize},
		{name: "pipe", read: nowait.ErrKind, in: nowait.ErrKind},
		{name: "socket", read: syscall.ENXIO, in: nowait.ErrKind},
		{name: "folder", read: nowait.ErrKind, in: nowait.ErrKind},
		{name: "link", in: nowait.ErrKind},
		{name: "link to a pipe", read: nowait.ErrKind, in: nowait.ErrKind},
		{name: "link to a device", read: nowait.ErrKind},
		{name: "missing", read: fs.ErrNotExist, in: fs.ErrNotExist},
	} {
		t.Run(c.name, func(t *testing.T) {
			soon(t, func() {
				data, err := nowait.Read(filepath.Join(dir, c.name), 10)
				if !errors.Is(err, c.read) || c.read == nil && string(data) != "text" {
					t.Errorf("Read: %q, %v; want %v", data, err, c.read)
				}
				data, err = nowait.ReadIn(root, c.name, 10)
				if c.name == "link to a device" {
					if err == nil {
						t.Error("ReadIn leaves its root")
					}
				} else if !errors.Is(err, c.in) || c.in == nil && string(data) != "text" {
					t.Errorf("ReadIn: %q, %v; want %v", data, err, c.in)
				}
				f, err := nowait.OpenIn(root, c.name, os.O_WRONLY)
				if regular := c.name == "file" || c.name == "large"; (err == nil) != regular {
					t.Errorf("OpenIn: %v", err)
				}
				_ = f.Close()
			})
		})
	}
}

func TestFolders(t *testing.T) {
	dir, root := zoo(t)
	for _, name := range []string{"file", "pipe", "socket", "link", "link to a pipe", "link to a device", "missing", "folder"} {
		t.Run(name, func(t *testing.T) {
			soon(t, func() {
				at, err1 := nowait.Folder(filepath.Join(dir, name))
				below, err2 := nowait.FolderIn(root, name)
				_, err3 := nowait.List(root, name)
				for _, err := range []error{err1, err2, err3} {
					if (err == nil) != (name == "folder") {
						t.Errorf("%v", err)
					}
				}
				if name == "folder" {
					_, _ = at.Close(), below.Close()
				}
			})
		})
	}
}

// TestPipeInPlaceOfAFile swaps a file for a pipe while it is read, as fast as it can.
func TestPipeInPlaceOfAFile(t *testing.T) {
	dir, root := zoo(t)
	stop := make(chan struct{})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				_ = os.Rename(filepath.Join(dir, "pipe"), filepath.Join(dir, "name"))
				_ = os.Rename(filepath.Join(dir, "name"), filepath.Join(dir, "pipe"))
				_ = os.Rename(filepath.Join(dir, "file"), filepath.Join(dir, "name"))
				_ = os.Rename(filepath.Join(dir, "name"), filepath.Join(dir, "file"))
			}
		}
	}()
	soon(t, func() {
		for end := time.Now().Add(300 * time.Millisecond); time.Now().Before(end); {
			if data, err := nowait.ReadIn(root, "name", 10); err == nil && string(data) != "text" {
				t.Errorf("%q", data)
			}
			if _, err := nowait.FolderIn(root, "name"); err == nil {
				t.Error("a folder")
			}
		}
	})
	close(stop)
	<-stopped
}
