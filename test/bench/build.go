package main

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"bitbucket-oidc/test/program"
)

// binaries are the programs to measure, built as the image's is.
type binaries struct {
	root      string // of the checkout
	toolchain string
	pipe      string
	hello     string
	libraries string
	before    string // pipe at [oneProgram]; empty for the reason in noBefore
	noBefore  string
	sizes     sizes
}

// sizes are in bytes, of both programs.
type sizes struct{ program, compressed int64 }

func build(ctx context.Context, dir string) (binaries, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD", "GOVERSION").Output()
	if err != nil {
		return binaries{}, fmt.Errorf("go env: %w", err)
	}
	module, toolchain, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	b := binaries{
		root: filepath.Dir(module), toolchain: toolchain,
		hello: filepath.Join(dir, "hello"), libraries: filepath.Join(dir, "libraries"),
	}

	dockerfile, err := os.ReadFile(filepath.Join(b.root, "Dockerfile"))
	if err != nil {
		return binaries{}, err
	}
	variables, flags, err := buildLine(string(dockerfile))
	if err != nil {
		return binaries{}, fmt.Errorf("Dockerfile: %w", err)
	}
	for _, v := range variables { // where test/program's go build finds them too
		name, value, _ := strings.Cut(v, "=")
		if err := os.Setenv(name, value); err != nil {
			return binaries{}, err
		}
	}
	if b.pipe, err = program.Build(ctx, dir, flags...); err != nil {
		return binaries{}, err
	}
	floors := slices.Concat([]string{"build", "-o", dir + string(filepath.Separator)}, flags, []string{"bitbucket-oidc/test/bench/floor/..."})
	if out, err := exec.CommandContext(ctx, "go", floors...).CombinedOutput(); err != nil {
		return binaries{}, fmt.Errorf("build: %w\n%s", err, out)
	}
	for _, name := range []string{"pipe", "bitbucket-oidc"} {
		one, err := weigh(filepath.Join(dir, name))
		if err != nil {
			return b, err
		}
		b.sizes.program += one.program
		b.sizes.compressed += one.compressed
	}
	return b, nil
}

var (
	word     = regexp.MustCompile(`(?:"[^"]*"|\S)+`)
	constant = regexp.MustCompile(`^[A-Z][A-Z0-9_]*=[^$]*$`)
)

// buildLine has the variables and the flags of the Dockerfile's go build, so that what is measured is what is shipped.
// Variables of the target's platform are left to this machine.
func buildLine(dockerfile string) (variables, flags []string, err error) {
	for line := range strings.Lines(strings.ReplaceAll(dockerfile, "\\\n", " ")) {
		before, after, ok := strings.Cut(line, " go build ")
		if !ok || !strings.HasPrefix(line, "RUN ") {
			continue
		}
		for _, w := range strings.Fields(before) {
			if constant.MatchString(w) {
				variables = append(variables, w)
			}
		}
		after, _, ok = strings.Cut(after, " -o ")
		if !ok {
			return nil, nil, errors.New("its go build has no -o")
		}
		for _, w := range word.FindAllString(after, -1) {
			w = strings.ReplaceAll(strings.ReplaceAll(w, `"`, ""), "$VERSION", "bench")
			if strings.Contains(w, "$") {
				return nil, nil, fmt.Errorf("its go build has a flag with an unknown variable: %s", w)
			}
			flags = append(flags, w)
		}
		return variables, flags, nil
	}
	return nil, nil, errors.New("it has no go build")
}

// weigh compresses as registries' layers are compressed at best. The layer's other files are small beside the program.
func weigh(path string) (sizes, error) {
	file, err := os.Open(path)
	if err != nil {
		return sizes{}, err
	}
	defer file.Close()
	var written counter
	w, err := gzip.NewWriterLevel(&written, gzip.BestCompression)
	if err != nil {
		return sizes{}, err
	}
	n, err := io.Copy(w, file)
	return sizes{program: n, compressed: int64(written)}, errors.Join(err, w.Close())
}

type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}
