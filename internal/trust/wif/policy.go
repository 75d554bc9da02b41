package wif

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/cel"
	"bitbucket-oidc/internal/document"
	"bitbucket-oidc/internal/finding"
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

// grants reports whether the role lets its members impersonate the service account. What a custom role holds is not in a policy.
func (b binding) grants() trust.Verdict {
	switch role, _, _ := strings.Cut(b.Role, "_withcond_"); {
	case role == setup.WorkloadIdentityUser, role == setup.TokenCreator:
		return trust.Allow
	case strings.HasPrefix(role, "projects/"), strings.HasPrefix(role, "organizations/"):
		return trust.Undecided
	}
	return trust.Deny
}

// granting are the members that may impersonate the service account.
func (f policyFile) granting() []string {
	var all []string
	for _, b := range f.Bindings {
		if b.grants() != trust.Deny {
			all = append(all, b.Members...)
		}
	}
	return all
}

// A Policy is the policy of a service account, with its conditions compiled.
type Policy struct {
	trust.Source
	file       policyFile
	conditions []compiled // of the bindings; empty where there is none
	env        *cel.Environment
	provider   *Provider // through which the identity came; nil where no one file of the call is a provider
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
	for _, b := range p.file.Bindings {
		var c compiled
		if b.Condition != nil && utf8.RuneCountInString(b.Condition.Expression) <= longestCondition {
			c = compile(p.env, b.Condition.Expression)
		}
		p.conditions = append(p.conditions, c)
	}
	return p, true, nil
}

// isEmptyPolicy reports whether an object is a policy of which only the etag is left.
func isEmptyPolicy(root *document.Node) bool {
	for _, m := range root.Members {
		if m.Name != "etag" && m.Name != "version" {
			return false
		}
	}
	return root.Has("etag")
}

// Through makes the policy be judged for identities that came through a provider. It must come before the first judgement.
func (p *Policy) Through(provider *Provider) { p.provider = provider }

// Kind is that of a policy.
func (p *Policy) Kind() trust.Kind { return trust.GCPPolicy }

// Name is the service account where it is known: a policy does not name it.
func (p *Policy) Name() string { return p.Of }

// A policyJudgement is the policy of a service account and what it makes of an identity that came through provider.
type policyJudgement struct {
	*Policy
	trust.Ruling
	id      bitbucket.Identity
	bare    bool               // decides, and finds nothing
	through *providerJudgement // nil where no one file of the call is a provider
	granted string             // the path of the first member that is the identity
	unsure  string             // why a member may be the identity
	nearest string             // why the first member is not
}

// Judge judges the policy against an identity.
//
// A policy that does not grant says nothing of what the project, the folder or the organisation grants: those are other files.
func (p *Policy) Judge(id bitbucket.Identity, o trust.Options) trust.Result {
	j := p.judgeAs(id, o, false, false)
	if r := j.Result(trust.GCPPolicy, "", ""); r.Verdict == trust.Allow {
		j.others(o)
	}
	return p.Place(j.Result(trust.GCPPolicy, "", fmt.Sprintf("%s is this identity, and the provider accepts its token.", j.granted)))
}

// judgeAs judges the policy, bare of all that only findings need, and without what the author of a pipeline chooses if that is not known.
func (p *Policy) judgeAs(id bitbucket.Identity, o trust.Options, bare, chosen bool) *policyJudgement {
	j := &policyJudgement{Policy: p, id: id, bare: bare}
	if p.provider != nil {
		j.through = p.provider.judgeAs(id, o, bare, chosen)
	}
	for i, binding := range p.file.Bindings {
		j.binding(binding, p.conditions[i], fmt.Sprintf("bindings[%d]", i))
	}
	j.decide()
	return j
}

func admitsOthers() finding.Rule {
	return finding.Rule{
		Name: "gcp-admits-others", Anyone: true, Severity: finding.Error,
		Finds: "another repository's identity gets in, with a witness",
		Why:   "Provider and policy let this identity in and are judged for everybody else of the workspace too: other repositories, their deployments, other branches, and steps that ask for more audiences. One of them gets in, or is not certainly refused. A condition that mentions the repository need not tell it from others. The finding has the claims of one, which `check --claims` confirms.",
		Fix:   "Compare the repository's UUID as a whole: `assertion.repositoryUuid == '{2e9e429c-…}'`.",
	}
}

func namesOthers() finding.Rule {
	return finding.Rule{
		Name: "gcp-names-others", Severity: finding.Note,
		Finds: "another repository that the document names by its whole UUID",
		Why:   "A provider and a service account can be shared on purpose. Everybody who may push to the other repository gets in too.",
		Fix:   "Remove the UUID, or bind a service account for each repository.",
	}
}

// others finds who else gets in through the policy and its provider.
func (p *policyJudgement) others(o trust.Options) {
	at, _, _ := strings.Cut(p.granted, ".members")
	fix := finding.Fix{Kind: finding.Shell, Text: p.fix(member{})}
	u := bitbucket.Around(p.id)
	u.Now = o.Now
	cells := p.Policy.Reach(context.Background(), u)
	p.FindOthers("gcp-admits-others", "gcp-names-others", cells, p.id, at, fix)
	p.through.wayRound(&p.Findings, cells, at, fix)
}

func bindingPoolWide() finding.Rule {
	return finding.Rule{
		Name: "gcp-binding-pool-wide", Anyone: true, Severity: finding.Error,
		Finds: "a member that is the whole pool",
		Why:   "Every identity that any provider of the pool lets in may act as the service account.",
		Fix:   "Bind `principalSet://…/attribute.NAME/VALUE`, the repository or the deployment environment.",
	}
}

