package vaultrole

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/document"
	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/setup"
	"bitbucket-oidc/internal/trust"
	"bitbucket-oidc/internal/trust/trusttest"
)

// vaultWith is what Vault prints of the role that `explain` prints, with changes.
func vaultWith(t testing.TB, id bitbucket.Identity, changes string) string {
	data, _ := json.Marshal(setup.VaultRoleFor(id.Claims))
	var role map[string]any
	if err := json.Unmarshal(data, &role); err != nil {
		t.Fatal(err)
	}
	role["bound_claims_type"], role["bound_subject"], role["token_bound_cidrs"] = "string", "", []any{}
	return `{"request_id":"x","lease_duration":0,"data":` + trusttest.Changed(t, role, changes) + `,"warnings":null}`
}

func TestVaultRole(t *testing.T) {
	glob := func(claim, pattern string) string {
		return `{"bound_claims_type":"glob","bound_claims":{"` + claim + `":"` + pattern + `"}}`
	}
	for _, c := range []struct {
		name, claims, changes string
		verdict               trust.Verdict
		rules                 string
	}{
		{"as explain prints it", "", "", trust.Allow, ""},
		{"… for a deployment", trusttest.Deployment, "", trust.Allow, ""},

		// vault-plugin-auth-jwt, claims.go, validateAudience: any match; a role without audiences refuses a token that has one
		{"several audiences", `{"aud":["https://a.example","` + trusttest.Workspace + `"]}`, `{"bound_audiences":["x","https://a.example"]}`, trust.Allow, ""},
		{"another audience", "", `{"bound_audiences":["https://a.example"]}`, trust.Deny, "vault-audience-mismatch"},
		{"no audience", "", `{"bound_audiences":[]}`, trust.Deny, "vault-audience-mismatch"},
		{"null", "", `{"bound_audiences":null}`, trust.Deny, "vault-audience-mismatch"},
		{"audiences as a text", "", `{"bound_audiences":"x,` + trusttest.Workspace + `"}`, trust.Allow, ""},

		// … path_login.go: bound_subject is compared as a whole
		{"this step's subject", "", `{"bound_subject":"` + trusttest.Repository + ":" + trusttest.Step + `","bound_claims":null}`, trust.Allow, "vault-sub-bound"},
		{"a pattern as the subject", "", `{"bound_subject":"` + trusttest.Repository + `:*"}`, trust.Deny, "vault-sub-bound"},

		// … claims.go, validateBoundClaims: every claim, one of its values; globs only with bound_claims_type
		{"another repository", "", `{"bound_claims":{"repositoryUuid":"` + trusttest.Other + `"}}`, trust.Deny, ""},
		{"one of several repositories", "", `{"bound_claims":{"repositoryUuid":["` + trusttest.Other + `","` + trusttest.Repository + `"]}}`, trust.Allow, ""},
		{"no value", "", `{"bound_claims":{"repositoryUuid":[]}}`, trust.Deny, ""},
		{"no braces", "", `{"bound_claims":{"repositoryUuid":"2e9e429c-7b8b-404f-8648-8c40c27c9ebd"}}`, trust.Deny, ""},
		{"an absent claim", "", `{"bound_claims":{"deploymentEnvironmentUuid":"` + trusttest.Environment + `"}}`, trust.Deny, ""},
		{"a JSON pointer", "", `{"bound_claims":{"/repositoryUuid":"` + trusttest.Repository + `"}}`, trust.Allow, ""},
		{"into a list", `{"aud":["` + trusttest.Workspace + `"]}`, `{"bound_claims":{"/aud/0":"` + trusttest.Workspace + `","repositoryUuid":"` + trusttest.Repository + `"}}`, trust.Allow, ""},
		{"a list of the token's", `{"aud":["` + trusttest.Workspace + `","b"]}`, `{"bound_claims":{"aud":"b","repositoryUuid":"` + trusttest.Repository + `"}}`, trust.Allow, ""},
		{"a number", "", `{"bound_claims":{"exp":1790000000,"repositoryUuid":"` + trusttest.Repository + `"}}`, trust.Allow, ""},
		{"a number as a text", "", `{"bound_claims":{"exp":"1790000000","repositoryUuid":"` + trusttest.Repository + `"}}`, trust.Deny, ""},
		{"an object", "", `{"bound_claims":{"repositoryUuid":{"a":1}}}`, trust.Deny, ""},
		{"a star that is no pattern", "", `{"bound_claims":{"sub":"` + trusttest.Repository + `:*"}}`, trust.Deny, ""},
		{"a pattern of the subject", "", glob("sub", trusttest.Repository+":*"), trust.Allow, ""},
		{"a pattern of the environment", trusttest.Deployment, glob("sub", "*:"+trusttest.Environment+":*"), trust.Allow, ""},
		{"a pattern that ends early", "", glob("sub", "*:"+trusttest.Repository), trust.Deny, ""},

		// vault-sub-bound
		{"a step", "", `{"bound_claims":{"stepUuid":"` + trusttest.Step + `"}}`, trust.Allow, "vault-sub-bound"},
		{"another step", "", `{"bound_claims":{"stepUuid":"` + trusttest.Other + `","repositoryUuid":"` + trusttest.Repository + `"}}`, trust.Deny, "vault-sub-bound"},
		{"any step", "", `{"bound_claims_type":"glob","bound_claims":{"stepUuid":"*","repositoryUuid":"` + trusttest.Repository + `"}}`, trust.Allow, ""},
		{"the whole subject", "", `{"bound_claims":{"sub":"` + trusttest.Repository + ":" + trusttest.Step + `"}}`, trust.Allow, "vault-sub-bound"},
		{"another whole subject", "", `{"bound_claims":{"sub":["` + trusttest.Repository + ":" + trusttest.Other + `"]}}`, trust.Deny, "vault-sub-bound"},

		// vault-repository-unbound
		{"nothing bound", "", `{"bound_claims":null}`, trust.Allow, "vault-repository-unbound"},
		{"the workspace", "", `{"bound_claims":{"workspaceUuid":"{7baee083-4f25-4a97-8a9a-0fde1b623b45}"}}`, trust.Allow, "vault-repository-unbound"},
		{"a branch", "", `{"bound_claims":{"branchName":"main"}}`, trust.Allow, "vault-repository-unbound"},
		{"the environment", trusttest.Deployment, `{"bound_claims":{"deploymentEnvironmentUuid":"` + trusttest.Environment + `"}}`, trust.Allow, ""},
		{"any repository", "", glob("repositoryUuid", "*"), trust.Allow, "vault-repository-unbound"},
		{"a cut UUID", "", glob("sub", "{2e9e*"), trust.Allow, "vault-repository-unbound"},
		{"any beside a good one", "", `{"bound_claims_type":"glob","bound_claims":{"sub":["` + trusttest.Repository + `:*","*:*"]}}`, trust.Allow, "vault-repository-unbound"},

		// … createIdentity: user_claim must be a text
		{"sub names the entity", "", `{"user_claim":"sub"}`, trust.Allow, "vault-user-claim-per-step"},
		{"the step names it", "", `{"user_claim":"stepUuid"}`, trust.Allow, "vault-user-claim-per-step"},
		{"… by pointer", "", `{"user_claim":"/stepUuid","user_claim_json_pointer":true}`, trust.Allow, "vault-user-claim-per-step"},
		{"the branch names it", "", `{"user_claim":"branchName"}`, trust.Allow, ""},
		{"an absent claim names it", "", `{"user_claim":"email"}`, trust.Deny, ""},
		{"a number names it", "", `{"user_claim":"exp"}`, trust.Deny, ""},
		{"nothing names it", "", `{"user_claim":null}`, trust.Undecided, ""},

		{"a role for people", "", `{"role_type":"oidc"}`, trust.Deny, ""},
		{"a role without a type", "", `{"role_type":null}`, trust.Allow, ""},
		{"groups", "", `{"groups_claim":"groups"}`, trust.Deny, ""},
		{"groups that are a list", `{"teams":["a","b"]}`, `{"groups_claim":"teams"}`, trust.Allow, ""},
		{"groups that are numbers", `{"teams":["a",5]}`, `{"groups_claim":"teams"}`, trust.Deny, ""},
		{"metadata", "", `{"claim_mappings":{"branchName":"branch","nowhere":"x"}}`, trust.Allow, ""},
		{"metadata that is a number", "", `{"claim_mappings":{"exp":"expires"}}`, trust.Deny, ""},
		{"source addresses", "", `{"token_bound_cidrs":["10.0.0.0/8"]}`, trust.Undecided, ""},
		{"source addresses and another repository", "", `{"token_bound_cidrs":["10.0.0.0/8"],"bound_claims":{"repositoryUuid":"x"}}`, trust.Deny, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			id := trusttest.ClaimsWith(t, c.claims)
			got, ok, err := judged([]byte(vaultWith(t, id, c.changes)), id, trust.Options{})
			if !ok || err != nil {
				t.Fatal(ok, err)
			}
			if rules := trusttest.RulesOf(t, got); got.Verdict != c.verdict || rules != c.rules || got.Kind != "vault-role" {
				t.Errorf("%s %q (%s), want %s %q", got.Verdict, rules, got.Reason, c.verdict, c.rules)
			}
		})
	}
}

