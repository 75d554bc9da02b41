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

// A condition that is no condition is refused in words that say so.
func TestGCPConditionIsTrueOrFalse(t *testing.T) {
	got, _ := judgeGCP(t, providerWith(t, condition("assertion.sub")), "", trusttest.ClaimsWith(t, ""))
	if want := "The value of the condition has the type string and must be true or false."; got.Reason != want {
		t.Errorf("%s, want %s", got.Reason, want)
	}
}

// Configurations that were published, and what they come to.
func TestGCPPublished(t *testing.T) {
	for _, c := range []struct {
		name, changes, policy string
		provider, verdict     trust.Verdict
		rules                 string
	}{
		{
			name:    "GoogleCloudPlatform/gcp-bitbucket-wif",
			changes: merged(mappingOf(), noCondition), policy: policyWith(trusttest.Set("*")),
			provider: trust.Allow, verdict: trust.Allow, rules: "gcp-binding-pool-wide gcp-condition-missing",
		},
		{
			name:    "Cyclenerd/google-workload-identity-federation, bitbucket.md",
			changes: merged(mappingOf("attribute.sub", "assertion.sub", "attribute.repository", "assertion.repositoryUuid"), noCondition),
			policy:  policyWith(trusttest.Set("attribute.repository/" + trusttest.Repository)), provider: trust.Allow, verdict: trust.Allow,
		},
		{
			name:    "Cyclenerd's Terraform module",
			changes: merged(mappingOf("attribute.sub", "attribute.sub", "attribute.aud", "attribute.aud", "attribute.iss", "attribute.iss"), noCondition),
			policy:  policyWith(trusttest.Set("attribute.sub/" + trusttest.Repository)), provider: trust.Deny, verdict: trust.Deny,
			rules: "gcp-mapping-invalid",
		},
		{
			name:    "Atlassian's article",
			changes: merged(allowing(), mappingOf("attribute.repository", "assertion.sub"), noCondition),
			policy:  policyWith(trusttest.Set("attribute.repository/" + trusttest.Repository)), provider: trust.Deny, verdict: trust.Deny,
			rules: "gcp-audience-mismatch",
		},
		{
			name: "mesoform's trusted_issuers.yaml, bound to a branch",
			changes: merged(
				mappingOf("attribute.workspace_uuid", "assertion.workspaceUuid", "attribute.git_ref", "assertion.branchName"),
				condition("assertion.workspaceUuid=='{7baee083-4f25-4a97-8a9a-0fde1b623b45}'"),
			),
			policy: policyWith(trusttest.Set("attribute.git_ref/main")), provider: trust.Allow, verdict: trust.Allow, rules: "gcp-condition-unscoped",
		},
		{
			name:    "google/devops-governance, wif.tf",
			changes: mappingOf("attribute.env", "assertion.deploymentEnvironmentUuid"),
			policy:  policyWith(trusttest.Set("attribute.env/" + trusttest.Environment)), provider: trust.Undecided, verdict: trust.Undecided,
			rules: "gcp-mapping-absent-claim",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			ofProvider, got := judgeGCP(t, providerWith(t, c.changes), c.policy, trusttest.ClaimsWith(t, ""))
			rules := strings.Fields(trusttest.RulesOf(t, ofProvider) + " " + trusttest.RulesOf(t, got))
			slices.Sort(rules)
			if ofProvider.Verdict != c.provider || got.Verdict != c.verdict || strings.Join(slices.Compact(rules), " ") != c.rules {
				t.Errorf("%s, %s %q (%s), want %s, %s %q", ofProvider.Verdict, got.Verdict, rules, got.Reason, c.provider, c.verdict, c.rules)
			}
		})
	}
}

func TestGCPKinds(t *testing.T) {
	for _, c := range []struct {
		document         string
		provider, policy string
	}{
		{`{}`, "", ""},
		{`[]`, "", ""},
		{`{"version":1}`, "", ""},
		{`{"Version":"2012-10-17","Statement":[]}`, "", ""},
		{`{"Url":"api.bitbucket.org","ClientIDList":[]}`, "", ""},
		{`{"name":"` + trusttest.Pool + `","state":"ACTIVE"}`, "", ""}, // a pool
		{`{"name":"` + trusttest.Pool + `/providers/p","state":"ACTIVE"}`, "told", ""},
		{`{"oidc":{"issuerUri":5}}`, "wrong", ""},
		{`{"oidc":[]}`, "wrong", ""},
		{`{"oidc":{},"expireTime":"soon"}`, "wrong", ""},
		{`{"etag":"x","version":1}`, "", "told"},
		{`{"bindings":[{"role":"r","members":["m"]}]}`, "", "told"},
		{`{"bindings":{}}`, "", "wrong"},
		{`{"bindings":[{"members":[5]}]}`, "", "wrong"},
	} {
		outcome := func(ok bool, err error) string {
			switch {
			case err != nil:
				return "wrong"
			case ok:
				return "told"
			}
			return ""
		}
		_, ok, err := readProvider(c.document)
		if got := outcome(ok, err); got != c.provider {
			t.Errorf("%s as a provider: %q (%v), want %q", c.document, got, err, c.provider)
		}
		_, ok, err = readPolicy(c.document)
		if got := outcome(ok, err); got != c.policy {
			t.Errorf("%s as a policy: %q (%v), want %q", c.document, got, err, c.policy)
		}
	}
}

