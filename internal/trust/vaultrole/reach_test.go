package vaultrole

import (
	"context"
	"flag"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/document"
	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/trust"
	"bitbucket-oidc/internal/trust/trusttest"
)

// more asks for as many random roles as the search is worth.
var more = flag.Bool("more", false, "judge many random roles")

func roleOf(t testing.TB, data string) *Role {
	t.Helper()
	f, err := document.Read("role.json", []byte(data))
	if err != nil {
		t.Fatal(err)
	}
	r, ok, err := Read(f)
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	return r
}

func passes(r trust.Result) bool {
	return r.Verdict == trust.Allow && !slices.ContainsFunc(r.Findings, func(f finding.Finding) bool { return f.Severity == finding.Error })
}

// No role of the random search that check passes lets in a stranger.
func TestVaultPassedRolesLetInNoStranger(t *testing.T) {
	roles := 2000
	if *more {
		roles = 50_000
	}
	const r = trusttest.Repository
	rnd := rand.New(rand.NewPCG(41, 42))
	pick := func(from ...string) string { return from[rnd.IntN(len(from))] }
	id := trusttest.ClaimsWith(t, "")
	passed := 0
	for range roles {
		bound := map[string]any{}
		for range 1 + rnd.IntN(3) {
			name := pick("repositoryUuid", "repositoryUuid", "/repositoryUuid", "sub", "workspaceUuid", "branchName", "aud", "iss")
			value := map[string]string{
				"sub": pick(r+":*", r+"*", "*", "{2e9e*"), "workspaceUuid": "{7baee083-4f25-4a97-8a9a-0fde1b623b45}", "branchName": pick("main", "*", "m*"),
				"aud": pick(trusttest.Workspace, "*"), "iss": trusttest.Issuer,
			}[name]
			if value == "" {
				value = pick(r, r, "*", "{2e9e*", "{*}", strings.Trim(r, "{}"))
			}
			bound[name] = value
			if rnd.IntN(3) == 0 {
				bound[name] = []string{value, pick("x", r, "*", trusttest.Other)}
			}
		}
		role := map[string]any{
			"role_type": "jwt", "user_claim": "repositoryUuid", "bound_audiences": []string{trusttest.Workspace},
			"bound_claims": bound, "bound_claims_type": pick("string", "glob"),
		}
		document := roleOf(t, document.Compact(role))
		if !passes(document.Judge(id, trust.Options{})) {
			continue
		}
		passed++
		for _, stranger := range trusttest.Strangers() {
			if got := document.Judge(stranger, trust.Options{}); got.Verdict != trust.Deny {
				t.Fatalf("passed, and %s of %q is %s: %v", stranger.Claims.Subject, stranger.Claims.BranchName, got.Verdict, role)
			}
		}
	}
	t.Logf("%d of %d roles passed", passed, roles)
	if passed < roles/50 {
		t.Error("too few passed for the search to say much")
	}
}

