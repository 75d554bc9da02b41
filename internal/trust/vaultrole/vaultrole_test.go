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
		{name: "as explain prints it", verdict: trust.Allow},
		{name: "… for a deployment", claims: trusttest.Deployment, verdict: trust.Allow},

		// vault-plugin-auth-jwt, claims.go, validateAudience: any match; a role without audiences refuses a token that has one
		{
			name: "several audiences", claims: `{"aud":["https://a.example","` + trusttest.Workspace + `"]}`,
			changes: `{"bound_audiences":["x","https://a.example"]}`, verdict: trust.Allow,
		},
		{name: "another audience", changes: `{"bound_audiences":["https://a.example"]}`, verdict: trust.Deny, rules: "vault-audience-mismatch"},
		{name: "no audience", changes: `{"bound_audiences":[]}`, verdict: trust.Deny, rules: "vault-audience-mismatch"},
		{name: "null", changes: `{"bound_audiences":null}`, verdict: trust.Deny, rules: "vault-audience-mismatch"},
		{name: "audiences as a text", changes: `{"bound_audiences":"x,` + trusttest.Workspace + `"}`, verdict: trust.Allow},

		// … path_login.go: bound_subject is compared as a whole
		{
			name: "this step's subject", changes: `{"bound_subject":"` + trusttest.Repository + ":" + trusttest.Step + `","bound_claims":null}`,
			verdict: trust.Allow, rules: "vault-sub-bound",
		},
		{
			name: "a pattern as the subject", changes: `{"bound_subject":"` + trusttest.Repository + `:*"}`, verdict: trust.Deny,
			rules: "vault-sub-bound",
		},

		// … claims.go, validateBoundClaims: every claim, one of its values; globs only with bound_claims_type
		{name: "another repository", changes: `{"bound_claims":{"repositoryUuid":"` + trusttest.Other + `"}}`, verdict: trust.Deny},
		{
			name:    "one of several repositories",
			changes: `{"bound_claims":{"repositoryUuid":["` + trusttest.Other + `","` + trusttest.Repository + `"]}}`, verdict: trust.Allow,
		},
		{name: "no value", changes: `{"bound_claims":{"repositoryUuid":[]}}`, verdict: trust.Deny},
		{name: "no braces", changes: `{"bound_claims":{"repositoryUuid":"2e9e429c-7b8b-404f-8648-8c40c27c9ebd"}}`, verdict: trust.Deny},
		{name: "an absent claim", changes: `{"bound_claims":{"deploymentEnvironmentUuid":"` + trusttest.Environment + `"}}`, verdict: trust.Deny},
		{name: "a JSON pointer", changes: `{"bound_claims":{"/repositoryUuid":"` + trusttest.Repository + `"}}`, verdict: trust.Allow},
		{
			name: "into a list", claims: `{"aud":["` + trusttest.Workspace + `"]}`,
			changes: `{"bound_claims":{"/aud/0":"` + trusttest.Workspace + `","repositoryUuid":"` + trusttest.Repository + `"}}`, verdict: trust.Allow,
		},
		{
			name: "a list of the token's", claims: `{"aud":["` + trusttest.Workspace + `","b"]}`,
			changes: `{"bound_claims":{"aud":"b","repositoryUuid":"` + trusttest.Repository + `"}}`, verdict: trust.Allow,
		},
		{name: "a number", changes: `{"bound_claims":{"exp":1790000000,"repositoryUuid":"` + trusttest.Repository + `"}}`, verdict: trust.Allow},
		{
			name: "a number as a text", changes: `{"bound_claims":{"exp":"1790000000","repositoryUuid":"` + trusttest.Repository + `"}}`,
			verdict: trust.Deny,
		},
		{
			name: "a number before a pattern", changes: `{"bound_claims_type":"glob","bound_claims":{"repositoryUuid":[5,"*"]}}`, verdict: trust.Deny,
			rules: "vault-repository-unbound",
		},
		{
			name: "a number after a pattern that fits", verdict: trust.Allow,
			changes: `{"bound_claims_type":"glob","bound_claims":{"repositoryUuid":["` + trusttest.Repository + `",5]}}`,
		},
		{name: "an object", changes: `{"bound_claims":{"repositoryUuid":{"a":1}}}`, verdict: trust.Deny},
		{name: "a star that is no pattern", changes: `{"bound_claims":{"sub":"` + trusttest.Repository + `:*"}}`, verdict: trust.Deny},
		{name: "a pattern of the subject", changes: glob("sub", trusttest.Repository+":*"), verdict: trust.Allow},
		{
			name: "a pattern of the environment", claims: trusttest.Deployment, changes: glob("sub", "*:"+trusttest.Environment+":*"),
			verdict: trust.Allow,
		},
		{name: "a pattern that ends early", changes: glob("sub", "*:"+trusttest.Repository), verdict: trust.Deny},

		// vault-sub-bound
		{name: "a step", changes: `{"bound_claims":{"stepUuid":"` + trusttest.Step + `"}}`, verdict: trust.Allow, rules: "vault-sub-bound"},
		{
			name: "another step", changes: `{"bound_claims":{"stepUuid":"` + trusttest.Other + `","repositoryUuid":"` + trusttest.Repository + `"}}`,
			verdict: trust.Deny, rules: "vault-sub-bound",
		},
		{
			name: "any step", changes: `{"bound_claims_type":"glob","bound_claims":{"stepUuid":"*","repositoryUuid":"` + trusttest.Repository + `"}}`,
			verdict: trust.Allow,
		},
		{
			name: "the whole subject", changes: `{"bound_claims":{"sub":"` + trusttest.Repository + ":" + trusttest.Step + `"}}`, verdict: trust.Allow,
			rules: "vault-sub-bound",
		},
		{
			name: "another whole subject", changes: `{"bound_claims":{"sub":["` + trusttest.Repository + ":" + trusttest.Other + `"]}}`,
			verdict: trust.Deny, rules: "vault-sub-bound",
		},

		// vault-repository-unbound
		{name: "nothing bound", changes: `{"bound_claims":null}`, verdict: trust.Allow, rules: "vault-repository-unbound"},
		{
			name: "the workspace", changes: `{"bound_claims":{"workspaceUuid":"{7baee083-4f25-4a97-8a9a-0fde1b623b45}"}}`, verdict: trust.Allow,
			rules: "vault-repository-unbound",
		},
		{name: "a branch", changes: `{"bound_claims":{"branchName":"main"}}`, verdict: trust.Allow, rules: "vault-repository-unbound"},
		{
			name: "the environment", claims: trusttest.Deployment,
			changes: `{"bound_claims":{"deploymentEnvironmentUuid":"` + trusttest.Environment + `"}}`, verdict: trust.Allow,
		},
		{name: "any repository", changes: glob("repositoryUuid", "*"), verdict: trust.Allow, rules: "vault-repository-unbound"},
		{name: "a cut UUID", changes: glob("sub", "{2e9e*"), verdict: trust.Allow, rules: "vault-repository-unbound"},
		{
			name: "any beside a good one", changes: `{"bound_claims_type":"glob","bound_claims":{"sub":["` + trusttest.Repository + `:*","*:*"]}}`,
			verdict: trust.Allow, rules: "vault-repository-unbound",
		},

		// … createIdentity: user_claim must be a text
		{name: "sub names the entity", changes: `{"user_claim":"sub"}`, verdict: trust.Allow, rules: "vault-user-claim-per-step"},
		{name: "the step names it", changes: `{"user_claim":"stepUuid"}`, verdict: trust.Allow, rules: "vault-user-claim-per-step"},
		{
			name: "… by pointer", changes: `{"user_claim":"/stepUuid","user_claim_json_pointer":true}`, verdict: trust.Allow,
			rules: "vault-user-claim-per-step",
		},
		{name: "the branch names it", changes: `{"user_claim":"branchName"}`, verdict: trust.Allow},
		{name: "a slash that is no pointer", changes: `{"user_claim":"/branchName","user_claim_json_pointer":false}`, verdict: trust.Deny},
		{name: "an absent claim names it", changes: `{"user_claim":"email"}`, verdict: trust.Deny},
		{name: "a number names it", changes: `{"user_claim":"exp"}`, verdict: trust.Deny},
		{name: "nothing names it", changes: `{"user_claim":null}`, verdict: trust.Undecided},

		{name: "a role for people", changes: `{"role_type":"oidc"}`, verdict: trust.Deny},
		{name: "a role without a type", changes: `{"role_type":null}`, verdict: trust.Allow},
		{name: "groups", changes: `{"groups_claim":"groups"}`, verdict: trust.Deny},
		{name: "groups that are a list", claims: `{"teams":["a","b"]}`, changes: `{"groups_claim":"teams"}`, verdict: trust.Allow},
		{name: "groups that are numbers", claims: `{"teams":["a",5]}`, changes: `{"groups_claim":"teams"}`, verdict: trust.Deny},
		{name: "metadata", changes: `{"claim_mappings":{"branchName":"branch","nowhere":"x"}}`, verdict: trust.Allow},
		{name: "metadata that is a number", changes: `{"claim_mappings":{"exp":"expires"}}`, verdict: trust.Deny},
		{name: "source addresses by their older name", changes: `{"bound_cidrs":["10.0.0.0/8"]}`, verdict: trust.Undecided},
		{name: "a way to compare that Vault does not have", changes: `{"bound_claims_type":"regex"}`, verdict: trust.Undecided},
		{name: "source addresses", changes: `{"token_bound_cidrs":["10.0.0.0/8"]}`, verdict: trust.Undecided},
		{
			name: "source addresses and another repository", changes: `{"token_bound_cidrs":["10.0.0.0/8"],"bound_claims":{"repositoryUuid":"x"}}`,
			verdict: trust.Deny,
		},
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

