package trust

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
)

// Roles that let their members impersonate a service account: both hold iam.serviceAccounts.getAccessToken.
const (
	workloadIdentityUser = "roles/iam.workloadIdentityUser"
	tokenCreator         = "roles/iam.serviceAccountTokenCreator"
)

// gcpPolicyFile is what `gcloud iam service-accounts get-iam-policy --format=json` prints: only an etag where nothing was granted.
type gcpPolicyFile struct {
	Bindings []gcpBinding `json:"bindings"`
}

type gcpBinding struct {
	Role      string   `json:"role"`
	Members   []string `json:"members"`
	Condition *struct {
		Expression string `json:"expression"`
	} `json:"condition"`
}

// grants tells whether the role lets its members impersonate the service account. What a custom role holds is not in a policy.
func (b gcpBinding) grants() Verdict {
	switch role, _, _ := strings.Cut(b.Role, "_withcond_"); {
	case role == workloadIdentityUser, role == tokenCreator:
		return Allow
	case strings.HasPrefix(role, "projects/"), strings.HasPrefix(role, "organizations/"):
		return Undecided
	}
	return Deny
}

// granting are the members that may impersonate the service account.
func (f gcpPolicyFile) granting() []string {
	var all []string
	for _, b := range f.Bindings {
		if b.grants() != Deny {
			all = append(all, b.Members...)
		}
	}
	return all
}

// parseGCPPolicy returns false if the document is of another kind.
func parseGCPPolicy(data []byte) (gcpPolicyFile, bool, error) {
	object := objectOf(data)
	if !hasAny(object, "bindings") && !isEmptyPolicy(object) {
		return gcpPolicyFile{}, false, nil
	}
	var policy gcpPolicyFile
	if err := decode(data, &policy); err != nil {
		return gcpPolicyFile{}, true, fmt.Errorf("gcp-policy: %w", misfit(err))
	}
	return policy, true, nil
}

// isEmptyPolicy tells whether an object is a policy of which only the etag is left.
func isEmptyPolicy(object map[string]json.RawMessage) bool {
	for name := range object {
		if name != "etag" && name != "version" {
			return false
		}
	}
	return hasAny(object, "etag")
}

// gcpKind is what a member names within a pool.
type gcpKind int

const (
	gcpOther       gcpKind = iota // nothing of a workload identity pool
	gcpPool                       // everything
	gcpSubject                    // one google.subject
	gcpGroup                      // one of google.groups
	gcpOfAttribute                // one value of one attribute
)

// A gcpMember is a member of a binding, taken apart.
type gcpMember struct {
	gcpName
	kind  gcpKind
	key   string // of the mapping, such as attribute.repository
	value string
}

// gcpParseMember reads principal://iam.googleapis.com/…/subject/VALUE, and principalSet://iam.googleapis.com/… with group/VALUE,
// attribute.NAME/VALUE or *. Values may hold slashes.
//
// Source: Google Cloud, "Principal identifiers".
func gcpParseMember(s string) gcpMember {
	scheme, resource, _ := strings.Cut(s, "://")
	host, path, _ := strings.Cut(resource, "/")
	name, rest, ok := gcpParseName(path)
	if !ok || !strings.HasPrefix(host, "iam.") {
		return gcpMember{}
	}
	m := gcpMember{gcpName: gcpName{project: name.project, pool: name.pool}}
	selector, value, _ := strings.Cut(rest, "/")
	m.value = value
	switch {
	case scheme == "principalSet" && rest == "*":
		m.kind = gcpPool
	case scheme == "principalSet" && selector == "group":
		m.kind, m.key = gcpGroup, "google.groups"
	case scheme == "principalSet" && strings.HasPrefix(selector, "attribute."):
		m.kind, m.key = gcpOfAttribute, selector
	case scheme == "principal" && selector == "subject":
		m.kind, m.key = gcpSubject, "google.subject"
	}
	return m
}

// gcpMemberName is the member of everything in a pool whose attribute has a value.
func gcpMemberName(name gcpName, key, value string) string {
	return "principalSet://iam.googleapis.com/" + GCPPoolName(name.project, name.pool) + "/" + key + "/" + value
}

// A policyJudgement is the policy of a service account and what it makes of an identity that came through provider.
type policyJudgement struct {
	ruling
	id       Identity
	provider *providerJudgement // nil where no one file of the call is a provider
	granted  string             // the path of the first member that is the identity
	unsure   string             // why a member may be the identity
	nearest  string             // why the first member is not
	env      *cel.Env           // of bindings' conditions; nil until one is met
}

// gcpPolicy judges the policy of a service account. It returns false if the document is of another kind.
//
// A policy that does not grant says nothing of what the project, the folder or the organisation grants: those are other files.
func gcpPolicy(data []byte, provider *providerJudgement, id Identity, _ Options) (Result, bool, error) {
	policy, ok, err := parseGCPPolicy(data)
	if !ok || err != nil {
		return Result{}, ok, err
	}
	p := &policyJudgement{id: id, provider: provider}
	for i, binding := range policy.Bindings {
		p.binding(binding, fmt.Sprintf("bindings[%d]", i))
	}
	p.decide()
	return p.result("gcp-policy", "", fmt.Sprintf("%s is this identity, and the provider accepts its token", p.granted)), true, nil
}

