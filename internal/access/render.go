package access

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"bitbucket-oidc/internal/document"
)

// A Policy is the document that lets in exactly the steps to which the map grants one target.
type Policy struct {
	Target Target
	Body   any // as the cloud stores it: marshals to JSON

	session time.Duration
}

// A Rendering is the map as the clouds would store it.
type Rendering struct {
	Policies  []Policy
	Providers []Provider // of Google, which the policies rest on
	Notes     []string   // what to know of it: one sentence each, such as that a target has no policy, and why
}

// Render renders the targets with these names, or every target if there are none; of these, only those of a kind if one is given. It
// fails if a cloud would not store a policy, and if a cloud cannot express what the map says; failures are joined. Grants that are
// expired at now are left out.
func (m *Map) Render(names []string, kind Kind, now time.Time) (Rendering, error) {
	var r Rendering
	var errs []error
	for _, name := range names {
		if !m.Names(name) {
			errs = append(errs, fmt.Errorf("%s: %s: no grant names this target", m.File, name))
		}
	}
	for _, t := range m.targets(names) {
		grants := m.Of(t.Name, now)
		switch {
		case kind != "" && t.Kind != kind:
			continue
		case len(grants) == 0: // nobody may become the target
			r.Notes = append(r.Notes, t.Name+": every grant has expired.")
			continue
		case t.Kind == OktaConnection && len(names) == 0: // the rest of the map is still worth printing
			r.Notes = append(r.Notes, fmt.Sprintf("%s: %v.", t.Name, errOkta))
			continue
		}
		body, err := m.render(t, grants)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %s: %w", m.File, t.Name, err))
			continue
		}
		if n := len(document.Tight(body)); t.Kind == AWSRole && n > usualTrustPolicy {
			r.Notes = append(r.Notes, fmt.Sprintf("%s: the trust policy has %d characters: without a raised quota AWS stores %d.", t.Name, n, usualTrustPolicy))
		}
		r.Policies = append(r.Policies, Policy{t, body, m.Session(t.Name)})
	}
	r.Providers = m.providers(r.Policies, now)
	return r, errors.Join(errs...)
}

// targets are those with these names, each once, or all.
func (m *Map) targets(names []string) []Target {
	if len(names) == 0 {
		return m.Targets()
	}
	var all []Target
	for _, name := range names {
		twice := slices.ContainsFunc(all, func(t Target) bool { return t.Name == name })
		if t, ok := ParseTarget(name); ok && m.Names(name) && !twice {
			all = append(all, t)
		}
	}
	return all
}

func (m *Map) render(t Target, grants []Grant) (any, error) {
	switch t.Kind {
	case AWSRole:
		return m.trustPolicy(t, grants)
	case ServiceAccount:
		return m.iamPolicy(grants)
	case VaultRole:
		return m.vaultRole(t, grants)
	}
	return nil, errOkta
}

var errOkta = errors.New("an Okta connection takes one identity: use the connection that explain prints")

// Session is how long the map lets sessions of a target last, or zero where it does not say.
func (m *Map) Session(target string) time.Duration {
	var longest time.Duration
	for _, g := range m.Naming(target) {
		longest = max(longest, g.Session)
	}
	return longest
}

