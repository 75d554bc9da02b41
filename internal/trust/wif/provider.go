package wif

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/cel"
	"bitbucket-oidc/internal/document"
	"bitbucket-oidc/internal/oidc"
	"bitbucket-oidc/internal/setup"
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
