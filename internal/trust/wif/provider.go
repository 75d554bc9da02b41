package wif

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/cel"
	"bitbucket-oidc/internal/document"
	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/oidc"
	"bitbucket-oidc/internal/setup"
	"bitbucket-oidc/internal/shell"
	"bitbucket-oidc/internal/trust"
)

// Limits of a provider. Source: IAM API, WorkloadIdentityPoolProvider, attributeMapping and attributeCondition.
const (
	longestExpression = 2048 // characters
	longestCondition  = 4096 // characters
	mostAttributes    = 50
	longestName       = 100
	subjectSize       = 127  // bytes
	mappedSize        = 8192 // bytes of all values
)

// providerFile is what `gcloud iam workload-identity-pools providers describe --format=json` prints.
type providerFile struct {
	Name               string            `json:"name"`  // projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/ID
	State              string            `json:"state"` // ACTIVE or DELETED
	Disabled           bool              `json:"disabled"`
	ExpireTime         *time.Time        `json:"expireTime"` // when a deleted provider is gone for good
	AttributeMapping   map[string]string `json:"attributeMapping"`
	AttributeCondition string            `json:"attributeCondition"`
	OIDC               *struct {         // absent where the provider is for AWS, SAML or X.509
		IssuerURI        string   `json:"issuerUri"`
		AllowedAudiences []string `json:"allowedAudiences"` // where empty, the provider's own name
	} `json:"oidc"`
}

// A attribute is what a key of the mapping comes to for an identity.
type attribute struct {
	values []string // one, except for google.groups
	known  bool
	reads  []string // of the assertion
}

// A ProviderJudgement is a provider and what it makes of an identity.
type ProviderJudgement struct {
	// Result judges the provider by itself, and beside the policies that it was bound to.
	Result trust.Result

	trust.Ruling
	file       providerFile
	name       poolPath
	id         bitbucket.Identity
	now        time.Time
	env        *cel.Environment
	right      map[string]string    // what is right of the mapping
	attributes map[string]attribute // by key, such as google.subject
	scoped     bool                 // the condition reads what only this repository's tokens have
	narrowed   bool                 // a policy has a member that is narrower than the pool
	relied     bool                 // a policy has a member that other repositories can be
}

// Provider judges a provider. It returns false if the document is of another kind.
func Provider(data []byte, id bitbucket.Identity, o trust.Options) (ProviderJudgement, bool, error) {
	object := document.ObjectOf(data)
	var name string
	_ = json.Unmarshal(object["name"], &name) // of another type: not a provider's
	parsed, _, named := parsePoolPath(name)
	if !document.HasAny(object, "oidc", "attributeMapping") && (!named || parsed.provider == "") {
		return ProviderJudgement{}, false, nil
	}
	p := ProviderJudgement{id: id, now: o.Now, name: parsed, attributes: map[string]attribute{}}
	if !named {
		p.name.provider = name // without its pool, as in a file that a person wrote
	}
	if err := document.Decode(data, &p.file); err != nil {
		return ProviderJudgement{}, true, fmt.Errorf("gcp-provider: %w", document.Misfit(err))
	}
	var err error
	if p.env, err = cel.NewEnvironment("assertion", "attribute", "google"); err != nil {
		return ProviderJudgement{}, true, err
	}
	for _, check := range []func(*ProviderJudgement){
		(*ProviderJudgement).state, (*ProviderJudgement).issuer, (*ProviderJudgement).audience,
		(*ProviderJudgement).mapping, (*ProviderJudgement).condition,
	} {
		check(&p)
	}
	p.conclude()
	return p, true, nil
}

// conclude words the result. What is found beside policies is added to what the provider shows by itself.
func (p *ProviderJudgement) conclude() {
	beside := p.Ruling
	beside.Findings = slices.Clone(p.Findings)
	fix := p.name.command("update-oidc", "--attribute-condition="+shell.Word(setup.GCPConditionFor(p.id.Claims)))
	const path = "attributeCondition"
	switch missing := strings.TrimSpace(p.file.AttributeCondition) == ""; {
	case missing && !p.narrowed:
		beside.Find(finding.Error, "gcp-condition-missing", path,
			"no attribute condition and no binding narrower than the pool: every repository of the workspace gets in", fix)
	case missing && p.relied:
		beside.Find(finding.Warning, "gcp-condition-unscoped", path,
			"no attribute condition, while a binding admits more than one repository", fix)
	case !missing && p.relied && !p.scoped:
		beside.Find(finding.Warning, "gcp-condition-unscoped", path,
			"the condition reads neither the repository's nor the environment's UUID, while a binding leaves it to the condition to tell repositories apart", fix)
	}
	p.Result = beside.Result("gcp-provider", p.name.provider, "the provider accepts this token: issuer, audience, mapping and condition fit")
}

