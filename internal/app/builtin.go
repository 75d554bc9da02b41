package app

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"bitbucket-oidc/internal/clock"
	"bitbucket-oidc/internal/federation"
	"bitbucket-oidc/internal/hint"
)

// builtin are the guardrails that variables define, under their names in the records.
type builtin struct {
	accounts []string      // allowed-accounts: the AWS accounts with credentials that may be written; none means any
	lifetime time.Duration // minimum-lifetime: the time that a credential must still last; zero for none
}

// A verdict is what such a guardrail says about a target. Its error is nil if the target passes.
type verdict struct {
	backend, name, rule string
	err                 error
}

func refusals(verdicts []verdict) error {
	var errs []error
	for _, v := range verdicts {
		errs = append(errs, v.err)
	}
	return errors.Join(errs...)
}

// before judges the accounts that a login is about to ask for.
func (b builtin) before(targets []federation.Target) []verdict {
	var all []verdict
	for _, t := range targets {
		all = append(all, b.account(t, t.Account)...)
	}
	return all
}

// answered judges the accounts that AWS answered with, even if an answer cannot be used. The roles of a chain before the last may be of
// any account.
func (b builtin) answered(outcomes []federation.Outcome) []verdict {
	var all []verdict
	for _, o := range outcomes {
		if o.Principal != "" && len(o.Way) == len(o.Target.Via) {
			all = append(all, b.account(o.Target, o.Account)...)
		}
	}
	return all
}

// account judges the account of an AWS target that has its own session.
func (b builtin) account(t federation.Target, account string) []verdict {
	if t.Backend != "aws" || t.Through != "" || len(b.accounts) == 0 {
		return nil
	}
	v := verdict{backend: t.Backend, name: t.Name, rule: "allowed-accounts"}
	if !slices.Contains(b.accounts, account) {
		what := "account " + account
		if account == "" {
			what = "a role without an account"
		}
		v.err = hint.New(fmt.Sprintf("%s %s: %s is not among AWS_ALLOWED_ACCOUNTS", t.Backend, t.Name, what),
			"correct the role, or add its account to AWS_ALLOWED_ACCOUNTS; nothing was written")
	}
	return []verdict{v}
}

// lasts judges how long credentials last. A credential without an expiry passes only if no lifetime is asked for.
func (b builtin) lasts(grants []federation.Grant) []verdict {
	if b.lifetime <= 0 {
		return nil
	}
	var all []verdict
	for _, g := range grants {
		for _, got := range g.Credentials {
			all = append(all, verdict{g.Backend, got.Name, "minimum-lifetime", b.short(g, got)})
		}
	}
	return all
}

// short is an error for a credential that expires sooner than it must.
func (b builtin) short(g federation.Grant, got federation.Credential) error {
	left, wanted, cause := "an unknown time", minutes(b.lifetime), clock.Never
	if !got.Expires.IsZero() {
		remaining := time.Until(got.Expires)
		if remaining >= b.lifetime {
			return nil
		}
		cause = clock.Ahead // only a clock that is ahead makes the time left look too short
		if left = minutes(remaining); left == wanted {
			left, wanted = remaining.Truncate(time.Second).String(), b.lifetime.String()
		}
	}
	err := hint.New(
		fmt.Sprintf("%s %s: valid for %s only, less than MINIMUM_LIFETIME (%s)", g.Backend, got.Name, left, wanted),
		got.Lengthen, "or lower MINIMUM_LIFETIME; nothing was written")
	if advice := g.Clock.Advice(cause); advice != "" {
		return hint.With(err, advice)
	}
	return err
}

// without leaves out the backend's error about an answer that a guardrail refuses: the guardrail's reason stands for both.
func (e exchange) without(verdicts []verdict) exchange {
	failures := hint.Failures(e.err)
	e.outcomes = slices.Clone(e.outcomes)
	for _, v := range verdicts {
		i := slices.IndexFunc(e.outcomes, func(o federation.Outcome) bool { return o.Target.Backend == v.backend && o.Target.Name == v.name })
		if v.err == nil || i < 0 || e.outcomes[i].Err == nil {
			continue
		}
		failures = slices.DeleteFunc(failures, func(failure error) bool { return errors.Is(failure, e.outcomes[i].Err) })
		e.outcomes[i].Err = nil
	}
	e.err = errors.Join(failures...)
	return e
}
