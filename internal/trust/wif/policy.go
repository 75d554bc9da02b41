package wif

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/cel"
	"bitbucket-oidc/internal/document"
	"bitbucket-oidc/internal/setup"
	"bitbucket-oidc/internal/trust"
)

// policyFile is what `gcloud iam service-accounts get-iam-policy --format=json` prints: only an etag where nothing was granted.
type policyFile struct {
	Bindings []binding `json:"bindings"`
}

type binding struct {
	Role      string   `json:"role"`
	Members   []string `json:"members"`
	Condition *struct {
		Expression string `json:"expression"`
	} `json:"condition"`
}

// grants reports whether the role lets its members impersonate the service account. A policy does not say what a custom role permits.
func (b binding) grants() trust.Verdict {
	switch role, _, _ := strings.Cut(b.Role, "_withcond_"); {
	case role == setup.WorkloadIdentityUser, role == setup.TokenCreator:
		return trust.Allow
	case strings.HasPrefix(role, "projects/"), strings.HasPrefix(role, "organizations/"):
		return trust.Undecided
	}
	return trust.Deny
}

// A Policy is the policy of a service account, with its conditions compiled.
type Policy struct {
	trust.Source
	file       policyFile
	members    [][]member   // of the bindings, in their order
	conditions []expression // of the bindings, in their order
	env        *cel.Environment
	provider   *Provider // through which the identity came; nil if the call has not one provider
}

// granting are the members that may impersonate the service account.
func (p *Policy) granting() []member {
	var all []member
	for i, b := range p.file.Bindings {
		if b.grants() != trust.Deny {
			all = append(all, p.members[i]...)
		}
	}
	return all
}

// Federates reports whether the policy can let in anybody who comes through a pool.
func (p *Policy) Federates() bool {
	return slices.ContainsFunc(p.granting(), func(m member) bool {
		return strings.Contains(m.text, "/workloadIdentityPools/") || m.text == "allUsers" || m.text == "allAuthenticatedUsers"
	})
}

// requestVariables are what a binding's condition can read. All of them are unknown.
func requestVariables() []string {
	return []string{"request", "resource", "destination", "origin", "api", "principal"}
}

// ReadPolicy reads a policy, and reports whether a file is one.
func ReadPolicy(f *document.File) (*Policy, bool, error) {
	if !f.Root.Has("bindings") && !isEmptyPolicy(f.Root) {
		return nil, false, nil
	}
	p := &Policy{Source: trust.Source{In: f, Inner: f.Root}}
	if err := f.Root.Decode(&p.file); err != nil {
		return nil, true, fmt.Errorf("gcp-policy: %w", err)
	}
	var err error
	if p.env, err = cel.NewEnvironment(requestVariables()...); err != nil {
		return nil, true, err
	}
	p.conditions, p.members = make([]expression, len(p.file.Bindings)), make([][]member, len(p.file.Bindings))
	for i, b := range p.file.Bindings {
		for j, text := range b.Members {
			m := parseMember(text)
			m.path = fmt.Sprintf("bindings[%d].members[%d]", i, j)
			p.members[i] = append(p.members[i], m)
		}
		if b.Condition != nil {
			p.conditions[i] = compile(p.env, b.Condition.Expression, longestCondition)
		}
	}
	return p, true, nil
}

// isEmptyPolicy reports whether an object is a policy without bindings, which has only an etag.
func isEmptyPolicy(root *document.Node) bool {
	for _, m := range root.Members {
		if m.Name != "etag" && m.Name != "version" {
			return false
		}
	}
	return root.Has("etag")
}

// Through sets the provider that identities come through. It must come before the first judgement.
func (p *Policy) Through(provider *Provider) { p.provider = provider }

// Kind is the kind of a policy.
func (p *Policy) Kind() trust.Kind { return trust.GCPPolicy }

// Name is the service account, if it is known: a policy does not name it.
func (p *Policy) Name() string { return p.Of }

// A policyJudgement is the judgement of a policy for one identity that came through a provider.
type policyJudgement struct {
	*Policy
	trust.Ruling
	mode
	id      bitbucket.Identity
	through *providerJudgement // nil if the call has not one provider
	granted string             // the path of the first member that is the identity
	unsure  string             // why a member may be the identity
	nearest string             // why the first member is not the identity
}

// Judge judges the policy against an identity.
//
// The project, the folder and the organisation can grant too. Their policies are other files, so a denial is only about this policy.
func (p *Policy) Judge(id bitbucket.Identity, o trust.Options) trust.Result {
	j := p.judgeAs(id, o, mode{})
	if r := j.Result(trust.GCPPolicy, "", ""); r.Verdict == trust.Allow {
		j.others(o)
	}
	r := j.Result(trust.GCPPolicy, "", fmt.Sprintf("%s is this identity, and the provider accepts its token.", j.granted))
	if r.Verdict == trust.Deny && j.granted == "" {
		r.Wanted = j.wanted()
	}
	return p.Place(r)
}

// wanted is the member that is missing, or the commands if the provider does not map an attribute for it.
func (p *policyJudgement) wanted() string {
	if member, mapped := p.through.repositoryMember(p.id.Claims); mapped {
		return "the member " + member
	}
	return p.fix(member{})
}

