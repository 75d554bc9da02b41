package iam

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"bitbucket-oidc/internal/document"
	"bitbucket-oidc/internal/setup"
)

// isPolicy tells whether an object is a policy by what every policy has.
func (d file) isPolicy(n *document.Node) bool {
	version, _ := d.scalar(n.Get("Version"))
	return n.Get("Statement") != nil || version == "2012-10-17" || version == "2008-10-17"
}

// canTrust tells whether the provider can be one of the role's own account: IAM takes no other. A placeholder stands for any
// account.
func (r role) canTrust(p providerARN) bool {
	partition := p.partition == "aws" || strings.HasPrefix(p.partition, "aws-")
	if !partition || r.partition != "" && r.partition != p.partition || !isAccount(p.account) {
		return false
	}
	return r.account == "" || r.account == p.account || r.account == setup.AccountID || p.account == setup.AccountID
}

// An role is what a file says of an IAM role. Only the policy is sure to be there.
type role struct {
	name       string
	arn        string
	partition  string
	account    string
	maxSession string // seconds, as written
	policy     policy
}

// An file is a file that was read, and its values in it.
type file struct{ data []byte }

// readDocument reads a JSON object.
func readDocument(data []byte) (file, *document.Node, error) {
	root, err := document.Parse(data)
	return file{data}, root, err
}

// kind is the first character of a value, by which JSON tells kinds apart.
func (d file) kind(n *document.Node) byte {
	if n == nil {
		return 0
	}
	return d.data[n.Start]
}

// scalar is a string, a number as written, or a boolean.
func (d file) scalar(n *document.Node) (string, bool) {
	switch d.kind(n) {
	case '"':
		return n.Text, true
	case 0, '{', '[', 'n':
		return "", false
	}
	rest := d.data[n.Start:]
	end := slices.IndexFunc(rest, func(b byte) bool { return strings.IndexByte(" \t\r\n,]}", b) >= 0 })
	return string(rest[:max(end, 0)]), true
}

// scalars is a scalar, or a list of them.
func (d file) scalars(n *document.Node) ([]string, bool) {
	if d.kind(n) != '[' {
		one, ok := d.scalar(n)
		return []string{one}, ok
	}
	values := make([]string, 0, len(n.Items))
	for _, item := range n.Items {
		value, ok := d.scalar(item)
		if !ok {
			return nil, false
		}
		values = append(values, value)
	}
	return values, true
}

// texts is a string, or a list of strings.
func (d file) texts(n *document.Node) ([]string, bool) {
	items := []*document.Node{n}
	if d.kind(n) == '[' {
		items = n.Items
	}
	if slices.ContainsFunc(items, func(item *document.Node) bool { return d.kind(item) != '"' }) {
		return nil, false
	}
	return d.scalars(n)
}

// role reads one entry of what `aws iam get-role` and `list-roles` print.
func (d file) role(n *document.Node) (role, error) {
	var r role
	r.name, _ = d.scalar(n.Get("RoleName"))
	r.maxSession, _ = d.scalar(n.Get("MaxSessionDuration"))
	if arn, ok := d.scalar(n.Get("Arn")); ok {
		r.arn = arn
		if parts := strings.SplitN(arn, ":", 6); len(parts) == 6 {
			r.partition, r.account = parts[1], parts[4]
		}
	}
	var err error
	r.policy, err = d.rolePolicy(n.Get("AssumeRolePolicyDocument"))
	return r, err
}

// rolePolicy reads an AssumeRolePolicyDocument: the CLI prints an object, the API has it URL-encoded (IAM API Reference, Role),
// and tools between them have it as a string of JSON.
func (d file) rolePolicy(n *document.Node) (policy, error) {
	if d.kind(n) == '{' {
		return d.policy(n), nil
	}
	if d.kind(n) != '"' {
		return policy{}, errors.New("AssumeRolePolicyDocument is neither an object nor a string")
	}
	text := strings.TrimSpace(n.Text)
	if strings.HasPrefix(text, "%") {
		decoded, err := url.PathUnescape(text)
		if err != nil {
			return policy{}, errors.New("AssumeRolePolicyDocument: not URL-encoded")
		}
		text = decoded
	}
	inner, root, err := readDocument([]byte(text))
	if err != nil {
		return policy{}, fmt.Errorf("AssumeRolePolicyDocument: %w", err)
	}
	return inner.policy(root), nil
}
