// Package trusttest has the identities that tests of trust are about.
package trusttest

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/trust"
)

// The names of the step that most tests are about, and of what is around it.
const (
	Repository  = "{2e9e429c-7b8b-404f-8648-8c40c27c9ebd}"
	Environment = "{9d6f4bc5-64a5-4a5a-a1a6-3a0f9d5a4a11}"
	Step        = "{c4b1a2f0-1f8b-4b65-8e0b-3c5d9d1a7e55}"
	Other       = "{11111111-2222-4333-8444-555555555555}" // another repository, environment or step
	Workspace   = "ari:cloud:bitbucket::workspace/7baee083-4f25-4a97-8a9a-0fde1b623b45"
	Issuer      = "https://api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc"
	Pool        = "projects/123456789012/locations/global/workloadIdentityPools/pipelines"
)

// ClaimsWith are the claims of a step of Repository, with changes. A claim that is null is not there.
func ClaimsWith(t testing.TB, changes string) bitbucket.Identity {
	t.Helper()
	all := map[string]any{
		"iss": Issuer, "aud": Workspace, "sub": Repository + ":" + Step, "exp": 1790000000, "iat": 1789996400,
		"repositoryUuid": Repository, "stepUuid": Step, "workspaceUuid": "{7baee083-4f25-4a97-8a9a-0fde1b623b45}",
		"pipelineUuid": "{aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee}", "branchName": "main",
	}
	id, err := bitbucket.FromClaims([]byte(Changed(t, all, changes)))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// deployment is what a deployment step has beyond others.
const Deployment = `{"deploymentEnvironmentUuid":"` + Environment + `","sub":"` + Repository + ":" + Environment + ":" + Step + `"}`

// Changed is a JSON object after changes to its members: null removes one.
func Changed(t testing.TB, base map[string]any, changes string) string {
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

// Set is the member of a policy that matches identities in [Pool] by a selector, such as attribute.repository/VALUE.
func Set(selector string) string {
	return "principalSet://iam.googleapis.com/" + Pool + "/" + selector
}

// RulesOf are the rules of the findings, each once, and where they say less than they promise.
func RulesOf(t testing.TB, r trust.Result) string {
	t.Helper()
	var rules []string
	for _, f := range r.Findings {
		if f.Witness == nil { // else it was decided, and not read off the text
			rules = append(rules, f.Rule)
		}
		if f.Message == "" || f.Fix.Text == "" || f.Path == "" || f.Severity == "" || strings.Contains(f.Message, "\n") {
			t.Errorf("a finding that says too little: %+v", f)
		}
	}
	if r.Kind != "" && r.Reason == "" {
		t.Errorf("a result that says too little: %+v", r)
	}
	slices.Sort(rules)
	return strings.Join(slices.Compact(rules), " ")
}

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// Options are a judgement on 22 November 2026 of sessions of an hour.
func Options() trust.Options { return trust.Options{Now: now, Duration: time.Hour} }

// Someone is an identity made at random: with and without a deployment environment, a branch, audiences.
func Someone(t *testing.T, r *rand.Rand) bitbucket.Identity {
	t.Helper()
	uuid := func() string {
		text := fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", r.Uint32(), r.Uint32()&0xffff, r.Uint32()&0xffff, r.Uint32()&0xffff, r.Uint64()&0xffffffffffff)
		if r.IntN(2) == 0 {
			return text
		}
		return "{" + text + "}"
	}
	p := bitbucket.Parts{Workspace: []string{"acme", "a", "acme_corp-2"}[r.IntN(3)], WorkspaceUUID: uuid(), RepositoryUUID: uuid(), Now: now}
	if r.IntN(2) == 0 {
		p.EnvironmentUUID = uuid()
	}
	if r.IntN(2) == 0 {
		p.Branch = "feature/naïve 'quotes'"
	}
	for range r.IntN(3) {
		p.Audiences = append(p.Audiences, "https://"+uuid())
	}
	id, err := p.Identity()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// Altered is an identity without some claims, and with each text of replace turned into the one behind it.
func Altered(t *testing.T, id bitbucket.Identity, without []string, replace ...string) bitbucket.Identity {
	t.Helper()
	all := maps.Clone(id.All)
	for _, name := range without {
		delete(all, name)
	}
	data, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	id, err = bitbucket.FromClaims([]byte(strings.NewReplacer(replace...).Replace(string(data))))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// Strangers are somebody of each kind of another repository: in an environment or not, on two branches, with one audience or two.
func Strangers() []bitbucket.Identity {
	u := bitbucket.Universe{Issuer: Issuer, Audience: Workspace}
	var all []bitbucket.Identity
	for _, repository := range []string{"{5eed5eed-1234-4abc-8def-0123456789ab}", "{2e9e1111-1234-4abc-8def-0123456789ab}"} {
		for _, environment := range []string{"", "{bbbb5eed-1234-4abc-8def-0123456789ab}"} {
			for _, branch := range []string{"main", "feature/x"} {
				for _, audience := range [][]string{{Workspace}, {Workspace, "x"}} {
					all = append(all, u.Member(bitbucket.Member{
						Repository: repository, Environment: environment, Step: bitbucket.MadeUpUUIDs()[2], Audience: audience, Branch: branch,
					}))
				}
			}
		}
	}
	return all
}
