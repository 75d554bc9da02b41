package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
)

// oneProgram is the last commit at which one program had every command, without inlining. The target for a start is relative to the
// time that this program took to start.
const oneProgram = "1bf6491"

// buildBefore builds pipe as it was at that commit, by the Dockerfile of that commit, and returns its path, or why there is none.
func buildBefore(ctx context.Context, root, dir string) (path, missing string) {
	source := filepath.Join(dir, oneProgram)
	if err := os.Mkdir(source, 0o755); err != nil {
		return "", err.Error()
	}
	if exec.CommandContext(ctx, "git", "-C", root, "archive", "--output="+source+".tar", oneProgram).Run() != nil {
		return "", "commit " + oneProgram + " is not in this clone"
	}
	if exec.CommandContext(ctx, "tar", "-x", "-f", source+".tar", "-C", source).Run() != nil {
		return "", "no tar"
	}
	dockerfile, err := os.ReadFile(filepath.Join(source, "Dockerfile"))
	if err != nil {
		return "", err.Error()
	}
	_, flags, err := buildLine(string(dockerfile))
	if err != nil {
		return "", err.Error()
	}
	path = filepath.Join(source, "bin", "pipe")
	build := exec.CommandContext(ctx, "go", append(append([]string{"build", "-o", path}, flags...), "./pipe")...)
	build.Dir = source
	if build.Run() != nil {
		return "", "commit " + oneProgram + " cannot be built here"
	}
	return path, ""
}