// The reason of a denial is the first refusal of Vault's own login (path_login.go, pathLogin and createIdentity).
func TestVaultRefusesInVaultsOrder(t *testing.T) {
	inOrder := []struct{ change, reason string }{
		{`"role_type":"oidc"`, "role_type"},
		{`"bound_subject":"x"`, "bound_subject"},
		{`"bound_audiences":["x"]`, "wants the audience \"x\""},
		{`"user_claim":"nowhere"`, "user_claim"},
		{`"claim_mappings":{"exp":"expires"}`, "claim_mappings"},
		{`"groups_claim":"nowhere"`, "groups_claim"},
		{`"bound_claims":{"repositoryUuid":"x"}`, "wants repositoryUuid"},
	}
	id := trusttest.ClaimsWith(t, "")
	got, _, err := judged([]byte(vaultWith(t, id, `{"bound_audiences":[],"user_claim":"nowhere"}`)), id, trust.Options{})
	if err != nil || !strings.HasPrefix(got.Reason, "The role binds no audience ") {
		t.Errorf("%v: %s", err, got.Reason)
	}
	for i, first := range inOrder {
		var changes []string
		for _, later := range inOrder[i:] {
			changes = append(changes, later.change)
		}
		got, ok, err := judged([]byte(vaultWith(t, id, "{"+strings.Join(changes, ",")+"}")), id, trust.Options{})
		if !ok || err != nil || got.Verdict != trust.Deny || !strings.Contains(got.Reason, first.reason) {
			t.Errorf("%s: %v %v: %s", changes, ok, err, got.Reason)
		}
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
		{claims: "", changes: `{"bound_claims":null}`, want: `{"bound_claims":{"repositoryUuid":"` + trusttest.Repository + `"},"role_type":"jwt"}`},
		{
			claims: trusttest.Deployment, changes: `{"bound_claims":{"branchName":["main","release"]}}`,
			want: `{"bound_claims":{"branchName":["main","release"],"deploymentEnvironmentUuid":"` + trusttest.Environment +
				`","repositoryUuid":"` + trusttest.Repository + `"},"role_type":"jwt"}`,
		},
		{
			claims: "", changes: `{"bound_claims_type":"glob","bound_claims":{"branchName":"*","/repositoryUuid":"*"}}`,
			want: `{"bound_claims":{"branchName":"*","repositoryUuid":"` + trusttest.Repository + `"},"bound_claims_type":"glob","role_type":"jwt"}`,
		},
		{
			claims: "", changes: `{"bound_subject":"` + trusttest.Repository + `:*"}`,
			want: `{"bound_claims":{"repositoryUuid":"` + trusttest.Repository + `"},"bound_subject":"","role_type":"jwt"}`,
		},
		{
			claims: "", changes: `{"bound_claims":{"stepUuid":"` + trusttest.Step + `"}}`,
			want: `{"bound_claims":{"repositoryUuid":"` + trusttest.Repository + `"},"role_type":"jwt"}`,
		},
		{
			claims: "", changes: `{"bound_claims_type":"glob","bound_audiences":["x"]}`,
			want: `{"bound_audiences":["x","` + trusttest.Workspace + `"],"bound_claims_type":"glob","role_type":"jwt"}`,
		},
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

// What is to be changed is what Vault refuses first.
func TestVaultWanted(t *testing.T) {
	id := trusttest.ClaimsWith(t, "")
	explained := `{"bound_audiences": ["` + trusttest.Workspace + `"], "bound_claims": {"repositoryUuid": "` + trusttest.Repository + `"}}`
	for _, c := range []struct{ name, changes, want string }{
		{name: "nothing"},
		{name: "a repository", changes: `{"bound_claims":{"repositoryUuid":"x"}}`, want: explained},
		{name: "no value", changes: `{"bound_claims":{"repositoryUuid":[]}}`, want: explained},
		{name: "the type and the entity", changes: `{"role_type":"oidc","user_claim":"nowhere"}`, want: `{"role_type": "jwt"}`},
		{
			name: "the entity and a repository", changes: `{"user_claim":"nowhere","bound_claims":{"repositoryUuid":"x"}}`,
			want: `{"user_claim": "repositoryUuid"}`,
		},
		{
			name: "metadata", changes: `{"claim_mappings":{"exp":"expires","branchName":"branch"}}`,
			want: `{"claim_mappings": {"branchName": "branch"}}`,
		},
		{name: "groups", changes: `{"groups_claim":"nowhere"}`, want: `{"groups_claim": ""}`},
	} {
		got, ok, err := judged([]byte(vaultWith(t, id, c.changes)), id, trust.Options{})
		if !ok || err != nil {
			t.Fatal(ok, err)
		}
		if shown := strings.Join(strings.Fields(got.Wanted), ""); shown != strings.Join(strings.Fields(c.want), "") {
			t.Errorf("%s: wanted %s, want %s", c.name, got.Wanted, c.want)
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
