package wif

import (
	"context"
	"slices"
	"strings"
	"testing"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/document"
	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/trust"
	"bitbucket-oidc/internal/trust/trusttest"
)

// pairOf reads a provider and, if there is one, a policy beside it.
func pairOf(t testing.TB, provider, policy string) (*Provider, *Policy) {
	t.Helper()
	f, err := document.Read("provider.json", []byte(provider))
	if err != nil {
		t.Fatal(err)
	}
	p, ok, err := ReadProvider(f)
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	if policy == "" {
		return p, nil
	}
	if f, err = document.Read("policy.json", []byte(policy)); err != nil {
		t.Fatal(err)
	}
	q, ok, err := ReadPolicy(f)
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	p.Beside([]*Policy{q})
	q.Through(p)
	return p, q
}

func failing(results ...trust.Result) []string {
	var all []string
	for _, r := range results {
		for _, f := range r.Findings {
			if f.Severity == finding.Error {
				all = append(all, f.Rule)
			}
		}
	}
	return all
}

// Each condition mentions the repository, or means to, and lets in others.
func TestGCPConditionsThatLetInOthers(t *testing.T) {
	const r = trusttest.Repository
	for condition, sound := range map[string]bool{
		`assertion.repositoryUuid == '` + r + `'`:                                         true,
		`assertion.sub.startsWith('` + r + `:')`:                                          true,
		`assertion.repositoryUuid in ['` + r + `', '` + trusttest.Other + `']`:            true,
		`assertion.sub.split(':')[0] == '` + r + `'`:                                      true,
		`assertion.repositoryUuid.matches('^\\{` + strings.Trim(r, "{}") + `\\}$')`:       true,
		`assertion.repositoryUuid == '` + r + `' && assertion.branchName == 'main'`:       true,
		`assertion.repositoryUuid == '` + r + `' && assertion.branchName.startsWith('m')`: true,
		`attribute.repository_uuid == '` + r + `'`:                                        true,

		`true`:   false,
		`1 == 1`: false,
		`assertion.workspaceUuid == '{7baee083-4f25-4a97-8a9a-0fde1b623b45}'`:                 false,
		`assertion.iss.startsWith('https://api.bitbucket.org')`:                               false,
		`assertion.repositoryUuid == '` + r + `' || true`:                                     false,
		`assertion.repositoryUuid == '` + r + `' ? true : true`:                               false,
		`assertion.repositoryUuid != ''`:                                                      false,
		`has(assertion.repositoryUuid) ? assertion.repositoryUuid != '' : true`:               false,
		`size(assertion.repositoryUuid) > 0`:                                                  false,
		`assertion.repositoryUuid.matches('.*')`:                                              false,
		`assertion.repositoryUuid.contains('-')`:                                              false,
		`assertion.repositoryUuid.startsWith('{')`:                                            false,
		`assertion.repositoryUuid != '` + trusttest.Other + `'`:                               false,
		`assertion.repositoryUuid.matches('2e9e')`:                                            false,
		`assertion.repositoryUuid.startsWith('{2e9e')`:                                        false,
		`assertion.repositoryUuid < '{3'`:                                                     false,
		`attribute.repository_uuid != ''`:                                                     false,
		`google.subject.contains(':')`:                                                        false,
		`assertion.repositoryUuid == '` + r + `' || assertion.branchName == 'main'`:           false,
		`assertion.repositoryUuid == '` + r + `' || 'x' in assertion.aud`:                     false,
		`assertion.repositoryUuid == '` + r + `' || assertion.branchName == 'ma' + 'in'`:      false,
		`assertion.repositoryUuid == '` + r + `' || has(assertion.deploymentEnvironmentUuid)`: false,

		// other steps have values of their own for these claims, and some steps have claims that this one lacks
		`assertion.repositoryUuid == '` + r + `' || assertion.iat > 1900000000.0`:                                          false,
		`assertion.repositoryUuid == '` + r + `' || assertion.exp - assertion.iat != 3600.0`:                               false,
		`assertion.repositoryUuid == '` + r + `' || has(assertion.accountUuid)`:                                            false,
		`assertion.repositoryUuid == '` + r + `' || assertion.deploymentEnvironment == 'production'`:                       false,
		`assertion.repositoryUuid == '` + r + `' && assertion.exp > assertion.iat`:                                         true,
		`assertion.repositoryUuid == '` + r + `' && (has(assertion.pipelineRunUuid) || assertion.pipelineUuid.size() > 0)`: true,

		// no text of the condition is such an audience
		`assertion.repositoryUuid == '` + r + `' || assertion.aud.exists(a, a.startsWith('x') && size(a) == 5)`: false,
	} {
		provider, _ := pairOf(t, providerWith(t, `{"attributeCondition":`+document.Compact(condition)+`}`), "")
		got := provider.Judge(trusttest.ClaimsWith(t, ""), trusttest.Options())
		if got.Verdict != trust.Allow || sound != (len(failing(got)) == 0) {
			t.Errorf("%s: %s %q (%s)", condition, got.Verdict, failing(got), got.Reason)
		}
		for _, f := range got.Findings {
			if f.Rule != "gcp-admits-others" {
				continue
			}
			witness, err := bitbucket.FromClaims([]byte(document.Compact(f.Witness)))
			if err != nil {
				t.Fatal(err)
			}
			if again := provider.Judge(witness, trusttest.Options()); again.Verdict != trust.Allow && !strings.Contains(f.Message, " may get in") {
				t.Errorf("%s: the witness is %s: %s", condition, again.Verdict, again.Reason)
			}
		}
	}
}

