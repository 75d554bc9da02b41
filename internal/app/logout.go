package app

import (
	"context"
	"errors"
	"strings"

	"bitbucket-oidc/internal/backends"
	"bitbucket-oidc/internal/cli"
	"bitbucket-oidc/internal/handoff"
)

// logout removes what login wrote, and only that, and revokes what can be revoked.
func logout(ctx context.Context, c *cli.Console, a *cli.Arguments) int {
	a.NoFiles()
	// Whose the files become is nothing to one who removes them.
	dir, err := handoff.Open(handoff.Config{CloneDir: a.Vars.CloneDir(), OutputDir: a.Vars.Text("OUTPUT_DIR")})
	a.Add(err)
	if err := a.Err(); err != nil {
		return c.Fail(err, cli.Misused)
	}
	// What could not be revoked ends by itself; what lies around does not. So a failure here does not keep the files.
	revokeErr := revoke(ctx, c, a, dir)
	removed, foreign, err := dir.Remove(ctx)
	if err == nil {
		reportRemoval(c, dir, removed, foreign)
	}
	wrong := a.Err()
	switch err := errors.Join(wrong, revokeErr, err); {
	case wrong != nil:
		return c.Fail(err, cli.Misused)
	case err != nil:
		return c.Fail(err, cli.Failed)
	}
	return cli.Done
}

// revoke ends the credentials of every backend that login has written and that can. Variables that are wrong for it are added to
// the arguments' problems.
func revoke(ctx context.Context, c *cli.Console, a *cli.Arguments, dir *handoff.Dir) error {
	var errs []error
	names, err := dir.Backends()
	errs = append(errs, err)
	for _, name := range names {
		if backend := backends.LoadRevoker(a.Vars, name, c.Debug); backend != nil {
			errs = append(errs, backend.Revoke(ctx, dir.Read))
		}
	}
	return errors.Join(errs...)
}

func reportRemoval(c *cli.Console, dir *handoff.Dir, removed bool, foreign []string) {
	if len(foreign) > 0 {
		c.Warn("left alone in " + dir.Path("") + ", because login did not write it: " + strings.Join(foreign, ", "))
	}
	if removed {
		c.Print("✔ removed the credentials in " + dir.Path(""))
	} else {
		c.Print("✔ nothing to remove in " + dir.Path(""))
	}
}

func logoutUsage(program string) string {
	return "Usage: " + program + ` logout

Removes what login wrote to OUTPUT_DIR, and nothing else. Call it in after-script, so that it runs whatever became of the
step. Vault's token is revoked too: give logout the VAULT_… variables of login. Variables:
` + cli.DescribeVariables(backends.Variables(), "OUTPUT_DIR", "TIMEOUT", "DEBUG", "BITBUCKET_CLONE_DIR", "VAULT_ADDR", "VAULT_NAMESPACE", "VAULT_CACERT",
		"SSL_CERT_FILE", "HTTPS_PROXY", "NO_PROXY")
}
