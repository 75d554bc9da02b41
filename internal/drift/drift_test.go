package drift

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"bitbucket-oidc/internal/access"
	"bitbucket-oidc/internal/document"
	"bitbucket-oidc/internal/judge"
	"bitbucket-oidc/internal/trust"
)

const (
	shop       = "{2e9e429c-7b8b-404f-8648-8c40c27c9ebd}"
	infra      = "{91d0c7aa-12f3-4d55-8a4b-f00dfeedbeef}"
	production = "{c3e5a1f0-5d0e-4b6a-9b54-7c1de2f80a11}"
	staging    = "{a1b2c3d4-0000-4111-8222-333344445555}"
	old        = "{de1e7ed0-1111-4222-8333-444455556666}"
	issuer     = "api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc"
	ari        = "ari:cloud:bitbucket::workspace/7baee083-4f25-4a97-8a9a-0fde1b623b45"
	role       = "arn:aws:iam::123456789012:role/shop-deploy"
)

var today = time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC)

func parse(t *testing.T, grants string) *access.Map {
	t.Helper()
	m, err := access.Parse("access.yaml", []byte(`version: 1
workspace: {slug: acme, uuid: "{7baee083-4f25-4a97-8a9a-0fde1b623b45}"}
repositories:
  shop: {uuid: "`+shop+`", environments: {production: "`+production+`", staging: "`+staging+`"}}
  infra: {uuid: "`+infra+`"}
grants:
`+grants))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// deployed is the state of an account that has these roles and no others.
func deployed(t *testing.T, m *access.Map, policies map[string]string) State {
	t.Helper()
	s := State{Sources: []Source{{Name: "aws:123456789012", How: "file roles.json"}}}
	var roles []string
	for arn, policy := range policies {
		_, name, _ := strings.Cut(arn, ":role/")
		roles = append(roles, fmt.Sprintf(`{"RoleName": %q, "Arn": %q, "MaxSessionDuration": 3600, "AssumeRolePolicyDocument": %s}`, name, arn, policy))
	}
	reached, err := judge.Reach(t.Context(), []trust.File{{Name: "roles.json", Data: []byte(`{"Roles": [` + strings.Join(roles, ",") + `]}`)}}, Universe(m, today))
	if err != nil {
		t.Fatal(err)
	}
	for arn := range policies {
		d := Deployed{Target: arn, Source: "aws:123456789012", Session: time.Hour}
		for _, r := range reached {
			if r.Target == arn {
				d.Cells = r.Cells
			}
		}
		s.Targets = append(s.Targets, d)
	}
	return s
}

func allow(condition string) string {
	return `{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Federated": "arn:aws:iam::123456789012:oidc-provider/` + issuer + `"},
		"Action": "sts:AssumeRoleWithWebIdentity", "Condition": {` + condition + `}}]}`
}

func sub(values ...string) string {
	return allow(`"StringEquals": {"` + issuer + `:aud": "` + ari + `"}, "StringLike": {"` + issuer + `:sub": ["` + strings.Join(values, `", "`) + `"]}`)
}

func told(all []Difference) string {
	var lines []string
	for _, d := range all {
		lines = append(lines, string(d.Kind)+" "+strings.Join(d.Who, ", "))
	}
	return strings.Join(lines, "; ")
}

// What one grant of shop/production makes of policies that people write.
func TestCompare(t *testing.T) {
	grant := `  - {who: [shop/production], become: ["` + role + `"], session: 1h}` + "\n"
	tests := []struct{ name, policy, want string }{
		{"exact", sub(shop + ":" + production + ":*"), ""},
		{"repository", sub(shop + ":*"), "wider shop/none, shop/staging, shop/any other environment"},
		{
			name: "workspace", policy: allow(`"StringEquals": {"` + issuer + `:aud": "` + ari + `"}`),
			want: "wider shop/none, shop/staging, shop/any other environment, infra/none, infra/any other environment, " +
				"any other repository/none, any other repository/any other environment",
		},
		{
			name: "deployments of everybody", policy: sub(shop+":"+production+":*", "*:*:*"),
			want: "wider shop/staging, shop/any other environment, infra/any other environment, any other repository/any other environment",
		},
		{
			name: "repository that the map lacks", policy: sub(shop+":"+production+":*", old+":*"),
			want: "wider unlisted repository " + old + "/none, unlisted repository " + old + "/any other environment",
		},
		{"environment of anybody's", sub("*:" + production + ":*"), ""},
		{"no braces", sub(strings.Trim(shop, "{}") + ":*"), "missing shop/production"},
		{"environment made anew", sub(shop + ":" + old + ":*"), "missing shop/production; wider shop/unlisted environment " + old},
		{"steps without an environment", sub(shop+":"+production+":*", shop+":{????????-????-????-????-????????????}"), "wider shop/none"},
		{
			name: "address",
			policy: allow(`"StringEquals": {"` + issuer + `:aud": "` + ari + `"}, "StringLike": {"` + issuer + `:sub": "` + shop + ":" + production + `:*"}, ` +
				`"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}`),
			want: "undecided shop/production",
		},
		{"another workspace", strings.ReplaceAll(sub(shop+":*"), "workspaces/acme", "workspaces/other"), "absent "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := parse(t, grant)
			got := Compare(m, deployed(t, m, map[string]string{role: tt.policy}), today)
			if told(got) != tt.want {
				t.Errorf("got  %s\nwant %s", told(got), tt.want)
			}
			for _, d := range got {
				if d.Kind == Wider && d.Witness == nil {
					t.Error("no witness")
				}
				if d.File != "access.yaml" || d.Line != 7 || d.Fix.Text == "" || !strings.HasSuffix(d.Message, ".") {
					t.Errorf("a difference without its parts: %+v", d)
				}
			}
		})
	}
}

