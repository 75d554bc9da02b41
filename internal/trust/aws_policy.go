package trust

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// An iamRole is what a file says of an IAM role. Only the policy is sure to be there.
type iamRole struct {
	name       string
	partition  string
	account    string
	maxSession string // seconds, as written
	policy     iamPolicy
}

// An iamPolicy is a role's trust policy.
type iamPolicy struct {
	size       int  // in characters, as IAM counts them against its quota
	variables  bool // whether its version knows policy variables
	statements []iamStatement
	refusals   []iamRefusal // why IAM would not store it
}

// An iamRefusal is a reason for which IAM would not store a policy.
type iamRefusal struct {
	rule string // empty where no rule is about it
	path string
	why  string // goes on "AWS would not store it: "
}

// An iamStatement is one of a policy's.
type iamStatement struct {
	path       string // such as Statement[0]
	effect     string
	principals iamPrincipals
	actions    []string
	notAction  bool // actions are those that the statement leaves out
	conditions []iamCondition
}

// iamPrincipals are whom a statement is about, as far as it concerns web identities.
type iamPrincipals struct {
	federated []string
	everyone  bool // {"AWS": "*"}
}

// An iamCondition is one operator on one key.
type iamCondition struct {
	path   string // of the operator
	name   string // the operator's, as written
	key    string // as written
	lower  string // the key in lower case: key names have no case
	values []string
	iamOperator
}

// These are the lengths of a role's trust policy: what the quota can be raised to, and what it is by default.
// Source: IAM User Guide, "IAM and AWS STS quotas".
const (
	longestPolicy = 4096
	defaultPolicy = 2048
)

// An iamDocument is a file that was read, and its values in it.
type iamDocument struct{ data []byte }

// readDocument reads a JSON object.
func readDocument(data []byte) (iamDocument, *node, error) {
	root, err := parseDocument(data)
	return iamDocument{data}, root, err
}

// kind is the first character of a value, by which JSON tells kinds apart.
func (d iamDocument) kind(n *node) byte {
	if n == nil {
		return 0
	}
	return d.data[n.start]
}

// scalar is a string, a number as written, or a boolean.
func (d iamDocument) scalar(n *node) (string, bool) {
	switch d.kind(n) {
	case '"':
		return n.text, true
	case 0, '{', '[', 'n':
		return "", false
	}
	rest := d.data[n.start:]
	end := slices.IndexFunc(rest, func(b byte) bool { return strings.IndexByte(" \t\r\n,]}", b) >= 0 })
	return string(rest[:max(end, 0)]), true
}

// scalars is a scalar, or a list of them.
func (d iamDocument) scalars(n *node) ([]string, bool) {
	if d.kind(n) != '[' {
		one, ok := d.scalar(n)
		return []string{one}, ok
	}
	values := make([]string, 0, len(n.items))
	for _, item := range n.items {
		value, ok := d.scalar(item)
		if !ok {
			return nil, false
		}
		values = append(values, value)
	}
	return values, true
}

// texts is a string, or a list of strings.
func (d iamDocument) texts(n *node) ([]string, bool) {
	items := []*node{n}
	if d.kind(n) == '[' {
		items = n.items
	}
	if slices.ContainsFunc(items, func(item *node) bool { return d.kind(item) != '"' }) {
		return nil, false
	}
	return d.scalars(n)
}

// role reads one entry of what `aws iam get-role` and `list-roles` print.
func (d iamDocument) role(n *node) (iamRole, error) {
	var r iamRole
	r.name, _ = d.scalar(n.get("RoleName"))
	r.maxSession, _ = d.scalar(n.get("MaxSessionDuration"))
	if arn, ok := d.scalar(n.get("Arn")); ok {
		if parts := strings.SplitN(arn, ":", 6); len(parts) == 6 {
			r.partition, r.account = parts[1], parts[4]
		}
	}
	var err error
	r.policy, err = d.rolePolicy(n.get("AssumeRolePolicyDocument"))
	return r, err
}

// rolePolicy reads an AssumeRolePolicyDocument: the CLI prints an object, the API has it URL-encoded (IAM API Reference, Role),
// and tools between them have it as a string of JSON.
func (d iamDocument) rolePolicy(n *node) (iamPolicy, error) {
	if d.kind(n) == '{' {
		return d.policy(n), nil
	}
	if d.kind(n) != '"' {
		return iamPolicy{}, errors.New("AssumeRolePolicyDocument is neither an object nor a string")
	}
	text := strings.TrimSpace(n.text)
	if strings.HasPrefix(text, "%") {
		decoded, err := url.PathUnescape(text)
		if err != nil {
			return iamPolicy{}, errors.New("AssumeRolePolicyDocument: not URL-encoded")
		}
		text = decoded
	}
	inner, root, err := readDocument([]byte(text))
	if err != nil {
		return iamPolicy{}, fmt.Errorf("AssumeRolePolicyDocument: %w", err)
	}
	return inner.policy(root), nil
}

