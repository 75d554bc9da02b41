package wif

import (
	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/setup"
	"bitbucket-oidc/internal/trust"
)

// A memberCase is a member of a granting binding, with what the rules about members look at.
type memberCase struct {
	member
	id      bitbucket.Identity
	through *providerJudgement // nil if the call has not one provider
	matches trust.Verdict      // whether the member is the identity

	// ours reports whether the member is in the pool of the provider. The mapping of another pool is not known, so only the form
	// of its members is judged.
	ours bool

	// actual is the value that the identity has for the key of the member, if it is known.
	actual string
	known  bool
}

// A memberRule returns a sentence about what is wrong with a member, or nothing.
type memberRule struct {
	name string
	find func(memberCase) string
}

// memberRules are the rules about one member, in the order of their findings.
func memberRules() []memberRule {
	return []memberRule{
		{"gcp-binding-project-id", memberCase.projectID},
		{"gcp-binding-two-attributes", memberCase.twoAttributes},
		{"gcp-binding-unmapped", memberCase.unmapped},
		{"gcp-binding-pins-step", memberCase.pinsStep},
		{"gcp-binding-braces", memberCase.lacksBraces},
	}
}

// lint finds what is wrong with a member.
func (p *policyJudgement) lint(role string, m member, matches trust.Verdict) {
	if m.kind == other {
		return
	}
	c := memberCase{member: m, id: p.id, through: p.through, matches: matches, ours: p.ours(m)}
	if p.through != nil && m.kind != oneGroup { // an identity has several groups
		if v := p.through.values[m.key]; v.known {
			c.actual, c.known = v.values[0], true
		}
	}
	for _, rule := range memberRules() {
		message := rule.find(c)
		if message == "" || p.Skip(rule.name) {
			continue
		}
		fix := p.fix(m)
		if matches != trust.Deny { // it matches until it is removed
			fix += "\n" + setup.GCPRevoke(role, m.text)
		}
		p.Find(finding.Error, rule.name, m.path, message, finding.Fix{Kind: finding.Shell, Text: fix})
	}
}

// ours reports whether a member is in the pool of the provider. A project that is named by its id is not compared.
func (p *policyJudgement) ours(m member) bool {
	if p.through == nil {
		return true
	}
	name := m.poolPath
	if !name.numbered() {
		name.project = ""
	}
	return name.fits(p.through.name)
}

// fix is the commands that grant the service account to the identity. If the provider needs another mapping for that, its command is the
// first.
func (p *policyJudgement) fix(m member) string {
	if p.through == nil {
		if !m.numbered() {
			m.project = ""
		}
		name := m.poolPath.known()
		return setup.GCPBinding(setup.ServiceAccount, setup.GCPMember(p.id.Claims, name.project, name.pool))
	}
	member, mapped := p.through.repositoryMember(p.id.Claims)
	command := setup.GCPBinding(setup.ServiceAccount, member)
	if mapped {
		return command
	}
	mapping := setup.GCPAttributes(p.id.Claims)
	for key, source := range p.through.right() { // other members may use them
		if key == "google.subject" || mapping[key] == "" {
			mapping[key] = source
		}
	}
	return p.through.mappingFix(mapping).Text + "\n" + command
}
