package trust

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"bitbucket-oidc/internal/oidc"
)

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func options() Options { return Options{Now: now, Duration: time.Hour} }

// someone is an identity made at random: with and without a deployment environment, a branch, audiences.
func someone(t *testing.T, r *rand.Rand) Identity {
	t.Helper()
	uuid := func() string {
		text := fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", r.Uint32(), r.Uint32()&0xffff, r.Uint32()&0xffff, r.Uint32()&0xffff, r.Uint64()&0xffffffffffff)
		if r.IntN(2) == 0 {
			return text
		}
		return "{" + text + "}"
	}
	p := Parts{Workspace: []string{"acme", "a", "acme_corp-2"}[r.IntN(3)], WorkspaceUUID: uuid(), RepositoryUUID: uuid(), Now: now}
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

// altered is an identity without some claims, and with each text of replace turned into the one behind it.
func altered(t *testing.T, id Identity, without []string, replace ...string) Identity {
	t.Helper()
	all := maps.Clone(id.All)
	for _, name := range without {
		delete(all, name)
	}
	data, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	id, err = FromClaims([]byte(strings.NewReplacer(replace...).Replace(string(data))))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// documents are the files that stand for an explanation, as the clouds' tools would print them.
func documents(t *testing.T, e Explanation) []File {
	t.Helper()
	var files []File
	add := func(name string, v any) {
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, File{name, data})
	}
	type object map[string]any
	pool, _, _ := strings.Cut(strings.TrimPrefix(e.GCP.Member, "principalSet://iam.googleapis.com/"), "/attribute.")
	add("trust policy", e.AWS.TrustPolicy)
	add("get-role", object{"Role": object{"RoleName": "deploy", "AssumeRolePolicyDocument": e.AWS.TrustPolicy, "MaxSessionDuration": 3600}})
	add("aws-provider", object{"Url": strings.TrimPrefix(e.AWS.ProviderURL, "https://"), "ClientIDList": []string{e.AWS.Audience}, "ThumbprintList": []string{}, "CreateDate": "2026-01-01T00:00:00Z"})
	add("gcp-provider", object{
		"name": pool + "/providers/" + Provider, "state": "ACTIVE", "attributeMapping": e.GCP.AttributeMapping, "attributeCondition": e.GCP.AttributeCondition,
		"oidc": object{"issuerUri": e.GCP.IssuerURI, "allowedAudiences": e.GCP.AllowedAudiences},
	})
	add("gcp-policy", object{"bindings": []object{{"role": "roles/iam.workloadIdentityUser", "members": []string{e.GCP.Member}}}, "etag": "BwY=", "version": 1})
	add("vault-role", object{"data": e.Vault.Role})
	return files
}

// What explain prints lets in exactly whom it was printed for, also where only the subject tells who that is.
func TestExplainPassesJudge(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	r := rand.New(rand.NewPCG(seed, 1))
	for i := range 60 {
		missing := [][]string{
			nil, nil, {"repositoryUuid"}, {"deploymentEnvironmentUuid"}, {"repositoryUuid", "deploymentEnvironmentUuid"},
			{"repositoryUuid", "deploymentEnvironmentUuid", "stepUuid", "workspaceUuid", "pipelineUuid", "iat", "exp"},
		}[i%6]
		full, other := someone(t, r), someone(t, r)
		id := altered(t, full, missing)
		if another := other.Claims.Environment(); another != "" && id.Claims.Environment() != "" && r.IntN(2) == 0 {
			other = altered(t, full, missing, id.Claims.Environment(), another)
		} else if r.IntN(2) == 0 {
			other = altered(t, full, missing, id.Claims.Repository(), other.Claims.Repository())
		}
		next := altered(t, full, missing, madeUpStep, "{98f3c8f3-6c0a-4b5e-9f1f-0d9a8b7c6d33}")
		places := Places{}
		if r.IntN(2) == 0 {
			places = Places{AWSAccount: "123456789012", GCPProjectNumber: "210987654321", GCPPool: "pipelines", GCPProvider: "bitbucket"}
		}
		e, err := Explain(id, places)
		if err != nil {
			t.Fatal(err)
		}
		files := documents(t, e)
		results, err := Judge(files, id, options())
		if err != nil || len(results) != len(files) {
			t.Fatalf("%d results for %d files, %v", len(results), len(files), err)
		}
		for i, res := range results {
			if res.Verdict != Allow || res.Reason == "" {
				t.Errorf("%s for %v: %s: %s", res.File, id.All, res.Verdict, res.Reason)
			}
			if !strings.HasPrefix(res.Kind, res.File) && i > 1 {
				t.Errorf("%s was taken for %s", res.File, res.Kind)
			}
			for _, f := range res.Findings {
				if f.Severity != Note {
					t.Errorf("%s for %v: %s %s: %s", res.File, id.All, f.Severity, f.Rule, f.Message)
				}
			}
		}
		results, err = Judge(files, next, options())
		if err != nil {
			t.Fatal(err)
		}
		for _, res := range results {
			if res.Verdict != Allow {
				t.Errorf("%s for %v does not let in the next step, %v: %s", res.File, id.All, next.All, res.Reason)
			}
		}
		results, err = Judge(files, other, options())
		if err != nil {
			t.Fatal(err)
		}
		for _, res := range results {
			neighbour := other.Claims.Repository() == id.Claims.Repository() // for a provider of Google's no stranger
			if res.Verdict == Allow && res.Kind != "aws-provider" && !(res.Kind == "gcp-provider" && neighbour) {
				t.Errorf("%s for %v lets in %v", res.File, id.All, other.All)
			}
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// What cannot be pasted safely, or would let in others or nobody, is not printed.
func TestExplainRefuses(t *testing.T) {
	long := strings.Repeat("x", 256)
	for changes, names := range map[string]string{
		`{"iss":"https://x$(id)"}`:                           "iss",
		`{"iss":"https://` + long + `"}`:                     "iss",
		`{"aud":"a b"}`:                                      "aud",
		`{"aud":"` + long + `"}`:                             "aud",
		`{"repositoryUuid":"{*}"}`:                           "repositoryUuid",
		`{"repositoryUuid":"{a}"}`:                           "repositoryUuid",
		`{"deploymentEnvironmentUuid":"{a}' || true || '"}`:  "deploymentEnvironmentUuid",
		`{"repositoryUuid":null,"sub":"*:` + testStep + `"}`: "sub",
		`{"sub":"` + testRepository + `"}`:                   "sub",
		`{"sub":"` + testRepository + ":" + testStep + ":" + testStep + ":" + testStep + `"}`: "sub",

		// claims that contradict each other: AWS would look at one, the others at another
		`{"repositoryUuid":"` + testOther + `"}`:                            "sub",
		`{"deploymentEnvironmentUuid":"` + testEnvironment + `"}`:           "sub",
		`{"repositoryUuid":null,"RepositoryUUID":"` + testRepository + `"}`: "repositoryUuid", // package json reads it all the same
		`{"sub":null,"Sub":"` + testRepository + ":" + testStep + `"}`:      "sub",
	} {
		_, err := Explain(claimsWith(t, changes), Places{})
		if err == nil || !strings.HasPrefix(err.Error(), "claims: "+names+": ") || strings.ContainsAny(err.Error(), "{*$") {
			t.Errorf("%s: %v", changes, err)
		}
	}
	// null is a claim that is there, for has() as well
	id, err := FromClaims([]byte(`{"iss":"` + testIssuer + `","aud":"` + testWorkspace + `","sub":"` + testRepository + ":" + testStep + `","deploymentEnvironmentUuid":null}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Explain(id, Places{}); err == nil {
		t.Error("null: explained")
	}
}

// The API's form of the mapping is gcloud's, taken apart.
func TestGCPAttributes(t *testing.T) {
	for _, c := range []oidc.Claims{{RepositoryUUID: testRepository}, {Subject: testRepository + ":" + testStep}} {
		got, flag := gcpAttributes(c), gcpMappingFor(c)
		for name, expression := range got {
			if !strings.Contains(","+flag+",", ","+name+"="+expression+",") || strings.Contains(expression, ",") {
				t.Errorf("%s: %s", name, expression)
			}
		}
		if len(got) != 3 {
			t.Errorf("%d attributes", len(got))
		}
	}
}

func TestJudgeRefuses(t *testing.T) {
	id := someone(t, rand.New(rand.NewPCG(1, 1)))
	for name, c := range map[string]struct{ data, says string }{
		"nothing":           {"", "not a JSON object"},
		"a list":            {`[]`, "not a JSON object"},
		"a word":            {`canary`, "not a JSON object"},
		"binary":            {"{\xff\xfe\x00", "not text"},
		"UTF-16":            {"\xff\xfe{\x00}\x00", "UTF-16"},
		"half":              {"{\n\"a\": ", "line 2: not JSON"},
		"a comma too many":  {`{"a":[1,]}`, "not JSON"},
		"two documents":     {`{}{}`, "more after the end"},
		"an unknown object": {`{"x": 1}`, "no document of a known kind"},
		"an empty object":   {`{}`, "no document of a known kind"},
		"a key twice":       {"{\"Version\":\"2012-10-17\",\n\"Statement\":[],\n\"Statement\":[]}", `line 3: "Statement" stands twice`},
		"an inner one":      {`{"a":{"b":1,"b":1}}`, `"b" stands twice`},
		"deep":              {strings.Repeat(`{"a":`, 200000) + "1" + strings.Repeat("}", 200000), "deeper than"},
		"deep lists":        {`{"Statement":` + strings.Repeat("[", 200000), "deeper than"},
	} {
		results, err := Judge([]File{{"some file", []byte(c.data)}}, id, options())
		if err == nil {
			t.Errorf("%s: judged: %v", name, results)
		} else if !strings.Contains(err.Error(), "some file: ") || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLocate(t *testing.T) {
	bare := `{"Version": "2012-10-17",
  "Statement": [
    {"Effect": "Allow"},
    {"Condition": {
      "StringLike": {"a.b:sub": ["é", "x"]}}}]}`
	role := func(name string) string {
		return `{"RoleName": "` + name + "\",\n\"AssumeRolePolicyDocument\":" + bare + "}"
	}
	for _, c := range []struct {
		name, data, path string
		line, column     int
	}{
		{"", bare, "Statement[1].Condition.StringLike", 5, 7},
		{"", bare, "Statement[1].Condition.StringLike.a.b:sub[1]", 5, 39},
		{"", bare, "Statement[1].Condition.Missing", 4, 6},
		{"", bare, "Statement[7]", 2, 3},
		{"", bare, "", 1, 1},
		{"", `{"Role": ` + role("x") + "}", "Statement[0]", 4, 5},
		{"two", `{"Roles": [` + role("one") + ",\n" + role("two") + "]}", "Statement[0]", 10, 5},
		{"", "{\"data\":\n{\"bound_claims\": {}}}", "bound_claims", 2, 2},
		{"", `{"Role": {"MaxSessionDuration": 3600, "AssumeRolePolicyDocument": {}}}`, "MaxSessionDuration", 1, 11},
		{"", `{"AssumeRolePolicyDocument": "%7B"}`, "Statement[0]", 1, 30},
		{"", "no JSON", "Statement[0]", 1, 1},
	} {
		line, column := NewIndex([]byte(c.data)).Locate(Result{Name: c.name}, c.path)
		if line != c.line || column != c.column {
			t.Errorf("%s in %s: %d:%d, want %d:%d", c.path, c.data, line, column, c.line, c.column)
		}
	}
}

// No file makes the judge fail in another way than with an error.
func FuzzJudge(f *testing.F) {
	id := Identity{}
	id, _ = FromClaims([]byte(`{"iss":"https://api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc",
		"aud":["ari:cloud:bitbucket::workspace/7baee083-4f25-4a97-8a9a-0fde1b623b45","x"],
		"sub":"{2e9e429c-7b8b-404f-8648-8c40c27c9ebd}:{c4b1a2f0-1f8b-4b65-8e0b-3c5d9d1a7e55}","repositoryUuid":"{2e9e429c-7b8b-404f-8648-8c40c27c9ebd}"}`))
	e, err := Explain(id, Places{})
	if err != nil {
		f.Fatal(err)
	}
	for _, v := range []any{e.AWS.TrustPolicy, e.Vault.Role, map[string]any{"bindings": []any{map[string]any{"role": tokenCreator, "members": []string{e.GCP.Member}}}},
		map[string]any{"attributeMapping": e.GCP.AttributeMapping, "attributeCondition": e.GCP.AttributeCondition, "oidc": map[string]any{"issuerUri": e.GCP.IssuerURI}}} {
		data, err := json.Marshal(v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		results, err := Judge([]File{{"a", data}, {"b", data}}, id, options())
		if err != nil {
			return
		}
		index := NewIndex(data)
		for _, r := range results {
			if r.Reason == "" || r.Steps == nil || r.Findings == nil || r.Verdict != Allow && r.Verdict != Deny && r.Verdict != Undecided {
				t.Errorf("half a result: %+v", r)
			}
			for _, s := range r.Steps {
				if s.Conditions == nil {
					t.Errorf("%s has no list of conditions", s.Path)
				}
				for _, c := range s.Conditions {
					if c.Expected == nil || c.Actual == nil {
						t.Errorf("%s has no lists", c.Path)
					}
				}
			}
			for _, f := range r.Findings {
				if line, column := index.Locate(r, f.Path); line < 1 || column < 1 {
					t.Errorf("%s is at %d:%d", f.Path, line, column)
				}
			}
		}
	})
}
