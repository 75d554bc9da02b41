package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"bitbucket-oidc/internal/backends"
	"bitbucket-oidc/internal/cli"
	"bitbucket-oidc/internal/clock"
	"bitbucket-oidc/internal/config"
	"bitbucket-oidc/internal/federation"
	"bitbucket-oidc/internal/guard"
	"bitbucket-oidc/internal/handoff"
	"bitbucket-oidc/internal/hint"
	"bitbucket-oidc/internal/oidc"
	"bitbucket-oidc/internal/packers"
	"bitbucket-oidc/internal/pipelines"
	"bitbucket-oidc/internal/shell"
	"bitbucket-oidc/internal/visible"
)

// leeway is how long a token is still sent after its expiry: clocks differ, and AWS accepts a token for as long. The cloud decides.
const leeway = 5 * time.Minute

// login is the main job: token → guardrails → exchange → hand off → one line for each credential.
func login(ctx context.Context, c *cli.Console, a *cli.Arguments, ask Ask) int {
	a.NoFiles()
	v := a.Vars
	output := outputOf(v)
	token := v.Token()
	set := backends.Load(v, token)
	for _, w := range v.Warnings() {
		c.Warn(w)
	}
	rails := newGuardrails(v, set.AllowedAccounts, ask)
	asked := v.Record(set.Has("aws"))
	dir, err := handoff.Open(output)
	a.Add(err)
	recs := begin(c, "login", v, token, asked, dir)
	a.Add(recs.check())
	if err := a.Err(); err != nil {
		return c.Fail(err, cli.Misused)
	}
	debugClaims(c, token.Claims)
	grants, err := trade(ctx, c, token, set.Make(dir.Path, c.Debug), rails, recs)
	if errors.Is(err, guard.ErrMistakes) {
		return c.Fail(err, cli.Misused)
	}
	// What was handed out is recorded before it can be used. What was refused leaves a record and nothing else.
	if err := errors.Join(err, recs.deliver(ctx, grants, asked.Required && err == nil)); err != nil {
		return c.Fail(err, cli.Failed)
	}
	if err := dir.Write(ctx, token, grants); err != nil {
		return c.Fail(err, cli.Failed)
	}
	tell(c, v, dir, token.Claims, grants)
	return cli.Done
}

// outputOf says where the files go, and who owns them.
func outputOf(v *config.Vars) handoff.Config {
	output := handoff.Config{CloneDir: v.CloneDir(), OutputDir: v.Text("OUTPUT_DIR")}
	if owner := v.Owner(); owner != nil {
		output.Owner = &handoff.Owner{UID: owner.UID, GID: owner.GID}
	}
	return output
}

// tell prints what the step has now, what may go wrong with it later, and how to use it.
func tell(c *cli.Console, v *config.Vars, dir *handoff.Dir, claims oidc.Claims, grants []federation.Grant) {
	for backend, got := range each(grants) {
		c.Print(visible.Text(success(backend, got)))
	}
	for _, g := range grants {
		for _, v := range g.Env {
			if v.Name == "AWS_REGION" && len(v.Guess) > 0 {
				// A later command that works in the wrong place does not report it.
				c.Print(visible.Text("aws: region " + v.Value + " is a guess, for a step that sets neither AWS_REGION nor AWS_DEFAULT_REGION"))
			}
		}
	}
	warnOfClock(c, grants)
	warnOfPackers(c, dir)
	maxTime, _ := pipelines.MaxTime(cmp.Or(v.CloneDir(), "."), pipelines.Running{Deployment: claims.Environment() != "", Name: v.Environment})
	warnOfDrift(c, grants, claims, maxTime)
	c.Lines("sign later commands of this step in with: . " + shell.Word(dir.Path("env.sh")))
}

// trade asks for every credential and notes the outcome. With an error there are no grants. What was handed out is valid all the same,
// and it is recorded.
func trade(
	ctx context.Context, c *cli.Console, token oidc.Token, all []federation.Backend, rails *guardrails, recs records,
) ([]federation.Grant, error) {
	targets := federation.Targets(all)
	if err := checkExpiry(token.Claims); err != nil {
		var refused []federation.Outcome
		for _, t := range targets {
			refused = append(refused, federation.Outcome{Target: t, Err: err, Code: "token-expired"})
		}
		recs.Exchanged(refused, true)
		return nil, err
	}
	if err := rails.before(ctx, c, recs, targets); err != nil {
		return nil, err
	}
	grants, outcomes, err := federation.Exchange(ctx, token, all)
	if err := rails.after(ctx, c, recs, exchange{grants, outcomes, err}); err != nil {
		return nil, err // a credential that is refused signs nothing either
	}
	return grants, nil
}

