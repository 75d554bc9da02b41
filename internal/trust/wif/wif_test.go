package wif

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/document"
	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/oidc"
	"bitbucket-oidc/internal/setup"
	"bitbucket-oidc/internal/trust"
	"bitbucket-oidc/internal/trust/trusttest"
)

// providerWith is what gcloud prints of the provider that `explain` sets up, with changes.
func providerWith(t testing.TB, changes string) string {
	return trusttest.Changed(t, map[string]any{
		"name":               trusttest.Pool + "/providers/bitbucket",
		"state":              "ACTIVE",
		"displayName":        "Bitbucket",
		"oidc":               map[string]any{"issuerUri": trusttest.Issuer, "allowedAudiences": []string{trusttest.Workspace}},
		"attributeMapping":   setup.GCPAttributes(oidc.Claims{RepositoryUUID: trusttest.Repository}),
		"attributeCondition": setup.GCPCondition(oidc.Claims{RepositoryUUID: trusttest.Repository}),
	}, changes)
}

// policyOf is a policy that grants the service account to members.
func policyWith(members ...string) string {
	data, _ := json.Marshal(map[string]any{
		"bindings": []any{map[string]any{"role": setup.WorkloadIdentityUser, "members": members}}, "etag": "BwYx", "version": 1,
	})
	return string(data)
}

// mappingOf is a change of the mapping, beside google.subject.
func mappingOf(pairs ...string) string {
	mapping := map[string]string{"google.subject": "assertion.sub"}
	for i := 0; i < len(pairs); i += 2 {
		mapping[pairs[i]] = pairs[i+1]
	}
	data, _ := json.Marshal(map[string]any{"attributeMapping": mapping})
	return string(data)
}

// judgeGCP judges a provider and a policy of one call. Either may be empty.
func judgeGCP(t testing.TB, provider, policy string, id bitbucket.Identity) (ofProvider, ofPolicy trust.Result) {
	t.Helper()
	o := trust.Options{Now: time.Date(2026, 9, 22, 0, 0, 0, 0, time.UTC)}
	var through *Provider
	var beside []*Policy
	if provider != "" {
		p, ok, err := readProvider(provider)
		if !ok || err != nil {
			t.Fatalf("%s: %v, %v", provider, ok, err)
		}
		through = p
	}
	if policy != "" {
		p, ok, err := readPolicy(policy)
		if !ok || err != nil {
			t.Fatalf("%s: %v, %v", policy, ok, err)
		}
		p.Through(through)
		beside = append(beside, p)
		ofPolicy = p.Judge(id, o)
	}
	if through != nil {
		through.Beside(beside)
		ofProvider = through.Judge(id, o)
	}
	return ofProvider, ofPolicy
}

func readProvider(text string) (*Provider, bool, error) {
	f, err := document.Read("", []byte(text))
	if err != nil {
		return nil, false, nil
	}
	return ReadProvider(f)
}

func readPolicy(text string) (*Policy, bool, error) {
	f, err := document.Read("", []byte(text))
	if err != nil {
		return nil, false, nil
	}
	return ReadPolicy(f)
}

