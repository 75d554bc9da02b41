package access

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"bitbucket-oidc/internal/document"
)

const sample = `version: 1
workspace: {slug: acme, uuid: "{7baee083-4f25-4a97-8a9a-0fde1b623b45}"}
repositories:
  shop: {uuid: 2E9E429C-7b8b-404f-8648-8c40c27c9ebd, environments: {production: "{c3e5a1f0-5d0e-4b6a-9b54-7c1de2f80a11}"}}
  infra: {uuid: "{91d0c7aa-12f3-4d55-8a4b-f00dfeedbeef}"}
read: {gcp: [projects/123456789012/locations/global/workloadIdentityPools/ci-pool/providers/bitbucket]}
grants:
  - {who: [shop/production], become: ["arn:aws:iam::123456789012:role/ci/shop", shop-deploy@acme-prod.iam.gserviceaccount.com], session: 2h}
  - {who: ["shop/*", shop/production, infra/none], become: ["arn:aws:iam::123456789012:role/ecr-read"]}
  - {who: [infra/none], become: ["arn:aws:iam::123456789012:role/old"], until: 2026-01-31}
`

func TestParse(t *testing.T) {
	m, err := Parse("access.yaml", []byte(sample))
	if err != nil {
		t.Fatal(err)
	}
	if got := m.Repositories[0].UUID; got != "{2e9e429c-7b8b-404f-8648-8c40c27c9ebd}" {
		t.Errorf("the repository's UUID is %s: braces and small letters are Bitbucket's form", got)
	}
	if got := m.Grants[0].Become[0]; got.Account != "123456789012" || got.Role != "shop" || got.Path != "/ci/" {
		t.Errorf("the role was read as %+v", got)
	}
	last := time.Date(2026, 1, 31, 23, 59, 59, 0, time.UTC)
	if m.Grants[2].Expired(last) || !m.Grants[2].Expired(last.Add(time.Second)) {
		t.Error("a grant counts on its last day, and not on the day after")
	}
}

