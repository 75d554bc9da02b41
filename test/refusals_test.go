package test

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"bitbucket-oidc/internal/aws"
	"bitbucket-oidc/internal/diagnosis"
	"bitbucket-oidc/internal/gcp"
	"bitbucket-oidc/internal/oauth"
	"bitbucket-oidc/internal/oidc"
	"bitbucket-oidc/internal/okta"
	"bitbucket-oidc/internal/refusal"
	"bitbucket-oidc/internal/vault"
)

// refusalsFile has the tables of the backends for the program that does not link the backends.
const refusalsFile = "internal/diagnosis/refusals.json"

func TestStaleRefusals(t *testing.T) {
	plain, deployed := meanings(false), meanings(true)
	tables := map[string]*diagnosis.Table{}
	for name, rows := range plain {
		table := &diagnosis.Table{}
		for i, r := range rows {
			s := diagnosis.Saying{Means: r.Means, Advice: r.Advice}
			if other := deployed[name][i].Advice; !reflect.DeepEqual(other, r.Advice) {
				s.Deployed = other
			}
			table.Add(diagnosis.Row{Status: r.Status, Code: r.Code, Reason: r.Reason, Texts: r.Texts}, s)
		}
		tables[name] = table
	}
	var want bytes.Buffer
	enc := json.NewEncoder(&want)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(tables); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(checkout, refusalsFile)
	got, err := os.ReadFile(file)
	switch {
	case err == nil && bytes.Equal(got, want.Bytes()):
	case *generate:
		if err := os.WriteFile(file, want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%s is stale: run make docs (%v)", refusalsFile, err)
	}
}

// meanings are the rows of every table, with advice for a step of a deployment or one without.
func meanings(of bool) map[string][]refusal.Meaning {
	c := diagnosis.Specimen(of)
	all := aws.Meanings(c)
	maps.Copy(all, gcp.Meanings(c))
	maps.Copy(all, oauth.Meanings(c))
	all["vault"], all["okta"] = vault.Meanings(c), okta.Meanings(c)
	aged := strings.TrimSuffix(
		c.Age(oidc.Claims{}.Expires),
		"Bitbucket mints one token for each step and does not renew it, so call the pipe early in the step, or split the step",
	)
	for _, rows := range all {
		for _, r := range rows {
			for i := range r.Advice { // a specimen has no age
				r.Advice[i] = strings.TrimPrefix(r.Advice[i], aged)
			}
		}
	}
	return all
}