// What explain says passes, and the result names the provider.
func TestGCPExplained(t *testing.T) {
	for _, claims := range []string{"", trusttest.Deployment, `{"aud":["` + trusttest.Workspace + `","https://a.example"]}`, `{"branchName":null}`} {
		for _, places := range []setup.Places{{}, {GCPProjectNumber: "123456789012", GCPPool: "pipelines", GCPProvider: "bitbucket"}} {
			id := trusttest.ClaimsWith(t, claims)
			e, err := setup.Explain(id, places)
			if err != nil {
				t.Fatal(err)
			}
			where := places.Known()
			provider, _ := json.Marshal(map[string]any{
				"name":             "projects/" + where.GCPProjectNumber + "/locations/global/workloadIdentityPools/" + where.GCPPool + "/providers/" + where.GCPProvider,
				"attributeMapping": e.GCP.AttributeMapping, "attributeCondition": e.GCP.AttributeCondition,
				"oidc": map[string]any{"issuerUri": e.GCP.IssuerURI, "allowedAudiences": e.GCP.AllowedAudiences}, "state": "ACTIVE",
			})
			ofProvider, ofPolicy := judgeGCP(t, string(provider), policyWith(e.GCP.Member), id)
			if ofProvider.Verdict != trust.Allow || ofPolicy.Verdict != trust.Allow || len(ofProvider.Findings)+len(ofPolicy.Findings) > 0 {
				t.Errorf("%+v\n%+v", ofProvider, ofPolicy)
			}
			if ofProvider.Name != where.GCPProvider || ofProvider.Kind != "gcp-provider" || ofPolicy.Kind != "gcp-policy" || ofPolicy.Name != "" {
				t.Errorf("%+v\n%+v", ofProvider, ofPolicy)
			}
		}
	}
}

func FuzzGCP(f *testing.F) {
	f.Add(providerWith(f, ""), policyWith(trusttest.Set("attribute.repository_uuid/"+trusttest.Repository), trusttest.Set("*")))
	f.Add(providerWith(f, mappingOf("google.groups", "[1].map(x, assertion.sub.extract('{a}'))")), `{"etag":""}`)
	f.Add(`{"oidc":null,"attributeMapping":{"":""}}`,
		`{"bindings":[null,{"condition":{"expression":"request.a['b']"},"members":["principal://"],"role":"roles/iam.workloadIdentityUser"}]}`)
	id := trusttest.ClaimsWith(f, "")
	f.Fuzz(func(t *testing.T, provider, policy string) {
		p, ok, err := readProvider(provider)
		if !ok || err != nil {
			p = nil
		}
		var beside []*Policy
		if q, ok, err := readPolicy(policy); ok && err == nil {
			q.Through(p)
			beside = append(beside, q)
			trusttest.RulesOf(t, q.Judge(id, trust.Options{}))
		}
		if p != nil {
			p.Beside(beside)
			trusttest.RulesOf(t, p.Judge(id, trust.Options{}))
		}
	})
}

// Each expression is compiled once, for however many identities.
func TestCompilesOnce(t *testing.T) {
	provider, ok, err := readProvider(providerWith(t, ""))
	policy, isPolicy, policyErr := readPolicy(`{"bindings": [
		{"role": "roles/iam.workloadIdentityUser", "members": ["allUsers"], "condition": {"expression": "true"}}]}`)
	if !ok || err != nil || !isPolicy || policyErr != nil {
		t.Fatal(ok, err, isPolicy, policyErr)
	}
	provider.Beside([]*Policy{policy})
	policy.Through(provider)
	for _, claims := range []string{"", trusttest.Deployment, `{"branchName":"x"}`} {
		id := trusttest.ClaimsWith(t, claims)
		provider.Judge(id, trusttest.Options())
		policy.Judge(id, trusttest.Options())
	}
	if got, want := provider.env.Compilations(), len(provider.file.AttributeMapping)+1; got != want {
		t.Errorf("%d compilations of %d expressions", got, want)
	}
	if got := policy.env.Compilations(); got != 1 {
		t.Errorf("%d compilations of one condition", got)
	}
}
