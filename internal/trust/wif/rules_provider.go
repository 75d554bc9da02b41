package wif

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/cel"
	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/setup"
	"bitbucket-oidc/internal/shell"
	"bitbucket-oidc/internal/trust"
)

func conditionMissing() finding.Rule {
	return finding.Rule{
		Name: "gcp-condition-missing", Anyone: true, Severity: finding.Error,
		Finds: "no attribute condition, and no binding narrower than the pool",
		Why:   "Every repository of the workspace gets a Google identity. Google requires a condition only for some issuers, and Bitbucket is not among them.",
		Fix:   "Set `--attribute-condition=\"assertion.repositoryUuid == '{…}'\"`.",
	}
}

func conditionUnscoped() finding.Rule {
	return finding.Rule{
		Name: "gcp-condition-unscoped", Severity: finding.Warning,
		Finds: "a condition that reads neither the repository's nor the environment's UUID, while a binding relies on it",
		Why:   "The binding lets in whatever the provider lets in, and the provider does not distinguish repositories.",
		Fix:   "Add `assertion.repositoryUuid == '{…}'` to the condition, or bind an attribute that is the repository's.",
	}
}

// conclude is the result. What is found beside policies is added to what the provider shows by itself.
func (p *providerJudgement) conclude() trust.Result {
	beside := p.Ruling
	beside.Findings = p.Findings.Clone()
	fix := p.name.command("update-oidc", "--attribute-condition="+shell.Word(setup.GCPConditionFor(p.id.Claims)))
	const path = "attributeCondition"
	switch missing := strings.TrimSpace(p.file.AttributeCondition) == ""; {
	case missing && !p.narrowed:
		beside.Find(finding.Error, "gcp-condition-missing", path,
			"There is no attribute condition and no binding narrower than the pool: every repository of the workspace gets in.", fix)
	case missing && p.relied:
		beside.Find(finding.Warning, "gcp-condition-unscoped", path,
			"There is no attribute condition, while a binding admits more than one repository.", fix)
	case !missing && p.relied && !p.scoped:
		beside.Find(finding.Warning, "gcp-condition-unscoped", path,
			"The condition reads neither the repository's nor the environment's UUID, while a binding leaves it to the condition to tell repositories apart.", fix)
	}
	return beside.Result(trust.GCPProvider, p.name.provider, "The provider accepts this token: issuer, audience, mapping and condition fit.")
}

// verdict is the provider's verdict and its reason, without what is found beside policies.
func (p *providerJudgement) verdict() (trust.Verdict, string) {
	r := p.conclude()
	return r.Verdict, r.Reason
}

func providerDisabled() finding.Rule {
	return finding.Rule{
		Name: "gcp-provider-disabled", Severity: finding.Error,
		Finds: "a provider that is disabled, deleted or expired",
		Why:   "Google accepts no token through such a provider.",
		Fix:   "Enable it with `gcloud iam workload-identity-pools providers update-oidc --no-disabled`, or undelete it.",
	}
}

func (p *providerJudgement) state() {
	const rule = "gcp-provider-disabled"
	if p.pool != "" {
		n := p.name.known()
		p.Refuse(rule, "name", "The provider's pool is "+p.pool+".", finding.Fix{Kind: finding.Shell, Text: setup.GCPPoolEnable(setup.GCPPoolName(n.project, n.pool), p.pool)})
	}
	switch f := p.file; {
	case f.State == "DELETED":
		p.Refuse(rule, "state", "The provider is deleted.", p.name.command("undelete"))
	case f.State != "" && f.State != "ACTIVE":
		p.Undecide("Undecided: the provider's state is neither ACTIVE nor DELETED.")
	}
	if p.file.Disabled {
		p.Refuse(rule, "disabled", "The provider is disabled.", p.name.command("update-oidc", "--no-disabled"))
	}
	if t := p.file.ExpireTime; t != nil && !p.now.Before(*t) {
		p.Refuse(rule, "expireTime", "The provider expired at "+t.Format(time.RFC3339)+".", p.name.command("create-oidc", setup.GCPProviderFlags(p.id.Claims)...))
	}
}

func issuerMismatch() finding.Rule {
	return finding.Rule{
		Name: "gcp-issuer-mismatch", Severity: finding.Error,
		Finds: "another issuer than the token's",
		Why:   "Google compares the token's issuer with the provider's issuer as text. The workspace's slug is part of the issuer, which therefore changes when the workspace is renamed. A slash at the end makes a difference.",
		Fix:   "Set the issuer to the token's, with `--issuer-uri`.",
	}
}

func (p *providerJudgement) issuer() {
	const rule = "gcp-issuer-mismatch"
	want := p.id.Claims.Issuer
	if p.file.OIDC == nil {
		p.Refuse(rule, "oidc", "The provider takes no OIDC tokens.", p.name.command("create-oidc", setup.GCPProviderFlags(p.id.Claims)...))
	} else if p.file.OIDC.IssuerURI != want {
		p.Refuse(rule, "oidc.issuerUri", fmt.Sprintf("The provider's issuer is %q and the token's is %q.", p.file.OIDC.IssuerURI, want),
			p.name.command("update-oidc", "--issuer-uri="+shell.Word(want)))
	} else if p.file.OIDC.JwksJSON != "" {
		p.Undecide("Undecided: Google takes the keys in oidc.jwksJson in place of the issuer's, and whose they are is not known.")
	}
}

