// Package program builds the program under test.
package program

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
)

// Build puts the program into a folder, by the name pipe, and returns its path. Flags are for go build.
func Build(ctx context.Context, dir string, flags ...string) (string, error) {
	path := filepath.Join(dir, "pipe")
	build := exec.CommandContext(ctx, "go", slices.Concat([]string{"build", "-o", path}, flags, []string{"bitbucket-oidc/pipe"})...)
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return path, nil
}