func TestGCPProvider(t *testing.T) {
	long := strings.Repeat("x", 3000)
	many := []string{}
	for i := range 51 {
		many = append(many, fmt.Sprintf("attribute.a%d", i), "assertion.sub")
	}
	fifty := many[:100]
	for _, c := range []struct {
		name, claims, changes string
		verdict               trust.Verdict
		rules                 string
	}{
		{"as explain sets it up", "", "", trust.Allow, ""},
		{"… for a deployment", trusttest.Deployment, "", trust.Allow, ""},
		{"placeholders", "", `{"name":"projects/PROJECT_NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER"}`, trust.Allow, ""},
		{"written by a person", "", `{"name":null,"state":null}`, trust.Allow, ""},

		// IAM API, WorkloadIdentityPoolProvider: disabled, state, expireTime
		{"disabled", "", `{"disabled":true}`, trust.Deny, "gcp-provider-disabled"},
		{"deleted", "", `{"state":"DELETED","expireTime":"2026-10-20T00:00:00Z"}`, trust.Deny, "gcp-provider-disabled"},
		{"expired", "", `{"expireTime":"2026-09-21T00:00:00Z"}`, trust.Deny, "gcp-provider-disabled"},
		{"not yet expired", "", `{"expireTime":"2026-09-23T00:00:00Z"}`, trust.Allow, ""},
		{"a state that is not documented", "", `{"state":"STATE_UNSPECIFIED"}`, trust.Undecided, ""},

		// … Oidc: issuerUri, allowedAudiences
		{"trailing slash", "", `{"oidc":{"issuerUri":"` + trusttest.Issuer + `/","allowedAudiences":["` + trusttest.Workspace + `"]}}`, trust.Deny, "gcp-issuer-mismatch"},
		{"renamed workspace", `{"iss":"https://api.bitbucket.org/2.0/workspaces/new/pipelines-config/identity/oidc"}`, "", trust.Deny, "gcp-issuer-mismatch"},
		{"a provider for AWS", "", `{"oidc":null,"aws":{"accountId":"123456789012"}}`, trust.Deny, "gcp-issuer-mismatch"},
		{"another audience", "", `{"oidc":{"issuerUri":"` + trusttest.Issuer + `","allowedAudiences":["sts.amazonaws.com"]}}`, trust.Deny, "gcp-audience-mismatch"},
		{"the audience in braces", "", `{"oidc":{"issuerUri":"` + trusttest.Issuer + `","allowedAudiences":["ari:cloud:bitbucket::workspace/{7baee083-4f25-4a97-8a9a-0fde1b623b45}"]}}`, trust.Deny, "gcp-audience-mismatch"},
		{"no list, the workspace's audience", "", `{"oidc":{"issuerUri":"` + trusttest.Issuer + `"}}`, trust.Deny, "gcp-audience-mismatch"},
		{"no list, the default audience", `{"aud":["` + trusttest.Workspace + `","https://iam.googleapis.com/` + trusttest.Pool + `/providers/bitbucket"]}`, `{"oidc":{"issuerUri":"` + trusttest.Issuer + `"}}`, trust.Allow, ""},
		{"… without https:", `{"aud":"//iam.googleapis.com/` + trusttest.Pool + `/providers/bitbucket"}`, `{"oidc":{"issuerUri":"` + trusttest.Issuer + `","allowedAudiences":[]}}`, trust.Allow, ""},
		{"… of another provider", `{"aud":"//iam.googleapis.com/` + trusttest.Pool + `/providers/other"}`, `{"oidc":{"issuerUri":"` + trusttest.Issuer + `"}}`, trust.Deny, "gcp-audience-mismatch"},
		{"one of several audiences", `{"aud":["https://a.example","` + trusttest.Workspace + `"]}`, "", trust.Allow, ""},

		// … attributeMapping
		{"no google.subject", "", `{"attributeMapping":{"attribute.r":"assertion.repositoryUuid"}}`, trust.Deny, "gcp-mapping-invalid"},
		{"no mapping", "", `{"attributeMapping":null}`, trust.Deny, "gcp-mapping-invalid"},
		{"syntax", "", mappingOf("attribute.r", "assertion.repositoryUuid +"), trust.Deny, "gcp-mapping-invalid"},
		{"a function that only Google knows", "", mappingOf("attribute.r", "assertion.sub.upper()"), trust.Undecided, ""},
		{"a variable that is none", "", mappingOf("attribute.r", "assertions.sub"), trust.Deny, "gcp-mapping-invalid"},
		{"self-reference", "", mappingOf("attribute.sub", "attribute.sub"), trust.Deny, "gcp-mapping-invalid"},
		{"reads google.subject", "", mappingOf("attribute.sub", "google.subject"), trust.Deny, "gcp-mapping-invalid"},
		{"a number", "", mappingOf("attribute.exp", "assertion.exp"), trust.Deny, "gcp-mapping-invalid"},
		{"one audience", "", mappingOf("attribute.aud", "assertion.aud"), trust.Allow, ""},
		{"a list of audiences", `{"aud":["` + trusttest.Workspace + `","https://a.example"]}`, mappingOf("attribute.aud", "assertion.aud"), trust.Deny, "gcp-mapping-invalid"},
		{"groups", "", mappingOf("google.groups", "[assertion.repositoryUuid, assertion.workspaceUuid]"), trust.Allow, ""},
		{"groups of a string", "", mappingOf("google.groups", "assertion.repositoryUuid"), trust.Deny, "gcp-mapping-invalid"},
		{"groups of numbers", "", mappingOf("google.groups", "[1]"), trust.Deny, "gcp-mapping-invalid"},
		{"a key in capitals", "", mappingOf("attribute.Repository", "assertion.sub"), trust.Deny, "gcp-mapping-invalid"},
		{"a key of 101 characters", "", mappingOf("attribute."+strings.Repeat("a", 101), "assertion.sub"), trust.Deny, "gcp-mapping-invalid"},
		{"a key of 100 characters", "", mappingOf("attribute."+strings.Repeat("a", 100), "assertion.sub"), trust.Allow, ""},
		{"a key of Google's that is not there", "", mappingOf("google.email", "assertion.sub"), trust.Deny, "gcp-mapping-invalid"},
		{"50 attributes", "", mappingOf(fifty...), trust.Allow, ""},
		{"51 attributes", "", mappingOf(many...), trust.Deny, "gcp-mapping-invalid"},
		{"2048 characters", "", mappingOf("attribute.x", "'"+long[:2046]+"'"), trust.Allow, ""},
		{"2049 characters", "", mappingOf("attribute.x", "'"+long[:2047]+"'"), trust.Deny, "gcp-mapping-invalid"},
		{"8193 bytes in all", "", mappingOf("google.subject", "'s'", "attribute.a", "'"+long[:2000]+"'", "attribute.b", "'"+long[:2000]+"'", "attribute.c", "'"+long[:2000]+"'", "attribute.d", "'"+long[:2000]+"'", "attribute.e", "'"+long[:192]+"'"), trust.Deny, "gcp-mapping-invalid"},
		{"8192 bytes in all", "", mappingOf("google.subject", "'s'", "attribute.a", "'"+long[:2000]+"'", "attribute.b", "'"+long[:2000]+"'", "attribute.c", "'"+long[:2000]+"'", "attribute.d", "'"+long[:2000]+"'", "attribute.e", "'"+long[:191]+"'"), trust.Allow, ""},
		{"a subject of 127 bytes", "", mappingOf("google.subject", "'"+long[:127]+"'"), trust.Allow, ""},
		{"a subject of 128 bytes", "", mappingOf("google.subject", "'"+long[:128]+"'"), trust.Deny, "gcp-mapping-invalid"},
		{"an empty subject", "", mappingOf("google.subject", "''"), trust.Undecided, ""},
		{"a part that is not there", "", mappingOf("attribute.env", "assertion.sub.split(':')[2]"), trust.Deny, "gcp-mapping-invalid"},

		// Google does not say what becomes of a mapping over an absent claim
		{"an absent claim", "", mappingOf("attribute.env", "assertion.deploymentEnvironmentUuid"), trust.Undecided, "gcp-mapping-absent-claim"},
		{"… that is there", trusttest.Deployment, mappingOf("attribute.env", "assertion.deploymentEnvironmentUuid"), trust.Allow, ""},
		{"… guarded by has", "", mappingOf("attribute.env", "has(assertion.deploymentEnvironmentUuid) ? assertion.deploymentEnvironmentUuid : 'none'"), trust.Allow, ""},
		{"… guarded by in", "", mappingOf("attribute.env", "'branchName' in assertion ? assertion.branchName : 'none'"), trust.Allow, ""},
		{"… and the condition is false", `{"repositoryUuid":"` + trusttest.Other + `"}`, mappingOf("attribute.env", "assertion.deploymentEnvironmentUuid"), trust.Deny, "gcp-condition-rejects gcp-mapping-absent-claim"},

		// … attributeCondition
		{"another repository", `{"repositoryUuid":"` + trusttest.Other + `"}`, "", trust.Deny, "gcp-condition-rejects"},
		{"no condition", "", `{"attributeCondition":null}`, trust.Allow, "gcp-condition-missing"},
		{"a condition of spaces", "", `{"attributeCondition":" \n"}`, trust.Allow, "gcp-condition-missing"},
		{"through an attribute", "", `{"attributeCondition":"attribute.repository_uuid == '` + trusttest.Repository + `'"}`, trust.Allow, ""},
		{"through google.subject", "", `{"attributeCondition":"google.subject.startsWith('` + trusttest.Repository + `:')"}`, trust.Allow, ""},
		{"an attribute that is not mapped", "", `{"attributeCondition":"attribute.repo == 'x'"}`, trust.Deny, "gcp-condition-rejects"},
		{"an absent claim in it", "", `{"attributeCondition":"assertion.deploymentEnvironmentUuid == 'x'"}`, trust.Deny, "gcp-condition-rejects"},
		{"not a condition", "", `{"attributeCondition":"assertion.sub"}`, trust.Deny, "gcp-condition-rejects"},
		{"no CEL", "", `{"attributeCondition":"assertion.sub = 'x'"}`, trust.Deny, "gcp-condition-rejects"},
		{"4097 characters", "", `{"attributeCondition":"true` + strings.Repeat(" ", 4093) + `"}`, trust.Deny, "gcp-condition-rejects"},
		{"over an attribute that is not known", "", `{"attributeMapping":{"google.subject":"assertion.sub","attribute.env":"assertion.deploymentEnvironmentUuid"},"attributeCondition":"attribute.env == 'x'"}`, trust.Undecided, "gcp-mapping-absent-claim"},
		{"in groups", "", `{"attributeMapping":{"google.subject":"assertion.sub","google.groups":"[assertion.repositoryUuid]"},"attributeCondition":"'` + trusttest.Repository + `' in google.groups"}`, trust.Allow, ""},
		{"only the workspace, alone", "", `{"attributeCondition":"assertion.workspaceUuid == '{7baee083-4f25-4a97-8a9a-0fde1b623b45}'"}`, trust.Allow, ""},
		{"a template that is not documented", "", `{"attributeCondition":"assertion.repositoryUuid.extract('{{uuid}}') == 'x'"}`, trust.Undecided, ""},

		// Google documents extract, split, join and CEL's own basics for workload identity
		{"documented functions", "", `{"attributeCondition":"assertion.sub.split(':')[0] == ['` + trusttest.Repository + `'].join('') && size(assertion.sub) > 3 && assertion.sub.contains('{') && assertion.sub.matches('.')"}`, trust.Allow, ""},
		{"lowerAscii", "", `{"attributeCondition":"assertion.repositoryUuid.lowerAscii() == '` + trusttest.Repository + `'"}`, trust.Allow, "gcp-function-unconfirmed"},
		{"a comprehension", "", mappingOf("attribute.x", "['a'].exists(x, x == 'a') ? 'y' : 'n'"), trust.Allow, "gcp-function-unconfirmed"},
		{"a conversion", "", mappingOf("attribute.exp", "string(assertion.exp)"), trust.Allow, "gcp-function-unconfirmed"},

		// bounds of the judgement
		{"more claims than are evaluated", `{"branchName":"` + strings.Repeat("x", 9000) + `"}`, "", trust.Undecided, ""},
		{"more work than is done", "", mappingOf("attribute.x", "[1,2,3,4,5,6,7,8,9].map(a,[1,2,3,4,5,6,7,8,9].map(b,[1,2,3,4,5,6,7,8,9].map(c,[1,2,3,4,5,6,7,8,9].map(d,[1,2,3,4,5,6,7,8,9]))))[0] == [] ? '' : 'x'"), trust.Undecided, "gcp-function-unconfirmed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, _ := judgeGCP(t, providerWith(t, c.changes), "", trusttest.ClaimsWith(t, c.claims))
			if rules := trusttest.RulesOf(t, got); got.Verdict != c.verdict || rules != c.rules {
				t.Errorf("%s %q (%s), want %s %q\n%+v", got.Verdict, rules, got.Reason, c.verdict, c.rules, got.Findings)
			}
		})
	}
}

