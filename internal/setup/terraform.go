package setup

import (
	_ "embed"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/document"
)

//go:embed terraform.tf
var terraform string

// Terraform is the configuration of AWS and Google Cloud that lets in exactly id, for sessions of AWS that may last as long as session. What is
// empty in p and known to a resource of the same file is taken from there; the rest becomes a placeholder.
func Terraform(id bitbucket.Identity, p Places, session time.Duration) (string, error) {
	e, err := Explain(id, p)
	if err != nil {
		return "", err
	}
	c, known := id.Claims, p.Known()
	provider := document.Tight(AWSProviderARN(c, "aws", p.AWSAccount))
	if p.AWSAccount == "" {
		provider = "aws_iam_openid_connect_provider.bitbucket.arn"
	}
	pool := GCPPoolName(p.GCPProjectNumber, known.GCPPool)
	if p.GCPProjectNumber == "" {
		pool = "${google_iam_workload_identity_pool.bitbucket.name}"
	}
	// No text holds what HCL would read as a template: see [Explain], and the patterns of explain's flags.
	expressions := map[string]string{
		"session-seconds": strconv.Itoa(int(max(time.Hour, session).Seconds())), // IAM takes no less than an hour
		"provider-arn":    provider,
	}
	for name, text := range map[string]string{
		"issuer":            c.Issuer,
		"audience":          e.AWS.Audience,
		"role":              RoleName,
		"audience-operator": AWSAudienceOperator(c),
		"audience-key":      AWSProviderPath(c) + ":aud",
		"subject-key":       AWSProviderPath(c) + ":sub",
		"subject-pattern":   bitbucket.Subject(c) + ":*",
		"pool":              known.GCPPool,
		"provider":          known.GCPProvider,
		"condition":         e.GCP.AttributeCondition,
		"service-account":   known.GCPServiceAccount,
		"member":            gcpMemberOf(c, pool),
	} {
		expressions[name] = document.Tight(text)
	}
	for attribute, expression := range e.GCP.AttributeMapping {
		expressions[attribute] = document.Tight(expression)
	}
	return fill(strings.TrimSuffix(terraform, "\n"), expressions)
}

// fill puts an expression into each place of a template, which is a name in angle brackets. A place without an expression is an error, and so
// is an expression without a place.
func fill(template string, expressions map[string]string) (string, error) {
	var wrong []string
	filled := map[string]bool{}
	text := regexp.MustCompile(`<([a-z_.-]+)>`).ReplaceAllStringFunc(template, func(place string) string {
		name := strings.Trim(place, "<>")
		expression, ok := expressions[name]
		if !ok {
			wrong = append(wrong, "nothing for "+place)
		}
		filled[name] = true
		return expression
	})
	for name := range expressions {
		if !filled[name] {
			wrong = append(wrong, "no place for "+name)
		}
	}
	if wrong != nil {
		slices.Sort(wrong)
		return "", fmt.Errorf("the template of Terraform's configuration: %s", strings.Join(wrong, ", "))
	}
	return text, nil
}