func TestVaultKinds(t *testing.T) {
	id := trusttest.ClaimsWith(t, "")
	bare, _ := json.Marshal(setup.VaultRoleFor(id.Claims))
	for document, want := range map[string]string{
		string(bare):                            "told", // as `vault write` takes it
		`{"data":{"bound_claims":{}}}`:          "told",
		`{"data":{"bound_audiences":5}}`:        "wrong",
		`{"user_claim":[]}`:                     "wrong",
		`{"data":{"bound_service_account":[]}}`: "", // a role of another method
		`{"data":null}`:                         "",
		`{}`:                                    "",
		`null`:                                  "",
	} {
		_, ok, err := judged([]byte(document), id, trust.Options{})
		if got := map[bool]string{true: "told"}[ok]; err == nil && got != want || err != nil && want != "wrong" {
			t.Errorf("%s: %v, %v, want %q", document, ok, err, want)
		}
	}
}

// What a role binds already stays, and so does its way of comparing, which Vault would set back.
func TestVaultFix(t *testing.T) {
	for _, c := range []struct{ claims, changes, want string }{
		{"", `{"bound_claims":null}`, `{"bound_claims":{"repositoryUuid":"` + trusttest.Repository + `"},"role_type":"jwt"}`},
		{trusttest.Deployment, `{"bound_claims":{"branchName":["main","release"]}}`,
			`{"bound_claims":{"branchName":["main","release"],"deploymentEnvironmentUuid":"` + trusttest.Environment + `","repositoryUuid":"` + trusttest.Repository + `"},"role_type":"jwt"}`},
		{"", `{"bound_claims_type":"glob","bound_claims":{"branchName":"*","/repositoryUuid":"*"}}`,
			`{"bound_claims":{"branchName":"*","repositoryUuid":"` + trusttest.Repository + `"},"bound_claims_type":"glob","role_type":"jwt"}`},
		{"", `{"bound_subject":"` + trusttest.Repository + `:*"}`, `{"bound_claims":{"repositoryUuid":"` + trusttest.Repository + `"},"bound_subject":"","role_type":"jwt"}`},
		{"", `{"bound_claims":{"stepUuid":"` + trusttest.Step + `"}}`, `{"bound_claims":{"repositoryUuid":"` + trusttest.Repository + `"},"role_type":"jwt"}`},
		{"", `{"bound_claims_type":"glob","bound_audiences":["x"]}`, `{"bound_audiences":["x","` + trusttest.Workspace + `"],"bound_claims_type":"glob","role_type":"jwt"}`},
	} {
		id := trusttest.ClaimsWith(t, c.claims)
		got, _, err := judged([]byte(vaultWith(t, id, c.changes)), id, trust.Options{})
		if err != nil {
			t.Fatal(err)
		}
		var want bytes.Buffer
		if err := json.Indent(&want, []byte(c.want), "", "  "); err != nil {
			t.Fatal(err)
		}
		got.Findings = slices.DeleteFunc(got.Findings, func(f finding.Finding) bool { return f.Witness != nil })
		if command := "vault write auth/jwt/role/ROLE_NAME - <<'END'\n" + want.String() + "\nEND"; len(got.Findings) != 1 || got.Findings[0].Fix.Text != command {
			t.Errorf("%+v, want\n%s", got.Findings, command)
		}
	}
}

