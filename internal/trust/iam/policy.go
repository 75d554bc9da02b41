package iam

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"bitbucket-oidc/internal/document"
)

// A policy is the trust policy of a role, or a resource control policy.
type policy struct {
	size       int  // in characters, as IAM counts them against its quota
	variables  bool // whether its version knows policy variables
	statements []statement
	refusals   []refusal // why IAM would not store it
}

// A refusal is a reason for which IAM would not store a policy.
type refusal struct {
	rule string // empty where no rule is about it
	path string
	why  string // the end of "AWS would not store this policy: "
}

// A statement is one statement of a policy.
type statement struct {
	path       string // such as Statement[0]
	effect     string
	principals principals
	actions    []string
	notAction  bool // the statement is about all actions but these
	conditions []condition

	// Only statements of resource control policies have these.
	resources   []string
	notResource bool // the statement is about all resources but these
}

// principals say who a statement is about, as far as web identities are concerned.
type principals struct {
	federated []string
	everyone  bool // {"AWS": "*"}
	others    bool // accounts, roles, services
}

// A condition is one operator on one key.
type condition struct {
	path   string // the path of the operator
	name   string // the name of the operator, as written
	key    string // as written
	lower  string // the key in lower case: key names have no case
	values []string
	operator
}

// These are the quotas for the length of a trust policy, in characters: the highest to which AWS raises it, and the default.
// Source: IAM User Guide, "IAM and AWS STS quotas".
const (
	longestPolicy = 4096
	defaultPolicy = 2048
)

// policy reads a policy, and what IAM would refuse in it.
// Source: IAM User Guide, "Grammar of the IAM JSON policy language"; what a trust policy cannot have is in "IAM Access
// Analyzer policy check reference", the checks named "Role trust policy …".
func (d file) policy(n *document.Node) policy {
	p := policy{size: d.size(n)}
	longest := longestPolicy
	if d.control {
		longest = longestControl
	}
	if p.size > longest {
		p.refuse("aws-policy-too-long", "", fmt.Sprintf("it has %d characters, and IAM stores at most %d", p.size, longest))
	}
	p.onlyMembers(n, "", "Version", "Id", "Statement")
	if version := n.Get("Version"); version != nil {
		text, _ := scalar(version)
		p.variables = text == "2012-10-17"
		if !p.variables && text != "2008-10-17" {
			p.refuse("", "Version", "there is no such version of the policy language")
		}
	}
	switch statements := n.Get("Statement"); {
	case statements.Is(document.Object):
		p.statements = append(p.statements, d.statement(&p, statements, "Statement[0]"))
	case statements.Is(document.List):
		for i, item := range statements.Items {
			path := fmt.Sprintf("Statement[%d]", i)
			if !item.Is(document.Object) {
				p.refuse("", path, "a statement is an object")
				continue
			}
			p.statements = append(p.statements, d.statement(&p, item, path))
		}
	default:
		p.refuse("", "Statement", "it has no statements")
	}
	return p
}

func (p *policy) refuse(rule, path, why string) {
	p.refusals = append(p.refusals, refusal{rule, path, why})
}

// onlyMembers refuses members that an object of the policy language does not have. Their names are case-sensitive.
func (p *policy) onlyMembers(n *document.Node, path string, names ...string) {
	for _, m := range n.Members {
		if !slices.Contains(names, m.Name) {
			p.refuse("", under(path, m.Name), fmt.Sprintf("%.40q is no element of the policy language here", m.Name))
		}
	}
}