// What a provider finds out of parts of UUIDs is not decided by representatives, also where an attribute hides it.
func TestGCPLooksInsideThroughTheMapping(t *testing.T) {
	for _, c := range []struct{ name, changes, policy string }{
		{
			name: "the condition reads the attribute",
			changes: merged(
				mappingOf("attribute.x", "assertion.repositoryUuid.contains('2e9e') ? 'in' : 'out'"), condition("attribute.x == 'in'"),
			),
		},
		{
			name: "a member names the attribute", policy: policyWith(trusttest.Set("attribute.x/in")),
			changes: merged(mappingOf("attribute.x", "assertion.repositoryUuid.contains('2e9e') ? 'in' : 'out'"), noCondition),
		},
	} {
		provider, policy := pairOf(t, providerWith(t, c.changes), c.policy)
		id := trusttest.ClaimsWith(t, "")
		got := provider.Judge(id, trusttest.Options())
		if policy != nil {
			got = policy.Judge(id, trusttest.Options())
		}
		if got.Verdict != trust.Allow || !slices.Contains(failing(got), "gcp-admits-others") {
			t.Errorf("%s: %s %q (%s)", c.name, got.Verdict, failing(got), got.Reason)
		}
	}
}

// A condition that names the environment and has a way round it lets in other steps of the repository.
func TestGCPWayRoundTheEnvironment(t *testing.T) {
	const repository = "assertion.repositoryUuid == '" + trusttest.Repository + "'"
	const environment = "assertion.deploymentEnvironmentUuid == '" + trusttest.Environment + "'"
	for source, round := range map[string]bool{
		repository + " && " + environment:                                                     false,
		repository + " && has(assertion.deploymentEnvironmentUuid) && " + environment:         false,
		repository + " || " + environment:                                                     false, // the whole repository, on purpose
		repository + " && (assertion.branchName == 'main' || " + environment + ")":            true,
		repository + " && (!has(assertion.deploymentEnvironmentUuid) || " + environment + ")": true,
	} {
		provider, _ := pairOf(t, providerWith(t, condition(source)), "")
		got := provider.Judge(trusttest.ClaimsWith(t, trusttest.Deployment), trusttest.Options())
		if got.Verdict != trust.Allow || slices.Contains(failing(got), "gcp-admits-others") != round {
			t.Errorf("%s: %s %q (%s)", source, got.Verdict, failing(got), got.Reason)
		}
	}
}

