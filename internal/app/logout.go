package app

import (
	"context"
	"errors"
	"strings"

	"bitbucket-oidc/internal/cli"
	"bitbucket-oidc/internal/config"
	"bitbucket-oidc/internal/handoff"
)

// logout removes what login wrote, and only that, and revokes what can be revoked.
func logout(ctx context.Context, c *cli.Console, a *cli.Arguments) int {
	a.NoFiles()
	output, err := config.LoadOutput()
	a.Add(err)
	dir, err := handoff.Open(output)
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
		backend, err := config.LoadRevoker(name, c.Debug)
		a.Add(err)
		if err == nil && backend != nil {
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
step. Vault's token is revoked first: give logout the VAULT_… variables of login. Variables: BITBUCKET_CLONE_DIR, OUTPUT_DIR,
TIMEOUT, DEBUG, VAULT_ADDR, VAULT_NAMESPACE, VAULT_CACERT.
`
}