// granted lists who gets in by these grants. Steps that another entry already contains are left out.
func granted(grants []Grant) []Who {
	var all []Who
	for _, g := range grants {
		for _, w := range g.Who {
			if !slices.ContainsFunc(all, func(o Who) bool { return o.String() == w.String() }) {
				all = append(all, w)
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(all), func(w Who) bool {
		return w.Environment != AnyEnvironment && slices.ContainsFunc(all, func(o Who) bool {
			return o.Environment == AnyEnvironment && o.Repository.UUID == w.Repository.UUID
		})
	})
}

// The limits of what IAM stores, in characters without white space (IAM and AWS STS quotas). The default quota of a trust policy is
// 2,048; 4,096 is the most that AWS grants.
const (
	usualTrustPolicy   = 2048
	longestTrustPolicy = 4096
	longestRCP         = 5120
)

// longestSession is the longest MaxSessionDuration that IAM stores (IAM API, CreateRole).
const longestSession = 12 * time.Hour

// A trustPolicy is a policy of IAM. Its fields are in the order in which AWS prints them.
type trustPolicy struct {
	Version   string
	Statement []trustStatement
}

type trustStatement struct {
	Sid       string `json:",omitempty"`
	Effect    string
	Principal any
	Action    string
	Resource  string `json:",omitempty"`
	Condition map[string]map[string]any
}

const webIdentity = "sts:AssumeRoleWithWebIdentity"

// trustPolicy is the trust policy of an AWS role.
func (m *Map) trustPolicy(t Target, grants []Grant) (any, error) {
	issuer := strings.TrimPrefix(m.Workspace.Issuer(), "https://")
	var subjects []string
	for _, w := range granted(grants) {
		subjects = append(subjects, w.Subject())
	}
	// AWS does not say how a plain operator compares a list of audiences.
	operator := "StringEquals"
	if slices.ContainsFunc(grants, func(g Grant) bool { return len(g.Audiences) > 0 }) {
		operator = "ForAnyValue:StringEquals"
	}
	policy := trustPolicy{Version: "2012-10-17", Statement: []trustStatement{{
		Effect:    "Allow",
		Principal: map[string]string{"Federated": fmt.Sprintf("arn:%s:iam::%s:oidc-provider/%s", t.Partition, t.Account, issuer)},
		Action:    webIdentity,
		Condition: map[string]map[string]any{
			operator:     {issuer + ":aud": m.Workspace.Audience()},
			"StringLike": {issuer + ":sub": oneOrMore(subjects)},
		},
	}}}
	if m.Session(t.Name) > longestSession {
		return nil, errors.New("its session is longer than 12 hours, the most that AWS stores for a role")
	}
	if n := len(document.Tight(policy)); n > longestTrustPolicy {
		return nil, fmt.Errorf("the trust policy would have %d characters, and AWS stores %d: grant the repositories of several roles", n, longestTrustPolicy)
	}
	return policy, nil
}

// RCP is a resource control policy that keeps every repository out of every role of the organisation, except the repositories to
// which the map grants an AWS role. It names no role, so it also holds for roles that are made later.
//
// Source of the form: AWS, data-perimeter-policy-examples, EnforceTrustedOIDCTenants. That a resource control policy has 5,120
// characters at most is not confirmed.
func (m *Map) RCP(now time.Time) (any, error) {
	key := strings.TrimPrefix(m.Workspace.Issuer(), "https://") + ":sub"
	var subjects []string
	for _, t := range m.Targets() {
		if t.Kind != AWSRole {
			continue
		}
		for _, w := range m.Granted(t.Name, now) {
			if s := w.Repository.UUID + ":*"; !slices.Contains(subjects, s) {
				subjects = append(subjects, s)
			}
		}
	}
	if len(subjects) == 0 {
		return nil, fmt.Errorf("%s: no grant names an AWS role", m.File)
	}
	slices.Sort(subjects)
	policy := trustPolicy{Version: "2012-10-17", Statement: []trustStatement{{
		Sid: "BitbucketOnlyWhatTheMapGrants", Effect: "Deny", Principal: "*", Action: webIdentity, Resource: "*",
		Condition: map[string]map[string]any{
			"Null":                  {key: "false"},
			"StringNotLikeIfExists": {key: oneOrMore(subjects)},
		},
	}}}
	if n := len(document.Tight(policy)); n > longestRCP {
		return nil, fmt.Errorf("%s: the resource control policy would have %d characters, and AWS stores %d: write one map for each organisational unit", m.File, n, longestRCP)
	}
	return policy, nil
}

func oneOrMore(texts []string) any {
	if len(texts) == 1 {
		return texts[0]
	}
	return texts
}