func TestCompareTargets(t *testing.T) {
	m := parse(t, `  - {who: ["shop/*"], become: ["`+role+`"]}
  - {who: [infra/none], become: ["arn:aws:iam::123456789012:role/gone"]}
  - {who: [infra/none], become: ["arn:aws:iam::210987654321:role/elsewhere"]}
  - {who: [infra/none], become: ["arn:aws:iam::123456789012:role/late"], until: 2026-01-31, branches: [main]}
  - {who: [infra/none], become: ["arn:aws:iam::123456789012:role/branch"], session: 2h, branches: [main]}
`)
	s := deployed(t, m, map[string]string{
		role:                                    sub(shop + ":*"),
		"arn:aws:iam::123456789012:role/late":   sub(infra + ":*"),
		"arn:aws:iam::123456789012:role/legacy": sub("*"),
		"arn:aws:iam::123456789012:role/branch": sub(infra + ":{????????-????-????-????-????????????}"),
	})
	s.Sources = append(s.Sources, Source{Name: "aws:345678901234", Why: "access denied"})
	var got []string
	for _, d := range Compare(m, s, today) {
		got = append(got, string(d.Kind)+" "+strings.TrimPrefix(d.Target, "arn:aws:iam::")+" "+string(d.Severity))
	}
	want := []string{
		"absent 123456789012:role/gone error", "expired 123456789012:role/late error", "session 123456789012:role/branch error",
		"unlisted 123456789012:role/legacy error", "unread 210987654321:role/elsewhere error", "unread aws:345678901234 error",
		"wider 123456789012:role/late error", "unenforceable 123456789012:role/branch note",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// What a map renders has no drift; one pattern more is wider and one less is missing; the order of statements and values is none.
func TestRenderedHasNoDrift(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	r := rand.New(rand.NewPCG(seed, 1))
	all := []string{"shop/*", "shop/none", "shop/production", "shop/staging", "infra/*", "infra/none"}
	for range 150 {
		r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		who := all[:1+r.IntN(3)]
		m := parse(t, `  - {who: ["`+strings.Join(who, `", "`)+`"], become: ["`+role+`"]}`+"\n")
		rendered, err := m.Render(nil, "", today)
		if err != nil {
			t.Fatal(err)
		}
		policy := document.Indented(rendered.Policies[0].Body)
		if got := Compare(m, deployed(t, m, map[string]string{role: policy}), today); len(got) > 0 {
			t.Fatalf("seed %d: %v: %s", seed, who, told(got))
		}
		granted := m.Granted(role, today)
		var subjects []string
		for _, w := range granted {
			subjects = append(subjects, w.Subject())
		}
		r.Shuffle(len(subjects), func(i, j int) { subjects[i], subjects[j] = subjects[j], subjects[i] })
		if got := Compare(m, deployed(t, m, map[string]string{role: sub(subjects...)}), today); len(got) > 0 {
			t.Fatalf("seed %d: %v in another order: %s", seed, who, told(got))
		}
		if got := Compare(m, deployed(t, m, map[string]string{role: sub(append(subjects, old+":*")...)}), today); told(got) == "" || got[0].Kind != Wider {
			t.Fatalf("seed %d: %v and one more: %s", seed, who, told(got))
		}
		if got := Compare(m, deployed(t, m, map[string]string{role: sub(old + ":*")}), today); told(got) == "" || got[0].Kind != Missing {
			t.Fatalf("seed %d: none of %v: %s", seed, who, told(got))
		}
	}
}
