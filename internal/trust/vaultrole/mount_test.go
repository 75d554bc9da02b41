package vaultrole

import (
	"testing"

	"bitbucket-oidc/internal/document"
	"bitbucket-oidc/internal/trust"
	"bitbucket-oidc/internal/trust/trusttest"
)

// A role is of one of the mounts whose configurations stand beside it.
func TestVaultMounts(t *testing.T) {
	const ours, other = trusttest.Issuer, "https://api.bitbucket.org/2.0/workspaces/beta/pipelines-config/identity/oidc"
	discovery := func(url, bound string) string {
		return `{"oidc_discovery_url":"` + url + `","bound_issuer":"` + bound + `"}`
	}
	for _, c := range []struct {
		name   string
		mounts []string
		want   trust.Verdict
	}{
		{"none", nil, trust.Allow},
		{"the workspace's", []string{discovery(ours, ours)}, trust.Allow},
		{"no bound issuer", []string{discovery(ours, "")}, trust.Allow},
		{"a slash, which discovery drops", []string{discovery(ours+"/", "")}, trust.Allow},
		{"another workspace's", []string{discovery(other, other)}, trust.Deny},
		{"another bound issuer", []string{discovery(ours, other)}, trust.Deny},
		{"a bound issuer with a slash", []string{discovery(ours, ours+"/")}, trust.Deny},
		{"another workspace's keys", []string{discovery(other, "")}, trust.Undecided},
		{"the issuer, and another workspace's keys", []string{discovery(other, ours)}, trust.Undecided},
		{"the workspace's keys by their address", []string{`{"jwks_url":"` + ours + `/keys.json","bound_issuer":null}`}, trust.Allow},
		{"keys from elsewhere", []string{`{"jwks_url":"https://keys.example"}`}, trust.Undecided},
		{"keys in the configuration", []string{`{"jwt_validation_pubkeys":["x"],"bound_issuer":"` + ours + `"}`}, trust.Undecided},
		{"two, one of them the workspace's", []string{discovery(other, other), discovery(ours, ours)}, trust.Undecided},
		{"two of others", []string{discovery(other, other), discovery("", "https://x")}, trust.Deny},
		{"two of the workspace", []string{discovery(ours, ours), discovery(ours, "")}, trust.Allow},
	} {
		id := trusttest.ClaimsWith(t, "")
		f, err := document.Read("role.json", []byte(vaultWith(t, id, "")))
		if err != nil {
			t.Fatal(err)
		}
		role, ok, err := Read(f)
		if !ok || err != nil {
			t.Fatal(ok, err)
		}
		var configurations []*document.Node
		for _, text := range c.mounts {
			n, err := document.Parse([]byte(text))
			if err != nil {
				t.Fatal(err)
			}
			configurations = append(configurations, n)
		}
		if err := role.Under(configurations); err != nil {
			t.Fatal(err)
		}
		if got := role.Judge(id, trusttest.Options()); got.Verdict != c.want {
			t.Errorf("%s: %s (%s), want %s", c.name, got.Verdict, got.Reason, c.want)
		}
	}
}