// Each pair looks bound, and lets in others.
func TestGCPPoliciesThatLetInOthers(t *testing.T) {
	repository := trusttest.Set("attribute.repository_uuid/" + trusttest.Repository)
	for _, c := range []struct {
		name, changes, policy, rule string
	}{
		{
			name:    "the branch",
			changes: merged(mappingOf("attribute.branch", "assertion.branchName"), noCondition),
			policy:  policyWith(trusttest.Set("attribute.branch/main")), rule: "gcp-admits-others",
		},
		{
			name: "a constant", changes: merged(mappingOf("attribute.all", "'all'"), noCondition),
			policy: policyWith(trusttest.Set("attribute.all/all")), rule: "gcp-admits-others",
		},
		{
			name:    "a word for all",
			changes: merged(mappingOf("attribute.tenant", "assertion.repositoryUuid.startsWith('{') ? 'acme' : 'none'"), noCondition),
			policy:  policyWith(trusttest.Set("attribute.tenant/acme")), rule: "gcp-admits-others",
		},
		{
			name:    "a group",
			changes: merged(mappingOf("google.groups", "[assertion.repositoryUuid, assertion.workspaceUuid]"), noCondition),
			policy:  policyWith(trusttest.Set("group/{7baee083-4f25-4a97-8a9a-0fde1b623b45}")), rule: "gcp-admits-others",
		},
		{
			name:   "every Google account beside it",
			policy: policyWith(repository, "allAuthenticatedUsers"),
			rule:   "gcp-binding-pool-wide",
		},
		{
			name:   "every pool beside it",
			policy: policyWith(repository, "principalSet://cloudresourcemanager.googleapis.com/projects/1/type/WorkloadIdentity"),
			rule:   "gcp-binding-pool-wide",
		},
		{
			name: "the pool that makes keys",
			policy: `{"bindings":[{"role":"roles/iam.workloadIdentityUser","members":["` + repository + `"]},
				{"role":"roles/iam.serviceAccountKeyAdmin","members":["` + trusttest.Set("*") + `"]}]}`,
			rule: "gcp-binding-pool-wide",
		},
		{
			name:    "the workspace and the branch",
			changes: merged(mappingOf("attribute.ref", "assertion.workspaceUuid + ':' + assertion.branchName"), noCondition),
			policy:  policyWith(trusttest.Set("attribute.ref/{7baee083-4f25-4a97-8a9a-0fde1b623b45}:main")), rule: "gcp-admits-others",
		},
		{
			name:    "a branch that holds the repository",
			changes: merged(mappingOf("attribute.ref", "assertion.branchName"), noCondition),
			policy:  policyWith(trusttest.Set("attribute.ref/"+trusttest.Repository), trusttest.Set("attribute.ref/main")), rule: "gcp-admits-others",
		},
		{
			name:    "a part of the branch and the repository",
			changes: merged(mappingOf("attribute.ref", "assertion.branchName.split('/')[0] + ':' + assertion.workspaceUuid"), noCondition),
			policy:  policyWith(trusttest.Set("attribute.ref/main:{7baee083-4f25-4a97-8a9a-0fde1b623b45}")), rule: "gcp-admits-others",
		},
		{
			name:    "the repository and the branch",
			changes: merged(mappingOf("attribute.ref", "assertion.repositoryUuid + ':' + assertion.branchName"), noCondition),
			policy:  policyWith(trusttest.Set("attribute.ref/"+trusttest.Repository+":main"), trusttest.Set("attribute.ref/"+trusttest.Repository+":x")),
		},
		{
			name: "the repository and the branch, if there is one",
			changes: merged(
				mappingOf("attribute.ref", "assertion.repositoryUuid + '/' + ('branchName' in assertion ? assertion.branchName : '')"), noCondition,
			),
			policy: policyWith(trusttest.Set("attribute.ref/" + trusttest.Repository + "/main")),
		},
		{
			name:    "no branch, of whatever repository",
			changes: merged(mappingOf("attribute.ref", "has(assertion.branchName) ? assertion.repositoryUuid + '/' + assertion.branchName : 'none'"), noCondition),
			policy:  policyWith(trusttest.Set("attribute.ref/"+trusttest.Repository+"/main"), trusttest.Set("attribute.ref/none")), rule: "gcp-admits-others",
		},
		{
			name: "the repository or its environment, asked for with in",
			changes: merged(
				mappingOf("attribute.id", "'deploymentEnvironmentUuid' in assertion ? assertion.deploymentEnvironmentUuid : assertion.repositoryUuid"),
				noCondition,
			),
			policy: policyWith(trusttest.Set("attribute.id/" + trusttest.Repository)),
		},
		{
			name:    "the branch and the repository",
			changes: merged(mappingOf("attribute.ref", "assertion.branchName + '@' + assertion.repositoryUuid"), noCondition),
			policy:  policyWith(trusttest.Set("attribute.ref/main@" + trusttest.Repository)),
		},
		{
			name: "groups of repositories and branches",
			changes: merged(
				mappingOf("google.groups", "[assertion.repositoryUuid, assertion.repositoryUuid + ':' + assertion.branchName]"), noCondition,
			),
			policy: policyWith(trusttest.Set("group/" + trusttest.Repository + ":main")),
		},
		{name: "the repository", policy: policyWith(repository)},
		{
			name: "no condition, the repository", changes: `{"attributeCondition":null}`,
			policy: policyWith(repository),
		},
	} {
		provider, policy := pairOf(t, providerWith(t, c.changes), c.policy)
		id := trusttest.ClaimsWith(t, "")
		both := []trust.Result{provider.Judge(id, trusttest.Options()), policy.Judge(id, trusttest.Options())}
		got := failing(both...)
		if both[1].Verdict != trust.Allow || c.rule == "" && len(got) > 0 || c.rule != "" && !slices.Contains(got, c.rule) {
			t.Errorf("%s: %s %q, want %q (%s)", c.name, both[1].Verdict, got, c.rule, both[1].Reason)
		}
	}
	keys, _ := pairOf(t, providerWith(t, `{"oidc":{"issuerUri":"`+trusttest.Issuer+`","allowedAudiences":["`+trusttest.Workspace+`"],"jwksJson":"{}"}}`), "")
	if got := keys.Judge(trusttest.ClaimsWith(t, ""), trusttest.Options()); got.Verdict != trust.Undecided {
		t.Errorf("jwksJson: %s (%s)", got.Verdict, got.Reason)
	}
}