// A reason is prose, and prose has commas.
func TestCommas(t *testing.T) {
	m, err := Parse("access.yaml", []byte(strings.Replace(sample, "until: 2026-01-31}", "owner: payments, data, until: 2026-01-31}", 1)+
		"accept:\n  - {id: 4f1c9a27e0b3, until: 2027-01-15, why: the role is being removed, SEC-88}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got := m.Grants[2].Owner + "; " + m.Accept[0].Why; got != "payments, data; the role is being removed, SEC-88" {
		t.Errorf("the owner and the reason are %s", got)
	}
}

func TestParseReportsEverything(t *testing.T) {
	tests := []struct {
		name, from, to, want string
	}{
		{"unknown key", "session: 2h", "sesion: 2h", `line 8, column 129: grants[0]: unknown key "sesion"`},
		{
			name: "repository that the map lacks", from: "infra/none], become: [\"arn:aws:iam::123456789012:role/old",
			to: "shoop/none], become: [\"arn:aws:iam::123456789012:role/old", want: "grants[2].who[0]: the repository is not among",
		},
		{"environment that the map lacks", "who: [shop/production]", "who: [shop/prod]", "grants[0].who[0]: the environment is not among the environments of shop"},
		{"pattern", `"shop/*", shop`, `"sh*/*", shop`, "patterns are not allowed"},
		{"repository without an environment", "who: [shop/production]", "who: [shop]", "expected REPOSITORY/ENVIRONMENT"},
		{
			name: "UUID twice", from: "{91d0c7aa-12f3-4d55-8a4b-f00dfeedbeef}", to: "{c3e5a1f0-5d0e-4b6a-9b54-7c1de2f80a11}",
			want: "is already used at repositories.shop.environments.production",
		},
		{
			name: "session twice", from: "infra/none], become: [\"arn:aws:iam::123456789012:role/ecr-read\"]",
			to:   "infra/none], become: [\"arn:aws:iam::123456789012:role/ci/shop\"], session: 1h",
			want: "another session at grants[0].become[0]",
		},
		{"wildcard in a target", "role/ecr-read", "role/*", "without wildcards"},
		{"environment named none", "{production:", "{none:", "cannot have this name"},
		{"key twice", "version: 1", "version: 1\nversion: 1", `"version" stands twice`},
		{"another version", "version: 1", "version: 2", "expected 1"},
		{"no date", "2026-01-31", "2026-31-01", "expected a date"},
		{"accept without until", "grants:", "accept: [{id: abcdefabcdef, why: known}]\ngrants:", "accept[0]: until is missing"},
		{
			name: "second document",
			from: "  - {who: [infra/none], become: [\"arn:aws:iam::123456789012:role/old\"], until: 2026-01-31}\n",
			to:   "---\nversion: 1\n", want: "a second document",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text := strings.Replace(sample, tt.from, tt.to, 1)
			if text == sample {
				t.Fatalf("%q is not in the sample", tt.from)
			}
			_, err := Parse("access.yaml", []byte(text))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestParseReportsEverythingAtOnce(t *testing.T) {
	_, err := Parse("access.yaml", []byte("version: 3\nworkspace: {slug: a b}\nrepositories: []\ngrants: [{become: [x], who: []}]\nextra: 1\n"))
	if got := strings.Count(err.Error(), "\n") + 1; got != 7 {
		t.Errorf("%d problems, want 7:\n%v", got, err)
	}
}

func TestTargets(t *testing.T) {
	tests := []struct {
		name string
		want Kind
	}{
		{"arn:aws-us-gov:iam::123456789012:role/a/b/deploy", AWSRole},
		{"deploy@my-project.iam.gserviceaccount.com", ServiceAccount},
		{"https://vault.example.com/v1/auth/ci/jwt/role/deploy?namespace=team/a", VaultRole},
		{"http://127.0.0.1:8200/v1/auth/jwt/role/deploy", VaultRole},
		{"https://acme.pam.okta.com/team/connection", OktaConnection},
		{"http://vault.example.com/v1/auth/jwt/role/deploy", ""},
		{"https://me@vault.example.com/v1/auth/jwt/role/deploy", ""},
		{"https://vault.example.com/v1/auth/jwt/role/deploy?x=1", ""},
		{"https://pam.okta.com.example.com/team/connection", ""},
		{"arn:aws:iam::12345678901:role/deploy", ""},
		{"arn:aws:sts::123456789012:assumed-role/deploy/x", ""},
		{"arn:aws:iam::123456789012:role/team-*/deploy", ""},
	}
	for _, tt := range tests {
		got, ok := ParseTarget(tt.name)
		if ok != (tt.want != "") || ok && got.Kind != tt.want {
			t.Errorf("%s is %q (%v), want %q", tt.name, got.Kind, ok, tt.want)
		}
	}
}

func TestRender(t *testing.T) {
	m, err := Parse("access.yaml", []byte(sample))
	if err != nil {
		t.Fatal(err)
	}
	r, err := m.Render(nil, "", time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range r.Policies {
		names = append(names, p.Target.Name)
	}
	want := []string{"arn:aws:iam::123456789012:role/ci/shop", "arn:aws:iam::123456789012:role/ecr-read", "shop-deploy@acme-prod.iam.gserviceaccount.com"}
	if !slices.Equal(names, want) {
		t.Errorf("rendered %v, want %v: an expired grant lets nobody in", names, want)
	}
	wide := document.Tight(r.Policies[1].Body)
	for _, subject := range []string{
		`"{2e9e429c-7b8b-404f-8648-8c40c27c9ebd}:*"`,
		`"{91d0c7aa-12f3-4d55-8a4b-f00dfeedbeef}:{????????-????-????-????-????????????}"`,
	} {
		if !strings.Contains(wide, subject) {
			t.Errorf("%s is not in %s", subject, wide)
		}
	}
	if strings.Contains(wide, "c3e5a1f0") {
		t.Error("shop/production stands beside shop/*, which contains it")
	}
	if !json.Valid([]byte(r.JSON())) {
		t.Error("the rendering is not JSON")
	}
	if !strings.Contains(r.Terraform(), "max_session_duration = 7200") {
		t.Error("Terraform's role does not last as long as the map says")
	}
}

// ofMany is the sample with one role for this number of repositories.
func ofMany(t *testing.T, count int) *Map {
	t.Helper()
	many := strings.Builder{}
	who := []string{}
	for i := range count {
		name := "r" + strings.Repeat("x", i)
		many.WriteString("  " + name + ": {uuid: \"{00000000-0000-4000-8000-" + leftPad(i) + "}\"}\n")
		who = append(who, name+"/*")
	}
	text := strings.Replace(sample, "  infra:", many.String()+"  infra:", 1)
	text = strings.Replace(text, `"shop/*", shop/production, infra/none`, `"`+strings.Join(who, `", "`)+`"`, 1)
	m, err := Parse("access.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// AWS stores 2,048 characters of a trust policy, and up to 4,096 where the quota is raised. A repository takes 43 of them.
func TestLongTrustPolicies(t *testing.T) {
	const role = "arn:aws:iam::123456789012:role/ecr-read"
	for count := 1; count < 120; count += 7 {
		r, err := ofMany(t, count).Render([]string{role}, AWSRole, time.Now())
		if err != nil {
			if !strings.Contains(err.Error(), "AWS stores 4096") || count < 80 {
				t.Errorf("%d repositories: %v", count, err)
			}
			continue
		}
		n := len(document.Tight(r.Policies[0].Body))
		if n > 4096 || (n > 2048) != (len(r.Notes) == 1) {
			t.Errorf("%d repositories, %d characters: %v", count, n, r.Notes)
		}
	}
}

func TestRenderRefusesWhatNoCloudHolds(t *testing.T) {
	if _, err := ofMany(t, 120).Render(nil, "", time.Now()); err == nil || !strings.Contains(err.Error(), "AWS stores 4096") {
		t.Errorf("got %v for a trust policy that AWS refuses", err)
	}
	vault := strings.Replace(sample, `["arn:aws:iam::123456789012:role/ecr-read"]`, "[https://vault.example.com/v1/auth/jwt/role/x]", 1)
	m, err := Parse("access.yaml", []byte(vault))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Render(nil, "", time.Now()); err == nil || !strings.Contains(err.Error(), "infra/none: Vault cannot require") {
		t.Errorf("got %v for steps without an environment at Vault", err)
	}
}

// What no cloud stores is refused where it is asked for, and does not keep the rest from being printed.
func TestRenderPerKind(t *testing.T) {
	const okta, vault, role = "https://acme.pam.okta.com/team/ci", "https://vault.example.com/v1/auth/jwt/role/x", "arn:aws:iam::123456789012:role/1st"
	text := sample + "  - {who: [shop/production], become: [" + okta + ", \"" + vault + "\", \"" + vault + "?namespace=a\"]}\n" +
		"  - {who: [shop/production], become: [\"" + role + "\"], session: 13h}\n"
	m, err := Parse("access.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name    string
		targets []string
		kind    Kind
		note    string
		wrong   string
	}{
		{name: "one kind of all", kind: VaultRole},
		{name: "a session that no role can have", wrong: "longer than 12 hours"},
		{name: "a connection among others", targets: []string{vault, okta}, wrong: "an Okta connection takes one identity"},
		{name: "every target of a kind without policies", kind: OktaConnection, note: okta},
		{name: "expired", targets: []string{"arn:aws:iam::123456789012:role/old"}, note: "every grant has expired"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := m.Render(tt.targets, tt.kind, time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC))
			if (err != nil) != (tt.wrong != "") || err != nil && !strings.Contains(err.Error(), tt.wrong) {
				t.Errorf("got %v, want %q", err, tt.wrong)
			}
			if note := strings.Join(r.Notes, " "); err == nil && (note == "") != (tt.note == "") || !strings.Contains(note, tt.note) {
				t.Errorf("the notes are %q, want %q", note, tt.note)
			}
		})
	}
}

// The provider is shared: what is printed for one service account keeps the others' repositories in.
func TestProviderOfOneTarget(t *testing.T) {
	const shop, infra = "shop-deploy@acme-prod.iam.gserviceaccount.com", "infra-deploy@acme-prod.iam.gserviceaccount.com"
	m, err := Parse("access.yaml", []byte(sample+"  - {who: [infra/none], become: ["+infra+"], audiences: [https://x.example]}\n"))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC)
	all, err := m.Render(nil, ServiceAccount, now)
	if err != nil || len(all.Policies) != 2 {
		t.Fatal(all.Policies, err)
	}
	one, err := m.Render([]string{shop, shop}, ServiceAccount, now)
	if err != nil || len(one.Policies) != 1 {
		t.Fatal(one.Policies, err)
	}
	if !reflect.DeepEqual(one.Providers, all.Providers) || len(one.Providers) != 1 {
		t.Errorf("the provider of one is %+v, of all %+v", one.Providers, all.Providers)
	}
	if role, err := m.Render(nil, AWSRole, now); err != nil || role.Providers != nil {
		t.Errorf("%+v, %v: no role rests on a provider of Google", role.Providers, err)
	}
}

// Terraform takes each label of a kind once, and none that begins with a digit.
func TestLabels(t *testing.T) {
	named := labels{}
	var got []string
	for _, name := range [][2]string{{"x", "https://a/x"}, {"x", "https://b/x"}, {"x", "https:-b/x"}, {"1st", "1"}, {"-", "2"}} {
		text := named.resource("kind", name[0], name[1], nil, "")
		got = append(got, strings.Split(text, `"`)[3])
	}
	if want := []string{"x", "https___b_x", "https_-b_x", "_1st", "_-"}; !slices.Equal(got, want) {
		t.Errorf("labels are %q, want %q", got, want)
	}
}

func leftPad(n int) string {
	digits := "000000000000"
	for i := len(digits); n > 0; n /= 10 {
		i--
		digits = digits[:i] + string(rune('0'+n%10)) + digits[i+1:]
	}
	return digits
}
