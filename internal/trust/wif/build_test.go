package wif

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/document"
	"bitbucket-oidc/internal/oidc"
	"bitbucket-oidc/internal/setup"
	"bitbucket-oidc/internal/trust"
	"bitbucket-oidc/internal/trust/trusttest"
)

// providerWith is what gcloud prints of the provider that `explain` sets up, with changes.
func providerWith(t testing.TB, changes string) string {
	return trusttest.Changed(t, map[string]any{
		"name":               trusttest.Pool + "/providers/bitbucket",
		"state":              "ACTIVE",
		"displayName":        "Bitbucket",
		"oidc":               map[string]any{"issuerUri": trusttest.Issuer, "allowedAudiences": []string{trusttest.Workspace}},
		"attributeMapping":   setup.GCPAttributes(oidc.Claims{RepositoryUUID: trusttest.Repository}),
		"attributeCondition": setup.GCPCondition(oidc.Claims{RepositoryUUID: trusttest.Repository}),
	}, changes)
}

// policyWith is a policy that grants the service account to members.
func policyWith(members ...string) string {
	data, _ := json.Marshal(map[string]any{
		"bindings": []any{map[string]any{"role": setup.WorkloadIdentityUser, "members": members}}, "etag": "BwYx", "version": 1,
	})
	return string(data)
}

// condition is a change of the attribute condition.
func condition(source string) string {
	return `{"attributeCondition":` + document.Compact(source) + `}`
}

// noCondition removes the attribute condition.
const noCondition = `{"attributeCondition":null}`

// allowing is a change of the allowed audiences. Without audiences it removes the list.
func allowing(audiences ...string) string {
	return document.Compact(map[string]any{"oidc": struct {
		Issuer    string   `json:"issuerUri"`
		Audiences []string `json:"allowedAudiences,omitempty"`
	}{trusttest.Issuer, audiences}})
}

// merged is several changes as one.
func merged(changes ...string) string {
	for _, c := range changes[1:] {
		changes[0] = strings.TrimSuffix(changes[0], "}") + "," + strings.TrimPrefix(c, "{")
	}
	return changes[0]
}

// subject is a member that is one value of google.subject.
func subject(value string) string {
	return "principal://iam.googleapis.com/" + trusttest.Pool + "/subject/" + value
}

// mappingOf is a change of the mapping, which has google.subject as well.
func mappingOf(pairs ...string) string {
	mapping := map[string]string{"google.subject": "assertion.sub"}
	for i := 0; i < len(pairs); i += 2 {
		mapping[pairs[i]] = pairs[i+1]
	}
	data, _ := json.Marshal(map[string]any{"attributeMapping": mapping})
	return string(data)
}

// judgeGCP judges a provider and a policy of one call. Either may be empty.
func judgeGCP(t testing.TB, provider, policy string, id bitbucket.Identity) (ofProvider, ofPolicy trust.Result) {
	t.Helper()
	o := trust.Options{Now: time.Date(2026, 9, 22, 0, 0, 0, 0, time.UTC)}
	var through *Provider
	var beside []*Policy
	if provider != "" {
		p, ok, err := readProvider(provider)
		if !ok || err != nil {
			t.Fatalf("%s: %v, %v", provider, ok, err)
		}
		through = p
	}
	if policy != "" {
		p, ok, err := readPolicy(policy)
		if !ok || err != nil {
			t.Fatalf("%s: %v, %v", policy, ok, err)
		}
		p.Through(through)
		beside = append(beside, p)
		ofPolicy = p.Judge(id, o)
	}
	if through != nil {
		through.Beside(beside)
		ofProvider = through.Judge(id, o)
	}
	return ofProvider, ofPolicy
}

func readProvider(text string) (*Provider, bool, error) {
	f, err := document.Read("", []byte(text))
	if err != nil {
		return nil, false, nil
	}
	return ReadProvider(f)
}

func readPolicy(text string) (*Policy, bool, error) {
	f, err := document.Read("", []byte(text))
	if err != nil {
		return nil, false, nil
	}
	return ReadPolicy(f)
}