func (p *policyJudgement) decide() {
	switch {
	case p.provider == nil:
		p.undecide("the members are values that a provider maps, and no one file of this call is the provider")
	case p.provider.Result.Verdict == Deny:
		p.deny("the provider refuses the token: " + p.provider.Result.Reason)
	case p.granted == "" && p.unsure == "":
		p.deny("not granted here, whatever the project, folder or organisation grants: no member with " +
			workloadIdentityUser + " or " + tokenCreator + " is this identity" + p.nearest)
	case p.provider.Result.Verdict == Undecided:
		p.undecide("the provider is undecided: " + p.provider.Result.Reason)
	case p.granted == "":
		p.undecide(p.unsure)
	}
}

// binding looks at the members of one binding.
func (p *policyJudgement) binding(b gcpBinding, path string) {
	grants := b.grants()
	if grants == Deny {
		return
	}
	applies, why := Allow, ""
	if grants == Undecided {
		applies, why = Undecided, path+".role is the custom role "+b.Role+", and what it holds is not in this file"
	}
	if holds, doubt := p.applies(b); holds != Allow {
		applies, why = holds, path+".condition "+doubt
	}
	for i, text := range b.Members {
		at := fmt.Sprintf("%s.members[%d]", path, i)
		m := gcpParseMember(text)
		matches, doubt := p.is(text, m)
		p.lint(b.Role, text, m, at, matches)
		switch {
		case matches == Deny && doubt == "": // a user, a group
		case matches == Deny:
			p.nearest = cmp.Or(p.nearest, ", as "+at+" "+doubt)
		case applies == Deny:
			p.nearest = cmp.Or(p.nearest, ", as "+why)
		case matches == Allow && applies == Allow:
			p.granted = cmp.Or(p.granted, at)
		case applies == Undecided:
			p.unsure = cmp.Or(p.unsure, why)
		default:
			p.unsure = cmp.Or(p.unsure, at+" "+doubt)
		}
	}
}

// applies tells whether a binding's condition holds. It can read the request, the resource and the time, which are all unknown.
func (p *policyJudgement) applies(b gcpBinding) (holds Verdict, doubt string) {
	const cannot = "hangs on the request, which is not known"
	if strings.Contains(b.Role, "_withcond_") {
		return Undecided, "is not in this file: the policy was read in a version without conditions"
	}
	if b.Condition == nil {
		return Allow, ""
	}
	variables := []string{"request", "resource", "destination", "origin", "api", "principal"}
	if p.env == nil {
		env, err := celEnvironment(variables...)
		if err != nil {
			return Undecided, cannot
		}
		p.env = env
	}
	if utf8.RuneCountInString(b.Condition.Expression) > gcpConditionLength {
		return Undecided, "is longer than is evaluated here"
	}
	// IAM's conditions have functions that workload identity has not, such as date(): not to compile here says nothing.
	expression, err := celCompile(p.env, b.Condition.Expression)
	if err != nil {
		return Undecided, cannot
	}
	var unknown [][]string
	for _, name := range variables {
		unknown = append(unknown, []string{name})
	}
	result := expression.eval(map[string]any{}, unknown...)
	if result.outcome != celKnown {
		return Undecided, cannot
	}
	if holds, ok := result.value.Value().(bool); !ok || !holds {
		return Deny, "is never true"
	}
	return Allow, ""
}

// is tells whether a member is the identity, and why it is not or why that cannot be told.
func (p *policyJudgement) is(text string, m gcpMember) (matches Verdict, why string) {
	switch {
	case text == "allUsers":
		return Allow, ""
	case strings.HasPrefix(text, "principalSet://cloudresourcemanager."):
		return Undecided, "names pools that are not in this file"
	case m.kind == gcpOther:
		return Deny, ""
	case !m.numbered():
		return Deny, fmt.Sprintf("names the project %q by its id", m.project)
	case p.provider == nil:
		return Undecided, "names a value that a provider maps"
	case !m.fits(p.provider.name):
		return Deny, "names another pool than the provider's"
	case m.kind == gcpPool:
		return Allow, ""
	}
	attribute, mapped := p.provider.attributes[m.key]
	switch {
	case !mapped:
		return Deny, "names " + m.key + ", which the provider does not map"
	case !attribute.known:
		return Undecided, "names " + m.key + ", which is not known"
	case slices.Contains(attribute.values, m.value):
		return Allow, ""
	}
	return Deny, fmt.Sprintf("wants %s %q and the token has %s", m.key, m.value, quotedAll(attribute.values))
}

