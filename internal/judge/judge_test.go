package judge

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/oidc"
	"bitbucket-oidc/internal/setup"
	"bitbucket-oidc/internal/trust"
	"bitbucket-oidc/internal/trust/trusttest"
)

// documents are the files that stand for an explanation, as the clouds' tools would print them.
func documents(t *testing.T, e setup.Explanation) []trust.File {
	t.Helper()
	var files []trust.File
	add := func(name string, v any) {
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, trust.File{Name: name, Data: data})
	}
	type object map[string]any
	pool, _, _ := strings.Cut(strings.TrimPrefix(e.GCP.Member, "principalSet://iam.googleapis.com/"), "/attribute.")
	add("trust policy", e.AWS.TrustPolicy)
	add("get-role", object{"Role": object{"RoleName": "deploy", "AssumeRolePolicyDocument": e.AWS.TrustPolicy, "MaxSessionDuration": 3600}})
	add("aws-provider", object{
		"Url": strings.TrimPrefix(e.AWS.ProviderURL, "https://"), "ClientIDList": []string{e.AWS.Audience},
		"ThumbprintList": []string{}, "CreateDate": "2026-01-01T00:00:00Z",
	})
	add("gcp-provider", object{
		"name": pool + "/providers/" + setup.Provider, "state": "ACTIVE", "attributeMapping": e.GCP.AttributeMapping, "attributeCondition": e.GCP.AttributeCondition,
		"oidc": object{"issuerUri": e.GCP.IssuerURI, "allowedAudiences": e.GCP.AllowedAudiences},
	})
	add("gcp-policy", object{"bindings": []object{{"role": "roles/iam.workloadIdentityUser", "members": []string{e.GCP.Member}}}, "etag": "BwY=", "version": 1})
	add("vault-role", object{"data": e.Vault.Role})
	return files
}

