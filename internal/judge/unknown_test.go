package judge

import (
	"encoding/json"
	"strings"
	"testing"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/setup"
	"bitbucket-oidc/internal/trust"
	"bitbucket-oidc/internal/trust/trusttest"
)

// What depends on something that is not known of a step is undecided, and what does not is decided.
func TestUnknownIsNotGuessed(t *testing.T) {
	const production, staging = "{11111111-2222-4333-8444-555555555555}", "{21111111-2222-4333-8444-555555555555}"
	identity := func(change func(p *bitbucket.Parts)) bitbucket.Identity {
		p := bitbucket.Parts{
			Workspace: "acme", WorkspaceUUID: "7baee083-4f25-4a97-8a9a-0fde1b623b45", RepositoryUUID: "2e9e429c-7b8b-404f-8648-8c40c27c9ebd",
			Now: trusttest.Options().Now,
		}
		change(&p)
		id, err := p.Identity()
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	some := identity(func(p *bitbucket.Parts) { p.SomeEnvironment, p.SomeBranch = true, true })
	aws := func(id bitbucket.Identity) string {
		e, err := setup.Explain(id, setup.Places{})
		if err != nil {
			t.Fatal(err)
		}
		data, _ := json.Marshal(e.AWS.TrustPolicy)
		return string(data)
	}
	repository := aws(identity(func(*bitbucket.Parts) {}))
	environment := aws(identity(func(p *bitbucket.Parts) { p.EnvironmentUUID = production }))
	other := aws(identity(func(p *bitbucket.Parts) { p.RepositoryUUID, p.EnvironmentUUID = staging, production }))
	provider := func(condition string) string {
		return `{"oidc": {"issuerUri": "` + some.Claims.Issuer + `", "allowedAudiences": ["` + some.Claims.Audience[0] + `"]},
			"attributeMapping": {"google.subject": "assertion.sub"}, "attributeCondition": "` + condition + `"}`
	}
	vault := func(bound string) string {
		return `{"user_claim": "repositoryUuid", "bound_audiences": ["` + some.Claims.Audience[0] + `"],
			"bound_claims": {"repositoryUuid": "` + some.Claims.Repository() + `"` + bound + `}}`
	}
	vaultAs := func(member, value string) string {
		return trusttest.Changed(t, map[string]any{
			"user_claim": "repositoryUuid", "bound_audiences": some.Claims.Audience,
			"bound_claims": map[string]string{"repositoryUuid": some.Claims.Repository()},
		}, `{"`+member+`":"`+value+`"}`)
	}
	for _, c := range []struct {
		name, document string
		want           trust.Verdict
	}{
		{"AWS, the repository", repository, trust.Allow},
		{"AWS, one environment", environment, trust.Undecided},
		{"AWS, another repository's environment", other, trust.Deny},
		{"AWS, a UUID that cannot be one", strings.ReplaceAll(environment, "1111-2222", "1111-zzzz"), trust.Deny},
		{"AWS, letters that stand for digits", strings.ReplaceAll(environment, production, bitbucket.UUIDForm), trust.Deny},
		{"Google, the repository", provider("assertion.repositoryUuid == '" + some.Claims.Repository() + "'"), trust.Allow},
		{"Google, an environment", provider("assertion.deploymentEnvironmentUuid == '" + production + "'"), trust.Undecided},
		{"Google, a branch", provider("assertion.branchName == 'main'"), trust.Undecided},
		{"Google, another repository on a branch", provider("assertion.branchName == 'main' && assertion.repositoryUuid == 'x'"), trust.Deny},
		{"Vault, the repository", vault(""), trust.Allow},
		{"Vault, an environment", vault(`, "deploymentEnvironmentUuid": "` + production + `"`), trust.Undecided},
		{"Vault, a branch", vault(`, "branchName": "main"`), trust.Undecided},
		{"Vault, any environment", vault(`, "deploymentEnvironmentUuid": "{*"}, "bound_claims_type": "glob", "x": {"x": "x"`), trust.Allow},
		{"Vault, a subject", vaultAs("bound_subject", some.Claims.Repository()+":"+production+":x"), trust.Undecided},
		{"Vault, an entity for each branch", vaultAs("user_claim", "branchName"), trust.Undecided},
		{"Vault, an entity for each nothing", vaultAs("user_claim", "email"), trust.Deny},
		{"Vault, a branch and another workspace", vault(`, "branchName": "main", "workspaceUuid": "x"`), trust.Deny},
	} {
		results, err := Judge([]trust.File{{Name: "x", Data: []byte(c.document)}}, some, trusttest.Options())
		if err != nil || len(results) != 1 {
			t.Errorf("%s: %v, %v", c.name, results, err)
		} else if r := results[0]; r.Verdict != c.want || r.Reason == "" {
			t.Errorf("%s: %s, want %s: %s", c.name, r.Verdict, c.want, r.Reason)
		}
	}
}
