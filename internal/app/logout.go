package app

import (
	"context"
	"errors"
	"strings"

	"bitbucket-oidc/internal/backends"
	"bitbucket-oidc/internal/cli"
	"bitbucket-oidc/internal/config"
	"bitbucket-oidc/internal/federation"
	"bitbucket-oidc/internal/handoff"
	"bitbucket-oidc/internal/oidc"
	"bitbucket-oidc/internal/record"
)

// logout removes what login wrote, and only that, and revokes what can be revoked.
func logout(ctx context.Context, c *cli.Console, a *cli.Arguments) int {
	a.NoFiles()
	v := a.Vars
	place := v.Group()
	// The owner of the files does not matter when they are removed, but the file of records stays.
	dir, err := handoff.Open(handoff.Config{CloneDir: place.CloneDir(), OutputDir: place.Text("OUTPUT_DIR")})
	a.Add(err)
	found := err == nil && !place.Failed()
	recs := recordLogout(c, a, dir)
	// Other mistakes do not keep the credentials where they are: they are reported after the removal.
	if !found || len(a.Files) > 0 {
		return c.Fail(a.Err(), cli.Misused)
	}
	// The files go first: a credential that could not be revoked expires, and a file that stays does not.
	removal, err := dir.Remove(ctx)
	reportRemoval(c, dir, removal, err)
	said, revokeErr := revoke(ctx, c, a, removal)
	recs.LoggedOut(endings(removal.Credentials, said, err))
	_ = recs.deliver(ctx, nil, false) // RECORD_REQUIRED is for logins: a removal must not fail because of it
	wrong := a.Err()
	switch err := errors.Join(wrong, err, revokeErr); {
	case wrong != nil:
		return c.Fail(err, cli.Misused)
	case err != nil:
		return c.Fail(err, cli.Failed)
	}
	return cli.Done
}

// recordLogout opens the records of a logout; there are none where something is wrong with their variables.
func recordLogout(c *cli.Console, a *cli.Arguments, dir *handoff.Dir) records {
	g := a.Vars.Group()
	asked := g.Record(true) // a record that a bucket cannot take is reported later
	if g.Failed() {
		asked = config.Record{}
	}
	token, _ := oidc.Parse(g.Secret("BITBUCKET_STEP_OIDC_TOKEN").Reveal()) // records name the step by its token; nothing else needs it
	recs := begin(c, "logout", a.Vars, token, asked, dir)
	if err := recs.check(); err != nil {
		a.Add(err)
		return begin(c, "logout", a.Vars, token, config.Record{}, dir)
	}
	return recs
}

// revoke ends the credentials of every backend that login has written and that can end them. Problems with its variables are added to
// the arguments' problems. said is what each of those backends answered: nil where it has revoked them.
func revoke(ctx context.Context, c *cli.Console, a *cli.Arguments, removal handoff.Removal) (said map[string]error, err error) {
	said = map[string]error{}
	var errs []error
	for _, name := range removal.Backends {
		if backend := backends.LoadRevoker(a.Vars, name, c.Debug); backend != nil {
			err := backend.Revoke(ctx, removal.Read)
			said[name] = err
			if !errors.Is(err, federation.ErrNotRevoked) {
				errs = append(errs, err)
			}
		}
	}
	return said, errors.Join(errs...)
}

// endings are what logout did to each credential: a failure to remove the files is every credential's, and one to revoke is its backend's.
func endings(held []handoff.Held, said map[string]error, removal error) []record.Ending {
	var all []record.Ending
	for _, h := range held {
		answer, asked := said[h.Backend]
		e := record.Ending{Backend: h.Backend, Name: h.Name, Principal: h.Principal, Expires: h.Expires, Revoked: asked && answer == nil}
		switch {
		case e.Revoked:
		case errors.Is(answer, federation.ErrNotRevoked):
			e.Err = removal
		default:
			e.Err = errors.Join(removal, answer)
		}
		all = append(all, e)
	}
	return all
}

func reportRemoval(c *cli.Console, dir *handoff.Dir, removal handoff.Removal, err error) {
	if len(removal.Foreign) > 0 {
		c.Warn("left alone in " + dir.Path("") + ", because login did not write it: " + strings.Join(removal.Foreign, ", "))
	}
	if removal.Unlocked {
		c.Warn("another process holds " + dir.Path("") + ": a login that runs at the same time may write to it again")
	}
	switch {
	case err != nil: // which says what is still there
	case removal.Removed:
		c.Lines("✔ removed the credentials in " + dir.Path(""))
	default:
		c.Lines("✔ nothing to remove in " + dir.Path(""))
		warnOfOthers(c, dir)
	}
}

// warnOfOthers warns of credentials in other folders: logout may have been given another OUTPUT_DIR than login.
func warnOfOthers(c *cli.Console, dir *handoff.Dir) {
	for _, folder := range dir.Elsewhere() {
		c.Warn("the credentials of a login are in " + folder + ", where logout did not look")
		c.Hint("to remove them, give logout login's OUTPUT_DIR: " + folder)
	}
}

func logoutUsage(program string) string {
	return "Usage: " + program + ` logout

Removes what login wrote to OUTPUT_DIR, and nothing else. Call it in after-script, so that it also runs when the step
fails. Vault's token is revoked too: give logout the VAULT_… variables of login. Variables:
` + cli.DescribeVariables(backends.Variables(), "OUTPUT_DIR", "TIMEOUT", "DEBUG", "BITBUCKET_CLONE_DIR", "VAULT_ADDR", "VAULT_NAMESPACE", "VAULT_CACERT",
		"SSL_CERT_FILE", "HTTPS_PROXY", "NO_PROXY", "RECORD_FILE", "RECORD_OTLP", "RECORD_URL", "RECORD_FORMAT", "RECORD_AUTHORIZATION",
		"RECORD_REQUIRED", "RECORD_TIMEOUT")
}