func TestGCPPolicy(t *testing.T) {
	binding := func(role, condition string, members ...string) string {
		b := map[string]any{"role": role, "members": members}
		if condition != "" {
			b["condition"] = map[string]any{"title": "t", "expression": condition}
		}
		data, _ := json.Marshal(map[string]any{"bindings": []any{b}, "etag": "x", "version": 3})
		return string(data)
	}
	repository, joined := trusttest.Set("attribute.repository_uuid/"+trusttest.Repository), trusttest.Set("attribute.deployment/"+trusttest.Repository+":"+trusttest.Environment)
	bare := strings.Trim(trusttest.Repository, "{}")
	for _, c := range []struct {
		name, claims, changes, policy string
		provider, verdict             trust.Verdict
		rules                         string // of both results
	}{
		{"as explain binds it", "", "", policyWith(repository), trust.Allow, trust.Allow, ""},
		{"… for a deployment", trusttest.Deployment, "", policyWith(joined), trust.Allow, trust.Allow, ""},
		{"a deployment, bound as a repository", trusttest.Deployment, "", policyWith(repository), trust.Allow, trust.Allow, ""},
		{"placeholders", "", "", policyWith(setup.GCPMember(trusttest.ClaimsWith(t, "").Claims, setup.ProjectNumber, setup.Pool)), trust.Allow, trust.Allow, ""},
		{"a provider without a name", "", `{"name":null}`, policyWith(repository), trust.Allow, trust.Allow, ""},
		{"another environment", "", "", policyWith(joined), trust.Allow, trust.Deny, ""},
		{"another repository", "", "", policyWith(trusttest.Set("attribute.repository_uuid/" + trusttest.Other)), trust.Allow, trust.Deny, ""},
		{"another case", "", "", policyWith(trusttest.Set("attribute.repository_uuid/" + strings.ToUpper(trusttest.Repository))), trust.Allow, trust.Deny, ""},
		{"a wildcard in a value", "", "", policyWith(trusttest.Set("attribute.repository_uuid/*")), trust.Allow, trust.Deny, ""},
		{"the second member", "", "", policyWith("user:a@example.com", repository), trust.Allow, trust.Allow, ""},
		{"only the etag", "", "", `{"etag":"ACAB"}`, trust.Allow, trust.Deny, ""},
		{"no members", "", "", `{"bindings":[],"etag":"ACAB","version":1}`, trust.Allow, trust.Deny, ""},
		{"no provider", "", "-", policyWith(repository), "", trust.Undecided, ""},
		{"no provider and no members", "", "-", `{"etag":"ACAB"}`, "", trust.Undecided, ""},
		{"the provider denies", "", `{"disabled":true}`, policyWith(repository), trust.Deny, trust.Deny, "gcp-provider-disabled"},
		{"the provider is undecided", "", `{"state":"X"}`, policyWith(repository), trust.Undecided, trust.Undecided, ""},
		{"… and nothing is granted", "", `{"state":"X"}`, policyWith(), trust.Undecided, trust.Deny, ""},
		{"an attribute that is not known", "", mappingOf("attribute.env", "assertion.deploymentEnvironmentUuid"), policyWith(trusttest.Set("attribute.env/" + trusttest.Environment)), trust.Undecided, trust.Undecided, "gcp-mapping-absent-claim"},

		// Google Cloud, "Principal identifiers"
		{"a subject", "", mappingOf("google.subject", "assertion.repositoryUuid"), policyWith("principal://iam.googleapis.com/" + trusttest.Pool + "/subject/" + trusttest.Repository), trust.Allow, trust.Allow, ""},
		{"a group", "", mappingOf("google.groups", "[assertion.repositoryUuid]"), policyWith(trusttest.Set("group/" + trusttest.Repository)), trust.Allow, trust.Allow, ""},
		{"a subject as a set", "", mappingOf("google.subject", "assertion.repositoryUuid"), policyWith(trusttest.Set("subject/" + trusttest.Repository)), trust.Allow, trust.Deny, ""},
		{"a value with slashes", "", mappingOf("attribute.path", "assertion.repositoryUuid + '/x/y'"), policyWith(trusttest.Set("attribute.path/" + trusttest.Repository + "/x/y")), trust.Allow, trust.Allow, ""},
		{"another pool", "", "", policyWith(strings.Replace(repository, "pipelines", "other", 1)), trust.Allow, trust.Deny, ""},
		{"another project", "", "", policyWith(strings.Replace(repository, "123456789012", "210987654321", 1)), trust.Allow, trust.Deny, ""},
		{"deleted", "", "", policyWith("deleted:" + repository), trust.Allow, trust.Deny, ""},
		{"every Google account", "", "", policyWith("allAuthenticatedUsers"), trust.Allow, trust.Deny, "gcp-binding-pool-wide"}, // without federated identities
		{"the internet", "", "", policyWith("allUsers"), trust.Allow, trust.Allow, "gcp-binding-pool-wide"},
		{"a project's pools", "", "", policyWith("principalSet://cloudresourcemanager.googleapis.com/projects/1/type/WorkloadIdentityPool"), trust.Allow, trust.Undecided, "gcp-binding-pool-wide"},

		// roles
		{"the token creator", "", "", binding(setup.TokenCreator, "", repository), trust.Allow, trust.Allow, ""},
		{"a custom role", "", "", binding("projects/p/roles/deployer", "", repository), trust.Allow, trust.Undecided, ""},
		{"a custom role for others", "", "", binding("organizations/1/roles/deployer", "", trusttest.Set("attribute.repository_uuid/"+trusttest.Other)), trust.Allow, trust.Deny, ""},
		{"another role", "", "", binding("roles/iam.serviceAccountUser", "", repository, trusttest.Set("*")), trust.Allow, trust.Deny, "gcp-binding-pool-wide"},

		// binding conditions see the request, which is not known
		{"a time", "", "", binding(setup.WorkloadIdentityUser, "request.time < timestamp('2020-01-01T00:00:00Z')", repository), trust.Allow, trust.Undecided, ""},
		{"a function that workload identity has not", "", "", binding(setup.WorkloadIdentityUser, "date('2020-01-01') < request.time", repository), trust.Allow, trust.Undecided, ""},
		{"always", "", "", binding(setup.WorkloadIdentityUser, "true || request.time < timestamp('2020-01-01T00:00:00Z')", repository), trust.Allow, trust.Allow, ""},
		{"never", "", "", binding(setup.WorkloadIdentityUser, "false", repository), trust.Allow, trust.Deny, ""},
		{"a condition that was left out", "", "", binding(setup.WorkloadIdentityUser+"_withcond_2b17cc25d2cd9e2c54d8", "", repository), trust.Allow, trust.Undecided, ""},
		{"a condition for others", "", "", binding(setup.WorkloadIdentityUser, "request.time > x", trusttest.Set("attribute.repository_uuid/"+trusttest.Other)), trust.Allow, trust.Deny, ""},

		// gcp-binding-*
		{"the pool", "", "", policyWith(trusttest.Set("*")), trust.Allow, trust.Allow, "gcp-binding-pool-wide"},
		{"the pool, no provider", "", "-", policyWith(trusttest.Set("*")), "", trust.Undecided, "gcp-binding-pool-wide"},
		{"a step's subject", "", "", policyWith("principal://iam.googleapis.com/" + trusttest.Pool + "/subject/" + trusttest.Repository + ":" + trusttest.Step), trust.Allow, trust.Allow, "gcp-binding-pins-step"},
		{"another step's subject", "", "", policyWith("principal://iam.googleapis.com/" + trusttest.Pool + "/subject/" + trusttest.Repository + ":" + trusttest.Other), trust.Allow, trust.Deny, "gcp-binding-pins-step"},
		{"… of a deployment", "", "", policyWith("principal://iam.googleapis.com/" + trusttest.Pool + "/subject/" + trusttest.Repository + ":" + trusttest.Environment + ":" + trusttest.Other), trust.Allow, trust.Deny, "gcp-binding-pins-step"},
		{"… no provider", "", "-", policyWith("principal://iam.googleapis.com/" + trusttest.Pool + "/subject/" + trusttest.Repository + ":" + trusttest.Other), "", trust.Undecided, "gcp-binding-pins-step"},
		{"… under a subject that is stable", "", mappingOf("google.subject", "assertion.repositoryUuid"), policyWith("principal://iam.googleapis.com/" + trusttest.Pool + "/subject/" + trusttest.Repository + ":" + trusttest.Other), trust.Allow, trust.Deny, "gcp-binding-pins-step"},
		{"a joined subject", trusttest.Deployment, mappingOf("google.subject", "assertion.repositoryUuid + ':' + assertion.deploymentEnvironmentUuid"), policyWith("principal://iam.googleapis.com/"+trusttest.Pool+"/subject/"+trusttest.Repository+":"+trusttest.Environment, "principal://iam.googleapis.com/"+trusttest.Pool+"/subject/"+trusttest.Repository+":"+trusttest.Other), trust.Allow, trust.Allow, ""},
		{"a step's attribute", "", mappingOf("attribute.sub", "assertion.sub"), policyWith(trusttest.Set("attribute.sub/" + trusttest.Repository + ":" + trusttest.Step)), trust.Allow, trust.Allow, "gcp-binding-pins-step"},
		{"no braces", "", "", policyWith(trusttest.Set("attribute.repository_uuid/" + bare)), trust.Allow, trust.Deny, "gcp-binding-braces"},
		{"no braces, another repository", "", "", policyWith(trusttest.Set("attribute.repository_uuid/" + strings.Trim(trusttest.Other, "{}"))), trust.Allow, trust.Deny, "gcp-binding-braces"},
		{"escaped braces", "", "", policyWith(trusttest.Set("attribute.repository_uuid/%7B" + bare + "%7D")), trust.Allow, trust.Deny, "gcp-binding-braces"},
		{"no braces around one of two", trusttest.Deployment, "", policyWith(trusttest.Set("attribute.deployment/" + trusttest.Repository + ":" + strings.Trim(trusttest.Environment, "{}"))), trust.Allow, trust.Deny, "gcp-binding-braces"},
		{"no braces, no provider", "", "-", policyWith(trusttest.Set("attribute.repository_uuid/" + bare)), "", trust.Undecided, "gcp-binding-braces"},
		{"a mapping without braces", "", mappingOf("attribute.repo", "assertion.repositoryUuid.split('{')[1].split('}')[0]"), policyWith(trusttest.Set("attribute.repo/" + bare)), trust.Allow, trust.Allow, ""},
		{"an audience has no braces", "", mappingOf("attribute.aud", "assertion.aud"), policyWith(trusttest.Set("attribute.aud/" + trusttest.Workspace)), trust.Allow, trust.Allow, ""},
		{"an attribute that is not mapped", "", "", policyWith(trusttest.Set("attribute.repo/" + trusttest.Repository)), trust.Allow, trust.Deny, "gcp-binding-unmapped"},
		{"groups that are not mapped", "", "", policyWith(trusttest.Set("group/" + trusttest.Repository)), trust.Allow, trust.Deny, "gcp-binding-unmapped"},
		{"not mapped, in another pool", "", "", policyWith(strings.Replace(trusttest.Set("attribute.repo/x"), "pipelines", "other", 1)), trust.Allow, trust.Deny, ""},
		{"a project's id", "", "", policyWith(strings.Replace(repository, "123456789012", "acme-prod", 1)), trust.Allow, trust.Deny, "gcp-binding-project-id"},
		{"a project's id, no provider", "", "-", policyWith(strings.Replace(repository, "123456789012", "acme-prod", 1)), "", trust.Undecided, "gcp-binding-project-id"},
		{"two attributes", "", "", policyWith(repository + "/attribute.deployment/x"), trust.Allow, trust.Deny, "gcp-binding-two-attributes"},
		{"two attributes, joined by &", "", "", policyWith(repository + "&attribute.deployment=x"), trust.Allow, trust.Deny, "gcp-binding-two-attributes"},

		// gcp-condition-missing, gcp-condition-unscoped: what the bindings leave to the condition
		{"no condition, a narrow binding", "", `{"attributeCondition":null}`, policyWith(repository), trust.Allow, trust.Allow, ""},
		{"no condition, the pool", "", `{"attributeCondition":null}`, policyWith(trusttest.Set("*")), trust.Allow, trust.Allow, "gcp-binding-pool-wide gcp-condition-missing"},
		{"no condition, no binding", "", `{"attributeCondition":null}`, `{"etag":"x"}`, trust.Allow, trust.Deny, "gcp-condition-missing"},
		{"no condition, a binding in another pool", "", `{"attributeCondition":null}`, policyWith(strings.Replace(repository, "pipelines", "other", 1)), trust.Allow, trust.Deny, "gcp-condition-missing"},
		{"the workspace and the pool", "", `{"attributeCondition":"assertion.workspaceUuid != ''"}`, policyWith(trusttest.Set("*")), trust.Allow, trust.Allow, "gcp-binding-pool-wide gcp-condition-unscoped"},
		{"the workspace and a narrow binding", "", `{"attributeCondition":"assertion.workspaceUuid != ''"}`, policyWith(repository), trust.Allow, trust.Allow, ""},
		{"the workspace and a branch", "", `{"attributeMapping":{"google.subject":"assertion.sub","attribute.branch":"assertion.branchName"},"attributeCondition":"assertion.workspaceUuid != ''"}`, policyWith(trusttest.Set("attribute.branch/main")), trust.Allow, trust.Allow, "gcp-condition-unscoped"},
		{"the repository and a branch", "", mappingOf("attribute.branch", "assertion.branchName"), policyWith(trusttest.Set("attribute.branch/main")), trust.Allow, trust.Allow, ""},
		{"nothing and a branch", "", `{"attributeMapping":{"google.subject":"assertion.sub","attribute.branch":"assertion.branchName"},"attributeCondition":null}`, policyWith(trusttest.Set("attribute.branch/main")), trust.Allow, trust.Allow, "gcp-condition-unscoped"},
		{"has() reads no value", "", `{"attributeCondition":"has(assertion.repositoryUuid)"}`, policyWith(trusttest.Set("*")), trust.Allow, trust.Allow, "gcp-binding-pool-wide gcp-condition-unscoped"},
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

// Configurations that were published, and what they come to.
func TestGCPPublished(t *testing.T) {
	oidcSettings := `"oidc":{"issuerUri":"` + trusttest.Issuer + `","allowedAudiences":["` + trusttest.Workspace + `"]}`
	for _, c := range []struct {
		name, changes, policy string
		provider, verdict     trust.Verdict
		rules                 string
	}{
		{"GoogleCloudPlatform/gcp-bitbucket-wif", `{"attributeMapping":{"google.subject":"assertion.sub"},"attributeCondition":null}`,
			policyWith(trusttest.Set("*")), trust.Allow, trust.Allow, "gcp-binding-pool-wide gcp-condition-missing"},
		{"Cyclenerd/google-workload-identity-federation, bitbucket.md", `{"attributeMapping":{"google.subject":"assertion.sub","attribute.sub":"assertion.sub","attribute.repository":"assertion.repositoryUuid"},"attributeCondition":null}`,
			policyWith(trusttest.Set("attribute.repository/" + trusttest.Repository)), trust.Allow, trust.Allow, ""},
		{"Cyclenerd's Terraform module", `{"attributeMapping":{"google.subject":"assertion.sub","attribute.sub":"attribute.sub","attribute.aud":"attribute.aud","attribute.iss":"attribute.iss"},"attributeCondition":null}`,
			policyWith(trusttest.Set("attribute.sub/" + trusttest.Repository)), trust.Deny, trust.Deny, "gcp-mapping-invalid"},
		{"Atlassian's article", `{"oidc":{"issuerUri":"` + trusttest.Issuer + `"},"attributeMapping":{"google.subject":"assertion.sub","attribute.repository":"assertion.sub"},"attributeCondition":null}`,
			policyWith(trusttest.Set("attribute.repository/" + trusttest.Repository)), trust.Deny, trust.Deny, "gcp-audience-mismatch"},
		{"mesoform's trusted_issuers.yaml, bound to a branch", `{` + oidcSettings + `,"attributeMapping":{"google.subject":"assertion.sub","attribute.workspace_uuid":"assertion.workspaceUuid","attribute.git_ref":"assertion.branchName"},"attributeCondition":"assertion.workspaceUuid=='{7baee083-4f25-4a97-8a9a-0fde1b623b45}'"}`,
			policyWith(trusttest.Set("attribute.git_ref/main")), trust.Allow, trust.Allow, "gcp-condition-unscoped"},
		{"google/devops-governance, wif.tf", `{"attributeMapping":{"google.subject":"assertion.sub","attribute.env":"assertion.deploymentEnvironmentUuid"}}`,
			policyWith(trusttest.Set("attribute.env/" + trusttest.Environment)), trust.Undecided, trust.Undecided, "gcp-mapping-absent-claim"},
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

func TestGCPFixes(t *testing.T) {
	find := func(r trust.Result, rule string) finding.Finding {
		for _, f := range r.Findings {
			if f.Rule == rule {
				return f
			}
		}
		t.Errorf("no %s in %+v", rule, r)
		return finding.Finding{}
	}
	id := trusttest.ClaimsWith(t, "")
	provider, _ := judgeGCP(t, providerWith(t, mappingOf("attribute.env", "assertion.deploymentEnvironmentUuid", "attribute.x", "assertion.sub.split(':', 2)[0]")), "", id)
	const update = "gcloud iam workload-identity-pools providers update-oidc projects/123456789012/locations/global/workloadIdentityPools/pipelines/providers/bitbucket "
	if got, want := find(provider, "gcp-mapping-absent-claim").Fix.Text, update+`--attribute-mapping="^;^attribute.env=has(assertion.deploymentEnvironmentUuid) ? assertion.deploymentEnvironmentUuid : 'none';attribute.x=assertion.sub.split(':', 2)[0];google.subject=assertion.sub"`; got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	for mapping, want := range map[string]string{
		mappingOf("attribute.env", "assertion.sub == '' ? 'x' : assertion.deploymentEnvironmentUuid"): "attribute.env=has(assertion.deploymentEnvironmentUuid) ? (assertion.sub == '' ? 'x' : assertion.deploymentEnvironmentUuid) : 'none',",
		mappingOf("google.groups", "[assertion.deploymentEnvironmentUuid]"):                           "google.groups=has(assertion.deploymentEnvironmentUuid) ? [assertion.deploymentEnvironmentUuid] : [],",
	} {
		provider, _ = judgeGCP(t, providerWith(t, mapping), "", id)
		if got := find(provider, "gcp-mapping-absent-claim").Fix.Text; !strings.Contains(got, want) {
			t.Errorf("%s\nwant, in it,\n%s", got, want)
		}
	}
	provider, _ = judgeGCP(t, providerWith(t, mappingOf("attribute.mine", "assertion.branchName", "attribute.Wrong", "assertion.sub", "google.subject", "5")), "", id)
	if got := find(provider, "gcp-mapping-invalid").Fix.Text; !strings.Contains(got, "attribute.mine=assertion.branchName,") || !strings.Contains(got, "google.subject=assertion.sub") || strings.Contains(got, "Wrong") {
		t.Errorf("a fix that does not keep what is right of the mapping: %s", got)
	}
	_, mapped := judgeGCP(t, providerWith(t, mappingOf("attribute.mine", "assertion.branchName", "google.subject", "assertion.branchName")), policyWith(trusttest.Set("attribute.nope/x")), id)
	if got := find(mapped, "gcp-binding-unmapped").Fix.Text; !strings.Contains(got, "attribute.mine=assertion.branchName,") || !strings.Contains(got, "attribute.repository_uuid=assertion.repositoryUuid") || !strings.Contains(got, "google.subject=assertion.branchName") {
		t.Errorf("a fix that does not keep the mapping beside what it needs: %s", got)
	}
	provider, _ = judgeGCP(t, providerWith(t, `{"attributeCondition":null}`), "", id)
	if got, want := find(provider, "gcp-condition-missing").Fix.Text, update+`--attribute-condition="assertion.repositoryUuid == '`+trusttest.Repository+`'"`; got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	_, policy := judgeGCP(t, providerWith(t, mappingOf("attribute.repo", "assertion.repositoryUuid")), policyWith(trusttest.Set("attribute.repo/x"), trusttest.Set("attribute.nope/x")), id)
	if got, want := find(policy, "gcp-binding-unmapped").Fix.Text, "gcloud iam service-accounts add-iam-policy-binding SERVICE_ACCOUNT --role=roles/iam.workloadIdentityUser \\\n  --member='"+trusttest.Set("attribute.repo/"+trusttest.Repository)+"'"; got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if got := find(policy, "gcp-binding-unmapped").Path; got != "bindings[0].members[1]" {
		t.Errorf("path %s", got)
	}
	_, policy = judgeGCP(t, providerWith(t, ""), policyWith(trusttest.Set("*")), id)
	if got, want := find(policy, "gcp-binding-pool-wide").Fix.Text, "\ngcloud iam service-accounts remove-iam-policy-binding SERVICE_ACCOUNT --role=roles/iam.workloadIdentityUser \\\n  --member='"+trusttest.Set("*")+"'"; !strings.HasSuffix(got, want) {
		t.Errorf("%s\nwant, at its end,%s", got, want)
	}
	id.Claims.RepositoryUUID = "{$(x)}"
	provider, _ = judgeGCP(t, providerWith(t, `{"attributeCondition":"false"}`), "", id)
	if got := find(provider, "gcp-condition-rejects").Fix.Text; !strings.HasSuffix(got, `--attribute-condition='assertion.repositoryUuid == '\''{$(x)}'\'''`) {
		t.Errorf("a shell would expand %s", got)
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
	f.Add(`{"oidc":null,"attributeMapping":{"":""}}`, `{"bindings":[null,{"condition":{"expression":"request.a['b']"},"members":["principal://"],"role":"roles/iam.workloadIdentityUser"}]}`)
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
	policy, isPolicy, policyErr := readPolicy(`{"bindings": [{"role": "roles/iam.workloadIdentityUser", "members": ["allUsers"], "condition": {"expression": "true"}}]}`)
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
