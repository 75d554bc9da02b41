package iam

import (
	"slices"
	"strings"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/trust"
)

// A claimKey is the key of a condition that is meant to be on a claim of the token.
type claimKey struct {
	condition     condition
	prefix, claim string // in lower case
	known         bool   // the prefix is a provider that the statement names
}

// readClaimKeys reads the keys of conditions in statements that name the token's provider. A key may be of any provider that the
// statement names.
func (j *roleJudgement) readClaimKeys() {
	for _, s := range j.statements {
		if !s.named {
			continue
		}
		issuers := []string{strings.ToLower(j.request.issuer)}
		for _, name := range s.principals.federated {
			if p, ok := parseProviderARN(name); ok {
				name = p.path
			}
			issuers = append(issuers, strings.ToLower(name)) // partners of AWS, such as accounts.google.com, have no ARN
		}
		for _, c := range s.conditions {
			if k, ok := j.claimKey(c.condition); ok {
				k.known = slices.Contains(issuers, k.prefix)
				j.claimKeys = append(j.claimKeys, k)
			}
		}
	}
}

// claimKey reads a key, and reports whether it is meant to be on a claim. Keys of AWS itself and of its services are not.
func (j *roleJudgement) claimKey(c condition) (claimKey, bool) {
	prefix, claim, _ := bitbucket.CutLast(c.lower)
	k := claimKey{condition: c, prefix: prefix, claim: claim}
	for _, service := range []string{"aws:", "sts:", "iam:"} {
		if strings.HasPrefix(c.lower, service) {
			return k, false
		}
	}
	host, _, _ := strings.Cut(j.request.issuer, "/")
	return k, strings.ContainsAny(prefix, "./") || strings.Contains(c.lower, strings.ToLower(host)) ||
		claim == "sub" || claim == "aud" || prefix == "" && j.isTokenClaim(claim)
}

// isTokenClaim reports whether the token has a claim, named in lower case.
func (j *roleJudgement) isTokenClaim(lower string) bool {
	for name := range j.id.All {
		if strings.ToLower(name) == lower {
			return true
		}
	}
	return false
}

// misspells reports whether a statement lets in nobody because a condition on a claim has a key that no request has.
func (j *roleJudgement) misspells(s *judgedStatement, claim string) bool {
	return slices.ContainsFunc(s.conditions, func(c judgedCondition) bool {
		_, ok := j.claimKey(c.condition)
		return ok && strings.HasSuffix(c.lower, claim) && c.lower != j.key(claim) && c.holds == trust.No
	})
}
