package app

import (
	"context"
	"errors"
	"strings"

	"bitbucket-oidc/internal/config"
	"bitbucket-oidc/internal/federation"
	"bitbucket-oidc/internal/handoff"
	"bitbucket-oidc/internal/secret"
)

// logout removes what login wrote, and only that.
func logout(ctx context.Context, c *console, args []string, problems error) int {
	output, backends, err := config.LoadLogout(c.debug)
	dir, dirErr := handoff.Open(output)
	if err := errors.Join(problems, tooMany("logout", args), err, dirErr); err != nil {
		return c.fail(err, misused)
	}
	// Removing comes first in importance: what could not be revoked ends by itself, what lies around does not.
	revokeErr := revoke(ctx, backends, dir.Read)
	removed, foreign, err := dir.Remove(ctx)
	if err := errors.Join(revokeErr, err); err != nil {
		return c.fail(err, failed)
	}
	if len(foreign) > 0 {
		c.warn("left alone in " + dir.Path("") + ", because login did not write it: " + strings.Join(foreign, ", "))
	}
	if removed {
		c.print("✔ removed the credentials in " + dir.Path(""))
	} else {
		c.print("✔ nothing to remove in " + dir.Path(""))
	}
	return done
}

func revoke(ctx context.Context, backends []federation.Revoker, read func(file string) (secret.Text, error)) error {
	var errs []error
	for _, b := range backends {
		errs = append(errs, b.Revoke(ctx, read))
	}
	return errors.Join(errs...)
}

func logoutUsage() string {
	return `Usage: pipe logout

Removes what login wrote to OUTPUT_DIR, and nothing else. Call it in after-script, so that it runs whatever became of the
step. With VAULT_ADDR it revokes Vault's token first. Variables: BITBUCKET_CLONE_DIR, OUTPUT_DIR, TIMEOUT, DEBUG, VAULT_ADDR,
VAULT_NAMESPACE, VAULT_CACERT.
`
}
