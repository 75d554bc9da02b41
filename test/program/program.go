// Package program builds the programs under test.
package program

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
)

// Build puts both programs into a folder and returns the path of pipe. Flags are for go build.
func Build(ctx context.Context, dir string, flags ...string) (string, error) {
	build := exec.CommandContext(
		ctx, "go",
		slices.Concat([]string{"build", "-o", dir + string(filepath.Separator)}, flags, []string{"bitbucket-oidc/pipe/..."})...,
	)
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return filepath.Join(dir, "pipe"), nil
}
