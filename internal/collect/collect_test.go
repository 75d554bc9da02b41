package collect

import (
	"encoding/json"
	"strings"
	"testing"

	"bitbucket-oidc/internal/document"
)

// told is what comes out of a file: for each document its kind, target and what is unknown, and the names of its roles.
func told(t *testing.T, data string) string {
	t.Helper()
	all, err := Files(File{Name: "file", Data: []byte(data)})
	if err != nil {
		return "error: " + err.Error()
	}
	var lines []string
	for _, d := range all {
		words := []string{string(d.Kind), d.Target}
		if n := d.Root.Get("Roles"); n != nil {
			for _, r := range n.Items {
				words = append(words, "Roles:"+text(r.Get("RoleName")))
			}
		}
		for _, arn := range d.Names {
			words = append(words, "Named:"+arn[strings.LastIndexByte(arn, '/')+1:])
		}
		for _, arn := range d.Gone {
			words = append(words, "Gone:"+arn[strings.LastIndexByte(arn, '/')+1:])
		}
		if d.Unknown != "" {
			words = append(words, "unknown")
		}
		if d.Cut {
			words = append(words, "cut")
		}
		lines = append(lines, strings.Join(strings.Fields(strings.Join(words, " ")), " "))
	}
	return strings.Join(lines, "; ")
}

