package wif

import (
	"strings"
	"testing"

	"bitbucket-oidc/internal/trust"
	"bitbucket-oidc/internal/trust/trusttest"
)

func TestGCPFixes(t *testing.T) {
	const (
		update = "gcloud iam workload-identity-pools providers update-oidc " + trusttest.Pool + "/providers/bitbucket "
		grant  = "gcloud iam service-accounts add-iam-policy-binding SERVICE_ACCOUNT --role=roles/iam.workloadIdentityUser \\\n  --member="
		revoke = "gcloud iam service-accounts remove-iam-policy-binding SERVICE_ACCOUNT --role=roles/iam.workloadIdentityUser \\\n  --member="
		env    = "assertion.deploymentEnvironmentUuid"
	)
	for _, c := range []struct {
		name, changes, policy, rule string
		is                          string   // the whole fix, unless it is empty
		has                         []string // parts of the fix
		lacks                       string
	}{
		{
			name: "the claim is asked for", rule: "gcp-mapping-absent-claim",
			changes: mappingOf("attribute.env", env, "attribute.x", "assertion.sub.split(':', 2)[0]"),
			is: update + `--attribute-mapping="^;^attribute.env=has(` + env + `) ? ` + env + ` : 'none';` +
				`attribute.x=assertion.sub.split(':', 2)[0];google.subject=assertion.sub"`,
		},
		{
			name: "a choice is put in brackets", rule: "gcp-mapping-absent-claim",
			changes: mappingOf("attribute.env", "assertion.sub == '' ? 'x' : "+env),
			has:     []string{"attribute.env=has(" + env + ") ? (assertion.sub == '' ? 'x' : " + env + ") : 'none',"},
		},
		{
			name: "no groups", rule: "gcp-mapping-absent-claim", changes: mappingOf("google.groups", "["+env+"]"),
			has: []string{"google.groups=has(" + env + ") ? [" + env + "] : [],"},
		},
		{
			name: "what is right of the mapping stays", rule: "gcp-mapping-invalid",
			changes: mappingOf("attribute.mine", "assertion.branchName", "attribute.Wrong", "assertion.sub", "google.subject", "5"),
			has:     []string{"attribute.mine=assertion.branchName,", "google.subject=assertion.sub"}, lacks: "Wrong",
		},
		{
			name: "the mapping stays beside what the binding needs", rule: "gcp-binding-unmapped",
			changes: mappingOf("attribute.mine", "assertion.branchName", "google.subject", "assertion.branchName"),
			policy:  policyWith(trusttest.Set("attribute.nope/x")),
			has: []string{"attribute.mine=assertion.branchName,", "attribute.repository_uuid=assertion.repositoryUuid",
				"google.subject=assertion.branchName"},
		},
		{
			name: "the condition", rule: "gcp-condition-missing", changes: noCondition,
			is: update + `--attribute-condition="assertion.repositoryUuid == '` + trusttest.Repository + `'"`,
		},
		{
			name: "an attribute that is mapped", rule: "gcp-binding-unmapped", changes: mappingOf("attribute.repo", "assertion.repositoryUuid"),
			policy: policyWith(trusttest.Set("attribute.repo/x"), trusttest.Set("attribute.nope/x")),
			is:     grant + "'" + trusttest.Set("attribute.repo/"+trusttest.Repository) + "'",
		},
		{
			name: "a member that matches is removed", rule: "gcp-binding-pool-wide", policy: policyWith(trusttest.Set("*")),
			has: []string{grant, "\n" + revoke + "'" + trusttest.Set("*") + "'"},
		},
	} {
		ofProvider, ofPolicy := judgeGCP(t, providerWith(t, c.changes), c.policy, trusttest.ClaimsWith(t, ""))
		got := fixOf(t, c.rule, ofProvider, ofPolicy)
		if c.is != "" && got != c.is || c.lacks != "" && strings.Contains(got, c.lacks) {
			t.Errorf("%s: %s\nwant\n%s", c.name, got, c.is)
		}
		for _, part := range c.has {
			if !strings.Contains(got, part) {
				t.Errorf("%s: %s\nwant, in it,\n%s", c.name, got, part)
			}
		}
	}
	id := trusttest.ClaimsWith(t, "")
	id.Claims.RepositoryUUID = "{$(x)}"
	provider, _ := judgeGCP(t, providerWith(t, condition("false")), "", id)
	got := fixOf(t, "gcp-condition-rejects", provider)
	if !strings.HasSuffix(got, `--attribute-condition='assertion.repositoryUuid == '\''{$(x)}'\'''`) {
		t.Errorf("a shell would expand %s", got)
	}
}

// fixOf is the fix of the first finding of a rule.
func fixOf(t *testing.T, rule string, results ...trust.Result) string {
	t.Helper()
	for _, r := range results {
		for _, f := range r.Findings {
			if f.Rule == rule {
				return f.Fix.Text
			}
		}
	}
	t.Errorf("no %s in %+v", rule, results)
	return ""
}

// A finding about a member names its place in the policy.
func TestGCPMemberPath(t *testing.T) {
	policy := policyWith(trusttest.Set("attribute.repository_uuid/x"), trusttest.Set("attribute.nope/x"))
	_, got := judgeGCP(t, providerWith(t, ""), policy, trusttest.ClaimsWith(t, ""))
	if len(got.Findings) != 1 || got.Findings[0].Path != "bindings[0].members[1]" {
		t.Errorf("%+v", got.Findings)
	}
}

// What is to be changed in a policy is the member that is missing, and nothing where only the provider refuses. The reason names the first
// member that is not the identity.
func TestGCPWanted(t *testing.T) {
	member := trusttest.Set("attribute.repository_uuid/" + trusttest.Repository)
	others := policyWith(trusttest.Set("attribute.repository_uuid/"+trusttest.Other), trusttest.Set("attribute.repository_uuid/x"))
	for _, c := range []struct{ name, changes, policy, wanted, reason string }{
		{
			name: "other repositories", policy: others, wanted: "the member " + member,
			reason: `as bindings[0].members[0] wants attribute.repository_uuid "` + trusttest.Other + `"`,
		},
		{name: "only the provider refuses", changes: `{"disabled":true}`, policy: policyWith(member), reason: "The provider is disabled."},
		{name: "both refuse", changes: `{"disabled":true}`, policy: others, wanted: "the member " + member, reason: "The provider is disabled."},
		{name: "nothing refuses", policy: policyWith(member), reason: "bindings[0].members[0] is this identity"},
	} {
		_, got := judgeGCP(t, providerWith(t, c.changes), c.policy, trusttest.ClaimsWith(t, ""))
		if got.Wanted != c.wanted || !strings.Contains(got.Reason, c.reason) {
			t.Errorf("%s: wanted %q, because %s", c.name, got.Wanted, got.Reason)
		}
	}
}