func loginUsage(program string) string {
	return "Usage: " + program + " login\n\nExchanges the step's token with every configured backend and writes the files. Variables:\n" +
		cli.DescribeVariables(backends.Variables())
}

func debugClaims(c *cli.Console, claims oidc.Claims) {
	c.Debug("token: issuer " + claims.Issuer)
	c.Debug("token: audience " + strings.Join(claims.Audience, ", "))
	c.Debug("token: subject " + claims.Subject)
	c.Debug("token: expires " + claims.Expires.Format(time.RFC3339))
}

func checkExpiry(claims oidc.Claims) error {
	now := time.Now()
	if now.Before(claims.Expires.Add(leeway)) {
		return nil
	}
	return hint.New("token: expired", claims.Age(now))
}

// warnOfClock warns of a runner's clock that is wrong: the times that login prints and writes are then not the runner's times.
func warnOfClock(c *cli.Console, grants []federation.Grant) {
	for _, g := range grants {
		if advice := g.Clock.Advice(clock.Either); advice != "" {
			c.Warn(advice)
		}
	}
}

// warnOfPackers warns of each tool that would pack the credentials along with the checkout.
func warnOfPackers(c *cli.Console, dir *handoff.Dir) {
	clone, output := dir.Place()
	for _, leak := range packers.Find(clone, output) {
		why := "it has no ignore file"
		if leak.Ignore != "" {
			why = leak.Ignore + " does not keep it out"
		}
		c.Warn(fmt.Sprintf("%s (%s) packs %s with the step's credentials along with the checkout: %s", leak.Tool, leak.Because, output, why))
		where := leak.Ignore
		if leak.Under != "" {
			where = leak.Under + " of " + where
		}
		if where != "" {
			c.Hint(fmt.Sprintf("add this line to %s: %s", where, leak.Line))
		}
		if leak.Advice != "" {
			c.Hint(leak.Advice)
		}
	}
}

// warnOfDrift warns of each credential that ends before the step must.
func warnOfDrift(c *cli.Console, grants []federation.Grant, claims oidc.Claims, maxTime time.Duration) {
	if maxTime == 0 {
		return // not known
	}
	began := claims.IssuedAt // Bitbucket mints the token when the step starts
	if began.IsZero() {
		began = time.Now()
	}
	end := began.Add(maxTime)
	for b, got := range each(grants) {
		if got.Expires.IsZero() || !got.Expires.Before(end) {
			continue
		}
		c.Warn(fmt.Sprintf("%s %s ends at %s, and the step may run until %s (max-time %s): %s", b, got.Name,
			timeOfDay(got.Expires), timeOfDay(end), minutes(maxTime), got.Lengthen))
	}
}

// each goes through the credentials of all backends.
func each(grants []federation.Grant) iter.Seq2[string, federation.Credential] {
	return func(yield func(string, federation.Credential) bool) {
		for _, g := range grants {
			for _, got := range g.Credentials {
				if !yield(g.Backend, got) {
					return
				}
			}
		}
	}
}

func success(backend string, got federation.Credential) string {
	line := fmt.Sprintf("✔ %s %s: %s", backend, got.Name, got.Principal)
	if !got.Expires.IsZero() {
		line += fmt.Sprintf(" until %s (%s)", timeOfDay(got.Expires), minutes(time.Until(got.Expires)))
	}
	if got.Refreshes {
		line += ", renewed by the SDKs"
	}
	return line
}

func timeOfDay(t time.Time) string { return t.UTC().Format("15:04:05Z") }

// minutes is a time left, such as 59m or 11h59m, rounded down.
func minutes(d time.Duration) string {
	d = max(0, d).Truncate(time.Minute)
	if d < time.Hour {
		return fmt.Sprintf("%dm", d/time.Minute)
	}
	return fmt.Sprintf("%dh%dm", d/time.Hour, d%time.Hour/time.Minute)
}
