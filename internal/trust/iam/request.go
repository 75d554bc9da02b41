package iam

import (
	"strings"

	"bitbucket-oidc/internal/oidc"
	"bitbucket-oidc/internal/setup"
	"bitbucket-oidc/internal/trust"
)

// A request is what AWS knows about a call of AssumeRoleWithWebIdentity when it evaluates the role's trust policy.
type request struct {
	issuer string              // the provider's URL without the scheme; the start of its condition keys
	values map[string][]string // by condition key in lower case: key names are not case-sensitive
	unsaid string              // a condition key that may have more values than are known, in lower case; empty if there is none
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

// lookup is the values that the request has for a condition key in lower case, and whether it has any: unknown where neither the policy
// nor the token says so.
func (r request) lookup(key string) ([]string, trust.Truth) {
	if values := r.values[key]; len(values) > 0 && key != r.unsaid {
		return values, trust.Yes
	}
	service, _, _ := strings.Cut(key, ":")
	switch {
	case key == r.unsaid,
		service == "aws" && !isAbsentGlobalKey(key),
		service == "iam", // iam:ResourceTag/…: the role's tags
		key == "sts:rolesessionname", key == "sts:roleauthorizedbyidp":
		return nil, trust.Unknown
	}
	// The key is on a claim that AWS does not expose, or of another provider or service. Of the keys of STS, the action has the two above
	// and, from claims that Bitbucket's tokens lack, SourceIdentity and TransitiveTagKeys (Service Authorization Reference, AWS STS).
	return nil, trust.No
}

// isAbsentGlobalKey reports whether a request lacks a global key because it is not signed, no principal of AWS makes it, and it has no
// tags. Other global keys depend on the caller or the network, or AWS does not say when they are there.
// Source: IAM User Guide, "AWS global condition context keys", the paragraphs "Availability".
func isAbsentGlobalKey(key string) bool {
	if key == "aws:principalaccount" || key == "aws:principaltype" { // "always included in the request context"
		return false
	}
	for _, prefix := range []string{
		"aws:principal", "aws:multifactorauth", "aws:username", "aws:tokenissuetime", "aws:sourceidentity", // only a signed request has these
		"aws:requesttag/", "aws:tagkeys", // Bitbucket's tokens carry no tags
		"aws:calledvia", "aws:sourceaccount", "aws:sourcearn", "aws:sourceorg", // only a call by an AWS service has these
		"aws:ec2instancesource", // only a call signed by an EC2 instance has these
	} {
		if strings.HasPrefix(key, prefix) {
			return true
		}
	}
	return false
}

// expand reads one expected value: with wildcards if the operator knows them, and with its policy variables replaced if the version of
// the policy has variables. It returns no if a variable has no value, so nothing matches, and unknown if a value is unknown.
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

// variable is the value of a policy variable, which is written between ${ and }.
func (r request) variable(name string) (string, trust.Truth) {
	if name == "*" || name == "?" || name == "$" {
		return name, trust.Yes // how a value writes a character that has a meaning
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
	return "", trust.Unknown // also if the key has several values: AWS says that such a key cannot be a variable
}

// variableKey is the condition key of a policy variable, in lower case.
func variableKey(name string) string {
	key, _, _ := strings.Cut(name, ",")
	return fold(strings.TrimSpace(key))
}

// unquoted removes the single quotes around the default value of a variable.
func unquoted(s string) (string, bool) {
	if len(s) < 2 || s[0] != '\'' || s[len(s)-1] != '\'' {
		return "", false
	}
	return s[1 : len(s)-1], true
}