// lint finds what is wrong with a member. Of a member in another pool only the form is judged: what that pool's providers map is
// not known.
func (p *policyJudgement) lint(role, text string, m gcpMember, path string, matches Verdict) {
	ours := m.kind != gcpOther && p.ours(m)
	value, known := p.actual(m)
	for _, rule := range []struct {
		name, message string
		found         bool
	}{
		{"gcp-binding-pool-wide", "everything in the pool may impersonate the service account: every repository of the workspace", m.kind == gcpPool},
		{"gcp-binding-pool-wide", "anyone on the internet may impersonate the service account", text == "allUsers"},
		{"gcp-binding-project-id", fmt.Sprintf("%q stands where the project's number belongs, which never matches", m.project),
			m.kind != gcpOther && !m.numbered()},
		{"gcp-binding-two-attributes", "two attributes in one member, which matches one: map an attribute that joins both",
			m.kind == gcpOfAttribute && matches != Allow && twoAttributes(m)},
		{"gcp-binding-unmapped", "the provider does not map " + m.key + ", so that this never matches",
			ours && p.unmapped(m)},
		{"gcp-binding-pins-step", fmt.Sprintf("%q holds a step's UUID: it is right once and then never", m.value),
			ours && m.key != "" && pinsStep(m, value, known, p.id)},
		{"gcp-binding-braces", p.bracesMessage(m, value, known),
			ours && m.key != "" && m.kind != gcpGroup && matches != Allow && lacksBraces(m.value, value, known)},
	} {
		if !rule.found {
			continue
		}
		fix := p.fix(m)
		if matches != Deny { // it goes on matching until it is taken away
			fix += "\n" + revoke(role, text)
		}
		p.find(Error, rule.name, path, rule.message, fix)
	}
}

// ours tells whether a member is of the provider's pool. A member without a project's number is told by its pool.
func (p *policyJudgement) ours(m gcpMember) bool {
	if p.provider == nil {
		return true
	}
	name := m.gcpName
	if !name.numbered() {
		name.project = ""
	}
	return name.fits(p.provider.name)
}

// actual is what the identity has where the member has its value.
func (p *policyJudgement) actual(m gcpMember) (value string, known bool) {
	if p.provider == nil || m.key == "google.groups" {
		return "", false
	}
	if a := p.provider.attributes[m.key]; a.known {
		return a.values[0], true
	}
	return "", false
}

func (p *policyJudgement) unmapped(m gcpMember) bool {
	if p.provider == nil || m.key == "" {
		return false
	}
	_, mapped := p.provider.file.AttributeMapping[m.key]
	return !mapped
}

func (p *policyJudgement) bracesMessage(m gcpMember, value string, known bool) string {
	if !known {
		return fmt.Sprintf("%q has a UUID without its braces, which the claims have", m.value)
	}
	return fmt.Sprintf("%q has a UUID without its braces, and the token's %s is %q", m.value, m.key, value)
}

// fix is the command that grants the service account to the identity, after the mapping that it takes.
func (p *policyJudgement) fix(m gcpMember) string {
	if p.provider == nil {
		if !m.numbered() {
			m.project = ""
		}
		name := m.known()
		return GCPBinding(ServiceAccount, GCPMember(p.id.Claims, name.project, name.pool))
	}
	member, mapped := p.provider.repositoryMember(p.id.Claims)
	command := GCPBinding(ServiceAccount, member)
	if !mapped {
		mapping := gcpAttributes(p.id.Claims)
		for key, source := range p.provider.right { // members that others have may be on these
			if key == "google.subject" || mapping[key] == "" {
				mapping[key] = source
			}
		}
		command = p.provider.mappingFix(mapping) + "\n" + command
	}
	return command
}

// twoAttributes tells whether the value goes on with another attribute.
func twoAttributes(m gcpMember) bool {
	for _, separator := range []string{"/", "&", "&&", ",", ";", " "} {
		if strings.Contains(m.value, separator+"attribute.") {
			return true
		}
	}
	return false
}

// pinsStep tells whether a member's value holds a step's UUID: this one's, or that of another run where this one's stands in the value
// that the token has.
func pinsStep(m gcpMember, actual string, known bool, id Identity) bool {
	step := stepUUID(id.Claims)
	holds := func(s string) bool { return step != "" && strings.Contains(strings.ToLower(s), strings.ToLower(step)) }
	switch {
	case holds(m.value):
		return true
	case known && holds(actual):
		return likeSubject(m.value, id.Claims) || isUUID(unbraced(actual)) && isUUID(unbraced(m.value))
	}
	// Where the token's value has two UUIDs, so may other values that hold no step.
	return m.kind == gcpSubject && likeSubject(m.value, id.Claims) && len(uuidsIn(actual)) < 2
}

// lacksBraces tells whether a value has a UUID without braces where the token's value has them. Where that is not known, a value that
// begins with a UUID is one of Bitbucket's claims.
func lacksBraces(value, actual string, known bool) bool {
	bare := func(span uuidSpan) bool { return !span.braces }
	spans := uuidsIn(value)
	if !slices.ContainsFunc(spans, bare) {
		return false
	}
	if !known {
		start := spans[0].start
		return start == 0 || strings.EqualFold(value[:start], "%7B")
	}
	has := uuidsIn(actual)
	return len(has) > 0 && !slices.ContainsFunc(has, bare)
}
