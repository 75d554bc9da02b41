package app

import (
	"context"
	"errors"
	"strings"

	"bitbucket-oidc/internal/config"
	"bitbucket-oidc/internal/handoff"
)

// logout removes what login wrote, and only that, and revokes what can be revoked.
func logout(ctx context.Context, c *console, a *arguments) int {
	a.noFiles()
	output, err := config.LoadOutput()
	a.add(err)
	dir, err := handoff.Open(output)
	a.add(err)
	if err := a.wrongs(); err != nil {
		return c.fail(err, misused)
	}
	// What could not be revoked ends by itself; what lies around does not. So a failure here does not keep the files.
	revokeErr := c.revoke(ctx, a, dir)
	removed, foreign, err := dir.Remove(ctx)
	if err == nil {
		c.reportRemoval(dir, removed, foreign)
	}
	wrong := a.wrongs()
	switch err := errors.Join(wrong, revokeErr, err); {
	case wrong != nil:
		return c.fail(err, misused)
	case err != nil:
		return c.fail(err, failed)
	}
	return done
}

// revoke ends the credentials of every backend that login has written and that can. Variables that are wrong for it are added to
// the arguments' problems.
func (c *console) revoke(ctx context.Context, a *arguments, dir *handoff.Dir) error {
	var errs []error
	names, err := dir.Backends()
	errs = append(errs, err)
	for _, name := range names {
		backend, err := config.LoadRevoker(name, c.debug)
		a.add(err)
		if err == nil && backend != nil {
			errs = append(errs, backend.Revoke(ctx, dir.Read))
		}
	}
	return errors.Join(errs...)
}

func (c *console) reportRemoval(dir *handoff.Dir, removed bool, foreign []string) {
	if len(foreign) > 0 {
		c.warn("left alone in " + dir.Path("") + ", because login did not write it: " + strings.Join(foreign, ", "))
	}
	if removed {
		c.print("✔ removed the credentials in " + dir.Path(""))
	} else {
		c.print("✔ nothing to remove in " + dir.Path(""))
	}
}

func logoutUsage() string {
	return `Usage: pipe logout

Removes what login wrote to OUTPUT_DIR, and nothing else. Call it in after-script, so that it runs whatever became of the
step. Vault's token is revoked first: give logout the VAULT_… variables of login. Variables: BITBUCKET_CLONE_DIR, OUTPUT_DIR,
TIMEOUT, DEBUG, VAULT_ADDR, VAULT_NAMESPACE, VAULT_CACERT.
`
}