// github.com/ryanuber/go-glob, glob_test.go
func TestVaultGlob(t *testing.T) {
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{
		{"", "", true}, {"", "x", false}, {"x", "x", true}, {"X", "x", false}, {"*", "", true}, {"*", "x:y", true},
		{"a*", "ab", true}, {"a*", "ba", false}, {"*b", "ab", true}, {"*b", "ba", false}, {"*b*", "abc", true},
		{"a*c", "ac", true}, {"a*b*c", "axbxc", true}, {"a*b*c", "axc", false}, {"a*a", "a", false}, {"a**c", "abc", true},
		{"?", "x", false}, {"{a}:*", "{a}:b", true},
	} {
		if got := glob(c.pattern, c.text); got != c.want {
			t.Errorf("%q on %q: %v", c.pattern, c.text, got)
		}
	}
}

func FuzzVaultRole(f *testing.F) {
	id := trusttest.ClaimsWith(f, trusttest.Deployment)
	f.Add(vaultWith(f, id, ""))
	f.Add(`{"data":{"bound_claims":{"/a/0":[[1],{"b":null},"*"],"sub":true},"bound_claims_type":"glob","user_claim":"/","user_claim_json_pointer":true}}`)
	f.Fuzz(func(t *testing.T, document string) {
		r, ok, err := judged([]byte(document), id, trust.Options{})
		if ok && err == nil {
			trusttest.RulesOf(t, r)
		}
		if err != nil && len(document) > 60 && strings.Contains(err.Error(), document) {
			t.Errorf("the error quotes the document: %v", err)
		}
	})
}

// judged judges a role.
func judged(data []byte, id bitbucket.Identity, o trust.Options) (trust.Result, bool, error) {
	f, err := document.Read("", data)
	if err != nil {
		return trust.Result{}, false, nil
	}
	role, ok, err := Read(f)
	if !ok || err != nil {
		return trust.Result{}, ok, err
	}
	return role.Judge(id, o), true, nil
}
