package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

//go:embed checkout
var checkout embed.FS

// files are what lies in the checkout of the demo: a pull request's pipelines file, trust policies, an access map, guardrails.
func files() fs.FS {
	sub, err := fs.Sub(checkout, "checkout")
	if err != nil {
		panic(err) // the name is the directive's
	}
	return sub
}

// whoGetsIn asks a trust policy, not about one step but about all of them.
func (d *demo) whoGetsIn(ctx context.Context) error {
	said, err := d.advise(ctx, 0, "check", "--reach", "deploy.json")
	return errors.Join(err, says(said, "any other repository"))
}

// audit judges a pull request's pipelines file before it is merged, and writes the page that the demo ends with.
func (d *demo) audit(ctx context.Context) error {
	page := filepath.Join(os.TempDir(), fmt.Sprintf("bitbucket-oidc-demo-%d.html", os.Getuid())) // another user's cannot be written
	said, err := d.advise(ctx, 1, "audit", "--format", "html", "--output", page, "--format", "text", "bitbucket-pipelines.yml")
	if err := errors.Join(err, says(said, "token-printed")); err != nil {
		return err
	}
	_, err = os.Stat(page)
	d.page = page
	return err
}

// drift compares who gets in with who should.
func (d *demo) drift(ctx context.Context) error {
	said, err := d.advise(ctx, 1, "drift", "--map", "access.yaml", "roles.json")
	return errors.Join(err, says(said, "wider: arn:aws:iam::123456789012:role/deploy", "fix: {"))
}

// advise runs bitbucket-oidc as on a laptop: without a token.
func (d *demo) advise(ctx context.Context, status int, args ...string) (said string, err error) {
	fmt.Fprintln(d.out, "+ bitbucket-oidc "+strings.Join(args, " "))
	command := exec.CommandContext(ctx, filepath.Join(filepath.Dir(d.pipe), "bitbucket-oidc"), args...)
	command.Dir, command.Env = d.clone, []string{"PATH=" + os.Getenv("PATH")}
	output, err := command.CombinedOutput()
	fmt.Fprint(d.out, d.readable(string(output)))
	var exit *exec.ExitError
	switch {
	case err == nil && status == 0:
		return string(output), nil
	case errors.As(err, &exit) && exit.ExitCode() == status:
		return string(output), nil
	}
	return string(output), fmt.Errorf("bitbucket-oidc %s: %v, want exit status %d", args[0], err, status)
}

func says(text string, wants ...string) error {
	if i := slices.IndexFunc(wants, func(want string) bool { return !strings.Contains(text, want) }); i >= 0 {
		return fmt.Errorf("it does not say %q", wants[i])
	}
	return nil
}
