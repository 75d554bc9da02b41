package wif

import (
	"errors"
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
		JwksJSON         string   `json:"jwksJson"`         // keys that count in place of the issuer's
	} `json:"oidc"`
}

// A attribute is what a key of the mapping comes to for an identity.
type attribute struct {
	values []string // one, except for google.groups
	known  bool
	reads  []string // of the assertion
}

// A Provider is a provider of a workload identity pool, with its expressions compiled.
type Provider struct {
	trust.Source
	file      providerFile
	name      poolPath
	env       *cel.Environment
	mapping   map[string]compiled // by key; empty where there are too many keys
	condition compiled
	policies  []*Policy // that are judged beside the provider
	pool      string    // disabled or deleted, where its pool is
}

// A compiled is an expression, or why it is none.
type compiled struct {
	cel.Expression
	done bool
	err  error
}

// readsOf are the fields that the expression reads, of one that compiled.
func (c compiled) readsOf() []string {
	if !c.done || c.err != nil {
		return nil
	}
	return c.Reads()
}

// ReadProvider reads a provider, and reports whether a file is one.
func ReadProvider(f *document.File) (*Provider, bool, error) {
	root := f.Root
	var name string
	if n := root.Get("name"); n.Is(document.String) { // of another type: not a provider's
		name = n.Text
	}
	parsed, _, named := parsePoolPath(name)
	if !root.Has("oidc", "attributeMapping") && (!named || parsed.provider == "") {
		return nil, false, nil
	}
	p := &Provider{Source: trust.Source{In: f, Inner: root}, name: parsed, mapping: map[string]compiled{}}
	if !named {
		p.name.provider = name // without its pool, as in a file that a person wrote
	}
	if err := root.Decode(&p.file); err != nil {
		return nil, true, fmt.Errorf("gcp-provider: %w", err)
	}
	return p, true, p.compile()
}

// compile compiles what is not refused for its length or for how much there is.
func (p *Provider) compile() error {
	var err error
	if p.env, err = cel.NewEnvironment("assertion", "attribute", "google"); err != nil {
		return err
	}
	if p.customAttributes() <= mostAttributes {
		for key, source := range p.file.AttributeMapping {
			if mappable(key) && utf8.RuneCountInString(source) <= longestExpression {
				p.mapping[key] = compile(p.env, source)
			}
		}
	}
	if source := p.file.AttributeCondition; strings.TrimSpace(source) != "" && utf8.RuneCountInString(source) <= longestCondition {
		p.condition = compile(p.env, source)
	}
	return nil
}

func compile(env *cel.Environment, source string) compiled {
	expression, err := env.Compile(source)
	return compiled{expression, true, err}
}

// customAttributes counts the keys of the mapping that are not Google's own.
func (p *Provider) customAttributes() int {
	custom := 0
	for key := range p.file.AttributeMapping {
		if strings.HasPrefix(key, "attribute.") {
			custom++
		}
	}
	return custom
}

// Beside makes the provider be judged together with the policies of the same call. It must come before the first judgement.
func (p *Provider) Beside(policies []*Policy) { p.policies = policies }

// InPool says that the provider's pool is disabled or deleted, in one of these words. It must come before the first judgement.
func (p *Provider) InPool(closed string) { p.pool = closed }

// ID is the provider's resource name, as the file has it.
func (p *Provider) ID() string { return p.file.Name }

// Kind is that of a provider.
func (p *Provider) Kind() trust.Kind { return trust.GCPProvider }

// Name is the provider's id.
func (p *Provider) Name() string { return p.name.provider }

// Judge judges the provider against an identity.
func (p *Provider) Judge(id bitbucket.Identity, o trust.Options) trust.Result {
	j := p.judge(id, o)
	for _, policy := range p.policies {
		j.bind(policy)
	}
	if verdict, _ := j.verdict(); verdict == trust.Allow && !j.bound {
		j.others(&j.Findings)
	}
	return p.Place(j.conclude())
}

// A providerJudgement is a provider and what it makes of an identity.
type providerJudgement struct {
	*Provider
	trust.Ruling
	id         bitbucket.Identity
	now        time.Time
	right      map[string]string    // what is right of the mapping
	attributes map[string]attribute // by key, such as google.subject
	scoped     bool                 // the condition reads what only this repository's tokens have
	bare       bool                 // decides, and finds nothing
	chosen     bool                 // what the author of a pipeline chooses is not known: the branch, the audiences
	bound      bool                 // a policy of the call is about the pool
	narrowed   bool                 // a policy has a member that is narrower than the pool
	relied     bool                 // a policy has a member that other repositories can be
}

// judge judges the provider by itself.
func (p *Provider) judge(id bitbucket.Identity, o trust.Options) *providerJudgement {
	return p.judgeAs(id, o, false, false)
}

// judgeAs judges the provider by itself, bare of all that only findings need, and without what the author of a pipeline chooses if that is not known.
func (p *Provider) judgeAs(id bitbucket.Identity, o trust.Options, bare, chosen bool) *providerJudgement {
	j := &providerJudgement{Provider: p, id: id, now: o.Now, attributes: map[string]attribute{}, bare: bare, chosen: chosen}
	for _, check := range []func(*providerJudgement){
		(*providerJudgement).state, (*providerJudgement).issuer, (*providerJudgement).audience,
		(*providerJudgement).mapped, (*providerJudgement).conditioned,
	} {
		check(j)
	}
	return j
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

// variables are what a condition can read, and which fields of it are unknown.
func (p *providerJudgement) variables() (known map[string]any, unknown [][]string) {
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
	return known, append(unknown, p.unknownClaims()...)
}

// having shows what the token has for the fields that a condition reads.
func (p *providerJudgement) having(fields []string) string {
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

// tellsRepositories reports whether fields hold the repository's or the environment's UUID, by themselves or through the mapping. The
// subject begins with the repository's.
func (p *providerJudgement) tellsRepositories(fields []string) bool {
	return slices.ContainsFunc(fields, func(field string) bool {
		switch field {
		case "assertion.repositoryUuid", "assertion.deploymentEnvironmentUuid", "assertion.sub":
			return true
		}
		return p.tellsRepositories(p.attributes[field].reads)
	})
}

// bind lets a policy of the same call count: its members decide whether the provider needs a condition.
func (p *providerJudgement) bind(policy *Policy) {
	for _, m := range policy.file.granting() {
		name := parseMember(m)
		if !p.name.fits(name.poolPath) {
			continue
		}
		p.bound = true
		switch {
		case name.kind == wholePool:
			p.relied = true
		case name.kind != other:
			p.narrowed = true
			a := p.attributes[name.key]
			p.relied = p.relied || a.known && !p.tellsRepositories(a.reads)
		}
	}
}

// repositoryMember is a member that is the identity: on an attribute that the provider maps, or else on those of [GCPMappingFor].
func (p *providerJudgement) repositoryMember(c oidc.Claims) (member string, mapped bool) {
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