// What explain prints lets in exactly the identity that it was printed for, also if only the subject has it.
func TestExplainPassesJudge(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	r := rand.New(rand.NewPCG(seed, 1))
	for i := range 60 {
		missing := [][]string{
			nil, nil, {"repositoryUuid"}, {"deploymentEnvironmentUuid"}, {"repositoryUuid", "deploymentEnvironmentUuid"},
			{"repositoryUuid", "deploymentEnvironmentUuid", "stepUuid", "workspaceUuid", "pipelineUuid", "iat", "exp"},
		}[i%6]
		full, other := trusttest.Someone(t, r), trusttest.Someone(t, r)
		id := trusttest.Altered(t, full, missing)
		if another := other.Claims.Environment(); another != "" && id.Claims.Environment() != "" && r.IntN(2) == 0 {
			other = trusttest.Altered(t, full, missing, id.Claims.Environment(), another)
		} else if r.IntN(2) == 0 {
			other = trusttest.Altered(t, full, missing, id.Claims.Repository(), other.Claims.Repository())
		}
		next := trusttest.Altered(t, full, missing, bitbucket.MadeUpStep, "{98f3c8f3-6c0a-4b5e-9f1f-0d9a8b7c6d33}")
		places := setup.Places{}
		if r.IntN(2) == 0 {
			places = setup.Places{AWSAccount: "123456789012", GCPProjectNumber: "210987654321", GCPPool: "pipelines", GCPProvider: "bitbucket"}
		}
		e, err := setup.Explain(id, places)
		if err != nil {
			t.Fatal(err)
		}
		files := documents(t, e)
		results, err := Judge(files, id, trusttest.Options())
		if err != nil || len(results) != len(files) {
			t.Fatalf("%d results for %d files, %v", len(results), len(files), err)
		}
		for i, res := range results {
			if res.Verdict != trust.Allow || res.Reason == "" {
				t.Errorf("%s for %v: %s: %s", res.File, id.All, res.Verdict, res.Reason)
			}
			if !strings.HasPrefix(string(res.Kind), res.File) && i > 1 {
				t.Errorf("%s was taken for %s", res.File, res.Kind)
			}
			for _, f := range res.Findings {
				if f.Severity != finding.Note {
					t.Errorf("%s for %v: %s %s: %s", res.File, id.All, f.Severity, f.Rule, f.Message)
				}
			}
		}
		results, err = Judge(files, next, trusttest.Options())
		if err != nil {
			t.Fatal(err)
		}
		for _, res := range results {
			if res.Verdict != trust.Allow {
				t.Errorf("%s for %v does not let in the next step, %v: %s", res.File, id.All, next.All, res.Reason)
			}
		}
		results, err = Judge(files, other, trusttest.Options())
		if err != nil {
			t.Fatal(err)
		}
		for _, res := range results {
			neighbour := other.Claims.Repository() == id.Claims.Repository() // for a provider of Google's no stranger
			if res.Verdict == trust.Allow && res.Kind != "aws-provider" && !(res.Kind == "gcp-provider" && neighbour) {
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
		`{"iss":"https://x$(id)"}`:                                 "iss",
		`{"iss":"https://` + long + `"}`:                           "iss",
		`{"aud":"a b"}`:                                            "aud",
		`{"aud":"` + long + `"}`:                                   "aud",
		`{"repositoryUuid":"{*}"}`:                                 "repositoryUuid",
		`{"repositoryUuid":"{a}"}`:                                 "repositoryUuid",
		`{"deploymentEnvironmentUuid":"{a}' || true || '"}`:        "deploymentEnvironmentUuid",
		`{"repositoryUuid":null,"sub":"*:` + trusttest.Step + `"}`: "sub",
		`{"sub":"` + trusttest.Repository + `"}`:                   "sub",
		`{"sub":"` + trusttest.Repository + ":" + trusttest.Step + ":" + trusttest.Step + ":" + trusttest.Step + `"}`: "sub",

		// claims that contradict each other: AWS would look at one, the others at another
		`{"repositoryUuid":"` + trusttest.Other + `"}`:                             "sub",
		`{"deploymentEnvironmentUuid":"` + trusttest.Environment + `"}`:            "sub",
		`{"repositoryUuid":null,"RepositoryUUID":"` + trusttest.Repository + `"}`:  "repositoryUuid", // package json reads it all the same
		`{"sub":null,"Sub":"` + trusttest.Repository + ":" + trusttest.Step + `"}`: "sub",
	} {
		_, err := setup.Explain(trusttest.ClaimsWith(t, changes), setup.Places{})
		if err == nil || !strings.HasPrefix(err.Error(), "claims: "+names+": ") || strings.ContainsAny(err.Error(), "{*$") {
			t.Errorf("%s: %v", changes, err)
		}
	}
	// null is a claim that is there, for has() as well
	id, err := bitbucket.FromClaims([]byte(`{"iss":"` + trusttest.Issuer + `","aud":"` + trusttest.Workspace + `",
		"sub":"` + trusttest.Repository + ":" + trusttest.Step + `","deploymentEnvironmentUuid":null}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := setup.Explain(id, setup.Places{}); err == nil {
		t.Error("null: explained")
	}
}

// The API's form of the mapping is gcloud's, taken apart.
func TestGCPAttributes(t *testing.T) {
	for _, c := range []oidc.Claims{{RepositoryUUID: trusttest.Repository}, {Subject: trusttest.Repository + ":" + trusttest.Step}} {
		got, flag := setup.GCPAttributes(c), setup.GCPMappingFor(c)
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
	id := trusttest.Someone(t, rand.New(rand.NewPCG(1, 1)))
	for name, c := range map[string]struct{ data, says string }{
		"nothing":           {"", "not a JSON object"},
		"a list":            {`[]`, "an empty list"},
		"a word":            {`canary`, "not a JSON object"},
		"binary":            {"{\xff\xfe\x00", "not text"},
		"UTF-16":            {"\xff\xfe{\x00}\x00", "UTF-16"},
		"half":              {"{\n\"a\": ", "line 2: not JSON"},
		"a comma too many":  {`{"a":[1,]}`, "not JSON"},
		"two documents":     {`{}{}`, "more after the end"},
		"an unknown object": {`{"x": 1}`, "not a document of a known kind"},
		"an empty object":   {`{}`, "not a document of a known kind"},
		"a key twice":       {"{\"Version\":\"2012-10-17\",\n\"Statement\":[],\n\"Statement\":[]}", `line 3: "Statement" stands twice`},
		"an inner one":      {`{"a":{"b":1,"b":1}}`, `"b" stands twice`},
		"deep":              {strings.Repeat(`{"a":`, 200000) + "1" + strings.Repeat("}", 200000), "deeper than"},
		"deep lists":        {`{"Statement":` + strings.Repeat("[", 200000), "deeper than"},
	} {
		results, err := Judge([]trust.File{{Name: "some file", Data: []byte(c.data)}}, id, trusttest.Options())
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
		{"x", `{"Role": ` + role("x") + "}", "Statement[0]", 4, 5},
		{"two", `{"Roles": [` + role("one") + ",\n" + role("two") + "]}", "Statement[0]", 10, 5},
		{"", "{\"data\":\n{\"bound_claims\": {}}}", "bound_claims", 2, 2},
		{"", `{"Role": {"MaxSessionDuration": 3600, "AssumeRolePolicyDocument": {}}}`, "MaxSessionDuration", 1, 11},
		{"", `{"AssumeRolePolicyDocument": "%7B%7D"}`, "Statement[0]", 1, 30},
	} {
		documents, err := Read([]trust.File{{Name: "a", Data: []byte(c.data)}})
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(documents, func(d trust.Document) bool { return d.Name() == c.name })
		place := documents[i].(interface {
			Place(r trust.Result) trust.Result
		})
		f := place.Place(trust.Result{Findings: []finding.Finding{{Path: c.path}}}).Findings[0]
		if f.Line != c.line || f.Column != c.column {
			t.Errorf("%s in %s: %d:%d, want %d:%d", c.path, c.data, f.Line, f.Column, c.line, c.column)
		}
	}
}

// No file makes the judge fail in another way than with an error.
func FuzzJudge(f *testing.F) {
	id := bitbucket.Identity{}
	id, _ = bitbucket.FromClaims([]byte(`{"iss":"https://api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc",
		"aud":["ari:cloud:bitbucket::workspace/7baee083-4f25-4a97-8a9a-0fde1b623b45","x"],
		"sub":"{2e9e429c-7b8b-404f-8648-8c40c27c9ebd}:{c4b1a2f0-1f8b-4b65-8e0b-3c5d9d1a7e55}","repositoryUuid":"{2e9e429c-7b8b-404f-8648-8c40c27c9ebd}"}`))
	e, err := setup.Explain(id, setup.Places{})
	if err != nil {
		f.Fatal(err)
	}
	type object map[string]any
	for _, v := range []any{
		e.AWS.TrustPolicy, e.Vault.Role,
		object{"bindings": []any{object{"role": setup.TokenCreator, "members": []string{e.GCP.Member}}}},
		object{
			"attributeMapping": e.GCP.AttributeMapping, "attributeCondition": e.GCP.AttributeCondition,
			"oidc": object{"issuerUri": e.GCP.IssuerURI},
		},
	} {
		data, err := json.Marshal(v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		results, err := Judge([]trust.File{{Name: "a", Data: data}, {Name: "b", Data: data}}, id, trusttest.Options())
		if err != nil {
			return
		}
		for _, r := range results {
			if r.Reason == "" || r.Steps == nil || r.Findings == nil || r.Verdict != trust.Allow && r.Verdict != trust.Deny && r.Verdict != trust.Undecided {
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
				if f.Line < 1 || f.Column < 1 || f.End.Line < f.Line || f.ID == "" || f.File == "" {
					t.Errorf("%s is nowhere: %+v", f.Path, f)
				}
			}
		}
	})
}

// A document can be made to break a rule without end. What is kept of that is bounded, and so is a fix that all of it has.
func TestFindingsAreBounded(t *testing.T) {
	id := trusttest.ClaimsWith(t, "")
	var members []string
	for i := range 3000 {
		members = append(members, trusttest.Set(fmt.Sprintf("attribute.zz/%d", i)))
	}
	mapping := map[string]string{"google.subject": "assertion.sub"}
	for i := range 40 {
		mapping[fmt.Sprintf("attribute.a%d", i)] = "'" + strings.Repeat("x", 2000) + "'"
	}
	policy, _ := json.Marshal(map[string]any{"bindings": []any{map[string]any{"role": setup.WorkloadIdentityUser, "members": members}}})
	provider, _ := json.Marshal(map[string]any{"name": trusttest.Pool + "/providers/bitbucket", "attributeMapping": mapping, "oidc": map[string]any{}})
	results, err := Judge([]trust.File{{Name: "policy", Data: policy}, {Name: "provider", Data: provider}}, id, trusttest.Options())
	if err != nil || len(results) != 2 {
		t.Fatal(results, err)
	}
	size, last := 0, ""
	for _, f := range results[0].Findings {
		size += len(f.Fix.Text)
		last = f.Message
	}
	if n := len(results[0].Findings); n != 100 || !strings.HasSuffix(last, " And 2900 more.") {
		t.Errorf("%d findings, the last %q", n, last)
	}
	if size > 200_000 {
		t.Errorf("%d bytes of fixes", size)
	}
}