func TestFiles(t *testing.T) {
	const pool = "projects/1/locations/global/workloadIdentityPools/ci"
	member := `{"role": "roles/iam.workloadIdentityUser", "members": ["principalSet://iam.googleapis.com/` + pool + `/*"]}`
	for _, tt := range []struct{ name, data, want string }{
		{"a policy", `{"Version": "2012-10-17", "Statement": []}`, ""},
		{"one role", `{"Role": {"RoleName": "a"}}`, ""},
		{
			name: "roles, one by its name alone",
			data: `{"Roles": [{"RoleName": "a", "AssumeRolePolicyDocument": {}}, {"RoleName": "b", "Arn": "arn:aws:iam::1:role/b"}]}`,
			want: "Roles:a Named:b",
		},
		{"a page of more", `{"Roles": [], "IsTruncated": true, "Marker": "x"}`, "cut"},
		{"a page that the CLI cut", `{"Roles": [], "NextToken": "x"}`, "cut"},
		{"all pages", `{"RoleDetailList": [{"RoleName": "a", "AssumeRolePolicyDocument": {}}], "IsTruncated": false}`, "Roles:a"},
		{
			name: "pages one after the other",
			data: "{\n\"RoleDetailList\": [{\"RoleName\": \"a\", \"AssumeRolePolicyDocument\": {}}], \"IsTruncated\": true\n}\n" +
				"{\n\"RoleDetailList\": [{\"RoleName\": \"b\", \"AssumeRolePolicyDocument\": {}}]\n}\n",
			want: "Roles:a cut; Roles:b",
		},
		{"pages on one line", "{\"Roles\": []\n} {\"Roles\": []}", "error: line 2: more after the end of the JSON value"},
		{"something behind a page", "{\"Roles\": []\n}\nDone.", "error: line 2: more after the end of the JSON value"},
		{"Config, of what no longer exists",
			`{"Results": ["{\"configurationItemStatus\": \"ResourceDeletedNotRecorded\", \"configuration\": {\"assumeRolePolicyDocument\": \"%7B%7D\"}}"]}`, ""},
		{"Config, nested", `{"Results": ["{\"configuration\": {\"arn\": \"arn:aws:iam::1:role/x/a\", \"assumeRolePolicyDocument\": \"%7B%7D\"}}"]}`, "Roles:a"},
		{"Config without the policy", `{"Results": ["{\"resourceType\": \"AWS::IAM::Role\", \"configuration\": {\"arn\": \"a\"}}"]}`,
			"error: line 1: a role without assumeRolePolicyDocument: select configuration.assumeRolePolicyDocument as well"},
		{"Config with other JSON", `{"Results": ["{"]}`, "error: line 1: a string that is not JSON: not JSON"},
		{"rows", `[{"arn": "arn:aws:iam::1:role/a", "assume_role_policy": {}}]`, "Roles:a"},
		{
			name: "a search",
			data: `[{"assetType": "t", "resource": "//iam.googleapis.com/projects/p/serviceAccounts/a@p.iam.gserviceaccount.com", ` +
				`"policy": {"bindings": [` + member + `]}}]`,
			want: "a@p.iam.gserviceaccount.com",
		},
		{
			name: "a search that finds a bucket",
			data: `{"results": [{"resource": "//storage.googleapis.com/b", "policy": {"bindings": [` + member + `]}}]}`,
			want: "gcp-direct //storage.googleapis.com/b",
		},
		{"a pool", `{"name": "` + pool + `", "disabled": true}`, "gcp-pool"},
		{"a provider", `{"name": "` + pool + `/providers/b", "attributeMapping": {}}`, ""},
		{"providers", `[{"name": "` + pool + `/providers/b", "oidc": {}}, {"name": "` + pool + `/providers/c", "oidc": {}}]`, "; "},
		{"a mount", `{"data": {"bound_issuer": "https://x.example"}}`, "vault-config"},
		{
			name: "lines",
			data: "{\"RoleName\": \"a\", \"Arn\": \"arn:aws:iam::1:role/a\", \"AssumeRolePolicyDocument\": {\"bitbucket\": 1}}\n" +
				"\n" +
				"{\"RoleName\": \"b\", \"Arn\": \"arn:aws:iam::1:role/b\"}\n",
			want: "aws-names Named:b; Roles:a",
		},
		{"a compressed file", "\x1f\x8b\x08\x00", "error: it is compressed with gzip: unpack it"},
		{"an empty list", `[]`, "error: line 1: an empty list, which does not say of what"},
		{"a plan", `{"format_version": "1.2", "planned_values": {"root_module": {"child_modules": [{"resources": [
			{"address": "m.r", "mode": "managed", "type": "aws_iam_role", "values": {"name": "a", "arn": "arn:aws:iam::1:role/a"}},
			{"address": "m.s", "mode": "data", "type": "aws_iam_role", "values": {"name": "b", "assume_role_policy": "{}"}},
			{"address": "m.m", "mode": "managed", "type": "google_service_account_iam_member",
				"values": {"service_account_id": "projects/p/serviceAccounts/a@p.iam.gserviceaccount.com", "role": "roles/iam.workloadIdentityUser", "member": "x"}},
			{"address": "m.n", "mode": "managed", "type": "google_service_account_iam_member",
				"values": {"service_account_id": "projects/p/serviceAccounts/a@p.iam.gserviceaccount.com", "role": "r"}},
			{"address": "m.v", "mode": "managed", "type": "vault_jwt_auth_backend_role",
				"values": {"backend": "ci", "role_name": "deploy", "bound_claims": {"a": "1,2"}}}]}]}},
			"resource_changes": [
				{"address": "m.r", "change": {"after_unknown": {"assume_role_policy": true}}},
				{"address": "m.n", "change": {"after_unknown": {"member": true}}}]}`,
			"aws-role arn:aws:iam::1:role/a unknown; auth/ci/role/deploy; gcp-policy a@p.iam.gserviceaccount.com unknown"},
		{"a state without resources", `{"format_version": "1.0"}`, ""},
		{"what Terraform says of itself", `{"format_version": "1.0", "valid": true}`, ""},
		{
			name: "a plan that deletes a role, and one that makes it anew under a name that it does not know",
			data: `{"format_version": "1.2", "planned_values": {"root_module": {"resources": [
				{"address": "aws_iam_role.b", "mode": "managed", "type": "aws_iam_role", "values": {"name_prefix": "b-", "assume_role_policy": "{}"}}]}},
				"resource_changes": [
				{"address": "aws_iam_role.a", "type": "aws_iam_role", "change": {"actions": ["delete"], "before": {"arn": "arn:aws:iam::1:role/a"}, "after": null}},
				{"address": "aws_iam_role.b", "type": "aws_iam_role", "change": {"actions": ["create", "delete"], "before": {"arn": "arn:aws:iam::1:role/b-1"}}},
				{"address": "aws_iam_role.c", "type": "aws_iam_role", "change": {"actions": ["update"], "before": {"arn": "arn:aws:iam::1:role/c"}}}]}`,
			want: "aws-names Gone:a; aws-names Gone:b-1; aws_iam_role.b Roles:",
		},
	} {
		if got := told(t, tt.data); got != tt.want {
			t.Errorf("%s:\ngot  %s\nwant %s", tt.name, got, tt.want)
		}
	}
}