func TestGCPReach(t *testing.T) {
	shop := bitbucket.Repository{
		Name: "shop", UUID: trusttest.Repository, Environments: []bitbucket.Environment{{Name: "production", UUID: trusttest.Environment}},
	}
	u := bitbucket.Universe{Repositories: []bitbucket.Repository{shop}}
	for _, c := range []struct {
		name, changes, policy string
		want                  []string
	}{
		{name: "as explain prints it", want: []string{"shop/none", "shop/production", "shop/any other environment"}},
		{
			name: "one environment", policy: policyWith(trusttest.Set("attribute.deployment/" + trusttest.Repository + ":" + trusttest.Environment)),
			want: []string{"shop/production"},
		},
		{
			name: "nobody in particular", changes: `{"attributeCondition":"true"}`,
			want: []string{"shop/none", "shop/production", "shop/any other environment", "any other repository/none", "any other repository/any other environment"},
		},
		{
			name:    "two repositories",
			changes: `{"attributeCondition":"assertion.repositoryUuid in ['` + trusttest.Repository + `','` + trusttest.Other + `']"}`,
			want: []string{
				"shop/none", "shop/production", "shop/any other environment",
				"unlisted repository " + trusttest.Other + "/none", "unlisted repository " + trusttest.Other + "/any other environment",
			},
		},
		{
			name:    "a branch",
			changes: `{"attributeCondition":"assertion.repositoryUuid == '` + trusttest.Repository + `' && assertion.branchName == 'main'"}`,
			want:    []string{"shop/none (some)", "shop/production (some)", "shop/any other environment (some)"},
		},
	} {
		provider, policy := pairOf(t, providerWith(t, c.changes), c.policy)
		cells := provider.Reach(context.Background(), u)
		if policy != nil {
			cells = policy.Reach(context.Background(), u)
		}
		var got []string
		for _, cell := range cells {
			switch {
			case cell.Reach.All:
				got = append(got, cell.Who)
			case cell.Reach.Some:
				got = append(got, cell.Who+" (some)")
			case cell.Reach.Maybe:
				got = append(got, cell.Who+" (perhaps)")
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

// Where only a part of an attribute is known, a member that fits that part is undecided, and one that does not is not the identity.
func TestGCPUnknownBranch(t *testing.T) {
	id, err := bitbucket.Parts{
		Workspace: "acme", WorkspaceUUID: strings.TrimPrefix(trusttest.Workspace, bitbucket.WorkspaceARI), RepositoryUUID: trusttest.Repository,
		SomeEnvironment: true, SomeBranch: true, Now: trusttest.Options().Now,
	}.Identity()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, joins, member string
		want                trust.Verdict
	}{
		{"a branch of the repository", "assertion.repositoryUuid", trusttest.Repository, trust.Undecided},
		{"a branch of another repository", "assertion.repositoryUuid", trusttest.Other, trust.Deny},
		{"a branch and an environment", "assertion.deploymentEnvironmentUuid", trusttest.Environment, trust.Undecided},
	} {
		changes := merged(mappingOf("attribute.ref", c.joins+" + ':' + assertion.branchName"), noCondition)
		_, policy := pairOf(t, providerWith(t, changes), policyWith(trusttest.Set("attribute.ref/"+c.member+":main")))
		if got := policy.Judge(id, trusttest.Options()); got.Verdict != c.want {
			t.Errorf("%s: %s (%s), want %s", c.name, got.Verdict, got.Reason, c.want)
		}
	}
}
