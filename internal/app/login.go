package app

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"bitbucket-oidc/internal/config"
	"bitbucket-oidc/internal/federation"
	"bitbucket-oidc/internal/handoff"
	"bitbucket-oidc/internal/hint"
	"bitbucket-oidc/internal/oidc"
)

// leeway is how long after its expiry a token is still sent: clocks differ, and AWS grants as much. The cloud decides.
const leeway = 5 * time.Minute

// login is the main job: token → exchange → hand off → one line for each credential.
func login(ctx context.Context, c *console, args []string, problems error) int {
	cfg, err := config.Load()
	dir, dirErr := handoff.Open(cfg.Output)
	if err := errors.Join(problems, tooMany(args), err, dirErr); err != nil {
		return c.fail(err, misused)
	}
	c.debugClaims(cfg.Token.Claims)
	if err := checkExpiry(cfg.Token.Claims); err != nil {
		return c.fail(err, failed)
	}
	grants, err := federation.Exchange(ctx, cfg.Token, cfg.Backends(dir.Path, c.debug))
	if err != nil {
		return c.fail(err, failed)
	}
	if err := checkLifetimes(grants, cfg.MinimumLifetime); err != nil {
		return c.fail(err, failed)
	}
	if err := dir.Write(ctx, cfg.Token, grants); err != nil {
		return c.fail(err, failed)
	}
	for _, g := range grants {
		for _, got := range g.Credentials {
			c.print(success(g.Backend, got))
		}
	}
	c.print("sign later commands of this step in with: . " + handoff.Quote(dir.Path("env.sh")))
	return done
}

func loginUsage() string {
	var b strings.Builder
	b.WriteString("Usage: pipe login\n\nExchanges the step's token with every configured backend and writes the files. Variables:\n\n")
	for _, v := range config.Variables() {
		b.WriteString("  " + v.Name)
		if v.List {
			b.WriteString(" (list)")
		}
		if v.Default != "" {
			b.WriteString(", default " + v.Default)
		}
		b.WriteString("\n")
	}
	return b.String()
}

func (c *console) debugClaims(claims oidc.Claims) {
	c.debug("token: issuer " + claims.Issuer)
	c.debug("token: audience " + strings.Join(claims.Audience, ", "))
	c.debug("token: subject " + claims.Subject)
	c.debug("token: expires " + claims.Expires.Format(time.RFC3339))
}

func checkExpiry(claims oidc.Claims) error {
	now := time.Now()
	if now.Before(claims.Expires.Add(leeway)) {
		return nil
	}
	return hint.New("token: expired", claims.Age(now))
}

// checkLifetimes fails for each credential that would expire sooner than least. One without an expiry passes only if
// nothing is asked.
func checkLifetimes(grants []federation.Grant, least time.Duration) error {
	if least == 0 {
		return nil
	}
	var errs []error
	for _, g := range grants {
		for _, got := range g.Credentials {
			left := "for an unknown time"
			if !got.Expires.IsZero() {
				remaining := time.Until(got.Expires)
				if remaining >= least {
					continue
				}
				left = "for " + minutes(remaining)
			}
			errs = append(errs, hint.New(
				fmt.Sprintf("%s %s: valid %s only, less than MINIMUM_LIFETIME (%s)", g.Backend, got.Name, left, minutes(least)),
				lengthen(g.Backend), "or lower MINIMUM_LIFETIME; nothing was written"))
		}
	}
	return errors.Join(errs...)
}

// lengthen names what makes a backend's credentials last longer.
func lengthen(backend string) string {
	switch backend {
	case "aws":
		return "raise AWS_SESSION_DURATION, and the role's maximum session duration if it is below"
	case "gcp":
		return "raise GCP_TOKEN_LIFETIME; without GCP_SERVICE_ACCOUNT the token lasts no longer than the step's own"
	}
	return "raise the lifetime at the service that issues the credential"
}

func success(backend string, got federation.Credentials) string {
	line := fmt.Sprintf("✔ %s %s: %s", backend, got.Name, got.Principal)
	if !got.Expires.IsZero() {
		line += fmt.Sprintf(" until %s (%s)", got.Expires.UTC().Format("15:04:05Z"), minutes(time.Until(got.Expires)))
	}
	return line
}

// minutes is a time left, such as 59m or 11h59m, rounded down.
func minutes(d time.Duration) string {
	d = max(0, d).Truncate(time.Minute)
	if d < time.Hour {
		return fmt.Sprintf("%dm", d/time.Minute)
	}
	return fmt.Sprintf("%dh%dm", d/time.Hour, d%time.Hour/time.Minute)
}
