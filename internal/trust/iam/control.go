package iam

import (
	"errors"
	"slices"

	"bitbucket-oidc/internal/document"
	"bitbucket-oidc/internal/setup"
	"bitbucket-oidc/internal/trust"
)

// longestControl is how many characters a resource control policy can have.
// Source: AWS Organizations User Guide, "Quotas for AWS Organizations".
const longestControl = 5120

// A Control is a resource control policy of an AWS organisation. It denies, whatever a role's trust policy allows, and never allows.
// Source: AWS Organizations User Guide, "Resource control policies (RCPs)" and "RCP syntax".
type Control struct {
	file   string
	policy policy
}

// ReadControl reads a resource control policy: an object, or a text with one, as `aws organizations describe-policy` has it. What AWS
// would refuse to store in it is no error: such a policy denies nothing for certain.
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

// Under makes the role be judged together with resource control policies that are attached to its account. It must come before the
// first judgement.
func (r *Role) Under(controls []Control) { r.role.controls = controls }

// statements are those of the role's policy, and behind them those of the controls.
func (r role) statements() []statement {
	all := slices.Clone(r.policy.statements)
	for _, c := range r.controls {
		all = append(all, c.policy.statements...)
	}
	return all
}

// resources reads whom a statement of a resource control policy is about, and on which resources.
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

// control evaluates a Deny of a resource control policy, without its conditions: it is about every principal. Of a policy that AWS would
// not store, it is not known what is in force in its place.
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
	return about, "whether the policy's Resource is the role, whose ARN the file does not say or AWS may compare in another way"
}

// matchRole compares a pattern with a role's ARN, part by part. What matches only as a whole text, past the borders of parts, is unknown.
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

// denials evaluates what the resource control policies say of the role.
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

// limited is a verdict within what resource control policies leave of it.
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
