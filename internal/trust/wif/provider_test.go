package wif

import (
	"fmt"
	"strings"
	"testing"

	"bitbucket-oidc/internal/trust"
	"bitbucket-oidc/internal/trust/trusttest"
)

func TestGCPProvider(t *testing.T) {
	long := strings.Repeat("x", 3000)
	many := []string{}
	for i := range 51 {
		many = append(many, fmt.Sprintf("attribute.a%d", i), "assertion.sub")
	}
	fifty := many[:100]
	bytes := func(total int) string { // of all values together
		mapping := []string{"google.subject", "'s'"}
		for i := range 4 {
			mapping = append(mapping, fmt.Sprintf("attribute.a%d", i), "'"+long[:2000]+"'")
		}
		return mappingOf(append(mapping, "attribute.rest", "'"+long[:total-8001]+"'")...)
	}
	nine := "[1,2,3,4,5,6,7,8,9]"
	for _, c := range []struct {
		name, claims, changes string
		verdict               trust.Verdict
		rules                 string
	}{
		{name: "as explain sets it up", verdict: trust.Allow},
		{name: "… for a deployment", claims: trusttest.Deployment, verdict: trust.Allow},
		{
			name: "placeholders", changes: `{"name":"projects/PROJECT_NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER"}`,
			verdict: trust.Allow,
		},
		{name: "written by a person", changes: `{"name":null,"state":null}`, verdict: trust.Allow},

		// IAM API, WorkloadIdentityPoolProvider: disabled, state, expireTime
		{name: "disabled", changes: `{"disabled":true}`, verdict: trust.Deny, rules: "gcp-provider-disabled"},
		{name: "deleted", changes: `{"state":"DELETED","expireTime":"2026-10-20T00:00:00Z"}`, verdict: trust.Deny, rules: "gcp-provider-disabled"},
		{name: "expired", changes: `{"expireTime":"2026-09-21T00:00:00Z"}`, verdict: trust.Deny, rules: "gcp-provider-disabled"},
		{name: "expired at this moment", changes: `{"expireTime":"2026-09-22T00:00:00Z"}`, verdict: trust.Deny, rules: "gcp-provider-disabled"},
		{name: "not yet expired", changes: `{"expireTime":"2026-09-23T00:00:00Z"}`, verdict: trust.Allow},
		{name: "a state that is not documented", changes: `{"state":"STATE_UNSPECIFIED"}`, verdict: trust.Undecided},

		// … Oidc: issuerUri, allowedAudiences
		{
			name: "trailing slash", changes: `{"oidc":{"issuerUri":"` + trusttest.Issuer + `/","allowedAudiences":["` + trusttest.Workspace + `"]}}`,
			verdict: trust.Deny, rules: "gcp-issuer-mismatch",
		},
		{
			name: "renamed workspace", claims: `{"iss":"https://api.bitbucket.org/2.0/workspaces/new/pipelines-config/identity/oidc"}`,
			verdict: trust.Deny, rules: "gcp-issuer-mismatch",
		},
		{name: "a provider for AWS", changes: `{"oidc":null,"aws":{"accountId":"123456789012"}}`, verdict: trust.Deny, rules: "gcp-issuer-mismatch"},
		{name: "another audience", changes: allowing("sts.amazonaws.com"), verdict: trust.Deny, rules: "gcp-audience-mismatch"},
		{
			name:    "the audience in braces",
			changes: allowing("ari:cloud:bitbucket::workspace/{7baee083-4f25-4a97-8a9a-0fde1b623b45}"),
			verdict: trust.Deny, rules: "gcp-audience-mismatch",
		},
		{name: "no list, the workspace's audience", changes: allowing(), verdict: trust.Deny, rules: "gcp-audience-mismatch"},
		{
			name:    "no list, the default audience",
			claims:  `{"aud":["` + trusttest.Workspace + `","https://iam.googleapis.com/` + trusttest.Pool + `/providers/bitbucket"]}`,
			changes: allowing(), verdict: trust.Allow,
		},
		{
			name: "… without https:", claims: `{"aud":"//iam.googleapis.com/` + trusttest.Pool + `/providers/bitbucket"}`,
			changes: `{"oidc":{"issuerUri":"` + trusttest.Issuer + `","allowedAudiences":[]}}`, verdict: trust.Allow,
		},
		{
			name: "… of another provider", claims: `{"aud":"//iam.googleapis.com/` + trusttest.Pool + `/providers/other"}`,
			changes: allowing(), verdict: trust.Deny, rules: "gcp-audience-mismatch",
		},
		{
			name: "… another scheme than the list's", claims: `{"aud":"https://iam.googleapis.com/` + trusttest.Pool + `/providers/bitbucket"}`,
			changes: allowing("//iam.googleapis.com/" + trusttest.Pool + "/providers/bitbucket"), verdict: trust.Deny, rules: "gcp-audience-mismatch",
		},
		{name: "one of several audiences", claims: `{"aud":["https://a.example","` + trusttest.Workspace + `"]}`, verdict: trust.Allow},

		// … attributeMapping
		{
			name: "no google.subject", changes: `{"attributeMapping":{"attribute.r":"assertion.repositoryUuid"}}`, verdict: trust.Deny,
			rules: "gcp-mapping-invalid",
		},
		{name: "no mapping", changes: `{"attributeMapping":null}`, verdict: trust.Deny, rules: "gcp-mapping-invalid"},
		{name: "syntax", changes: mappingOf("attribute.r", "assertion.repositoryUuid +"), verdict: trust.Deny, rules: "gcp-mapping-invalid"},
		{name: "a function that only Google knows", changes: mappingOf("attribute.r", "assertion.sub.upper()"), verdict: trust.Undecided},
		{name: "a variable that is none", changes: mappingOf("attribute.r", "assertions.sub"), verdict: trust.Deny, rules: "gcp-mapping-invalid"},
		{name: "self-reference", changes: mappingOf("attribute.sub", "attribute.sub"), verdict: trust.Deny, rules: "gcp-mapping-invalid"},
		{
			name:    "self-reference, which the condition reads",
			changes: merged(mappingOf("attribute.sub", "attribute.sub"), condition("attribute.sub == 'x'")),
			verdict: trust.Deny, rules: "gcp-mapping-invalid",
		},
		{name: "reads google.subject", changes: mappingOf("attribute.sub", "google.subject"), verdict: trust.Deny, rules: "gcp-mapping-invalid"},
		{name: "a number", changes: mappingOf("attribute.exp", "assertion.exp"), verdict: trust.Deny, rules: "gcp-mapping-invalid"},
		{name: "one audience", changes: mappingOf("attribute.aud", "assertion.aud"), verdict: trust.Allow},
		{
			name: "a list of audiences", claims: `{"aud":["` + trusttest.Workspace + `","https://a.example"]}`,
			changes: mappingOf("attribute.aud", "assertion.aud"), verdict: trust.Deny, rules: "gcp-mapping-invalid",
		},
		{name: "groups", changes: mappingOf("google.groups", "[assertion.repositoryUuid, assertion.workspaceUuid]"), verdict: trust.Allow},
		{
			name: "groups of a string", changes: mappingOf("google.groups", "assertion.repositoryUuid"), verdict: trust.Deny,
			rules: "gcp-mapping-invalid",
		},
		{name: "groups of numbers", changes: mappingOf("google.groups", "[1]"), verdict: trust.Deny, rules: "gcp-mapping-invalid"},
		{name: "a key in capitals", changes: mappingOf("attribute.Repository", "assertion.sub"), verdict: trust.Deny, rules: "gcp-mapping-invalid"},
		{
			name: "a key of 101 characters", changes: mappingOf("attribute."+strings.Repeat("a", 101), "assertion.sub"), verdict: trust.Deny,
			rules: "gcp-mapping-invalid",
		},
		{name: "a key of 100 characters", changes: mappingOf("attribute."+strings.Repeat("a", 100), "assertion.sub"), verdict: trust.Allow},
		{
			name: "a key of Google's that is not there", changes: mappingOf("google.email", "assertion.sub"), verdict: trust.Deny,
			rules: "gcp-mapping-invalid",
		},
		{name: "50 attributes", changes: mappingOf(fifty...), verdict: trust.Allow},
		{name: "51 attributes", changes: mappingOf(many...), verdict: trust.Deny, rules: "gcp-mapping-invalid"},
		{name: "2048 characters", changes: mappingOf("attribute.x", "'"+long[:2046]+"'"), verdict: trust.Allow},
		{name: "2049 characters", changes: mappingOf("attribute.x", "'"+long[:2047]+"'"), verdict: trust.Deny, rules: "gcp-mapping-invalid"},
		{name: "8193 bytes in all", changes: bytes(8193), verdict: trust.Deny, rules: "gcp-mapping-invalid"},
		{name: "8192 bytes in all", changes: bytes(8192), verdict: trust.Allow},
		{name: "a subject of 127 bytes", changes: mappingOf("google.subject", "'"+long[:127]+"'"), verdict: trust.Allow},
		{name: "a subject of 128 bytes", changes: mappingOf("google.subject", "'"+long[:128]+"'"), verdict: trust.Deny, rules: "gcp-mapping-invalid"},
		{name: "an empty subject", changes: mappingOf("google.subject", "''"), verdict: trust.Undecided},
		{
			name: "a part that is not there", changes: mappingOf("attribute.env", "assertion.sub.split(':')[2]"), verdict: trust.Deny,
			rules: "gcp-mapping-invalid",
		},

		// Google does not say what becomes of a mapping over an absent claim
		{
			name: "an absent claim", changes: mappingOf("attribute.env", "assertion.deploymentEnvironmentUuid"), verdict: trust.Undecided,
			rules: "gcp-mapping-absent-claim",
		},
		{
			name: "… that is there", claims: trusttest.Deployment, changes: mappingOf("attribute.env", "assertion.deploymentEnvironmentUuid"),
			verdict: trust.Allow,
		},
		{
			name:    "… guarded by has",
			changes: mappingOf("attribute.env", "has(assertion.deploymentEnvironmentUuid) ? assertion.deploymentEnvironmentUuid : 'none'"),
			verdict: trust.Allow,
		},
		{
			name: "… guarded by in", changes: mappingOf("attribute.env", "'branchName' in assertion ? assertion.branchName : 'none'"),
			verdict: trust.Allow,
		},
		{
			name: "… and the condition is false", claims: `{"repositoryUuid":"` + trusttest.Other + `"}`,
			changes: mappingOf("attribute.env", "assertion.deploymentEnvironmentUuid"), verdict: trust.Deny,
			rules: "gcp-condition-rejects gcp-mapping-absent-claim",
		},

		// … attributeCondition
		{name: "another repository", claims: `{"repositoryUuid":"` + trusttest.Other + `"}`, verdict: trust.Deny, rules: "gcp-condition-rejects"},
		{name: "no condition", changes: noCondition, verdict: trust.Allow, rules: "gcp-condition-missing"},
		{name: "a condition of spaces", changes: condition(" \n"), verdict: trust.Allow, rules: "gcp-condition-missing"},
		{name: "through an attribute", changes: condition(`attribute.repository_uuid == '` + trusttest.Repository + `'`), verdict: trust.Allow},
		{name: "through google.subject", changes: condition(`google.subject.startsWith('` + trusttest.Repository + `:')`), verdict: trust.Allow},
		{name: "an attribute that is not mapped", changes: condition("attribute.repo == 'x'"), verdict: trust.Deny, rules: "gcp-condition-rejects"},
		{
			name: "an absent claim in it", changes: condition("assertion.deploymentEnvironmentUuid == 'x'"), verdict: trust.Deny,
			rules: "gcp-condition-rejects",
		},
		{name: "not a condition", changes: condition("assertion.sub"), verdict: trust.Deny, rules: "gcp-condition-rejects"},
		{name: "no CEL", changes: condition("assertion.sub = 'x'"), verdict: trust.Deny, rules: "gcp-condition-rejects"},
		{
			name: "4097 characters", changes: `{"attributeCondition":"true` + strings.Repeat(" ", 4093) + `"}`, verdict: trust.Deny,
			rules: "gcp-condition-rejects",
		},
		{
			name:    "over an attribute that is not known",
			changes: merged(mappingOf("attribute.env", "assertion.deploymentEnvironmentUuid"), condition("attribute.env == 'x'")),
			verdict: trust.Undecided, rules: "gcp-mapping-absent-claim",
		},
		{
			name:    "in groups",
			changes: merged(mappingOf("google.groups", "[assertion.repositoryUuid]"), condition(`'`+trusttest.Repository+`' in google.groups`)),
			verdict: trust.Allow,
		},
		{
			name: "only the workspace, alone", changes: condition("assertion.workspaceUuid == '{7baee083-4f25-4a97-8a9a-0fde1b623b45}'"),
			verdict: trust.Allow,
		},
		{
			name: "a template that is not documented", changes: condition("assertion.repositoryUuid.extract('{{uuid}}') == 'x'"),
			verdict: trust.Undecided,
		},

		// Google documents extract, split, join and CEL's own basics for workload identity
		{
			name: "documented functions",
			changes: condition("assertion.sub.split(':')[0] == ['" + trusttest.Repository + "'].join('') && size(assertion.sub) > 3 && " +
				"assertion.sub.contains('{') && assertion.sub.matches('.')"),
			verdict: trust.Allow,
		},
		{
			name: "lowerAscii", changes: condition(`assertion.repositoryUuid.lowerAscii() == '` + trusttest.Repository + `'`),
			verdict: trust.Allow, rules: "gcp-function-unconfirmed",
		},
		{
			name: "a comprehension", changes: mappingOf("attribute.x", "['a'].exists(x, x == 'a') ? 'y' : 'n'"), verdict: trust.Allow,
			rules: "gcp-function-unconfirmed",
		},
		{name: "a conversion", changes: mappingOf("attribute.exp", "string(assertion.exp)"), verdict: trust.Allow, rules: "gcp-function-unconfirmed"},

		// bounds of the judgement
		{name: "more claims than are evaluated", claims: `{"branchName":"` + strings.Repeat("x", 9000) + `"}`, verdict: trust.Undecided},
		{
			name:    "more work than is done",
			changes: mappingOf("attribute.x", nine+".map(a,"+nine+".map(b,"+nine+".map(c,"+nine+".map(d,"+nine+"))))[0] == [] ? '' : 'x'"),
			verdict: trust.Undecided, rules: "gcp-function-unconfirmed",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, _ := judgeGCP(t, providerWith(t, c.changes), "", trusttest.ClaimsWith(t, c.claims))
			if rules := trusttest.RulesOf(t, got); got.Verdict != c.verdict || rules != c.rules {
				t.Errorf("%s %q (%s), want %s %q\n%+v", got.Verdict, rules, got.Reason, c.verdict, c.rules, got.Findings)
			}
		})
	}
}