func (p *ProviderJudgement) state() {
	const rule = "gcp-provider-disabled"
	switch f := p.file; {
	case f.State == "DELETED":
		p.Refuse(rule, "state", "the provider is deleted", p.name.command("undelete"))
	case f.State != "" && f.State != "ACTIVE":
		p.Undecide("the provider's state is neither ACTIVE nor DELETED")
	}
	if p.file.Disabled {
		p.Refuse(rule, "disabled", "the provider is disabled", p.name.command("update-oidc", "--no-disabled"))
	}
	if t := p.file.ExpireTime; t != nil && !p.now.Before(*t) {
		p.Refuse(rule, "expireTime", "the provider expired at "+t.Format(time.RFC3339), p.name.command("create-oidc", setup.GCPProviderFlags(p.id.Claims)...))
	}
}

func (p *ProviderJudgement) issuer() {
	const rule = "gcp-issuer-mismatch"
	want := p.id.Claims.Issuer
	if p.file.OIDC == nil {
		p.Refuse(rule, "oidc", "the provider takes no OIDC tokens", p.name.command("create-oidc", setup.GCPProviderFlags(p.id.Claims)...))
	} else if p.file.OIDC.IssuerURI != want {
		p.Refuse(rule, "oidc.issuerUri", fmt.Sprintf("the provider's issuer is %q and the token's is %q", p.file.OIDC.IssuerURI, want),
			p.name.command("update-oidc", "--issuer-uri="+shell.Word(want)))
	}
}

// audience compares. Any of the token's audiences may be allowed; without a list it must be the provider's own name.
func (p *ProviderJudgement) audience() {
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
		fmt.Sprintf("the provider allows %s and the token's audience is %s", wanted, trust.Quoted(has)),
		p.name.command("update-oidc", "--allowed-audiences="+shell.Word(strings.Join(list, ","))))
}

// audienceName reads the default audience, which is the provider's name, with or without https:.
func audienceName(audience string) (poolPath, bool) {
	rest, ok := strings.CutPrefix(strings.TrimPrefix(audience, "https:"), "//iam.googleapis.com/")
	name, behind, named := parsePoolPath(rest)
	return name, ok && named && behind == "" && name.provider != ""
}

// confirm finds the functions that Google's documentation of workload identity does not have. Google took the expression when the
// provider was made, so that the verdict stands.
func (p *ProviderJudgement) confirm(path string, expression cel.Expression) {
	documented := []string{"has", "size", "startsWith", "endsWith", "contains", "matches", "extract", "split", "join"}
	for _, name := range expression.Functions() {
		if !slices.Contains(documented, name) {
			p.Find(finding.Warning, "gcp-function-unconfirmed", path,
				fmt.Sprintf("CEL has %s(), and Google's documentation of workload identity does not", name),
				"use one of "+strings.Join(documented, ", "))
		}
	}
}