func audienceMismatch() finding.Rule {
	return finding.Rule{
		Name: "gcp-audience-mismatch", Severity: finding.Error,
		Finds: "the token's audiences are not among the allowed ones",
		Why:   "One of the token's audiences must be allowed. Without allowed audiences Google expects the provider's own resource name, which is not in Bitbucket's tokens unless the step asks for it.",
		Fix:   "Allow the workspace's audience, with `--allowed-audiences`. It has no braces.",
	}
}

// audience compares. Any of the token's audiences may be allowed; without a list it must be the provider's own name.
func (p *providerJudgement) audience() {
	if p.file.OIDC == nil {
		return
	}
	allowed, has := p.file.OIDC.AllowedAudiences, p.id.Claims.Audience
	fits := func(audience string) bool {
		name, named := audienceName(audience)
		if len(allowed) == 0 {
			return named && name.fits(p.name)
		}
		return slices.ContainsFunc(allowed, func(a string) bool {
			other, otherNamed := audienceName(a)
			return a == audience || named && otherNamed && name.fits(other) &&
				strings.HasPrefix(a, "https:") == strings.HasPrefix(audience, "https:")
		})
	}
	if slices.ContainsFunc(has, fits) {
		return
	}
	wanted := trust.Quoted(allowed)
	if len(allowed) == 0 {
		wanted = "only its own name"
	}
	list := append(slices.Clone(allowed), bitbucket.WorkspaceAudience(p.id.Claims))
	p.Refuse("gcp-audience-mismatch", "oidc.allowedAudiences",
		fmt.Sprintf("The provider allows %s and the token's audience is %s.", wanted, trust.Quoted(has)),
		p.name.command("update-oidc", "--allowed-audiences="+shell.Word(strings.Join(list, ","))))
}

// audienceName reads the default audience, which is the provider's name, with or without https:.
func audienceName(audience string) (poolPath, bool) {
	rest, ok := strings.CutPrefix(strings.TrimPrefix(audience, "https:"), "//iam.googleapis.com/")
	name, behind, named := parsePoolPath(rest)
	return name, ok && named && behind == "" && name.provider != ""
}

func functionUnconfirmed() finding.Rule {
	return finding.Rule{
		Name: "gcp-function-unconfirmed", Severity: finding.Warning,
		Finds: "a CEL function that Google does not document for workload identity",
		Why:   "The CEL library has the function, so it could be evaluated here. Whether Google's service accepts it is not known.",
		Fix:   "Use the documented ones: has, in, size, startsWith, endsWith, contains, matches, extract, split, join.",
	}
}

// confirm finds the functions that Google's documentation of workload identity does not have. Google took the expression when the
// provider was made, so that the verdict stands.
func (p *providerJudgement) confirm(path string, expression cel.Expression) {
	documented := []string{"has", "size", "startsWith", "endsWith", "contains", "matches", "extract", "split", "join"}
	for _, name := range expression.Functions() {
		if !slices.Contains(documented, name) {
			p.Find(finding.Warning, "gcp-function-unconfirmed", path,
				fmt.Sprintf("CEL has %s(), and Google's documentation of workload identity does not.", name),
				finding.Fix{Kind: finding.Advice, Text: "use one of " + strings.Join(documented, ", ")})
		}
	}
}

func conditionRejects() finding.Rule {
	return finding.Rule{
		Name: "gcp-condition-rejects", Severity: finding.Error,
		Finds: "a condition that is false for this identity, or does not evaluate",
		Why:   "Google refuses the token. A condition that reads a missing claim is an error, which refuses too.",
		Fix:   "Correct the value, braces included; guard claims that may be absent with `has()`.",
	}
}

// conditioned evaluates the attribute condition.
func (p *providerJudgement) conditioned() {
	const rule, path = "gcp-condition-rejects", "attributeCondition"
	source := p.file.AttributeCondition
	if strings.TrimSpace(source) == "" {
		return
	}
	fix := p.name.command("update-oidc", "--attribute-condition="+shell.Word(setup.GCPConditionFor(p.id.Claims)))
	if n := utf8.RuneCountInString(source); n > longestCondition {
		p.Refuse(rule, path, fmt.Sprintf("The condition has %d characters, more than %d.", n, longestCondition), fix)
		return
	}
	expression, err := p.Provider.condition.Expression, p.Provider.condition.err
	if errors.Is(err, cel.ErrForeign) { // Google took it when the provider was made
		p.Undecide("Undecided: the condition uses a function or a syntax that is not known here.")
		return
	}
	if err != nil {
		p.Refuse(rule, path, fmt.Sprintf("The condition is not CEL: %v.", err), fix)
		return
	}
	p.confirm(path, expression)
	p.scoped = p.tellsRepositories(expression.Reads())
	known, unknown := p.variables()
	switch result := expression.Eval(known, unknown...); result.Outcome {
	case cel.Unknown:
		p.Undecide("Undecided: the condition " + result.Detail + ".")
	case cel.Absent:
		p.Refuse(rule, path, fmt.Sprintf("The condition does not evaluate: it reads %s, which the token does not have.", result.Detail), fix)
	case cel.Failed:
		p.Refuse(rule, path, "The condition does not evaluate: "+result.Detail+".", fix)
	case cel.Known:
		if holds, ok := result.Value.Value().(bool); !ok {
			p.Refuse(rule, path, fmt.Sprintf("The condition comes to a value of type %s, not to true or false.", result.Kind()), fix)
		} else if !holds {
			p.Refuse(rule, path, fmt.Sprintf("The condition %q is false for the token%s.", source, p.having(expression.Reads())), fix)
		}
	}
}
