package peers

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"
)

// onPath finds a program that the machine has.
func onPath(name string) func() ([]string, error) {
	return func() ([]string, error) {
		path, err := exec.LookPath(name)
		if err != nil {
			return nil, fmt.Errorf("not installed: %w", err)
		}
		return []string{path}, nil
	}
}

// debian finds Debian's own copy of a program, where PATH has another one before it.
func debian(name string) func() ([]string, error) {
	return func() ([]string, error) {
		path := filepath.Join("/usr/bin", name)
		own, err := os.Stat(path)
		if err != nil {
			return nil, fmt.Errorf("not installed: %w", err)
		}
		if first, err := exec.LookPath(name); err == nil {
			if other, err := os.Stat(first); err == nil && os.SameFile(own, other) {
				return nil, errors.New("is the first on PATH")
			}
		}
		return []string{path}, nil
	}
}

// boto3 wants a Python that has it.
func boto3(python func() ([]string, error)) func() ([]string, error) {
	return func() ([]string, error) {
		program, err := python()
		if err != nil {
			return nil, err
		}
		if err := quietly(exec.Command(program[0], "-c", "import boto3")); err != nil {
			return nil, fmt.Errorf("not installed: %w", err)
		}
		return append(program, script("sts.py")), nil
	}
}

func goProgram(client string) func() ([]string, error) {
	return func() ([]string, error) { return []string{goReader, client}, nil }
}

// node finds node, and the modules that package-lock.json pins.
func node(name string) func() ([]string, error) {
	return func() ([]string, error) {
		path, err := exec.LookPath("node")
		if err != nil {
			return nil, fmt.Errorf("not installed: %w", err)
		}
		modules, err := nodeModules()
		if err != nil {
			return nil, fmt.Errorf("not installed: %w", err)
		}
		return []string{"env", "NODE_PATH=" + modules, path, script(name)}, nil
	}
}

var nodeModules = sync.OnceValues(func() (string, error) { return npmModules("reader") })

// npmModules are the modules that the package-lock.json of a folder pins.
func npmModules(folder string) (string, error) {
	lock, err := os.ReadFile(filepath.Join(folder, "package-lock.json"))
	if err != nil {
		return "", err
	}
	dir, err := cached(fmt.Sprintf("node-%.8x", sha256.Sum256(lock)), func(dir string) error {
		for _, name := range []string{"package.json", "package-lock.json"} {
			data, err := os.ReadFile(filepath.Join(folder, name))
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, name), data, 0o644)
			}
			if err != nil {
				return err
			}
		}
		ctx, cancel := context.WithTimeout(context.Background(), readerLimit)
		defer cancel()
		install := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
		install.Dir = dir
		return quietly(install)
	})
	return filepath.Join(dir, "node_modules"), err
}

// terraform keeps its state in a bucket. Signing in is the first thing that init does, and it needs no plug-in.
func terraform(backend string) func() ([]string, error) {
	return func() ([]string, error) {
		program, err := onPath("terraform")()
		return append(program, "-chdir="+script(backend)), err
	}
}

func terraformInit(place) []string { return []string{"init", "-no-color", "-input=false"} }

// script is the absolute path of a file of the readers.
func script(name string) string {
	path, err := filepath.Abs(filepath.Join("reader", name))
	if err != nil {
		panic(err) // the working directory is gone
	}
	return path
}

// cached is a folder outside the repository that is filled once per machine, system and processor: a home directory may be shared.
// Its name must hold all that it is made of. A run that is cut short leaves none that is half full.
func cached(name string, fill func(dir string) error) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	cache = filepath.Join(cache, "bitbucket-oidc")
	name += "-" + runtime.GOOS + "-" + runtime.GOARCH
	dir := filepath.Join(cache, name)
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	draft, err := os.MkdirTemp(cache, name+".*")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(draft)
	if err := fill(draft); err != nil {
		return "", err
	}
	if err := os.Rename(draft, dir); err != nil && !errors.Is(err, os.ErrExist) { // someone else was faster
		return "", err
	}
	return dir, nil
}

// quietly runs a command and says why it failed in one line, the last that it printed.
func quietly(command *exec.Cmd) error {
	command.WaitDelay = time.Second
	out, err := command.CombinedOutput()
	if err != nil {
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		return fmt.Errorf("%s: %w: %s", filepath.Base(command.Path), err, lines[len(lines)-1])
	}
	return nil
}