func TestVaultReach(t *testing.T) {
	u := bitbucket.Universe{
		Issuer: trusttest.Issuer, Audience: trusttest.Workspace,
		Repositories: []bitbucket.Repository{{Name: "shop", UUID: trusttest.Repository}},
	}
	role := func(more string) string {
		return `{"user_claim":"repositoryUuid","role_type":"jwt","bound_audiences":["` + trusttest.Workspace + `"],` + more + `}`
	}
	others := []string{"any other repository/none", "any other repository/any other environment"}
	shop := []string{"shop/none", "shop/any other environment"}
	for _, c := range []struct {
		name, role string
		want       []string
	}{
		{name: "the repository", role: role(`"bound_claims":{"repositoryUuid":"` + trusttest.Repository + `"}`), want: shop},
		{
			name: "the workspace", role: role(`"bound_claims":{"workspaceUuid":"{7baee083-4f25-4a97-8a9a-0fde1b623b45}"}`),
			want: slices.Concat(shop, others),
		},
		{
			name: "another one too", role: role(`"bound_claims":{"repositoryUuid":["` + trusttest.Repository + `","` + trusttest.Other + `"]}`),
			want: slices.Concat(shop, []string{"unlisted repository " + trusttest.Other + "/none", "unlisted repository " + trusttest.Other + "/any other environment"}),
		},
		{
			name: "an unlisted environment",
			role: role(`"bound_claims":{"repositoryUuid":"` + trusttest.Repository + `","deploymentEnvironmentUuid":"` + trusttest.Environment + `"}`),
			want: []string{"shop/unlisted environment " + trusttest.Environment},
		},
		{
			name: "a part of a UUID", role: role(`"bound_claims_type":"glob","bound_claims":{"repositoryUuid":"{2e9e*"}`),
			want: slices.Concat(shop, []string{"any other repository/none", "any other repository/any other environment"}),
		},
		{name: "a branch of any repository", role: role(`"bound_claims":{"branchName":"main"}`), want: slices.Concat(shop, others)},
		{
			name: "a pattern of branches of any repository", role: role(`"bound_claims_type":"glob","bound_claims":{"branchName":"rel*x"}`),
			want: slices.Concat(shop, others),
		},
		{
			name: "an audience that a step asks for", role: role(`"bound_claims":{"aud":"https://a.example"}`),
			want: slices.Concat(shop, others),
		},
		{
			name: "a pattern for audiences", role: role(`"bound_claims_type":"glob","bound_claims":{"/aud/1":"team-*"}`),
			want: slices.Concat(shop, others),
		},
		{
			name: "nobody's audience",
			role: `{"user_claim":"repositoryUuid","role_type":"jwt","bound_claims":{"repositoryUuid":"` + trusttest.Repository + `"}}`, want: nil,
		},
	} {
		var got []string
		for _, cell := range roleOf(t, c.role).Reach(context.Background(), u) {
			switch {
			case cell.Reach.Some:
				got = append(got, cell.Who)
			case cell.Reach.Maybe:
				got = append(got, cell.Who+" (perhaps)")
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

// TestMeant: who gets in on the branches that a universe means, and who on others.
func TestMeant(t *testing.T) {
	bound := func(kind, branches string) string {
		return vaultWith(t, trusttest.ClaimsWith(t, ``), `{"bound_claims_type":"`+kind+`","bound_claims":{"repositoryUuid":"`+trusttest.Repository+`"`+branches+`}}`)
	}
	for _, c := range []struct {
		role, meant             string // meant are patterns between spaces
		all, missing, elsewhere bool
	}{
		{role: bound("string", `,"branchName":"main"`), meant: "main", all: true},
		{role: bound("string", `,"branchName":["main","next"]`), meant: "main next", all: true},
		{role: bound("string", `,"branchName":["main","next"]`), meant: "main", all: true, elsewhere: true},
		{role: bound("string", `,"branchName":"main"`), meant: "main next"},
		{role: bound("string", `,"branchName":"next"`), meant: "main", missing: true, elsewhere: true},
		{role: bound("string", ``), meant: "main", all: true, elsewhere: true},
		{role: bound("glob", `,"branchName":"release/*"`), meant: "release/*", all: true},
		{role: bound("glob", `,"branchName":"rel*"`), meant: "release/*", all: true, elsewhere: true},
		{role: bound("glob", `,"branchName":"release/*"`), meant: "rel*"},
		{role: bound("string", `,"branchName":"release/*"`), meant: "release/*", missing: true}, // Git has no name with a star
		{role: bound("glob", `,"branchName":"*"`), meant: "*", all: true},
		{role: bound("string", ``), meant: "*", all: true, elsewhere: true}, // steps that are on no branch
		{role: bound("glob", `,"/branchName":"main"`), meant: "main", all: true},
	} {
		u := bitbucket.Universe{Meant: strings.Fields(c.meant), Repositories: []bitbucket.Repository{{Name: "shop", UUID: trusttest.Repository}}}
		cell := roleOf(t, c.role).Reach(context.Background(), u)[0]
		if cell.Who != "shop/none" || cell.Usual.All != c.all || !cell.Usual.Maybe != c.missing || cell.Elsewhere.Maybe != c.elsewhere {
			t.Errorf("%s for %s: %s %+v, elsewhere %+v", c.role, c.meant, cell.Who, cell.Usual, cell.Elsewhere)
		}
		if w := cell.Elsewhere.Witness; c.elsewhere && roleOf(t, c.role).Judge(*w, trust.Options{}).Verdict != trust.Allow {
			t.Errorf("%s for %s: the witness is refused: %v", c.role, c.meant, w.All)
		}
	}
}