// policy reads a policy, and what IAM would refuse in it.
// Source: IAM User Guide, "Grammar of the IAM JSON policy language"; what a trust policy cannot have is in "IAM Access
// Analyzer policy check reference", the checks named "Role trust policy …".
func (d iamDocument) policy(n *node) iamPolicy {
	p := iamPolicy{size: d.size(n)}
	if p.size > longestPolicy {
		p.refuse("aws-policy-too-long", "", fmt.Sprintf("it has %d characters, and IAM takes %d at most", p.size, longestPolicy))
	}
	p.onlyMembers(n, "", "Version", "Id", "Statement")
	if version := n.get("Version"); version != nil {
		text, _ := d.scalar(version)
		p.variables = text == "2012-10-17"
		if !p.variables && text != "2008-10-17" {
			p.refuse("", "Version", "there is no such version of the policy language")
		}
	}
	switch statements := n.get("Statement"); d.kind(statements) {
	case '{':
		p.statements = append(p.statements, d.statement(&p, statements, "Statement[0]"))
	case '[':
		for i, item := range statements.items {
			path := fmt.Sprintf("Statement[%d]", i)
			if d.kind(item) != '{' {
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

func (p *iamPolicy) refuse(rule, path, why string) {
	p.refusals = append(p.refusals, iamRefusal{rule, path, why})
}

// onlyMembers refuses what an object of the policy language does not have. Names of elements have a case.
func (p *iamPolicy) onlyMembers(n *node, path string, names ...string) {
	for _, m := range n.members {
		if !slices.Contains(names, m.name) {
			p.refuse("", under(path, m.name), fmt.Sprintf("%.40q is no element of the policy language here", m.name))
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

func (d iamDocument) statement(p *iamPolicy, n *node, path string) iamStatement {
	s := iamStatement{path: path}
	p.onlyMembers(n, path, "Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition")
	s.effect, _ = d.scalar(n.get("Effect"))
	if s.effect != "Allow" && s.effect != "Deny" {
		p.refuse("", under(path, "Effect"), "Effect is Allow or Deny")
	}
	for _, name := range []string{"Resource", "NotResource"} {
		if n.get(name) != nil {
			p.refuse("aws-principal", under(path, name), name+" has no place in a trust policy, which is about its own role")
		}
	}
	s.principals = d.principals(p, n, path)
	d.actions(p, n, &s)
	if conditions := n.get("Condition"); d.kind(conditions) == '{' {
		for _, m := range conditions.members {
			d.conditions(p, m, &s)
		}
	} else if conditions != nil {
		p.refuse("", under(path, "Condition"), "Condition is an object")
	}
	return s
}

func (d iamDocument) principals(p *iamPolicy, n *node, path string) iamPrincipals {
	if n.get("NotPrincipal") != nil {
		p.refuse("aws-principal", under(path, "NotPrincipal"), "NotPrincipal has no place in a trust policy")
	}
	var who iamPrincipals
	entries := n.get("Principal")
	path = under(path, "Principal")
	switch {
	case entries == nil && n.get("NotPrincipal") != nil:
		return who
	case entries != nil && entries.text == "*":
		p.refuse("aws-principal", path, `a trust policy names principals, and "*" is no name`)
		return who
	case d.kind(entries) != '{':
		p.refuse("aws-principal", path, "a statement of a trust policy has a Principal, which is an object")
		return who
	}
	for _, m := range entries.members {
		names, ok := d.texts(m.value)
		if !ok || !slices.Contains([]string{"AWS", "Federated", "Service", "CanonicalUser"}, m.name) {
			p.refuse("aws-principal", path, fmt.Sprintf("%.40q is no kind of principal with a list of names", m.name))
			continue
		}
		switch m.name {
		case "AWS":
			who.everyone = who.everyone || slices.Contains(names, "*")
		case "Federated":
			who.federated = append(who.federated, names...)
		}
	}
	for _, name := range who.federated {
		if strings.ContainsAny(name, "*?") {
			p.refuse("aws-principal", path, "the name of an identity provider has no wildcards")
		}
	}
	return who
}

func (d iamDocument) actions(p *iamPolicy, n *node, s *iamStatement) {
	actions, not := n.get("Action"), n.get("NotAction")
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
	if s.actions, ok = d.texts(actions); !ok {
		p.refuse("", s.path, "actions are strings")
	}
}

// conditions reads what stands under one operator.
func (d iamDocument) conditions(p *iamPolicy, m member, s *iamStatement) {
	path := s.path + ".Condition." + m.name
	op, known := parseOperator(m.name)
	if !known {
		p.refuse("", path, fmt.Sprintf("%.60q is no condition operator", m.name))
	}
	if d.kind(m.value) != '{' {
		p.refuse("", path, "a condition operator has an object of keys and values")
		return
	}
	for _, key := range m.value.members {
		values, ok := d.scalars(key.value)
		if !ok {
			p.refuse("", path, fmt.Sprintf("the values of %.100q are not strings, numbers or booleans", key.name))
		}
		s.conditions = append(s.conditions, iamCondition{
			path: path, name: m.name, key: key.name, lower: strings.ToLower(key.name), values: values, iamOperator: op,
		})
	}
}

// size counts characters but no white space between them, as IAM does ("Grammar of the IAM JSON policy language", notes).
func (d iamDocument) size(n *node) int {
	size, depth := 0, 0
	quoted, escaped := false, false
	for rest := d.data[n.start:]; len(rest) > 0; {
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