// Whatever was taken out of a string or another shape stands somewhere in the file.
func TestPlacesAreInTheFile(t *testing.T) {
	data := "{\"Results\": [\n\"{\\\"configuration\\\": {\\\"arn\\\": \\\"arn:aws:iam::1:role/a\\\", \\\"assumeRolePolicyDocument\\\": \\\"%7B%7D\\\"}}\"\n]}"
	all, err := Files(File{Name: "file", Data: []byte(data)})
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	role := all[0].Root.Get("Roles").Items[0]
	if p := all[0].Locate("AssumeRolePolicyDocument", role); p.Line != 2 || p.EndLine != 2 {
		t.Errorf("%+v", p)
	}
}

func TestCut(t *testing.T) {
	const encoded = `{"Arn":"arn:aws:iam::1:role/a","AssumeRolePolicyDocument":"%7Bapi.bitbucket.org%7D"}`
	for line, want := range map[string]string{
		encoded: encoded,
		`{"RoleName":"a","Arn":"arn:aws:iam::1:role/x/a","AssumeRolePolicyDocument":{"Statement":[]}}`: `{"Arn":"arn:aws:iam::1:role/x/a","RoleName":"a"}`,
		`{"configuration":{"arn":"arn:aws:iam::1:role/a","assumeRolePolicyDocument":"%7B%7D"}}`:        `{"Arn":"arn:aws:iam::1:role/a","RoleName":"a"}`,
		`{"resource":"//x","policy":{"bindings":[]}}`:                                                  `{"resource":"//x","policy":{"bindings":[]}}`,
		`{"Arn":`: `{"Arn":`,
	} {
		if got := string(Cut([]byte(line))); got != want {
			t.Errorf("%s\ngot  %s\nwant %s", line, got, want)
		}
	}
}

// FuzzFiles: no file makes the taker fail in another way than with an error, and what comes out lies in the file.
func FuzzFiles(f *testing.F) {
	for _, seed := range []string{
		`{"Results": ["{\"configuration\": {\"arn\": \"a\", \"assumeRolePolicyDocument\": \"%7B%7D\"}}"]}`,
		`{"format_version": "1", "values": {"root_module": {"resources": [{"type": "aws_iam_role", "values": {"assume_role_policy": "{}"}}], "child_modules": []}}}`,
		`{"format_version": "1", "planned_values": {}, "resource_changes": [{"address": "a", "change": {"after_unknown": true}}], ` +
			`"configuration": {"provider_config": {"vault": {"name": "vault", "expressions": {}}}}}`,
		`{"rows": [{"client_id_list": null, "arn": 1}]}`, "{\"a\": 1}\n[{\"resource\": \"x\", \"policy\": {}}]\n", `{"configuration": "{}"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		all, err := Files(File{Name: "file", Data: data})
		if err != nil {
			return
		}
		for _, d := range all {
			inside(t, d.Root, len(data))
			d.Locate("Roles[0].Arn", d.Root)
		}
		if cut := Cut(data); json.Valid(data) && !json.Valid(cut) {
			t.Errorf("%s is cut to %s", data, cut)
		}
	})
}

func inside(t *testing.T, n *document.Node, size int) {
	if n.Start < 0 || n.End > size || n.Start > n.End {
		t.Fatalf("%d to %d of %d", n.Start, n.End, size)
	}
	for _, m := range n.Members {
		inside(t, m.Value, size)
	}
	for _, item := range n.Items {
		inside(t, item, size)
	}
}
