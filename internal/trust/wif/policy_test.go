package wif

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"bitbucket-oidc/internal/setup"
	"bitbucket-oidc/internal/trust"
	"bitbucket-oidc/internal/trust/trusttest"
)

func TestGCPPolicy(t *testing.T) {
	binding := func(role, condition string, members ...string) string {
		b := map[string]any{"role": role, "members": members}
		if condition != "" {
			b["condition"] = map[string]any{"title": "t", "expression": condition}
		}
		data, _ := json.Marshal(map[string]any{"bindings": []any{b}, "etag": "x", "version": 3})
		return string(data)
	}
	repository := trusttest.Set("attribute.repository_uuid/" + trusttest.Repository)
	joined := trusttest.Set("attribute.deployment/" + trusttest.Repository + ":" + trusttest.Environment)
	bare := strings.Trim(trusttest.Repository, "{}")
	for _, c := range []struct {
		name, claims, changes, policy string
		provider, verdict             trust.Verdict
		rules                         string // of both results
	}{
		{name: "as explain binds it", policy: policyWith(repository), provider: trust.Allow, verdict: trust.Allow},
		{name: "… for a deployment", claims: trusttest.Deployment, policy: policyWith(joined), provider: trust.Allow, verdict: trust.Allow},
		{
			name: "a deployment, bound as a repository", claims: trusttest.Deployment, policy: policyWith(repository), provider: trust.Allow,
			verdict: trust.Allow,
		},
		{
			name: "placeholders", policy: policyWith(setup.GCPMember(trusttest.ClaimsWith(t, "").Claims, setup.ProjectNumber, setup.Pool)),
			provider: trust.Allow, verdict: trust.Allow,
		},
		{name: "a provider without a name", changes: `{"name":null}`, policy: policyWith(repository), provider: trust.Allow, verdict: trust.Allow},
		{name: "another environment", policy: policyWith(joined), provider: trust.Allow, verdict: trust.Deny},
		{
			name: "another repository", policy: policyWith(trusttest.Set("attribute.repository_uuid/" + trusttest.Other)), provider: trust.Allow,
			verdict: trust.Deny,
		},
		{
			name: "another case", policy: policyWith(trusttest.Set("attribute.repository_uuid/" + strings.ToUpper(trusttest.Repository))),
			provider: trust.Allow, verdict: trust.Deny,
		},
		{name: "a wildcard in a value", policy: policyWith(trusttest.Set("attribute.repository_uuid/*")), provider: trust.Allow, verdict: trust.Deny},
		{name: "the second member", policy: policyWith("user:a@example.com", repository), provider: trust.Allow, verdict: trust.Allow},
		{name: "only the etag", policy: `{"etag":"ACAB"}`, provider: trust.Allow, verdict: trust.Deny},
		{name: "no members", policy: `{"bindings":[],"etag":"ACAB","version":1}`, provider: trust.Allow, verdict: trust.Deny},
		{name: "no provider", changes: "-", policy: policyWith(repository), verdict: trust.Undecided},
		{name: "no provider and no members", changes: "-", policy: `{"etag":"ACAB"}`, verdict: trust.Undecided},
		{
			name: "the provider denies", changes: `{"disabled":true}`, policy: policyWith(repository), provider: trust.Deny, verdict: trust.Deny,
			rules: "gcp-provider-disabled",
		},
		{
			name: "the provider is undecided", changes: `{"state":"X"}`, policy: policyWith(repository), provider: trust.Undecided,
			verdict: trust.Undecided,
		},
		{name: "… and nothing is granted", changes: `{"state":"X"}`, policy: policyWith(), provider: trust.Undecided, verdict: trust.Deny},
		{
			name: "an attribute that is not known", changes: mappingOf("attribute.env", "assertion.deploymentEnvironmentUuid"),
			policy: policyWith(trusttest.Set("attribute.env/" + trusttest.Environment)), provider: trust.Undecided, verdict: trust.Undecided,
			rules: "gcp-mapping-absent-claim",
		},

		// Google Cloud, "Principal identifiers"
		{
			name: "a subject", changes: mappingOf("google.subject", "assertion.repositoryUuid"),
			policy: policyWith(subject(trusttest.Repository)), provider: trust.Allow,
			verdict: trust.Allow,
		},
		{
			name: "a group", changes: mappingOf("google.groups", "[assertion.repositoryUuid]"),
			policy: policyWith(trusttest.Set("group/" + trusttest.Repository)), provider: trust.Allow, verdict: trust.Allow,
		},
		{name: "more than a star", policy: policyWith(trusttest.Set("*/x")), provider: trust.Allow, verdict: trust.Deny},
		{
			name: "a subject as a set", changes: mappingOf("google.subject", "assertion.repositoryUuid"),
			policy: policyWith(trusttest.Set("subject/" + trusttest.Repository)), provider: trust.Allow, verdict: trust.Deny,
		},
		{
			name: "a value with slashes", changes: mappingOf("attribute.path", "assertion.repositoryUuid + '/x/y'"),
			policy: policyWith(trusttest.Set("attribute.path/" + trusttest.Repository + "/x/y")), provider: trust.Allow, verdict: trust.Allow,
		},
		{name: "another pool", policy: policyWith(strings.Replace(repository, "pipelines", "other", 1)), provider: trust.Allow, verdict: trust.Deny},
		{
			name: "another project", policy: policyWith(strings.Replace(repository, "123456789012", "210987654321", 1)), provider: trust.Allow,
			verdict: trust.Deny,
		},
		{name: "deleted", policy: policyWith("deleted:" + repository), provider: trust.Allow, verdict: trust.Deny},
		{
			name: "every Google account", policy: policyWith("allAuthenticatedUsers"), provider: trust.Allow, verdict: trust.Deny,
			rules: "gcp-binding-pool-wide",
		}, // without federated identities
		{name: "the internet", policy: policyWith("allUsers"), provider: trust.Allow, verdict: trust.Allow, rules: "gcp-binding-pool-wide"},
		{
			name: "a project's pools", policy: policyWith("principalSet://cloudresourcemanager.googleapis.com/projects/1/type/WorkloadIdentityPool"),
			provider: trust.Allow, verdict: trust.Undecided, rules: "gcp-binding-pool-wide",
		},

		// roles
		{name: "the token creator", policy: binding(setup.TokenCreator, "", repository), provider: trust.Allow, verdict: trust.Allow},
		{name: "a custom role", policy: binding("projects/p/roles/deployer", "", repository), provider: trust.Allow, verdict: trust.Undecided},
		{
			name:   "a custom role for others",
			policy: binding("organizations/1/roles/deployer", "", trusttest.Set("attribute.repository_uuid/"+trusttest.Other)), provider: trust.Allow,
			verdict: trust.Deny,
		},
		{
			name: "another role", policy: binding("roles/iam.serviceAccountUser", "", repository, trusttest.Set("*")), provider: trust.Allow,
			verdict: trust.Deny, rules: "gcp-binding-pool-wide",
		},

		// binding conditions see the request, which is not known
		{
			name: "a time", policy: binding(setup.WorkloadIdentityUser, "request.time < timestamp('2020-01-01T00:00:00Z')", repository),
			provider: trust.Allow, verdict: trust.Undecided,
		},
		{
			name:   "a function that workload identity has not",
			policy: binding(setup.WorkloadIdentityUser, "date('2020-01-01') < request.time", repository), provider: trust.Allow,
			verdict: trust.Undecided,
		},
		{
			name: "always", policy: binding(setup.WorkloadIdentityUser, "true || request.time < timestamp('2020-01-01T00:00:00Z')", repository),
			provider: trust.Allow, verdict: trust.Allow,
		},
		{name: "never", policy: binding(setup.WorkloadIdentityUser, "false", repository), provider: trust.Allow, verdict: trust.Deny},
		{
			name: "a condition that was left out", policy: binding(setup.WorkloadIdentityUser+"_withcond_2b17cc25d2cd9e2c54d8", "", repository),
			provider: trust.Allow, verdict: trust.Undecided,
		},
		{
			name:     "a condition for others",
			policy:   binding(setup.WorkloadIdentityUser, "request.time > x", trusttest.Set("attribute.repository_uuid/"+trusttest.Other)),
			provider: trust.Allow, verdict: trust.Deny,
		},

		// gcp-binding-*
		{name: "the pool", policy: policyWith(trusttest.Set("*")), provider: trust.Allow, verdict: trust.Allow, rules: "gcp-binding-pool-wide"},
		{
			name: "the pool, no provider", changes: "-", policy: policyWith(trusttest.Set("*")), verdict: trust.Undecided,
			rules: "gcp-binding-pool-wide",
		},
		{
			name:     "a step's subject",
			policy:   policyWith(subject(trusttest.Repository + ":" + trusttest.Step)),
			provider: trust.Allow, verdict: trust.Allow, rules: "gcp-binding-pins-step",
		},
		{
			name:     "another step's subject",
			policy:   policyWith(subject(trusttest.Repository + ":" + trusttest.Other)),
			provider: trust.Allow, verdict: trust.Deny, rules: "gcp-binding-pins-step",
		},
		{
			name:     "… of a deployment",
			policy:   policyWith(subject(trusttest.Repository + ":" + trusttest.Environment + ":" + trusttest.Other)),
			provider: trust.Allow, verdict: trust.Deny, rules: "gcp-binding-pins-step",
		},
		{
			name: "… no provider", changes: "-",
			policy:  policyWith(subject(trusttest.Repository + ":" + trusttest.Other)),
			verdict: trust.Undecided, rules: "gcp-binding-pins-step",
		},
		{
			name: "… under a subject that is stable", changes: mappingOf("google.subject", "assertion.repositoryUuid"),
			policy:   policyWith(subject(trusttest.Repository + ":" + trusttest.Other)),
			provider: trust.Allow, verdict: trust.Deny, rules: "gcp-binding-pins-step",
		},
		{
			name: "a joined subject", claims: trusttest.Deployment,
			changes:  mappingOf("google.subject", "assertion.repositoryUuid + ':' + assertion.deploymentEnvironmentUuid"),
			policy:   policyWith(subject(trusttest.Repository+":"+trusttest.Environment), subject(trusttest.Repository+":"+trusttest.Other)),
			provider: trust.Allow, verdict: trust.Allow,
		},
		{
			name: "a step's attribute", changes: mappingOf("attribute.sub", "assertion.sub"),
			policy: policyWith(trusttest.Set("attribute.sub/" + trusttest.Repository + ":" + trusttest.Step)), provider: trust.Allow,
			verdict: trust.Allow, rules: "gcp-binding-pins-step",
		},
		{
			name: "no braces", policy: policyWith(trusttest.Set("attribute.repository_uuid/" + bare)), provider: trust.Allow, verdict: trust.Deny,
			rules: "gcp-binding-braces",
		},
		{
			name:   "no braces, another repository",
			policy: policyWith(trusttest.Set("attribute.repository_uuid/" + strings.Trim(trusttest.Other, "{}"))), provider: trust.Allow,
			verdict: trust.Deny, rules: "gcp-binding-braces",
		},
		{
			name: "escaped braces", policy: policyWith(trusttest.Set("attribute.repository_uuid/%7B" + bare + "%7D")), provider: trust.Allow,
			verdict: trust.Deny, rules: "gcp-binding-braces",
		},
		{
			name: "no braces around one of two", claims: trusttest.Deployment,
			policy:   policyWith(trusttest.Set("attribute.deployment/" + trusttest.Repository + ":" + strings.Trim(trusttest.Environment, "{}"))),
			provider: trust.Allow, verdict: trust.Deny, rules: "gcp-binding-braces",
		},
		{
			name: "no braces, no provider", changes: "-", policy: policyWith(trusttest.Set("attribute.repository_uuid/" + bare)),
			verdict: trust.Undecided, rules: "gcp-binding-braces",
		},
		{
			name: "a mapping without braces", changes: mappingOf("attribute.repo", "assertion.repositoryUuid.split('{')[1].split('}')[0]"),
			policy: policyWith(trusttest.Set("attribute.repo/" + bare)), provider: trust.Allow, verdict: trust.Allow,
		},
		{
			name: "an audience has no braces", changes: mappingOf("attribute.aud", "assertion.aud"),
			policy: policyWith(trusttest.Set("attribute.aud/" + trusttest.Workspace)), provider: trust.Allow, verdict: trust.Allow,
		},
		{
			name: "an attribute that is not mapped", policy: policyWith(trusttest.Set("attribute.repo/" + trusttest.Repository)),
			provider: trust.Allow, verdict: trust.Deny, rules: "gcp-binding-unmapped",
		},
		{
			name: "groups that are not mapped", policy: policyWith(trusttest.Set("group/" + trusttest.Repository)), provider: trust.Allow,
			verdict: trust.Deny, rules: "gcp-binding-unmapped",
		},
		{
			name: "not mapped, in another pool", policy: policyWith(strings.Replace(trusttest.Set("attribute.repo/x"), "pipelines", "other", 1)),
			provider: trust.Allow, verdict: trust.Deny,
		},
		{
			name: "a project's id", policy: policyWith(strings.Replace(repository, "123456789012", "acme-prod", 1)), provider: trust.Allow,
			verdict: trust.Deny, rules: "gcp-binding-project-id",
		},
		{
			name: "a project's id, no provider", changes: "-", policy: policyWith(strings.Replace(repository, "123456789012", "acme-prod", 1)),
			verdict: trust.Undecided, rules: "gcp-binding-project-id",
		},
		{
			name: "a project's id, and a provider without a name", changes: `{"name":null}`,
			policy:   policyWith(strings.Replace(repository, "123456789012", "acme-prod", 1)),
			provider: trust.Allow, verdict: trust.Deny, rules: "gcp-binding-project-id",
		},
		{
			name: "a member of another service", policy: policyWith(strings.Replace(repository, "//iam.", "//example.", 1)),
			provider: trust.Allow, verdict: trust.Deny,
		},
		{
			name: "two attributes", policy: policyWith(repository + "/attribute.deployment/x"), provider: trust.Allow, verdict: trust.Deny,
			rules: "gcp-binding-two-attributes",
		},
		{
			name: "two attributes, joined by &", policy: policyWith(repository + "&attribute.deployment=x"), provider: trust.Allow,
			verdict: trust.Deny, rules: "gcp-binding-two-attributes",
		},

		// gcp-condition-missing, gcp-condition-unscoped: what the bindings leave to the condition
		{name: "no condition, a narrow binding", changes: noCondition, policy: policyWith(repository), provider: trust.Allow, verdict: trust.Allow},
		{
			name: "no condition, the pool", changes: noCondition, policy: policyWith(trusttest.Set("*")), provider: trust.Allow,
			verdict: trust.Allow, rules: "gcp-binding-pool-wide gcp-condition-missing",
		},
		{
			name: "no condition, no binding", changes: noCondition, policy: `{"etag":"x"}`, provider: trust.Allow,
			verdict: trust.Deny, rules: "gcp-condition-missing",
		},
		{
			name: "no condition, a narrow binding of another role", changes: noCondition, policy: binding("roles/viewer", "", repository),
			provider: trust.Allow, verdict: trust.Deny, rules: "gcp-condition-missing",
		},
		{
			name: "no condition, a binding in another pool", changes: noCondition,
			policy: policyWith(strings.Replace(repository, "pipelines", "other", 1)), provider: trust.Allow, verdict: trust.Deny,
			rules: "gcp-condition-missing",
		},
		{
			name: "the workspace and the pool", changes: condition("assertion.workspaceUuid != ''"),
			policy: policyWith(trusttest.Set("*")), provider: trust.Allow, verdict: trust.Allow, rules: "gcp-binding-pool-wide gcp-condition-unscoped",
		},
		{
			name: "the workspace and a narrow binding", changes: condition("assertion.workspaceUuid != ''"),
			policy: policyWith(repository), provider: trust.Allow, verdict: trust.Allow,
		},
		{
			name:    "the workspace and a branch",
			changes: merged(mappingOf("attribute.branch", "assertion.branchName"), condition("assertion.workspaceUuid != ''")),
			policy:  policyWith(trusttest.Set("attribute.branch/main")), provider: trust.Allow, verdict: trust.Allow, rules: "gcp-condition-unscoped",
		},
		{
			name: "the repository and a branch", changes: mappingOf("attribute.branch", "assertion.branchName"),
			policy: policyWith(trusttest.Set("attribute.branch/main")), provider: trust.Allow, verdict: trust.Allow,
		},
		{
			name:    "nothing and a branch",
			changes: merged(mappingOf("attribute.branch", "assertion.branchName"), noCondition),
			policy:  policyWith(trusttest.Set("attribute.branch/main")), provider: trust.Allow, verdict: trust.Allow, rules: "gcp-condition-unscoped",
		},
		{
			name: "has() reads no value", changes: condition("has(assertion.repositoryUuid)"), policy: policyWith(trusttest.Set("*")),
			provider: trust.Allow, verdict: trust.Allow, rules: "gcp-binding-pool-wide gcp-condition-unscoped",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			provider := ""
			if c.changes != "-" {
				provider = providerWith(t, c.changes)
			}
			ofProvider, got := judgeGCP(t, provider, c.policy, trusttest.ClaimsWith(t, c.claims))
			rules := strings.Fields(trusttest.RulesOf(t, ofProvider) + " " + trusttest.RulesOf(t, got))
			slices.Sort(rules)
			if ofProvider.Verdict != c.provider || got.Verdict != c.verdict || strings.Join(rules, " ") != c.rules {
				t.Errorf("%s, %s %q (%s), want %s, %s %q", ofProvider.Verdict, got.Verdict, rules, got.Reason, c.provider, c.verdict, c.rules)
			}
		})
	}
}