// judgeAs judges the policy and its provider.
func (p *Policy) judgeAs(id bitbucket.Identity, o trust.Options, m mode) *policyJudgement {
	j := &policyJudgement{Policy: p, id: id, mode: m}
	if p.provider != nil {
		j.through = p.provider.judgeAs(id, o, m)
	}
	for i, binding := range p.file.Bindings {
		j.binding(binding, p.members[i], p.conditions[i], fmt.Sprintf("bindings[%d]", i))
	}
	j.decide()
	return j
}

// decide combines the provider and the members.
func (p *policyJudgement) decide() {
	if p.through == nil {
		p.Undecide("Undecided: the members are values that a provider maps, and this call has not exactly one provider.")
		return
	}
	verdict, reason := p.through.verdict()
	switch {
	case verdict == trust.Deny:
		p.Deny("The provider refuses the token: " + reason)
	case p.granted == "" && p.unsure == "":
		p.Deny("This policy does not let the identity in, although the project, the folder or the organisation may: no member with " +
			setup.WorkloadIdentityUser + " or " + setup.TokenCreator + " is this identity" + p.nearest + ".")
	case verdict == trust.Undecided:
		p.Undecide("The provider is undecided: " + strings.TrimPrefix(reason, "Undecided: "))
	case p.granted == "":
		p.Undecide("Undecided: " + p.unsure + ".")
	}
}

// binding looks at the members of one binding.
func (p *policyJudgement) binding(b binding, members []member, condition expression, path string) {
	if !p.bare {
		p.poolWide(b, members)
	}
	grants := b.grants()
	if grants == trust.Deny {
		return
	}
	applies, why := trust.Allow, ""
	if grants == trust.Undecided {
		applies, why = trust.Undecided, path+".role is the custom role "+b.Role+", and this file does not say what it permits"
	}
	if holds, doubt := b.applies(condition); holds != trust.Allow {
		applies, why = holds, path+".condition "+doubt
	}
	for _, m := range members {
		matches, doubt := p.is(m)
		if !p.bare {
			p.lint(b.Role, m, matches)
		}
		switch {
		case matches == trust.Deny && doubt == "": // a user, a group
		case matches == trust.Deny:
			p.nearest = cmp.Or(p.nearest, ", as "+m.path+" "+doubt)
		case applies == trust.Deny:
			p.nearest = cmp.Or(p.nearest, ", as "+why)
		case matches == trust.Allow && applies == trust.Allow:
			p.granted = cmp.Or(p.granted, m.path)
		case applies == trust.Undecided:
			p.unsure = cmp.Or(p.unsure, why)
		default:
			p.unsure = cmp.Or(p.unsure, m.path+" "+doubt)
		}
	}
}

// applies reports whether the binding's condition holds. It can read the request, the resource and the time, which are all unknown.
func (b binding) applies(condition expression) (holds trust.Verdict, doubt string) {
	switch {
	case strings.Contains(b.Role, "_withcond_"):
		return trust.Undecided, "is not in this file: the policy was read in a version without conditions"
	case b.Condition == nil:
		return trust.Allow, ""
	case condition.compiled == nil: // IAM's conditions have functions that workload identity does not have, such as date()
		return trust.Undecided, "cannot be evaluated here"
	}
	var unknown [][]string
	for _, name := range requestVariables() {
		unknown = append(unknown, []string{name})
	}
	result := condition.compiled.Eval(map[string]any{}, unknown...)
	if result.Outcome != cel.Known {
		return trust.Undecided, "depends on the request, which is not known"
	}
	if holds, ok := result.Value.Value().(bool); !ok || !holds {
		return trust.Deny, "is never true"
	}
	return trust.Allow, ""
}

// resourcePools begins a member that is every pool of a project, a folder or an organisation.
const resourcePools = "principalSet://cloudresourcemanager."

// is reports whether a member is the identity, and otherwise why it is not, or why that is not known.
func (p *policyJudgement) is(m member) (matches trust.Verdict, why string) {
	switch {
	case m.text == "allUsers":
		return trust.Allow, ""
	case strings.HasPrefix(m.text, resourcePools):
		return trust.Undecided, "names pools that are not in this file"
	case m.kind == other:
		return trust.Deny, ""
	case !m.numbered():
		return trust.Deny, fmt.Sprintf("names the project %q by its id", m.project)
	case p.through == nil:
		return trust.Undecided, "names a value that a provider maps"
	case !m.fits(p.through.name):
		return trust.Deny, "names another pool than the provider's"
	case m.kind == wholePool:
		return trust.Allow, ""
	}
	v, mapped := p.through.values[m.key]
	switch {
	case !mapped:
		return trust.Deny, "names " + m.key + ", which the provider does not map"
	case v.excludes(m.value):
		return trust.Deny, "wants a value that the token has on no branch"
	case !v.known:
		return trust.Undecided, "names " + m.key + ", which is not known"
	case slices.Contains(v.values, m.value):
		return trust.Allow, ""
	case p.nearest != "": // the first such member is named; a policy may have thousands
		return trust.Deny, "wants another value"
	}
	return trust.Deny, fmt.Sprintf("wants %s %q and the token has %s", m.key, m.value, trust.Quoted(v.values))
}
