package trust

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"bitbucket-oidc/internal/oidc"
)

const (
	testRepository  = "{2e9e429c-7b8b-404f-8648-8c40c27c9ebd}"
	testEnvironment = "{9d6f4bc5-64a5-4a5a-a1a6-3a0f9d5a4a11}"
	testStep        = "{c4b1a2f0-1f8b-4b65-8e0b-3c5d9d1a7e55}"
	testOther       = "{11111111-2222-4333-8444-555555555555}" // another repository, environment or step
	testWorkspace   = "ari:cloud:bitbucket::workspace/7baee083-4f25-4a97-8a9a-0fde1b623b45"
	testIssuer      = "https://api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc"
	testPool        = "projects/123456789012/locations/global/workloadIdentityPools/pipelines"
)

// claimsWith are the claims of a step of testRepository, with changes. A claim that is null is not there.
func claimsWith(t testing.TB, changes string) Identity {
	t.Helper()
	all := map[string]any{
		"iss": testIssuer, "aud": testWorkspace, "sub": testRepository + ":" + testStep, "exp": 1790000000, "iat": 1789996400,
		"repositoryUuid": testRepository, "stepUuid": testStep, "workspaceUuid": "{7baee083-4f25-4a97-8a9a-0fde1b623b45}",
		"pipelineUuid": "{aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee}", "branchName": "main",
	}
	id, err := FromClaims([]byte(changed(t, all, changes)))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// deployment is what a deployment step has beyond others.
const deployment = `{"deploymentEnvironmentUuid":"` + testEnvironment + `","sub":"` + testRepository + ":" + testEnvironment + ":" + testStep + `"}`

// changed is a JSON object after changes to its members: null removes one.
func changed(t testing.TB, base map[string]any, changes string) string {
	t.Helper()
	if changes != "" {
		var change map[string]any
		if err := json.Unmarshal([]byte(changes), &change); err != nil {
			t.Fatalf("%s: %v", changes, err)
		}
		base = maps.Clone(base)
		maps.Copy(base, change)
		maps.DeleteFunc(base, func(_ string, v any) bool { return v == nil })
	}
	data, err := json.Marshal(base)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// providerWith is what gcloud prints of the provider that `explain` sets up, with changes.
func providerWith(t testing.TB, changes string) string {
	return changed(t, map[string]any{
		"name":               testPool + "/providers/bitbucket",
		"state":              "ACTIVE",
		"displayName":        "Bitbucket",
		"oidc":               map[string]any{"issuerUri": testIssuer, "allowedAudiences": []string{testWorkspace}},
		"attributeMapping":   gcpAttributes(oidc.Claims{RepositoryUUID: testRepository}),
		"attributeCondition": GCPCondition(oidc.Claims{RepositoryUUID: testRepository}),
	}, changes)
}

// policyOf is a policy that grants the service account to members.
func policyWith(members ...string) string {
	data, _ := json.Marshal(map[string]any{
		"bindings": []any{map[string]any{"role": workloadIdentityUser, "members": members}}, "etag": "BwYx", "version": 1,
	})
	return string(data)
}

func set(selector string) string {
	return "principalSet://iam.googleapis.com/" + testPool + "/" + selector
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
func judgeGCP(t testing.TB, provider, policy string, id Identity) (ofProvider, ofPolicy Result) {
	t.Helper()
	o := Options{Now: time.Date(2026, 9, 22, 0, 0, 0, 0, time.UTC)}
	var sole *providerJudgement
	if provider != "" {
		judged, ok, err := gcpProvider([]byte(provider), id, o)
		if !ok || err != nil {
			t.Fatalf("%s: %v, %v", provider, ok, err)
		}
		judged.bind([]byte(policy))
		sole, ofProvider = &judged, judged.Result
	}
	if policy != "" {
		var ok bool
		var err error
		if ofPolicy, ok, err = gcpPolicy([]byte(policy), sole, id, o); !ok || err != nil {
			t.Fatalf("%s: %v, %v", policy, ok, err)
		}
	}
	return ofProvider, ofPolicy
}

// rulesOf are the rules of the findings, each once, and where they say less than they promise.
func rulesOf(t testing.TB, r Result) string {
	t.Helper()
	var rules []string
	for _, f := range r.Findings {
		rules = append(rules, f.Rule)
		if f.Message == "" || f.Fix == "" || f.Path == "" || f.Severity == "" || strings.Contains(f.Message, "\n") {
			t.Errorf("a finding that says too little: %+v", f)
		}
	}
	if r.Kind != "" && r.Reason == "" {
		t.Errorf("a result that says too little: %+v", r)
	}
	slices.Sort(rules)
	return strings.Join(slices.Compact(rules), " ")
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
		verdict               Verdict
		rules                 string
	}{
		{"as explain sets it up", "", "", Allow, ""},
		{"… for a deployment", deployment, "", Allow, ""},
		{"placeholders", "", `{"name":"projects/PROJECT_NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER"}`, Allow, ""},
		{"written by a person", "", `{"name":null,"state":null}`, Allow, ""},

		// IAM API, WorkloadIdentityPoolProvider: disabled, state, expireTime
		{"disabled", "", `{"disabled":true}`, Deny, "gcp-provider-disabled"},
		{"deleted", "", `{"state":"DELETED","expireTime":"2026-10-20T00:00:00Z"}`, Deny, "gcp-provider-disabled"},
		{"expired", "", `{"expireTime":"2026-09-21T00:00:00Z"}`, Deny, "gcp-provider-disabled"},
		{"not yet expired", "", `{"expireTime":"2026-09-23T00:00:00Z"}`, Allow, ""},
		{"a state that is not documented", "", `{"state":"STATE_UNSPECIFIED"}`, Undecided, ""},

		// … Oidc: issuerUri, allowedAudiences
		{"trailing slash", "", `{"oidc":{"issuerUri":"` + testIssuer + `/","allowedAudiences":["` + testWorkspace + `"]}}`, Deny, "gcp-issuer-mismatch"},
		{"renamed workspace", `{"iss":"https://api.bitbucket.org/2.0/workspaces/new/pipelines-config/identity/oidc"}`, "", Deny, "gcp-issuer-mismatch"},
		{"a provider for AWS", "", `{"oidc":null,"aws":{"accountId":"123456789012"}}`, Deny, "gcp-issuer-mismatch"},
		{"another audience", "", `{"oidc":{"issuerUri":"` + testIssuer + `","allowedAudiences":["sts.amazonaws.com"]}}`, Deny, "gcp-audience-mismatch"},
		{"the audience in braces", "", `{"oidc":{"issuerUri":"` + testIssuer + `","allowedAudiences":["ari:cloud:bitbucket::workspace/{7baee083-4f25-4a97-8a9a-0fde1b623b45}"]}}`, Deny, "gcp-audience-mismatch"},
		{"no list, the workspace's audience", "", `{"oidc":{"issuerUri":"` + testIssuer + `"}}`, Deny, "gcp-audience-mismatch"},
		{"no list, the default audience", `{"aud":["` + testWorkspace + `","https://iam.googleapis.com/` + testPool + `/providers/bitbucket"]}`, `{"oidc":{"issuerUri":"` + testIssuer + `"}}`, Allow, ""},
		{"… without https:", `{"aud":"//iam.googleapis.com/` + testPool + `/providers/bitbucket"}`, `{"oidc":{"issuerUri":"` + testIssuer + `","allowedAudiences":[]}}`, Allow, ""},
		{"… of another provider", `{"aud":"//iam.googleapis.com/` + testPool + `/providers/other"}`, `{"oidc":{"issuerUri":"` + testIssuer + `"}}`, Deny, "gcp-audience-mismatch"},
		{"one of several audiences", `{"aud":["https://a.example","` + testWorkspace + `"]}`, "", Allow, ""},

		// … attributeMapping
		{"no google.subject", "", `{"attributeMapping":{"attribute.r":"assertion.repositoryUuid"}}`, Deny, "gcp-mapping-invalid"},
		{"no mapping", "", `{"attributeMapping":null}`, Deny, "gcp-mapping-invalid"},
		{"syntax", "", mappingOf("attribute.r", "assertion.repositoryUuid +"), Deny, "gcp-mapping-invalid"},
		{"an unknown function", "", mappingOf("attribute.r", "assertion.sub.upper()"), Deny, "gcp-mapping-invalid"},
		{"self-reference", "", mappingOf("attribute.sub", "attribute.sub"), Deny, "gcp-mapping-invalid"},
		{"reads google.subject", "", mappingOf("attribute.sub", "google.subject"), Deny, "gcp-mapping-invalid"},
		{"a number", "", mappingOf("attribute.exp", "assertion.exp"), Deny, "gcp-mapping-invalid"},
		{"one audience", "", mappingOf("attribute.aud", "assertion.aud"), Allow, ""},
		{"a list of audiences", `{"aud":["` + testWorkspace + `","https://a.example"]}`, mappingOf("attribute.aud", "assertion.aud"), Deny, "gcp-mapping-invalid"},
		{"groups", "", mappingOf("google.groups", "[assertion.repositoryUuid, assertion.workspaceUuid]"), Allow, ""},
		{"groups of a string", "", mappingOf("google.groups", "assertion.repositoryUuid"), Deny, "gcp-mapping-invalid"},
		{"groups of numbers", "", mappingOf("google.groups", "[1]"), Deny, "gcp-mapping-invalid"},
		{"a key in capitals", "", mappingOf("attribute.Repository", "assertion.sub"), Deny, "gcp-mapping-invalid"},
		{"a key of 101 characters", "", mappingOf("attribute."+strings.Repeat("a", 101), "assertion.sub"), Deny, "gcp-mapping-invalid"},
		{"a key of 100 characters", "", mappingOf("attribute."+strings.Repeat("a", 100), "assertion.sub"), Allow, ""},
		{"a key of Google's that is not there", "", mappingOf("google.email", "assertion.sub"), Deny, "gcp-mapping-invalid"},
		{"50 attributes", "", mappingOf(fifty...), Allow, ""},
		{"51 attributes", "", mappingOf(many...), Deny, "gcp-mapping-invalid"},
		{"2048 characters", "", mappingOf("attribute.x", "'"+long[:2046]+"'"), Allow, ""},
		{"2049 characters", "", mappingOf("attribute.x", "'"+long[:2047]+"'"), Deny, "gcp-mapping-invalid"},
		{"8193 bytes in all", "", mappingOf("google.subject", "'s'", "attribute.a", "'"+long[:2000]+"'", "attribute.b", "'"+long[:2000]+"'", "attribute.c", "'"+long[:2000]+"'", "attribute.d", "'"+long[:2000]+"'", "attribute.e", "'"+long[:192]+"'"), Deny, "gcp-mapping-invalid"},
		{"8192 bytes in all", "", mappingOf("google.subject", "'s'", "attribute.a", "'"+long[:2000]+"'", "attribute.b", "'"+long[:2000]+"'", "attribute.c", "'"+long[:2000]+"'", "attribute.d", "'"+long[:2000]+"'", "attribute.e", "'"+long[:191]+"'"), Allow, ""},
		{"a subject of 127 bytes", "", mappingOf("google.subject", "'"+long[:127]+"'"), Allow, ""},
		{"a subject of 128 bytes", "", mappingOf("google.subject", "'"+long[:128]+"'"), Deny, "gcp-mapping-invalid"},
		{"an empty subject", "", mappingOf("google.subject", "''"), Undecided, ""},
		{"a part that is not there", "", mappingOf("attribute.env", "assertion.sub.split(':')[2]"), Deny, "gcp-mapping-invalid"},

		// Google does not say what becomes of a mapping over an absent claim
		{"an absent claim", "", mappingOf("attribute.env", "assertion.deploymentEnvironmentUuid"), Undecided, "gcp-mapping-absent-claim"},
		{"… that is there", deployment, mappingOf("attribute.env", "assertion.deploymentEnvironmentUuid"), Allow, ""},
		{"… guarded by has", "", mappingOf("attribute.env", "has(assertion.deploymentEnvironmentUuid) ? assertion.deploymentEnvironmentUuid : 'none'"), Allow, ""},
		{"… guarded by in", "", mappingOf("attribute.env", "'branchName' in assertion ? assertion.branchName : 'none'"), Allow, ""},
		{"… and the condition is false", `{"repositoryUuid":"` + testOther + `"}`, mappingOf("attribute.env", "assertion.deploymentEnvironmentUuid"), Deny, "gcp-condition-rejects gcp-mapping-absent-claim"},

		// … attributeCondition
		{"another repository", `{"repositoryUuid":"` + testOther + `"}`, "", Deny, "gcp-condition-rejects"},
		{"no condition", "", `{"attributeCondition":null}`, Allow, "gcp-condition-missing"},
		{"a condition of spaces", "", `{"attributeCondition":" \n"}`, Allow, "gcp-condition-missing"},
		{"through an attribute", "", `{"attributeCondition":"attribute.repository_uuid == '` + testRepository + `'"}`, Allow, ""},
		{"through google.subject", "", `{"attributeCondition":"google.subject.startsWith('` + testRepository + `:')"}`, Allow, ""},
		{"an attribute that is not mapped", "", `{"attributeCondition":"attribute.repo == 'x'"}`, Deny, "gcp-condition-rejects"},
		{"an absent claim in it", "", `{"attributeCondition":"assertion.deploymentEnvironmentUuid == 'x'"}`, Deny, "gcp-condition-rejects"},
		{"not a condition", "", `{"attributeCondition":"assertion.sub"}`, Deny, "gcp-condition-rejects"},
		{"no CEL", "", `{"attributeCondition":"assertion.sub = 'x'"}`, Deny, "gcp-condition-rejects"},
		{"4097 characters", "", `{"attributeCondition":"true` + strings.Repeat(" ", 4093) + `"}`, Deny, "gcp-condition-rejects"},
		{"over an attribute that is not known", "", `{"attributeMapping":{"google.subject":"assertion.sub","attribute.env":"assertion.deploymentEnvironmentUuid"},"attributeCondition":"attribute.env == 'x'"}`, Undecided, "gcp-mapping-absent-claim"},
		{"in groups", "", `{"attributeMapping":{"google.subject":"assertion.sub","google.groups":"[assertion.repositoryUuid]"},"attributeCondition":"'` + testRepository + `' in google.groups"}`, Allow, ""},
		{"only the workspace, alone", "", `{"attributeCondition":"assertion.workspaceUuid == '{7baee083-4f25-4a97-8a9a-0fde1b623b45}'"}`, Allow, ""},
		{"a template that is not documented", "", `{"attributeCondition":"assertion.repositoryUuid.extract('{{uuid}}') == 'x'"}`, Undecided, ""},

		// Google documents extract, split, join and CEL's own basics for workload identity
		{"documented functions", "", `{"attributeCondition":"assertion.sub.split(':')[0] == ['` + testRepository + `'].join('') && size(assertion.sub) > 3 && assertion.sub.contains('{') && assertion.sub.matches('.')"}`, Allow, ""},
		{"lowerAscii", "", `{"attributeCondition":"assertion.repositoryUuid.lowerAscii() == '` + testRepository + `'"}`, Allow, "gcp-function-unconfirmed"},
		{"a comprehension", "", mappingOf("attribute.x", "['a'].exists(x, x == 'a') ? 'y' : 'n'"), Allow, "gcp-function-unconfirmed"},
		{"a conversion", "", mappingOf("attribute.exp", "string(assertion.exp)"), Allow, "gcp-function-unconfirmed"},

		// bounds of the judgement
		{"more claims than are evaluated", `{"branchName":"` + strings.Repeat("x", 9000) + `"}`, "", Undecided, ""},
		{"more work than is done", "", mappingOf("attribute.x", "[1,2,3,4,5,6,7,8,9].map(a,[1,2,3,4,5,6,7,8,9].map(b,[1,2,3,4,5,6,7,8,9].map(c,[1,2,3,4,5,6,7,8,9].map(d,[1,2,3,4,5,6,7,8,9]))))[0] == [] ? '' : 'x'"), Undecided, "gcp-function-unconfirmed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, _ := judgeGCP(t, providerWith(t, c.changes), "", claimsWith(t, c.claims))
			if rules := rulesOf(t, got); got.Verdict != c.verdict || rules != c.rules {
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
	repository, joined := set("attribute.repository_uuid/"+testRepository), set("attribute.deployment/"+testRepository+":"+testEnvironment)
	bare := strings.Trim(testRepository, "{}")
	for _, c := range []struct {
		name, claims, changes, policy string
		provider, verdict             Verdict
		rules                         string // of both results
	}{
		{"as explain binds it", "", "", policyWith(repository), Allow, Allow, ""},
		{"… for a deployment", deployment, "", policyWith(joined), Allow, Allow, ""},
		{"a deployment, bound as a repository", deployment, "", policyWith(repository), Allow, Allow, ""},
		{"placeholders", "", "", policyWith(GCPMember(claimsWith(t, "").Claims, ProjectNumber, Pool)), Allow, Allow, ""},
		{"a provider without a name", "", `{"name":null}`, policyWith(repository), Allow, Allow, ""},
		{"another environment", "", "", policyWith(joined), Allow, Deny, ""},
		{"another repository", "", "", policyWith(set("attribute.repository_uuid/" + testOther)), Allow, Deny, ""},
		{"another case", "", "", policyWith(set("attribute.repository_uuid/" + strings.ToUpper(testRepository))), Allow, Deny, ""},
		{"a wildcard in a value", "", "", policyWith(set("attribute.repository_uuid/*")), Allow, Deny, ""},
		{"the second member", "", "", policyWith("user:a@example.com", repository), Allow, Allow, ""},
		{"only the etag", "", "", `{"etag":"ACAB"}`, Allow, Deny, ""},
		{"no members", "", "", `{"bindings":[],"etag":"ACAB","version":1}`, Allow, Deny, ""},
		{"no provider", "", "-", policyWith(repository), "", Undecided, ""},
		{"no provider and no members", "", "-", `{"etag":"ACAB"}`, "", Undecided, ""},
		{"the provider denies", "", `{"disabled":true}`, policyWith(repository), Deny, Deny, "gcp-provider-disabled"},
		{"the provider is undecided", "", `{"state":"X"}`, policyWith(repository), Undecided, Undecided, ""},
		{"… and nothing is granted", "", `{"state":"X"}`, policyWith(), Undecided, Deny, ""},
		{"an attribute that is not known", "", mappingOf("attribute.env", "assertion.deploymentEnvironmentUuid"), policyWith(set("attribute.env/" + testEnvironment)), Undecided, Undecided, "gcp-mapping-absent-claim"},

		// Google Cloud, "Principal identifiers"
		{"a subject", "", mappingOf("google.subject", "assertion.repositoryUuid"), policyWith("principal://iam.googleapis.com/" + testPool + "/subject/" + testRepository), Allow, Allow, ""},
		{"a group", "", mappingOf("google.groups", "[assertion.repositoryUuid]"), policyWith(set("group/" + testRepository)), Allow, Allow, ""},
		{"a subject as a set", "", mappingOf("google.subject", "assertion.repositoryUuid"), policyWith(set("subject/" + testRepository)), Allow, Deny, ""},
		{"a value with slashes", "", mappingOf("attribute.path", "assertion.repositoryUuid + '/x/y'"), policyWith(set("attribute.path/" + testRepository + "/x/y")), Allow, Allow, ""},
		{"another pool", "", "", policyWith(strings.Replace(repository, "pipelines", "other", 1)), Allow, Deny, ""},
		{"another project", "", "", policyWith(strings.Replace(repository, "123456789012", "210987654321", 1)), Allow, Deny, ""},
		{"deleted", "", "", policyWith("deleted:" + repository), Allow, Deny, ""},
		{"every Google account", "", "", policyWith("allAuthenticatedUsers"), Allow, Deny, ""}, // without federated identities
		{"the internet", "", "", policyWith("allUsers"), Allow, Allow, "gcp-binding-pool-wide"},
		{"a project's pools", "", "", policyWith("principalSet://cloudresourcemanager.googleapis.com/projects/1/type/WorkloadIdentityPool"), Allow, Undecided, ""},

		// roles
		{"the token creator", "", "", binding(tokenCreator, "", repository), Allow, Allow, ""},
		{"a custom role", "", "", binding("projects/p/roles/deployer", "", repository), Allow, Undecided, ""},
		{"a custom role for others", "", "", binding("organizations/1/roles/deployer", "", set("attribute.repository_uuid/"+testOther)), Allow, Deny, ""},
		{"another role", "", "", binding("roles/iam.serviceAccountUser", "", repository, set("*")), Allow, Deny, ""},

		// binding conditions see the request, which is not known
		{"a time", "", "", binding(workloadIdentityUser, "request.time < timestamp('2020-01-01T00:00:00Z')", repository), Allow, Undecided, ""},
		{"a function that workload identity has not", "", "", binding(workloadIdentityUser, "date('2020-01-01') < request.time", repository), Allow, Undecided, ""},
		{"always", "", "", binding(workloadIdentityUser, "true || request.time < timestamp('2020-01-01T00:00:00Z')", repository), Allow, Allow, ""},
		{"never", "", "", binding(workloadIdentityUser, "false", repository), Allow, Deny, ""},
		{"a condition that was left out", "", "", binding(workloadIdentityUser+"_withcond_2b17cc25d2cd9e2c54d8", "", repository), Allow, Undecided, ""},
		{"a condition for others", "", "", binding(workloadIdentityUser, "request.time > x", set("attribute.repository_uuid/"+testOther)), Allow, Deny, ""},

		// gcp-binding-*
		{"the pool", "", "", policyWith(set("*")), Allow, Allow, "gcp-binding-pool-wide"},
		{"the pool, no provider", "", "-", policyWith(set("*")), "", Undecided, "gcp-binding-pool-wide"},
		{"a step's subject", "", "", policyWith("principal://iam.googleapis.com/" + testPool + "/subject/" + testRepository + ":" + testStep), Allow, Allow, "gcp-binding-pins-step"},
		{"another step's subject", "", "", policyWith("principal://iam.googleapis.com/" + testPool + "/subject/" + testRepository + ":" + testOther), Allow, Deny, "gcp-binding-pins-step"},
		{"… of a deployment", "", "", policyWith("principal://iam.googleapis.com/" + testPool + "/subject/" + testRepository + ":" + testEnvironment + ":" + testOther), Allow, Deny, "gcp-binding-pins-step"},
		{"… no provider", "", "-", policyWith("principal://iam.googleapis.com/" + testPool + "/subject/" + testRepository + ":" + testOther), "", Undecided, "gcp-binding-pins-step"},
		{"… under a subject that is stable", "", mappingOf("google.subject", "assertion.repositoryUuid"), policyWith("principal://iam.googleapis.com/" + testPool + "/subject/" + testRepository + ":" + testOther), Allow, Deny, "gcp-binding-pins-step"},
		{"a joined subject", deployment, mappingOf("google.subject", "assertion.repositoryUuid + ':' + assertion.deploymentEnvironmentUuid"), policyWith("principal://iam.googleapis.com/"+testPool+"/subject/"+testRepository+":"+testEnvironment, "principal://iam.googleapis.com/"+testPool+"/subject/"+testRepository+":"+testOther), Allow, Allow, ""},
		{"a step's attribute", "", mappingOf("attribute.sub", "assertion.sub"), policyWith(set("attribute.sub/" + testRepository + ":" + testStep)), Allow, Allow, "gcp-binding-pins-step"},
		{"no braces", "", "", policyWith(set("attribute.repository_uuid/" + bare)), Allow, Deny, "gcp-binding-braces"},
		{"no braces, another repository", "", "", policyWith(set("attribute.repository_uuid/" + strings.Trim(testOther, "{}"))), Allow, Deny, "gcp-binding-braces"},
		{"escaped braces", "", "", policyWith(set("attribute.repository_uuid/%7B" + bare + "%7D")), Allow, Deny, "gcp-binding-braces"},
		{"no braces around one of two", deployment, "", policyWith(set("attribute.deployment/" + testRepository + ":" + strings.Trim(testEnvironment, "{}"))), Allow, Deny, "gcp-binding-braces"},
		{"no braces, no provider", "", "-", policyWith(set("attribute.repository_uuid/" + bare)), "", Undecided, "gcp-binding-braces"},
		{"a mapping without braces", "", mappingOf("attribute.repo", "assertion.repositoryUuid.split('{')[1].split('}')[0]"), policyWith(set("attribute.repo/" + bare)), Allow, Allow, ""},
		{"an audience has no braces", "", mappingOf("attribute.aud", "assertion.aud"), policyWith(set("attribute.aud/" + testWorkspace)), Allow, Allow, ""},
		{"an attribute that is not mapped", "", "", policyWith(set("attribute.repo/" + testRepository)), Allow, Deny, "gcp-binding-unmapped"},
		{"groups that are not mapped", "", "", policyWith(set("group/" + testRepository)), Allow, Deny, "gcp-binding-unmapped"},
		{"not mapped, in another pool", "", "", policyWith(strings.Replace(set("attribute.repo/x"), "pipelines", "other", 1)), Allow, Deny, ""},
		{"a project's id", "", "", policyWith(strings.Replace(repository, "123456789012", "acme-prod", 1)), Allow, Deny, "gcp-binding-project-id"},
		{"a project's id, no provider", "", "-", policyWith(strings.Replace(repository, "123456789012", "acme-prod", 1)), "", Undecided, "gcp-binding-project-id"},
		{"two attributes", "", "", policyWith(repository + "/attribute.deployment/x"), Allow, Deny, "gcp-binding-two-attributes"},
		{"two attributes, joined by &", "", "", policyWith(repository + "&attribute.deployment=x"), Allow, Deny, "gcp-binding-two-attributes"},

		// gcp-condition-missing, gcp-condition-unscoped: what the bindings leave to the condition
		{"no condition, a narrow binding", "", `{"attributeCondition":null}`, policyWith(repository), Allow, Allow, ""},
		{"no condition, the pool", "", `{"attributeCondition":null}`, policyWith(set("*")), Allow, Allow, "gcp-binding-pool-wide gcp-condition-missing"},
		{"no condition, no binding", "", `{"attributeCondition":null}`, `{"etag":"x"}`, Allow, Deny, "gcp-condition-missing"},
		{"no condition, a binding in another pool", "", `{"attributeCondition":null}`, policyWith(strings.Replace(repository, "pipelines", "other", 1)), Allow, Deny, "gcp-condition-missing"},
		{"the workspace and the pool", "", `{"attributeCondition":"assertion.workspaceUuid != ''"}`, policyWith(set("*")), Allow, Allow, "gcp-binding-pool-wide gcp-condition-unscoped"},
		{"the workspace and a narrow binding", "", `{"attributeCondition":"assertion.workspaceUuid != ''"}`, policyWith(repository), Allow, Allow, ""},
		{"the workspace and a branch", "", `{"attributeMapping":{"google.subject":"assertion.sub","attribute.branch":"assertion.branchName"},"attributeCondition":"assertion.workspaceUuid != ''"}`, policyWith(set("attribute.branch/main")), Allow, Allow, "gcp-condition-unscoped"},
		{"the repository and a branch", "", mappingOf("attribute.branch", "assertion.branchName"), policyWith(set("attribute.branch/main")), Allow, Allow, ""},
		{"nothing and a branch", "", `{"attributeMapping":{"google.subject":"assertion.sub","attribute.branch":"assertion.branchName"},"attributeCondition":null}`, policyWith(set("attribute.branch/main")), Allow, Allow, "gcp-condition-unscoped"},
		{"has() reads no value", "", `{"attributeCondition":"has(assertion.repositoryUuid)"}`, policyWith(set("*")), Allow, Allow, "gcp-binding-pool-wide gcp-condition-unscoped"},
	} {
		t.Run(c.name, func(t *testing.T) {
			provider := ""
			if c.changes != "-" {
				provider = providerWith(t, c.changes)
			}
			ofProvider, got := judgeGCP(t, provider, c.policy, claimsWith(t, c.claims))
			rules := strings.Fields(rulesOf(t, ofProvider) + " " + rulesOf(t, got))
			slices.Sort(rules)
			if ofProvider.Verdict != c.provider || got.Verdict != c.verdict || strings.Join(rules, " ") != c.rules {
				t.Errorf("%s, %s %q (%s), want %s, %s %q", ofProvider.Verdict, got.Verdict, rules, got.Reason, c.provider, c.verdict, c.rules)
			}
		})
	}
}

// Configurations that were published, and what they come to.
func TestGCPPublished(t *testing.T) {
	oidcSettings := `"oidc":{"issuerUri":"` + testIssuer + `","allowedAudiences":["` + testWorkspace + `"]}`
	for _, c := range []struct {
		name, changes, policy string
		provider, verdict     Verdict
		rules                 string
	}{
		{"GoogleCloudPlatform/gcp-bitbucket-wif", `{"attributeMapping":{"google.subject":"assertion.sub"},"attributeCondition":null}`,
			policyWith(set("*")), Allow, Allow, "gcp-binding-pool-wide gcp-condition-missing"},
		{"Cyclenerd/google-workload-identity-federation, bitbucket.md", `{"attributeMapping":{"google.subject":"assertion.sub","attribute.sub":"assertion.sub","attribute.repository":"assertion.repositoryUuid"},"attributeCondition":null}`,
			policyWith(set("attribute.repository/" + testRepository)), Allow, Allow, ""},
		{"Cyclenerd's Terraform module", `{"attributeMapping":{"google.subject":"assertion.sub","attribute.sub":"attribute.sub","attribute.aud":"attribute.aud","attribute.iss":"attribute.iss"},"attributeCondition":null}`,
			policyWith(set("attribute.sub/" + testRepository)), Deny, Deny, "gcp-mapping-invalid"},
		{"Atlassian's article", `{"oidc":{"issuerUri":"` + testIssuer + `"},"attributeMapping":{"google.subject":"assertion.sub","attribute.repository":"assertion.sub"},"attributeCondition":null}`,
			policyWith(set("attribute.repository/" + testRepository)), Deny, Deny, "gcp-audience-mismatch"},
		{"mesoform's trusted_issuers.yaml, bound to a branch", `{` + oidcSettings + `,"attributeMapping":{"google.subject":"assertion.sub","attribute.workspace_uuid":"assertion.workspaceUuid","attribute.git_ref":"assertion.branchName"},"attributeCondition":"assertion.workspaceUuid=='{7baee083-4f25-4a97-8a9a-0fde1b623b45}'"}`,
			policyWith(set("attribute.git_ref/main")), Allow, Allow, "gcp-condition-unscoped"},
		{"google/devops-governance, wif.tf", `{"attributeMapping":{"google.subject":"assertion.sub","attribute.env":"assertion.deploymentEnvironmentUuid"}}`,
			policyWith(set("attribute.env/" + testEnvironment)), Undecided, Undecided, "gcp-mapping-absent-claim"},
	} {
		t.Run(c.name, func(t *testing.T) {
			ofProvider, got := judgeGCP(t, providerWith(t, c.changes), c.policy, claimsWith(t, ""))
			rules := strings.Fields(rulesOf(t, ofProvider) + " " + rulesOf(t, got))
			slices.Sort(rules)
			if ofProvider.Verdict != c.provider || got.Verdict != c.verdict || strings.Join(slices.Compact(rules), " ") != c.rules {
				t.Errorf("%s, %s %q (%s), want %s, %s %q", ofProvider.Verdict, got.Verdict, rules, got.Reason, c.provider, c.verdict, c.rules)
			}
		})
	}
}

func TestGCPFixes(t *testing.T) {
	find := func(r Result, rule string) Finding {
		for _, f := range r.Findings {
			if f.Rule == rule {
				return f
			}
		}
		t.Errorf("no %s in %+v", rule, r)
		return Finding{}
	}
	id := claimsWith(t, "")
	provider, _ := judgeGCP(t, providerWith(t, mappingOf("attribute.env", "assertion.deploymentEnvironmentUuid", "attribute.x", "assertion.sub.split(':', 2)[0]")), "", id)
	const update = "gcloud iam workload-identity-pools providers update-oidc projects/123456789012/locations/global/workloadIdentityPools/pipelines/providers/bitbucket "
	if got, want := find(provider, "gcp-mapping-absent-claim").Fix, update+`--attribute-mapping="^;^attribute.env=has(assertion.deploymentEnvironmentUuid) ? assertion.deploymentEnvironmentUuid : 'none';attribute.x=assertion.sub.split(':', 2)[0];google.subject=assertion.sub"`; got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	for mapping, want := range map[string]string{
		mappingOf("attribute.env", "assertion.sub == '' ? 'x' : assertion.deploymentEnvironmentUuid"): "attribute.env=has(assertion.deploymentEnvironmentUuid) ? (assertion.sub == '' ? 'x' : assertion.deploymentEnvironmentUuid) : 'none',",
		mappingOf("google.groups", "[assertion.deploymentEnvironmentUuid]"):                           "google.groups=has(assertion.deploymentEnvironmentUuid) ? [assertion.deploymentEnvironmentUuid] : [],",
	} {
		provider, _ = judgeGCP(t, providerWith(t, mapping), "", id)
		if got := find(provider, "gcp-mapping-absent-claim").Fix; !strings.Contains(got, want) {
			t.Errorf("%s\nwant, in it,\n%s", got, want)
		}
	}
	provider, _ = judgeGCP(t, providerWith(t, mappingOf("attribute.mine", "assertion.branchName", "attribute.Wrong", "assertion.sub", "google.subject", "5")), "", id)
	if got := find(provider, "gcp-mapping-invalid").Fix; !strings.Contains(got, "attribute.mine=assertion.branchName,") || !strings.Contains(got, "google.subject=assertion.sub") || strings.Contains(got, "Wrong") {
		t.Errorf("a fix that does not keep what is right of the mapping: %s", got)
	}
	_, mapped := judgeGCP(t, providerWith(t, mappingOf("attribute.mine", "assertion.branchName", "google.subject", "assertion.branchName")), policyWith(set("attribute.nope/x")), id)
	if got := find(mapped, "gcp-binding-unmapped").Fix; !strings.Contains(got, "attribute.mine=assertion.branchName,") || !strings.Contains(got, "attribute.repository_uuid=assertion.repositoryUuid") || !strings.Contains(got, "google.subject=assertion.branchName") {
		t.Errorf("a fix that does not keep the mapping beside what it needs: %s", got)
	}
	provider, _ = judgeGCP(t, providerWith(t, `{"attributeCondition":null}`), "", id)
	if got, want := find(provider, "gcp-condition-missing").Fix, update+`--attribute-condition="assertion.repositoryUuid == '`+testRepository+`'"`; got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	_, policy := judgeGCP(t, providerWith(t, mappingOf("attribute.repo", "assertion.repositoryUuid")), policyWith(set("attribute.repo/x"), set("attribute.nope/x")), id)
	if got, want := find(policy, "gcp-binding-unmapped").Fix, "gcloud iam service-accounts add-iam-policy-binding SERVICE_ACCOUNT --role=roles/iam.workloadIdentityUser \\\n  --member='"+set("attribute.repo/"+testRepository)+"'"; got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if got := find(policy, "gcp-binding-unmapped").Path; got != "bindings[0].members[1]" {
		t.Errorf("path %s", got)
	}
	_, policy = judgeGCP(t, providerWith(t, ""), policyWith(set("*")), id)
	if got, want := find(policy, "gcp-binding-pool-wide").Fix, "\ngcloud iam service-accounts remove-iam-policy-binding SERVICE_ACCOUNT --role=roles/iam.workloadIdentityUser \\\n  --member='"+set("*")+"'"; !strings.HasSuffix(got, want) {
		t.Errorf("%s\nwant, at its end,%s", got, want)
	}
	id.Claims.RepositoryUUID = "{$(x)}"
	provider, _ = judgeGCP(t, providerWith(t, `{"attributeCondition":"false"}`), "", id)
	if got := find(provider, "gcp-condition-rejects").Fix; !strings.HasSuffix(got, `--attribute-condition='assertion.repositoryUuid == '\''{$(x)}'\'''`) {
		t.Errorf("a shell would expand %s", got)
	}
}

func TestGCPKinds(t *testing.T) {
	id := claimsWith(t, "")
	for _, c := range []struct {
		document         string
		provider, policy string
	}{
		{`{}`, "", ""},
		{`[]`, "", ""},
		{`{"version":1}`, "", ""},
		{`{"Version":"2012-10-17","Statement":[]}`, "", ""},
		{`{"Url":"api.bitbucket.org","ClientIDList":[]}`, "", ""},
		{`{"name":"` + testPool + `","state":"ACTIVE"}`, "", ""}, // a pool
		{`{"name":"` + testPool + `/providers/p","state":"ACTIVE"}`, "told", ""},
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
		_, ok, err := gcpProvider([]byte(c.document), id, Options{})
		if got := outcome(ok, err); got != c.provider {
			t.Errorf("%s as a provider: %q (%v), want %q", c.document, got, err, c.provider)
		}
		_, ok, err = gcpPolicy([]byte(c.document), nil, id, Options{})
		if got := outcome(ok, err); got != c.policy {
			t.Errorf("%s as a policy: %q (%v), want %q", c.document, got, err, c.policy)
		}
	}
}

// What explain says passes, and the result names the provider.
func TestGCPExplained(t *testing.T) {
	for _, claims := range []string{"", deployment, `{"aud":["` + testWorkspace + `","https://a.example"]}`, `{"branchName":null}`} {
		for _, places := range []Places{{}, {GCPProjectNumber: "123456789012", GCPPool: "pipelines", GCPProvider: "bitbucket"}} {
			id := claimsWith(t, claims)
			e, err := Explain(id, places)
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
			if ofProvider.Verdict != Allow || ofPolicy.Verdict != Allow || len(ofProvider.Findings)+len(ofPolicy.Findings) > 0 {
				t.Errorf("%+v\n%+v", ofProvider, ofPolicy)
			}
			if ofProvider.Name != where.GCPProvider || ofProvider.Kind != "gcp-provider" || ofPolicy.Kind != "gcp-policy" || ofPolicy.Name != "" {
				t.Errorf("%+v\n%+v", ofProvider, ofPolicy)
			}
		}
	}
}

func FuzzGCP(f *testing.F) {
	f.Add(providerWith(f, ""), policyWith(set("attribute.repository_uuid/"+testRepository), set("*")))
	f.Add(providerWith(f, mappingOf("google.groups", "[1].map(x, assertion.sub.extract('{a}'))")), `{"etag":""}`)
	f.Add(`{"oidc":null,"attributeMapping":{"":""}}`, `{"bindings":[null,{"condition":{"expression":"request.a['b']"},"members":["principal://"],"role":"roles/iam.workloadIdentityUser"}]}`)
	id := claimsWith(f, "")
	f.Fuzz(func(t *testing.T, provider, policy string) {
		judged, ok, err := gcpProvider([]byte(provider), id, Options{})
		sole := &judged
		if ok && err == nil {
			judged.bind([]byte(policy))
			rulesOf(t, judged.Result)
		} else {
			sole = nil
		}
		if r, ok, err := gcpPolicy([]byte(policy), sole, id, Options{}); ok && err == nil {
			rulesOf(t, r)
		}
	})
}