// condition evaluates the attribute condition.
func (p *ProviderJudgement) condition() {
	const rule, path = "gcp-condition-rejects", "attributeCondition"
	source := p.file.AttributeCondition
	if strings.TrimSpace(source) == "" {
		return
	}
	fix := p.name.command("update-oidc", "--attribute-condition="+shell.Word(setup.GCPConditionFor(p.id.Claims)))
	if n := utf8.RuneCountInString(source); n > longestCondition {
		p.Refuse(rule, path, fmt.Sprintf("the condition has %d characters, more than %d", n, longestCondition), fix)
		return
	}
	expression, err := p.env.Compile(source)
	if err != nil {
		p.Refuse(rule, path, fmt.Sprintf("the condition is not CEL: %v", err), fix)
		return
	}
	p.confirm(path, expression)
	p.scoped = p.tellsRepositories(expression.Reads())
	known, unknown := p.variables()
	switch result := expression.Eval(known, unknown...); result.Outcome {
	case cel.Unknown:
		p.Undecide("the condition cannot be told: " + result.Detail)
	case cel.Absent:
		p.Refuse(rule, path, fmt.Sprintf("the condition does not evaluate: it reads %s, which the token does not have", result.Detail), fix)
	case cel.Failed:
		p.Refuse(rule, path, "the condition does not evaluate: "+result.Detail, fix)
	case cel.Known:
		if holds, ok := result.Value.Value().(bool); !ok {
			p.Refuse(rule, path, fmt.Sprintf("the condition comes to a value of type %s, not to true or false", result.Kind()), fix)
		} else if !holds {
			p.Refuse(rule, path, fmt.Sprintf("the condition %q is false for the token%s", source, p.having(expression.Reads())), fix)
		}
	}
}

// variables are what a condition can read, and which fields of it are unknown.
func (p *ProviderJudgement) variables() (known map[string]any, unknown [][]string) {
	attribute, google := map[string]any{}, map[string]any{}
	for key, a := range p.attributes {
		variable, name, _ := strings.Cut(key, ".")
		switch {
		case !a.known:
			unknown = append(unknown, []string{variable, name})
		case key == "google.groups":
			google[name] = a.values
		case variable == "google":
			google[name] = a.values[0]
		default:
			attribute[name] = a.values[0]
		}
	}
	known = map[string]any{"attribute": attribute, "google": google}
	assertion, ok := cel.Claims(p.id.All)
	if !ok {
		unknown = append(unknown, []string{"assertion"})
	}
	known["assertion"] = assertion
	return known, unknown
}

// having shows what the token has for the fields that a condition reads.
func (p *ProviderJudgement) having(fields []string) string {
	var shown []string
	for _, field := range fields {
		variable, name, _ := strings.Cut(field, ".")
		if text, ok := p.id.All[name].(string); ok && variable == "assertion" {
			shown = append(shown, fmt.Sprintf("%s %q", name, text))
		} else if a := p.attributes[field]; a.known {
			shown = append(shown, fmt.Sprintf("%s %s", field, trust.Quoted(a.values)))
		}
	}
	if len(shown) == 0 {
		return ""
	}
	return ", which has " + strings.Join(shown, " and ")
}

// tellsRepositories tells whether fields hold the repository's or the environment's UUID, by themselves or through the mapping. The
// subject begins with the repository's.
func (p *ProviderJudgement) tellsRepositories(fields []string) bool {
	return slices.ContainsFunc(fields, func(field string) bool {
		switch field {
		case "assertion.repositoryUuid", "assertion.deploymentEnvironmentUuid", "assertion.sub":
			return true
		}
		return p.tellsRepositories(p.attributes[field].reads)
	})
}

// Bind lets a file of the same call count: if it is a policy, its members decide whether the provider needs a condition.
func (p *ProviderJudgement) Bind(file []byte) {
	policy, ok, err := parsePolicy(file)
	if !ok || err != nil {
		return // reported with its own result
	}
	for _, m := range policy.granting() {
		name := parseMember(m)
		if !p.name.fits(name.poolPath) {
			continue
		}
		switch {
		case name.kind == wholePool:
			p.relied = true
		case name.kind != other:
			p.narrowed = true
			a := p.attributes[name.key]
			p.relied = p.relied || a.known && !p.tellsRepositories(a.reads)
		}
	}
	p.conclude()
}

// repositoryMember is a member that is the identity: on an attribute that the provider maps, or else on those of [GCPMappingFor].
func (p *ProviderJudgement) repositoryMember(c oidc.Claims) (member string, mapped bool) {
	name := p.name.known()
	for _, value := range []string{bitbucket.Subject(c), c.Repository()} {
		for _, key := range slices.Sorted(maps.Keys(p.attributes)) {
			if a := p.attributes[key]; strings.HasPrefix(key, "attribute.") && a.known && a.values[0] == value {
				return setup.GCPMemberName(name.project, name.pool, key, value), true
			}
		}
	}
	return setup.GCPMember(c, name.project, name.pool), false
}
