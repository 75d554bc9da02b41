package wif

import (
	"fmt"
	"strings"
	"time"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/cel"
	"bitbucket-oidc/internal/document"
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
	OIDC               *struct {         // absent if the provider is for AWS, SAML or X.509
		IssuerURI        string   `json:"issuerUri"`
		AllowedAudiences []string `json:"allowedAudiences"` // if there are none, the name of the provider
		JwksJSON         string   `json:"jwksJson"`         // keys that Google uses instead of the keys of the issuer
	} `json:"oidc"`
}

// customAttributes counts the keys of the mapping that are not Google's own.
func (f providerFile) customAttributes() int {
	custom := 0
	for key := range f.AttributeMapping {
		if strings.HasPrefix(key, "attribute.") {
			custom++
		}
	}
	return custom
}

// A Provider is a provider of a workload identity pool, with its expressions compiled.
type Provider struct {
	trust.Source
	file       providerFile
	name       poolPath
	env        *cel.Environment
	attributes []attribute // of the mapping, in the order of their keys; empty if there are too many
	condition  expression
	policies   []*Policy // that are judged together with the provider
	pool       string    // "disabled" or "deleted" if the pool of the provider is
}

// ReadProvider reads a provider, and reports whether a file is one.
func ReadProvider(f *document.File) (*Provider, bool, error) {
	root := f.Root
	var name string
	if n := root.Get("name"); n.Is(document.String) { // else it is no name of a provider
		name = n.Text
	}
	parsed, _, named := parsePoolPath(name)
	if !root.Has("oidc", "attributeMapping") && (!named || parsed.provider == "") {
		return nil, false, nil
	}
	p := &Provider{Source: trust.Source{In: f, Inner: root}, name: parsed}
	if !named {
		p.name.provider = name // the id alone, as in a file that a person wrote
	}
	if err := root.Decode(&p.file); err != nil {
		return nil, true, fmt.Errorf("gcp-provider: %w", err)
	}
	return p, true, p.compile()
}

// compile compiles every expression once. A mapping with too many attributes is refused, so its expressions are not needed.
func (p *Provider) compile() error {
	var err error
	if p.env, err = cel.NewEnvironment("assertion", "attribute", "google"); err != nil {
		return err
	}
	if p.file.customAttributes() <= mostAttributes {
		p.attributes = compileMapping(p.env, p.file.AttributeMapping)
	}
	if p.hasCondition() {
		p.condition = compile(p.env, p.file.AttributeCondition, longestCondition)
	}
	return nil
}

// Beside sets the policies of the same call, with which the provider is judged. It must come before the first judgement.
func (p *Provider) Beside(policies []*Policy) { p.policies = policies }

// InPool says that the pool of the provider is "disabled" or "deleted"; otherwise closed is empty. It must come before the first
// judgement.
func (p *Provider) InPool(closed string) { p.pool = closed }

// ID is the provider's resource name, as the file has it.
func (p *Provider) ID() string { return p.file.Name }

// Kind is the kind of a provider.
func (p *Provider) Kind() trust.Kind { return trust.GCPProvider }

// Name is the provider's id.
func (p *Provider) Name() string { return p.name.provider }

// Judge judges the provider against an identity.
func (p *Provider) Judge(id bitbucket.Identity, o trust.Options) trust.Result {
	j := p.judgeAs(id, o, mode{})
	for _, policy := range p.policies {
		j.bind(policy)
	}
	if verdict, _ := j.verdict(); verdict == trust.Allow && !j.bound {
		j.others()
	}
	return p.Place(j.conclude())
}

// A mode is how a document is judged.
type mode struct {
	bare   bool // only for the verdict: findings are not complete, and have no fixes
	chosen bool // what the author of a pipeline chooses is taken to be unknown: the branch, the audiences
}

// A providerJudgement is the judgement of a provider for one identity.
type providerJudgement struct {
	*Provider
	trust.Ruling
	mode
	id       bitbucket.Identity
	now      time.Time
	values   map[string]attributeValue // by key, such as google.subject
	scoped   bool                      // the condition reads what only this repository's tokens have
	bound    bool                      // a policy of the call is about the pool
	narrowed bool                      // a policy has a member that is narrower than the pool
	relied   bool                      // a policy has a member that identities of other repositories can match
}

// judgeAs judges the provider by itself.
func (p *Provider) judgeAs(id bitbucket.Identity, o trust.Options, m mode) *providerJudgement {
	j := &providerJudgement{Provider: p, id: id, now: o.Now, mode: m, values: map[string]attributeValue{}}
	j.state()
	j.issuer()
	j.audience()
	j.mapping()
	j.conditioned()
	return j
}

// bind notes what the members of a policy leave to the condition of the provider.
func (p *providerJudgement) bind(policy *Policy) {
	for _, m := range policy.granting() {
		if !p.name.fits(m.poolPath) {
			continue
		}
		p.bound = true
		switch m.kind {
		case other:
		case wholePool:
			p.relied = true
		default:
			p.narrowed = true
			v := p.values[m.key]
			p.relied = p.relied || v.known && !p.tellsRepositories(v.reads())
		}
	}
}

// conclude is the result, with the findings that depend on the policies of the call.
func (p *providerJudgement) conclude() trust.Result {
	result := p.Ruling
	result.Findings = p.Findings.Clone()
	p.noCondition(&result.Findings)
	p.unscoped(&result.Findings)
	return result.Result(trust.GCPProvider, p.name.provider, "The provider accepts this token: issuer, audience, mapping and condition fit.")
}

// verdict is the verdict and its reason.
func (p *providerJudgement) verdict() (trust.Verdict, string) {
	r := p.Result(trust.GCPProvider, "", "The provider accepts this token: issuer, audience, mapping and condition fit.")
	return r.Verdict, r.Reason
}
