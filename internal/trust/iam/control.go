package iam

import (
	"errors"
	"slices"

	"bitbucket-oidc/internal/document"
	"bitbucket-oidc/internal/setup"
	"bitbucket-oidc/internal/trust"
)

// longestControl is the longest that a resource control policy can be, in characters.
// Source: AWS Organizations User Guide, "Quotas for AWS Organizations".
const longestControl = 5120

// A Control is a resource control policy of an AWS organisation. It denies, whatever a role's trust policy allows, and never allows.
// Source: AWS Organizations User Guide, "Resource control policies (RCPs)" and "RCP syntax".
type Control struct {
	file   string
	policy policy
}

// ReadControl reads a resource control policy: an object, or a string that contains one, as `aws organizations describe-policy` prints it.
// A policy that AWS would not store is not an error here: it is not certain that it denies anything.
func ReadControl(f *document.File) (Control, error) {
	if f.Root.Is(document.Object) {
		return Control{f.Name, file{data: f.Data, control: true}.policy(f.Root)}, nil
	}
	if !f.Root.Is(document.String) {
		return Control{}, errors.New("a resource control policy whose Content is neither an object nor a string")
	}
	root, err := document.Parse([]byte(f.Root.Text))
	if err != nil {
		return Control{}, errors.New("a resource control policy whose Content is not a JSON object")
	}
	return Control{f.Name, file{data: []byte(f.Root.Text), control: true}.policy(root)}, nil
}

// Under has the role judged together with resource control policies that are attached to its account. It must be called before the first
// judgement.
func (r *Role) Under(controls []Control) { r.role.controls = controls }

// statements are the statements of the role's policy, followed by the statements of the resource control policies.
func (r role) statements() []statement {
	all := slices.Clone(r.policy.statements)
	for _, c := range r.controls {
		all = append(all, c.policy.statements...)
	}
	return all
}

// resources reads the resources and the principal of a statement of a resource control policy.
func (d file) resources(p *policy, n *document.Node, s *statement) {
	resources, not := n.Get("Resource"), n.Get("NotResource")
	if (resources == nil) == (not == nil) {
		p.refuse("", s.path, "a statement has either Resource or NotResource")
	}
	s.notResource = resources == nil
	if resources == nil {
		resources = not
	}
	var ok bool
	if s.resources, ok = texts(resources); resources == nil || !ok {
		p.refuse("", s.path, "resources are strings")
	}
	if who := n.Get("Principal"); !who.Is(document.String) || who.Text != "*" {
		p.refuse("", under(s.path, "Principal"), `the principal of a resource control policy is "*"`)
	}
	if n.Get("NotAction") != nil {
		p.refuse("", under(s.path, "NotAction"), "NotAction has no place in a resource control policy")
	}
}

// control evaluates a statement of a resource control policy, apart from its conditions. It is about every principal. If AWS would not
// store the policy, it is not known which policy is in force instead.
func (j *roleJudgement) control(c Control, s statement) judgedStatement {
	about, why := j.request.about(s, j.role, c.policy.variables)
	judged := judgedStatement{statement: s, names: trust.Yes, covers: min(s.covers(), about), why: why}
	if s.effect != "Deny" {
		judged.covers = trust.No
	}
	if len(c.policy.refusals) > 0 && judged.covers == trust.Yes {
		judged.covers, judged.why = trust.Unknown, "a resource control policy that AWS would not store as it stands"
	}
	judged.matches = judged.covers
	return judged
}

// about reports whether a statement is about the role's own ARN, and why that is unknown.
func (r request) about(s statement, role role, variables bool) (trust.Truth, string) {
	about := trust.No
	for _, resource := range s.resources {
		p, state := r.expand(resource, true, variables)
		about = max(about, min(state, matchRole(p, role)))
	}
	if s.notResource {
		about = about.Not()
	}
	if about != trust.Unknown {
		return about, ""
	}
	return about, "whether the policy's Resource matches the role's ARN, which the file does not contain or AWS may compare in another way"
}

// matchRole compares a pattern with the ARN of a role, part by part. It is unknown whether AWS accepts a match of the whole text in which
// a wildcard crosses the borders of parts.
func matchRole(p pattern, role role) trust.Truth {
	if len(p) > 0 && !slices.ContainsFunc(p, func(r rune) bool { return r != many }) {
		return trust.Yes
	}
	if role.arn == "" || role.account == setup.AccountID {
		if parts := p.parts(6); len(parts) == 6 && !parts[2].matches("iam") {
			return trust.No
		}
		return trust.Unknown
	}
	got := matchARN(p, role.arn)
	if got == trust.No && p.matches(role.arn) {
		return trust.Unknown
	}
	return got
}

// denials are the statements of resource control policies that are about the role.
func (j *roleJudgement) denials() []judgedStatement {
	var all []judgedStatement
	for _, c := range j.role.controls {
		for _, s := range c.policy.statements {
			judged := j.control(c, s)
			if judged.covers == trust.No {
				continue
			}
			j.hold(&judged, c.policy.variables)
			judged.path = c.file + ": " + judged.path
			all = append(all, judged)
		}
	}
	return all
}

// limited is a verdict after resource control policies, which can only deny.
func (j *roleJudgement) limited(v trust.Verdict, reason string) (trust.Verdict, string) {
	if v == trust.Deny {
		return v, reason
	}
	s, denies := strongest(j.denied, "Deny")
	switch {
	case denies == trust.Yes:
		return trust.Deny, "A resource control policy denies this identity" + at(s.path) + "."
	case denies == trust.Unknown && v == trust.Allow:
		return trust.Undecided, "Whether a resource control policy denies this identity" + at(s.path) + " depends on " + s.why + "."
	}
	return v, reason
}
