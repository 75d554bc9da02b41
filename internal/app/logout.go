package app

import (
	"context"
	"errors"
	"strings"

	"bitbucket-oidc/internal/config"
	"bitbucket-oidc/internal/handoff"
)

// logout removes what login wrote, and only that.
func logout(ctx context.Context, c *console, args []string, problems error) int {
	output, err := config.LoadOutput()
	dir, dirErr := handoff.Open(output)
	if err := errors.Join(problems, tooMany("logout", args), err, dirErr); err != nil {
		return c.fail(err, misused)
	}
	removed, foreign, err := dir.Remove(ctx)
	if err != nil {
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

func logoutUsage() string {
	return `Usage: pipe logout

Removes what login wrote to OUTPUT_DIR, and nothing else. Call it in after-script, so that it runs whatever became of the
step. Variables: BITBUCKET_CLONE_DIR, OUTPUT_DIR, TIMEOUT, DEBUG.
`
}