// world finds members that are everyone, or everything in a pool, under whatever role.
func (p *policyJudgement) world(b binding, path string) {
	const rule = "gcp-binding-pool-wide"
	for i, text := range b.Members {
		m := parseMember(text)
		message := ""
		switch {
		case m.kind == wholePool:
			message = fmt.Sprintf("Everything in the pool has the role %.100s: every repository of the workspace.", b.Role)
		case text == "allUsers":
			message = fmt.Sprintf("Anyone on the internet has the role %.100s.", b.Role)
		case text == "allAuthenticatedUsers":
			message = fmt.Sprintf("Anyone with a Google account has the role %.100s.", b.Role)
		case strings.HasPrefix(text, "principalSet://cloudresourcemanager."):
			message = fmt.Sprintf("Everything in every pool of a project, a folder or an organisation has the role %.100s.", b.Role)
		}
		if message != "" && !p.Skip(rule) {
			fix := p.fix(m) + "\n" + setup.GCPRevoke(b.Role, text)
			p.Find(finding.Error, rule, fmt.Sprintf("%s.members[%d]", path, i), message, finding.Fix{Kind: finding.Shell, Text: fix})
		}
	}
}

func (p *policyJudgement) decide() {
	if p.through == nil {
		p.Undecide("Undecided: the members are values that a provider maps, and no one file of this call is the provider.")
		return
	}
	verdict, reason := p.through.verdict()
	switch {
	case verdict == trust.Deny:
		p.Deny("The provider refuses the token: " + reason)
	case p.granted == "" && p.unsure == "":
		p.Deny("Not granted here, whatever the project, folder or organisation grants: no member with " +
			setup.WorkloadIdentityUser + " or " + setup.TokenCreator + " is this identity" + p.nearest + ".")
	case verdict == trust.Undecided:
		p.Undecide("The provider is undecided: " + reason)
	case p.granted == "":
		p.Undecide("Undecided: " + p.unsure + ".")
	}
}

// binding looks at the members of one binding.
func (p *policyJudgement) binding(b binding, condition compiled, path string) {
	if !p.bare {
		p.world(b, path)
	}
	grants := b.grants()
	if grants == trust.Deny {
		return
	}
	applies, why := trust.Allow, ""
	if grants == trust.Undecided {
		applies, why = trust.Undecided, path+".role is the custom role "+b.Role+", and what it holds is not in this file"
	}
	if holds, doubt := p.applies(b, condition); holds != trust.Allow {
		applies, why = holds, path+".condition "+doubt
	}
	for i, text := range b.Members {
		at := fmt.Sprintf("%s.members[%d]", path, i)
		m := parseMember(text)
		matches, doubt := p.is(text, m)
		if !p.bare {
			p.lint(b.Role, text, m, at, matches)
		}
		switch {
		case matches == trust.Deny && doubt == "": // a user, a group
		case matches == trust.Deny:
			p.nearest = cmp.Or(p.nearest, ", as "+at+" "+doubt)
		case applies == trust.Deny:
			p.nearest = cmp.Or(p.nearest, ", as "+why)
		case matches == trust.Allow && applies == trust.Allow:
			p.granted = cmp.Or(p.granted, at)
		case applies == trust.Undecided:
			p.unsure = cmp.Or(p.unsure, why)
		default:
			p.unsure = cmp.Or(p.unsure, at+" "+doubt)
		}
	}
}

// applies reports whether a binding's condition holds. It can read the request, the resource and the time, which are all unknown.
func (p *policyJudgement) applies(b binding, condition compiled) (holds trust.Verdict, doubt string) {
	const cannot = "depends on the request, which is not known"
	if strings.Contains(b.Role, "_withcond_") {
		return trust.Undecided, "is not in this file: the policy was read in a version without conditions"
	}
	if b.Condition == nil {
		return trust.Allow, ""
	}
	if utf8.RuneCountInString(b.Condition.Expression) > longestCondition {
		return trust.Undecided, "is longer than is evaluated here"
	}
	// IAM's conditions have functions that workload identity has not, such as date(): not to compile here says nothing.
	if condition.err != nil {
		return trust.Undecided, cannot
	}
	var unknown [][]string
	for _, name := range requestVariables() {
		unknown = append(unknown, []string{name})
	}
	result := condition.Eval(map[string]any{}, unknown...)
	if result.Outcome != cel.Known {
		return trust.Undecided, cannot
	}
	if holds, ok := result.Value.Value().(bool); !ok || !holds {
		return trust.Deny, "is never true"
	}
	return trust.Allow, ""
}

// is reports whether a member is the identity, and why it is not or why that cannot be told.
func (p *policyJudgement) is(text string, m member) (matches trust.Verdict, why string) {
	switch {
	case text == "allUsers":
		return trust.Allow, ""
	case strings.HasPrefix(text, "principalSet://cloudresourcemanager."):
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
	attribute, mapped := p.through.attributes[m.key]
	switch {
	case !mapped:
		return trust.Deny, "names " + m.key + ", which the provider does not map"
	case !attribute.known:
		return trust.Undecided, "names " + m.key + ", which is not known"
	case slices.Contains(attribute.values, m.value):
		return trust.Allow, ""
	}
	return trust.Deny, fmt.Sprintf("wants %s %q and the token has %s", m.key, m.value, trust.Quoted(attribute.values))
}
