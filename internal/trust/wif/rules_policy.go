package wif

import (
	"fmt"
	"slices"
	"strings"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/setup"
	"bitbucket-oidc/internal/trust"
)

func bindingPinsStep() finding.Rule {
	return finding.Rule{
		Name: "gcp-binding-pins-step", Severity: finding.Error,
		Finds: "a subject member with a step's UUID",
		Why:   "The subject ends in the step's UUID, which is new in every step run: the binding works once.",
		Fix:   "Bind an attribute that stays the same, such as the repository's UUID.",
	}
}

func bindingBraces() finding.Rule {
	return finding.Rule{
		Name: "gcp-binding-braces", Severity: finding.Error,
		Finds: "an attribute value without the UUID's braces",
		Why:   "The braces are part of the value. Without them the exchange succeeds, and the call for the service account fails with 403.",
		Fix:   "Put the UUID in braces, and the member in quotes.",
	}
}

func bindingUnmapped() finding.Rule {
	return finding.Rule{
		Name: "gcp-binding-unmapped", Severity: finding.Error,
		Finds: "a member on an attribute that the provider does not map",
		Why:   "No identity ever has the attribute, so the binding lets in nobody.",
		Fix:   "Map the attribute in the provider, or bind one that it maps.",
	}
}

func bindingProjectID() finding.Rule {
	return finding.Rule{
		Name: "gcp-binding-project-id", Severity: finding.Error,
		Finds: "a project's id where its number belongs",
		Why:   "Members name the pool by the project's number. With the id the binding lets in nobody.",
		Fix:   "Write the number: `gcloud projects describe PROJECT --format='value(projectNumber)'`.",
	}
}

func bindingTwoAttributes() finding.Rule {
	return finding.Rule{
		Name: "gcp-binding-two-attributes", Severity: finding.Error,
		Finds: "two attributes in one member",
		Why:   "A member compares one attribute. The rest is read as part of its value.",
		Fix:   "Map one attribute that joins both, such as repository and environment, and bind that.",
	}
}

// lint finds what is wrong with a member. Of a member in another pool only the form is judged: what that pool's providers map is
// not known.
func (p *policyJudgement) lint(role, text string, m member, path string, matches trust.Verdict) {
	ours := m.kind != other && p.ours(m)
	value, known := p.actual(m)
	for _, rule := range []struct {
		name, message string
		found         bool
	}{
		{"gcp-binding-project-id", fmt.Sprintf("The id %q stands where the project's number belongs, which never matches.", m.project),
			m.kind != other && !m.numbered()},
		{"gcp-binding-two-attributes", "The member has two attributes, and a member matches one: map an attribute that joins both.",
			m.kind == ofAttribute && matches != trust.Allow && twoAttributes(m)},
		{"gcp-binding-unmapped", "The provider does not map " + m.key + ", so that the member never matches.",
			ours && p.unmapped(m)},
		{"gcp-binding-pins-step", fmt.Sprintf("The value %q holds a step's UUID: it is right once and then never.", m.value),
			ours && m.key != "" && pinsStep(m, value, known, p.id)},
		{"gcp-binding-braces", p.bracesMessage(m, value, known),
			ours && m.key != "" && m.kind != oneGroup && matches != trust.Allow && lacksBraces(m.value, value, known)},
	} {
		if !rule.found || p.Skip(rule.name) {
			continue
		}
		fix := p.fix(m)
		if matches != trust.Deny { // it goes on matching until it is taken away
			fix += "\n" + setup.GCPRevoke(role, text)
		}
		p.Find(finding.Error, rule.name, path, rule.message, finding.Fix{Kind: finding.Shell, Text: fix})
	}
}

// ours reports whether a member is of the provider's pool. A member without a project's number is told by its pool.
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

// actual is what the identity has where the member has its value.
func (p *policyJudgement) actual(m member) (value string, known bool) {
	if p.through == nil || m.key == "google.groups" {
		return "", false
	}
	if a := p.through.attributes[m.key]; a.known {
		return a.values[0], true
	}
	return "", false
}

func (p *policyJudgement) unmapped(m member) bool {
	if p.through == nil || m.key == "" {
		return false
	}
	_, mapped := p.through.file.AttributeMapping[m.key]
	return !mapped
}

func (p *policyJudgement) bracesMessage(m member, value string, known bool) string {
	if !known {
		return fmt.Sprintf("The value %q has a UUID without its braces, which the claims have.", m.value)
	}
	return fmt.Sprintf("The value %q has a UUID without its braces, and the token's %s is %q.", m.value, m.key, value)
}

// fix is the command that grants the service account to the identity, after the mapping that it takes.
func (p *policyJudgement) fix(m member) string {
	if p.through == nil {
		if !m.numbered() {
			m.project = ""
		}
		name := m.known()
		return setup.GCPBinding(setup.ServiceAccount, setup.GCPMember(p.id.Claims, name.project, name.pool))
	}
	member, mapped := p.through.repositoryMember(p.id.Claims)
	command := setup.GCPBinding(setup.ServiceAccount, member)
	if !mapped {
		mapping := setup.GCPAttributes(p.id.Claims)
		for key, source := range p.through.right { // members that others have may be on these
			if key == "google.subject" || mapping[key] == "" {
				mapping[key] = source
			}
		}
		command = p.through.mappingFix(mapping).Text + "\n" + command
	}
	return command
}

// twoAttributes reports whether the value goes on with another attribute.
func twoAttributes(m member) bool {
	for _, separator := range []string{"/", "&", "&&", ",", ";", " "} {
		if strings.Contains(m.value, separator+"attribute.") {
			return true
		}
	}
	return false
}

// pinsStep reports whether a member's value holds a step's UUID: this one's, or that of another run where this one's stands in the value
// that the token has.
func pinsStep(m member, actual string, known bool, id bitbucket.Identity) bool {
	step := bitbucket.StepUUID(id.Claims)
	holds := func(s string) bool { return step != "" && strings.Contains(strings.ToLower(s), strings.ToLower(step)) }
	switch {
	case holds(m.value):
		return true
	case known && holds(actual):
		return bitbucket.LikeSubject(m.value, id.Claims) || bitbucket.IsUUID(bitbucket.Unbraced(actual)) && bitbucket.IsUUID(bitbucket.Unbraced(m.value))
	}
	// Where the token's value has two UUIDs, so may other values that hold no step.
	return m.kind == oneSubject && bitbucket.LikeSubject(m.value, id.Claims) && len(bitbucket.UUIDs(actual)) < 2
}

// lacksBraces reports whether a value has a UUID without braces where the token's value has them. Where that is not known, a value that
// begins with a UUID is one of Bitbucket's claims.
func lacksBraces(value, actual string, known bool) bool {
	bare := func(span bitbucket.Span) bool { return !span.Braces }
	spans := bitbucket.UUIDs(value)
	if !slices.ContainsFunc(spans, bare) {
		return false
	}
	if !known {
		start := spans[0].Start
		return start == 0 || strings.EqualFold(value[:start], "%7B")
	}
	has := bitbucket.UUIDs(actual)
	return len(has) > 0 && !slices.ContainsFunc(has, bare)
}
