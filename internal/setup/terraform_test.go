package setup

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/document"
)

// TestTerraformHasTheSamePolicy: the template and the JSON of explain let in the same identity.
func TestTerraformHasTheSamePolicy(t *testing.T) {
	for name, parts := range map[string]bitbucket.Parts{
		"any step":          {},
		"a deployment":      {EnvironmentUUID: "c3e5a1f0-5d0e-4b6a-9b54-7c1de2f80a11"},
		"several audiences": {Audiences: []string{"https://sts.example.com"}},
	} {
		t.Run(name, func(t *testing.T) {
			parts.Workspace, parts.Now = "acme", time.Now()
			parts.WorkspaceUUID, parts.RepositoryUUID = "7baee083-4f25-4a97-8a9a-0fde1b623b45", "2e9e429c-7b8b-404f-8648-8c40c27c9ebd"
			id, err := parts.Identity()
			if err != nil {
				t.Fatal(err)
			}
			p := Places{AWSAccount: "123456789012"}
			text, err := Terraform(id, p, time.Hour)
			if err != nil {
				t.Fatal(err)
			}
			e, err := Explain(id, p)
			if err != nil {
				t.Fatal(err)
			}
			_, after, _ := strings.Cut(text, "jsonencode(")
			policy, _, _ := strings.Cut(after, ")\n}")
			var got, want any
			if err := json.Unmarshal([]byte(policy), &got); err != nil {
				t.Fatalf("%v\n%s", err, policy)
			}
			if err := json.Unmarshal([]byte(document.Tight(e.AWS.TrustPolicy)), &want); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("Terraform's policy is\n%s\nwant\n%s", policy, document.Indented(e.AWS.TrustPolicy))
			}
		})
	}
}

func TestFill(t *testing.T) {
	for _, c := range []struct {
		name, template string
		expressions    map[string]string
		want, wrong    string
	}{
		{name: "a place twice", template: "<a> = <b.c>, <a>", expressions: map[string]string{"a": "1", "b.c": "<a>"}, want: "1 = <a>, 1"},
		{name: "no place", template: "<A> < b>", expressions: map[string]string{}, want: "<A> < b>"},
		{name: "nothing for a place", template: "<a><b>", expressions: map[string]string{"a": "1"}, wrong: "nothing for <b>"},
		{name: "an expression too many", template: "<a>", expressions: map[string]string{"a": "1", "b": "2"}, wrong: "no place for b"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := fill(c.template, c.expressions)
			if got != c.want || (err != nil) != (c.wrong != "") || err != nil && !strings.HasSuffix(err.Error(), ": "+c.wrong) {
				t.Errorf("%q, %v; want %q, %q", got, err, c.want, c.wrong)
			}
		})
	}
}
