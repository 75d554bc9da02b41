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

// isPolicy reports whether an object is a policy: it has what every policy has.
func isPolicy(n *document.Node) bool {
	version, _ := scalar(n.Get("Version"))
	return n.Get("Statement") != nil || version == "2012-10-17" || version == "2008-10-17"
}

// canTrust reports whether a provider can be in the role's own account: IAM accepts no other. A placeholder stands for any account.
func (r role) canTrust(p providerARN) bool {
	partition := p.partition == "aws" || strings.HasPrefix(p.partition, "aws-")
	if !partition || r.partition != "" && r.partition != p.partition || !isAccount(p.account) {
		return false
	}
	return r.account == "" || r.account == p.account || r.account == setup.AccountID || p.account == setup.AccountID
}

// A role is what a file says about an IAM role. Only the policy is sure to be there.
type role struct {
	name       string
	arn        string
	partition  string
	account    string
	maxSession string // seconds, as written
	policy     policy
	controls   []Control // resource control policies of the account
}

// A file is the text around a policy.
type file struct {
	data    []byte
	control bool // the policy is a resource control policy
}

// scalar is a string, a number as written, or a boolean.
func scalar(n *document.Node) (string, bool) {
	if n.Is(document.String) || n.Is(document.Number) || n.Is(document.Bool) {
		return n.Text, true
	}
	return "", false
}

// scalars is a scalar, or a list of them.
func scalars(n *document.Node) ([]string, bool) {
	if !n.Is(document.List) {
		one, ok := scalar(n)
		return []string{one}, ok
	}
	values := make([]string, 0, len(n.Items))
	for _, item := range n.Items {
		value, ok := scalar(item)
		if !ok {
			return nil, false
		}
		values = append(values, value)
	}
	return values, true
}

// texts is a string, or a list of strings.
func texts(n *document.Node) ([]string, bool) {
	items := []*document.Node{n}
	if n.Is(document.List) {
		items = n.Items
	}
	if slices.ContainsFunc(items, func(item *document.Node) bool { return !item.Is(document.String) }) {
		return nil, false
	}
	return scalars(n)
}

// role reads one entry of what `aws iam get-role` and `list-roles` print.
func (d file) role(n *document.Node) (role, error) {
	var r role
	r.name, _ = scalar(n.Get("RoleName"))
	r.maxSession, _ = scalar(n.Get("MaxSessionDuration"))
	if arn, ok := scalar(n.Get("Arn")); ok {
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
	if n.Is(document.Object) {
		return d.policy(n), nil
	}
	if !n.Is(document.String) {
		return policy{}, errors.New("AssumeRolePolicyDocument is neither an object nor a string")
	}
	text := strings.TrimSpace(n.Text)
	encoded := strings.HasPrefix(text, "%")
	if encoded {
		decoded, err := url.PathUnescape(text)
		if err != nil {
			return policy{}, errors.New("AssumeRolePolicyDocument: not URL-encoded")
		}
		text = decoded
	}
	root, err := document.Parse([]byte(text))
	if err != nil && encoded { // spaces may be encoded as a form has them
		text = strings.ReplaceAll(text, "+", " ")
		root, err = document.Parse([]byte(text))
	}
	if err != nil {
		return policy{}, fmt.Errorf("AssumeRolePolicyDocument: %w", err)
	}
	return file{data: []byte(text)}.policy(root), nil
}
