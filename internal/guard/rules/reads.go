package rules

import (
	"slices"
	"strings"
)

// reads is what a rule reads, through the file's variables as well: paths such as claims.branchName.
type reads map[string]bool

// readsOf follows a rule's expressions.
func (c *compiler) readsOf(r Rule) reads {
	all := reads{}
	c.follow(r.when, all)
	c.follow(r.require, all)
	return all
}

func (c *compiler) follow(e *expression, all reads) {
	if e == nil {
		return
	}
	walk(e.tree, func(path []string) {
		if i := slices.IndexFunc(c.file.variables, func(v variable) bool { return v.name == path[0] }); i >= 0 {
			c.follow(&c.file.variables[i].expression, all)
			return
		}
		if slices.Contains(inputs(), path[0]) {
			all[strings.Join(path[:min(len(path), 2)], ".")] = true
		}
	})
}

// any reports whether something below one of the names is read.
func (r reads) any(names ...string) bool {
	for path := range r {
		name, _, _ := strings.Cut(path, ".")
		if slices.Contains(names, name) || slices.Contains(names, path) {
			return true
		}
	}
	return false
}

// Advisory reports whether the rule depends on what the author of the pipeline writes. Such a rule stops mistakes, and does not stop
// an author who wants to pass.
func (r Rule) Advisory() bool { return r.reads.any("env", "pipeline") }

// After reports whether the rule is judged after the exchange.
func (r Rule) After() bool { return r.reads.any("credential") }

// Timed reports whether the rule depends on the clock.
func (r Rule) Timed() bool { return r.reads.any("now") || !r.Until.IsZero() }

// Who can enforce a rule in addition to the pipe.
const (
	HeldByTrust      = "the cloud's trust policy"
	HeldByDeployment = "Bitbucket's deployment permission"
	HeldByNobody     = "nobody"
)

// HeldBy is who else can enforce the rule, also against those who leave the pipe out: a trust policy knows the signed claims, but on
// AWS no branch; Bitbucket lets an environment's steps run on chosen branches only. Everything else is enforced by the pipe alone.
func (r Rule) HeldBy() string {
	switch {
	case r.Advisory() || r.reads.any("now", "credential") || !r.reads.any("claims"):
		return HeldByNobody
	case r.reads.any("claims.branchName"):
		return HeldByDeployment
	case !onlyTrusted(r.reads):
		return HeldByNobody
	}
	return HeldByTrust
}

// onlyTrusted reports whether the claims that are read are those that a trust policy can compare.
func onlyTrusted(r reads) bool {
	for path := range r {
		if strings.HasPrefix(path, "claims") && !slices.Contains([]string{
			"claims.issuer", "claims.audience", "claims.subject", "claims.workspaceUuid", "claims.repositoryUuid", "claims.deploymentEnvironmentUuid",
		}, path) {
			return false
		}
	}
	return true
}
