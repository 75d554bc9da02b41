package collect

import (
	"errors"
	"slices"
	"strings"

	"bitbucket-oidc/internal/document"
)

func (t *taker) aws(f *document.File, n *document.Node, one bool) (bool, error) {
	switch {
	case isControl(n):
		t.add(Document{File: f.With(n), Kind: Control})
	case text(n.Get("Policy").Get("PolicySummary").Get("Type")) == "RESOURCE_CONTROL_POLICY": // aws organizations describe-policy
		t.add(Document{File: f.With(n.Get("Policy").Get("Content")), Kind: Control})
	case n.Get("RoleDetailList").Is(document.List): // aws iam get-account-authorization-details
		t.roles(f, n, n.Get("RoleDetailList").Items)
	case n.Get("Roles").Is(document.List):
		t.roles(f, n, n.Get("Roles").Items)
	case n.Get("Results").Is(document.List): // AWS Config
		return true, t.config(f, n.Get("Results").Items)
	case n.Has("configuration"):
		return true, t.item(f, n)
	case n.Get("OpenIDConnectProviderList").Is(document.List):
		t.add(Document{File: f.With(n), Kind: Providers, Whole: true})
	case n.Get("rows").Is(document.List): // Steampipe, since 0.22
		return true, t.rows(f, n.Get("rows"))
	case n.Has("assume_role_policy", "assume_role_policy_std", "client_id_list"):
		t.row(f, n)
	case one && n.Has("AssumeRolePolicyDocument") || one && n.Has("RoleName", "Arn") && strings.Contains(text(n.Get("Arn")), ":role/"):
		t.roles(f, n, []*document.Node{n})
	default:
		return false, nil
	}
	return true, nil
}

// isControl reports whether a policy is a resource control policy and no trust policy: each statement denies something to every principal
// and says on what, which a trust policy never does.
func isControl(n *document.Node) bool {
	statements := n.Get("Statement")
	all := []*document.Node{statements}
	if statements.Is(document.List) {
		all = statements.Items
	}
	return len(all) > 0 && !slices.ContainsFunc(all, func(s *document.Node) bool {
		return !s.Is(document.Object) || text(s.Get("Effect")) != "Deny" || text(s.Get("Principal")) != "*" || !s.Has("Resource") && !s.Has("NotResource")
	})
}

// roles adds the roles of an account. Of a role without a policy only the name is known: nobody of Bitbucket becomes it.
func (t *taker) roles(f *document.File, n *document.Node, roles []*document.Node) {
	trusting := []*document.Node{}
	var names []string
	for _, r := range roles {
		if arn := text(r.Get("Arn")); arn != "" && !r.Has("AssumeRolePolicyDocument") {
			names = append(names, arn)
		} else {
			trusting = append(trusting, r)
		}
	}
	t.add(Document{File: f.With(n.New(document.Member{Name: "Roles", Value: n.List(trusting...)})), Names: names, Whole: true})
}

// config are the results of aws configservice select-resource-config and select-aggregate-resource-config: each is a text with JSON.
func (t *taker) config(f *document.File, results []*document.Node) error {
	if len(results) == 0 {
		return errEmpty
	}
	for _, r := range results {
		n := r
		if r.Is(document.String) {
			var err error
			if n, err = inner(r); err != nil {
				return err
			}
		}
		if err := t.item(f, n); err != nil {
			return err
		}
	}
	return nil
}

// item is a configuration item. Items of roles have keys in camelCase and the policy URL-encoded, items of providers have keys in
// PascalCase (awslabs/aws-config-resource-schema). A query that selects single properties has them flat or nested.
func (t *taker) item(f *document.File, n *document.Node) error {
	if strings.HasPrefix(text(n.Get("configurationItemStatus")), "ResourceDeleted") {
		return nil // it no longer exists
	}
	c := n.Get("configuration")
	if c.Is(document.String) { // as the console exports it
		parsed, err := inner(c)
		if err != nil {
			return err
		}
		c = parsed
	}
	switch {
	case !c.Is(document.Object):
		return errors.New("a configuration item without its configuration: select configuration as well")
	case c.Has("assumeRolePolicyDocument"):
		arn := c.Get("arn")
		if arn == nil {
			arn = n.Get("arn")
		}
		name := c.Get("roleName")
		if name == nil {
			name = nameOf(arn)
		}
		t.roles(f, n, []*document.Node{n.New(
			document.Member{Name: "RoleName", Value: name}, document.Member{Name: "Arn", Value: arn},
			document.Member{Name: "MaxSessionDuration", Value: c.Get("maxSessionDuration")},
			document.Member{Name: "AssumeRolePolicyDocument", Value: policyText(c.Get("assumeRolePolicyDocument"))},
		)})
	case c.Has("Url", "ClientIdList"):
		arn := c.Get("Arn")
		if arn == nil {
			arn = n.Get("arn")
		}
		t.provider(f, n, arn, c.Get("Url"), c.Get("ClientIdList"))
	case strings.Contains(text(n.Get("resourceType")), "IAM::Role") || strings.Contains(text(c.Get("arn")), ":role/"):
		return errors.New("a role without assumeRolePolicyDocument: select configuration.assumeRolePolicyDocument as well")
	}
	return nil
}

func nameOf(arn *document.Node) *document.Node {
	if !arn.Is(document.String) {
		return nil
	}
	return arn.String(arn.Text[strings.LastIndexByte(arn.Text, '/')+1:])
}

// provider is an OIDC provider. AWS's own tool prints the URL of a provider without the scheme.
func (t *taker) provider(f *document.File, n, arn, url, clients *document.Node) {
	if url.Is(document.String) {
		url = url.String(strings.TrimPrefix(url.Text, "https://"))
	}
	if clients == nil || clients.Is(document.Null) {
		clients = n.List()
	}
	t.add(Document{File: f.With(n.New(
		document.Member{Name: "OpenIDConnectProviderArn", Value: arn}, document.Member{Name: "Url", Value: url}, document.Member{Name: "ClientIDList", Value: clients},
	))})
}

// rows are the rows of steampipe query --output json.
func (t *taker) rows(f *document.File, rows *document.Node) error {
	if len(rows.Items) == 0 {
		return errEmpty
	}
	for _, row := range rows.Items {
		if !row.Is(document.Object) {
			return errors.New("a row that is no object: query with --output json")
		}
		if err := t.value(f, row, true); err != nil {
			return err
		}
	}
	return nil
}

// row is a row of Steampipe's aws_iam_role, or of aws_iam_open_id_connect_provider.
func (t *taker) row(f *document.File, n *document.Node) {
	if n.Has("client_id_list") {
		t.provider(f, n, n.Get("arn"), n.Get("url"), n.Get("client_id_list"))
		return
	}
	name := n.Get("name")
	if name == nil {
		name = nameOf(n.Get("arn"))
	}
	policy := n.Get("assume_role_policy")
	if policy == nil || policy.Is(document.Null) {
		policy = n.Get("assume_role_policy_std")
	}
	t.roles(f, n, []*document.Node{n.New(
		document.Member{Name: "RoleName", Value: name}, document.Member{Name: "Arn", Value: n.Get("arn")},
		document.Member{Name: "MaxSessionDuration", Value: n.Get("max_session_duration")},
		document.Member{Name: "AssumeRolePolicyDocument", Value: policy},
	)})
}
