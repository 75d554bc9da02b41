package iam

import (
	"fmt"
	"slices"
	"strings"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/finding"
)

// A claimKey is a condition key that is meant to be a claim of the token.
type claimKey struct{ prefix, claim string }

// parseClaimKey reads a key in lower case. Keys of AWS itself and of its services are none.
func (j *roleJudgement) parseClaimKey(lower string) (claimKey, bool) {
	prefix, claim, _ := bitbucket.CutLast(lower)
	k := claimKey{prefix, claim}
	for _, service := range []string{"aws:", "sts:", "iam:"} {
		if strings.HasPrefix(lower, service) {
			return k, false
		}
	}
	host, _, _ := strings.Cut(j.request.issuer, "/")
	return k, strings.ContainsAny(prefix, "./") || strings.Contains(lower, strings.ToLower(host)) ||
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

func claimUnavailable() finding.Rule {
	return finding.Rule{
		Name: "aws-claim-unavailable", Severity: finding.Error,
		Finds: "a condition on a claim that AWS does not expose for Bitbucket",
		Why:   "AWS exposes only `:sub` and `:aud` of Bitbucket's claims. A condition on another claim never holds, or always holds if it is negated. A branch cannot be restricted on AWS.",
		Fix:   "Remove the condition. Repository and environment are in `:sub`.",
	}
}

func keyPrefix() finding.Rule {
	return finding.Rule{
		Name: "aws-key-prefix", Severity: finding.Error,
		Finds: "a condition key that is not the principal's issuer without `https://`",
		Why:   "The part before `:sub` and `:aud` must be the issuer exactly. Any other key is missing, so the condition fails, or holds for everyone if it is negated.",
		Fix:   "Write `api.bitbucket.org/2.0/workspaces/WORKSPACE/pipelines-config/identity/oidc` before the colon: no ARN, no `https://`, no slash at the end.",
	}
}

// keyRules look for keys that no request has. A key may be of any provider that the statement names.
func (j *roleJudgement) keyRules(s judgedStatement) {
	issuers := []string{strings.ToLower(j.request.issuer)}
	for _, name := range s.principals.federated {
		if p, ok := parseProviderARN(name); ok {
			name = p.path
		}
		issuers = append(issuers, strings.ToLower(name)) // AWS's own partners have no ARN
	}
	for _, c := range s.conditions {
		k, ok := j.parseClaimKey(c.lower)
		if !ok {
			continue
		}
		known := slices.Contains(issuers, k.prefix)
		if !known {
			j.Find(finding.Error, "aws-key-prefix", c.path, fmt.Sprintf("The key %.200q is not the issuer without https://, a colon and a claim, so that no request has it.", c.key), j.claimFix(c.condition))
		}
		if k.claim != "sub" && k.claim != "aud" && (known || j.isTokenClaim(k.claim)) {
			j.Find(finding.Error, "aws-claim-unavailable", c.path, fmt.Sprintf("AWS does not read the claim of %.200q from Bitbucket's tokens, only sub and aud.", c.key), j.subjectFix(c.negated))
		}
	}
}

func equalsWildcard() finding.Rule {
	return finding.Rule{
		Name: "aws-equals-wildcard", Severity: finding.Error,
		Finds: "`*` or `?` under an operator that does not know wildcards",
		Why:   "StringEquals compares characters. Only StringLike and the ARN operators know wildcards, so the condition never holds.",
		Fix:   "Change StringEquals to StringLike.",
	}
}

// valueRules look at each value on its own. Under Deny only those apply that mean: never matches.
func (j *roleJudgement) valueRules(s judgedStatement) {
	for _, c := range s.conditions {
		for _, value := range c.values {
			if c.literal && wildcards(value).wild() && !c.meets(value) && !strings.Contains(value, "${") {
				j.Find(finding.Error, "aws-equals-wildcard", c.path, fmt.Sprintf("%s takes the * or ? in %.200q literally.", c.name, value), likeFix(c.condition, value))
			}
			switch c.lower {
			case j.key("sub"):
				j.subjectRules(s.effect, c, value)
			case j.key("aud"):
				j.audienceRule(c, value)
			}
		}
	}
}
