package iam

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"bitbucket-oidc/internal/document"
	"bitbucket-oidc/internal/trust"
)

func TestAWSProvider(t *testing.T) {
	provider := func(url string, clients ...string) string {
		return fmt.Sprintf(`{"Url": %q, "ClientIDList": %s, "ThumbprintList": [], "CreateDate": "2026-01-01T00:00:00+00:00"}`,
			url, document.Compact(append([]string{}, clients...)))
	}
	for _, test := range []struct {
		document string
		verdict  trust.Verdict
		rules    []string
	}{
		{provider(awsIssuer, awsAudience), trust.Allow, nil},
		{provider("https://"+awsIssuer, "x", awsAudience), trust.Allow, nil},
		{provider(awsIssuer, "sts.amazonaws.com"), trust.Deny, []string{"aws-aud-mismatch"}},
		{provider(awsIssuer), trust.Deny, []string{"aws-aud-mismatch"}},
		{provider(awsIssuer+"/", awsAudience), trust.Deny, []string{"aws-principal"}},
		{provider(strings.Replace(awsIssuer, "acme", "Acme", 1), awsAudience), trust.Deny, []string{"aws-principal"}},
		{provider("token.actions.githubusercontent.com", "sts.amazonaws.com"), trust.Deny, []string{"aws-aud-mismatch", "aws-principal"}},
	} {
		results, ok, err := provided([]byte(test.document), awsBuild(), trust.Options{})
		if !ok || err != nil || len(results) != 1 {
			t.Fatal(results, ok, err)
		}
		r := results[0]
		if r.Verdict != test.verdict || !slices.Equal(awsFindings(r), append([]string{}, test.rules...)) || r.Kind != "aws-provider" {
			t.Errorf("%s: %+v", test.document, r)
		}
	}
	for _, document := range []string{`{}`, `{`, `{"Url": 5, "ClientIDList": []}`, `{"Url": "x"}`} {
		if _, ok, _ := provided([]byte(document), awsBuild(), trust.Options{}); ok {
			t.Errorf("%s is taken for a provider", document)
		}
	}
}
