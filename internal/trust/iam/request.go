package iam

import (
	"strings"

	"bitbucket-oidc/internal/oidc"
	"bitbucket-oidc/internal/setup"
	"bitbucket-oidc/internal/trust"
)

// An request is what AWS knows of a call of AssumeRoleWithWebIdentity while it looks at a role's trust policy.
type request struct {
	issuer string              // the provider's URL without the scheme; the start of its condition keys
	values map[string][]string // by condition key, in lower case: key names have no case
}

// newRequest is the call that a step with these claims makes.
//
// AWS exposes two claims of a provider that it does not know by name, the subject and the audience (IAM User Guide, "IAM and AWS STS
// condition context keys", available keys for AWS OIDC federation; Bitbucket is not among the providers with more).
func newRequest(c oidc.Claims) request {
	issuer := setup.AWSProviderPath(c)
	prefix := fold(issuer)
	return request{issuer: issuer, values: map[string][]string{
		prefix + ":sub": {c.Subject},
		prefix + ":aud": c.Audience,
		// STS takes HTTPS only (AWS General Reference, "AWS STS endpoints and quotas").
		"aws:securetransport": {"true"},
	}}
}

// lookup is what the request has for a condition key in lower case, and whether it has it: yes, no, or unknown where
// neither the policy nor the token says.
func (r request) lookup(key string) ([]string, trust.Truth) {
	if values := r.values[key]; len(values) > 0 {
		return values, trust.Yes
	}
	service, _, _ := strings.Cut(key, ":")
	switch {
	case service == "aws" && !isAbsentGlobalKey(key),
		service == "iam", // iam:ResourceTag/…: the role's tags
		key == "sts:rolesessionname", key == "sts:roleauthorizedbyidp":
		return nil, trust.Unknown
	}
	// A claim that AWS does not expose, another provider's key, another service's. Of sts: the action has the two above and, from
	// claims that Bitbucket's tokens lack, SourceIdentity and TransitiveTagKeys (Service Authorization Reference, AWS STS).
	return nil, trust.No
}

// isAbsentGlobalKey reports whether a request that is not signed, by no principal of AWS, and without tags lacks a global
// key. The others are the caller's or the network's, or AWS does not say.
// Source: IAM User Guide, "AWS global condition context keys", the paragraphs "Availability".
func isAbsentGlobalKey(key string) bool {
	if key == "aws:principalaccount" || key == "aws:principaltype" { // "always included in the request context"
		return false
	}
	for _, prefix := range []string{
		"aws:principal", "aws:multifactorauth", "aws:username", "aws:tokenissuetime", "aws:sourceidentity", // of a signed request
		"aws:requesttag/", "aws:tagkeys", // Bitbucket's tokens carry no tags
		"aws:calledvia", "aws:sourceaccount", "aws:sourcearn", "aws:sourceorg", // of a call that an AWS service makes
		"aws:ec2instancesource", // of a call signed by an EC2 instance
	} {
		if strings.HasPrefix(key, prefix) {
			return true
		}
	}
	return false
}

// expand reads one expected value: as wildcards where the operator knows them, with the policy variables in it replaced
// where the policy's version has them. The answer is no where a variable has no value, so that nothing equals it, and
// unknown where its value is.
// Source: IAM User Guide, "IAM policy elements: Variables and tags".
func (r request) expand(value string, wild, variables bool) (pattern, trust.Truth) {
	var p pattern
	resolved := trust.Yes
	for value != "" {
		before, after, found := strings.Cut(value, "${")
		name, rest, closed := strings.Cut(after, "}")
		if !variables || !found || !closed {
			before, rest = value, ""
		}
		if wild {
			p = append(p, wildcards(before)...)
		} else {
			p = append(p, literal(before)...)
		}
		if variables && found && closed {
			text, state := r.variable(name)
			p = append(p, literal(text)...)
			resolved = min(resolved, state)
		}
		value = rest
	}
	return p, resolved
}

// variable is the value of what stands between ${ and }.
func (r request) variable(name string) (string, trust.Truth) {
	if name == "*" || name == "?" || name == "$" {
		return name, trust.Yes // the characters that otherwise mean something
	}
	_, fallback, hasFallback := strings.Cut(name, ",")
	fallback, quoted := unquoted(strings.TrimSpace(fallback))
	values, present := r.lookup(variableKey(name))
	switch {
	case present == trust.Yes && len(values) == 1:
		return values[0], trust.Yes
	case present == trust.No && hasFallback && quoted:
		return fallback, trust.Yes
	case present == trust.No && !hasFallback:
		return "", trust.No
	}
	return "", trust.Unknown // also: a key with several values, which AWS says cannot be a variable
}

// variableKey is the condition key, in lower case, of what stands between ${ and }.
func variableKey(name string) string {
	key, _, _ := strings.Cut(name, ",")
	return fold(strings.TrimSpace(key))
}

// unquoted takes the single quotes off a variable's default value.
func unquoted(s string) (string, bool) {
	if len(s) < 2 || s[0] != '\'' || s[len(s)-1] != '\'' {
		return "", false
	}
	return s[1 : len(s)-1], true
}