// under is the path of a member.
func under(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func (d file) statement(p *policy, n *document.Node, path string) statement {
	s := statement{path: path}
	p.onlyMembers(n, path, "Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition")
	s.effect, _ = scalar(n.Get("Effect"))
	if s.effect != "Allow" && s.effect != "Deny" {
		p.refuse("", under(path, "Effect"), "Effect is Allow or Deny")
	}
	if d.control {
		d.resources(p, n, &s)
	} else {
		for _, name := range []string{"Resource", "NotResource"} {
			if n.Get(name) != nil {
				p.refuse("aws-principal", under(path, name), name+" has no place in a trust policy, which is about its own role")
			}
		}
		s.principals = d.principals(p, n, path)
	}
	d.actions(p, n, &s)
	if conditions := n.Get("Condition"); conditions.Is(document.Object) {
		for _, m := range conditions.Members {
			d.conditions(p, m, &s)
		}
	} else if conditions != nil {
		p.refuse("", under(path, "Condition"), "Condition is an object")
	}
	return s
}

func (d file) principals(p *policy, n *document.Node, path string) principals {
	if n.Get("NotPrincipal") != nil {
		p.refuse("aws-principal", under(path, "NotPrincipal"), "NotPrincipal has no place in a trust policy")
	}
	var who principals
	entries := n.Get("Principal")
	path = under(path, "Principal")
	switch {
	case entries == nil && n.Get("NotPrincipal") != nil:
		return who
	case entries != nil && entries.Text == "*":
		p.refuse("aws-principal", path, `a trust policy names principals, and "*" is no name`)
		return who
	case !entries.Is(document.Object):
		p.refuse("aws-principal", path, "a statement of a trust policy has a Principal, which is an object")
		return who
	}
	for _, m := range entries.Members {
		names, ok := texts(m.Value)
		if !ok || !slices.Contains([]string{"AWS", "Federated", "Service", "CanonicalUser"}, m.Name) {
			p.refuse("aws-principal", path, fmt.Sprintf("%.40q is no kind of principal with a list of names", m.Name))
			continue
		}
		for _, name := range names { // IAM User Guide, "AWS JSON policy elements: Principal", of names in parts
			if strings.ContainsAny(name, "*?") && !(m.Name == "AWS" && name == "*") {
				p.refuse("aws-principal", path, fmt.Sprintf("%.200q has a wildcard, and no wildcard stands for a part of a principal's name", name))
			}
		}
		switch m.Name {
		case "AWS":
			who.everyone = who.everyone || slices.Contains(names, "*")
			who.others = who.others || slices.ContainsFunc(names, func(name string) bool { return name != "*" })
		case "Federated":
			who.federated = append(who.federated, names...)
		default:
			who.others = true
		}
	}
	return who
}

func (d file) actions(p *policy, n *document.Node, s *statement) {
	actions, not := n.Get("Action"), n.Get("NotAction")
	if (actions == nil) == (not == nil) {
		p.refuse("", s.path, "a statement has either Action or NotAction")
	}
	if actions == nil {
		actions, s.notAction = not, not != nil
	}
	if actions == nil {
		return
	}
	var ok bool
	if s.actions, ok = texts(actions); !ok {
		p.refuse("", s.path, "actions are strings")
	}
}

// conditions reads the keys and values of one operator.
func (d file) conditions(p *policy, m document.Member, s *statement) {
	path := s.path + ".Condition." + m.Name
	op, known := parseOperator(m.Name)
	if !known {
		p.refuse("", path, fmt.Sprintf("%.60q is no condition operator", m.Name))
	}
	if !m.Value.Is(document.Object) {
		p.refuse("", path, "a condition operator has an object of keys and values")
		return
	}
	for _, key := range m.Value.Members {
		values, ok := scalars(key.Value)
		if !ok {
			p.refuse("", path, fmt.Sprintf("the values of %.100q are not strings, numbers or booleans", key.Name))
		}
		s.conditions = append(s.conditions, condition{
			path: path, name: m.Name, key: key.Name, lower: fold(key.Name), values: values, operator: op,
		})
	}
}

// size counts characters without the white space between elements, as IAM does ("Grammar of the IAM JSON policy language", notes).
func (d file) size(n *document.Node) int {
	size, depth := 0, 0
	quoted, escaped := false, false
	for rest := d.data[n.Start:]; len(rest) > 0; {
		r, width := utf8.DecodeRune(rest)
		rest = rest[width:]
		if !quoted && strings.ContainsRune(" \t\r\n", r) {
			continue
		}
		size++
		switch {
		case escaped:
			escaped = false
		case r == '\\':
			escaped = true
		case r == '"':
			quoted = !quoted
		case quoted:
		case r == '{':
			depth++
		case r == '}':
			depth--
		}
		if depth == 0 {
			break
		}
	}
	return size
}
