package config

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"bitbucket-oidc/internal/hint"
)

const canary = "hunter2"

// vars are these variables and no others.
func vars(variables ...string) *Vars {
	return New(variables, Step{}, append(General(), Standard(), Group{Name: "aws", Backend: true, Variables: []Variable{
		{Name: "AWS_OIDC_ROLE_ARN", Main: true, Decides: true, Peers: []string{"AWS_ROLE_ARN", "ROLE_TO_ASSUME"}},
		{Name: "AWS_OIDC_ROLES", List: true, Decides: true, Spaces: true},
		{Name: "AWS_SESSION_DURATION", Default: "1h"},
		{Name: "AWS_ALLOWED_ACCOUNTS", List: true, Guard: true, Peers: []string{"AWS_ALLOWED_ACCOUNT_IDS"}},
	}}, Group{Name: "gcp", Backend: true, Variables: []Variable{{Name: "GCP_SCOPES", List: true}, {Name: "GCP_PROJECT", Peers: []string{"GCP_PROJECT_ID"}}}}))
}

// TestPrepare: what Go's libraries read by themselves has the form of every other variable, or is gone.
func TestPrepare(t *testing.T) {
	for _, entry := range []string{
		"BITBUCKET_CLONE_DIR= /build ", "HTTPS_PROXY= ", "https_proxy=", "NO_PROXY= a, b ", "SSL_CERT_FILE= ci/ca.pem ", "GOOGLE_API_USE_MTLS_ENDPOINT=always",
		"EXPERIMENTAL_GOOGLE_API_USE_S2A=true", "TZ=/build/zone", "SSL_CERT_DIR=/etc/ssl/certs",
	} {
		name, value, _ := strings.Cut(entry, "=")
		t.Setenv(name, value)
	}
	Prepare()
	for name, want := range map[string]string{
		"HTTPS_PROXY": "", "https_proxy": "", "NO_PROXY": "a, b", "SSL_CERT_FILE": "/build/ci/ca.pem", "GOOGLE_API_USE_MTLS_ENDPOINT": "",
		"EXPERIMENTAL_GOOGLE_API_USE_S2A": "", "TZ": "", "SSL_CERT_DIR": "/dev/null",
	} {
		if got, isSet := os.LookupEnv(name); got != want || isSet != (want != "") {
			t.Errorf("%s is %q (%t), want %q", name, got, isSet, want)
		}
	}
}

func TestTake(t *testing.T) {
	t.Setenv("BITBUCKET_REPO_SLUG", " shop ")
	t.Setenv("TIMEOUT", " 2m ")
	v := Take(General())
	if v.RepositorySlug != "shop" || v.Timeout() != 2*time.Minute || v.Err() != nil {
		t.Errorf("%q, %v, %v", v.RepositorySlug, v.Timeout(), v.Err())
	}
}

func TestMisspelt(t *testing.T) {
	for _, c := range []struct {
		name      string
		variables []string
		want      []string // those that stop login begin with !
	}{
		{name: "a letter", variables: []string{"AWS_OIDC_ROLE_ARM=x"}, want: []string{"!AWS_OIDC_ROLE_ARM AWS_OIDC_ROLE_ARN"}},
		{
			name: "the right one is there too", variables: []string{"AWS_OIDC_ROLE_ARM=x", "AWS_OIDC_ROLE_ARN=y"},
			want: []string{"AWS_OIDC_ROLE_ARM AWS_OIDC_ROLE_ARN"},
		},
		{
			name: "a guard beside the right one", variables: []string{"MINIMUM_LIFETIMES=1h", "MINIMUM_LIFETIME=1h"},
			want: []string{"!MINIMUM_LIFETIMES MINIMUM_LIFETIME"},
		},
		{
			name: "a guard by a peer's name", variables: []string{"AWS_ALLOWED_ACCOUNT_IDS=1"},
			want: []string{"!AWS_ALLOWED_ACCOUNT_IDS AWS_ALLOWED_ACCOUNTS"},
		},
		{
			name:      "a guard as a list",
			variables: []string{"AWS_ALOWED_ACCOUNTS_COUNT=2", "AWS_ALOWED_ACCOUNTS_0=x", "AWS_ALOWED_ACCOUNTS_1=x"},
			want:      []string{"!AWS_ALOWED_ACCOUNTS AWS_ALLOWED_ACCOUNTS"},
		},
		{
			name: "small letters", variables: []string{"minimum_lifetime=1h"},
			want: []string{"!minimum_lifetime MINIMUM_LIFETIME"},
		},
		{
			name: "a list that is none", variables: []string{"MINIMUM_LIFETIME_COUNT=1", "MINIMUM_LIFETIME_0=1h"},
			want: []string{"!MINIMUM_LIFETIME MINIMUM_LIFETIME"},
		},
		{
			name: "a guard's prefix", variables: []string{"MINUMUM_LIFETIME=1h", "MIMIMUN_LIFETIME=1h", "minmum_lifetime=1h"},
			want: []string{"!MINUMUM_LIFETIME MINIMUM_LIFETIME", "!minmum_lifetime MINIMUM_LIFETIME"},
		},
		{
			name:      "another word for a prefix",
			variables: []string{"MAXIMUM_LIFETIME=1h", "GCS_SERVICE_ACCOUNT=x", "AW_OIDC_ROLE_ARN=x"},
		},
		{
			name: "no guard", variables: []string{"AWS_SESION_DURATION=1h", "GCP_SCOPE=x"},
			want: []string{"AWS_SESION_DURATION AWS_SESSION_DURATION", "GCP_SCOPE GCP_SCOPES"},
		},
		{
			name: "a peer's name", variables: []string{"ROLE_TO_ASSUME=x", "AWS_OIDC_ROLE_ARN=y"},
			want: []string{"ROLE_TO_ASSUME AWS_OIDC_ROLE_ARN"},
		},
		{
			name: "the SDKs' own",
			variables: []string{
				"AWS_ROLE_ARN=x", "AWS_WEB_IDENTITY_TOKEN_FILE=x", "AWS_ROLE_SESSION_NAME=x", "AWS_SESSION_TOKEN=x",
			},
		},
		{name: "a role of the SDKs beside ours", variables: []string{"AWS_ROLE_ARN=x", "AWS_OIDC_ROLE_ARN=y"}},
		{
			name: "the SDKs' role alone", variables: []string{"AWS_ROLE_ARN=x"},
			want: []string{"!AWS_ROLE_ARN AWS_OIDC_ROLE_ARN"},
		},
		{name: "nothing in it", variables: []string{"AWS_OIDC_ROLE_ARM= "}},
		{name: "no prefix of ours", variables: []string{"TIMEOUTS=x", "MY_AWS_OIDC_ROLE_ARM=x"}},
		{name: "items", variables: []string{"AWS_OIDC_ROLES_COUNT=1", "AWS_OIDC_ROLES_0=x"}},
		{
			name: "items without a count", variables: []string{"AWS_ALLOWED_ACCOUNTS_0=x", "AWS_ALLOWED_ACCOUNTS_CUONT=1"},
			want: []string{"!AWS_ALLOWED_ACCOUNTS_0 AWS_ALLOWED_ACCOUNTS"},
		},
		{
			name:      "an item beyond the count",
			variables: []string{"AWS_OIDC_ROLES_COUNT=1", "AWS_OIDC_ROLES_0=x", "AWS_OIDC_ROLES_1=x"},
			want:      []string{"AWS_OIDC_ROLES_1 AWS_OIDC_ROLES"},
		},
		{
			name: "left out", variables: []string{"BACKENDS=gcp", "AWS_OIDC_ROLE_ARM=x", "GCP_PROJECT_ID=x"},
			want: []string{"GCP_PROJECT_ID GCP_PROJECT"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, m := range vars(c.variables...).Misspelt() {
				stops := map[bool]string{true: "!"}[m.Stops]
				got = append(got, stops+m.Written+" "+m.Known.Name)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// TestNotReplaced: a text that nobody means is said to be one, whatever the variable takes, and once.
func TestNotReplaced(t *testing.T) {
	for _, c := range []struct {
		value string
		says  string // empty where it may be meant
	}{
		{"$DEPLOY_DIR", "nothing has replaced"},
		{"${DEPLOY_DIR}", "nothing has replaced"},
		{`"out"`, "in quotes"},
		{"'out'", "in quotes"},
		{"“out”", "in quotes"},
		{"a$DEPLOY_DIR", ""},
		{"$1", ""},
		{"$", ""},
		{`"`, ""},
		{`it's`, ""},
	} {
		for _, name := range []string{"OUTPUT_DIR", "BACKENDS", "COMMAND"} {
			v := vars(name + "=" + c.value)
			for range 2 {
				v.Text(name)
				v.List(name)
			}
			got := hint.Failures(v.Err())
			odd := len(got) == 1 && strings.HasPrefix(got[0].Error(), name+": ") && strings.Contains(got[0].Error(), c.says)
			if c.says == "" && len(got) > 0 || c.says != "" && !odd {
				t.Errorf("%s=%s: %v", name, c.value, got)
			}
		}
	}
}

func TestListOfSpaces(t *testing.T) {
	for _, value := range []string{"a b", "a  b c", "a\tb"} {
		v := vars("AWS_ALLOWED_ACCOUNTS=" + value)
		v.List("AWS_ALLOWED_ACCOUNTS")
		if err := v.Err(); err == nil || !strings.Contains(err.Error(), "split by spaces") {
			t.Errorf("%q: %v", value, err)
		}
	}
	v := vars("ARGUMENTS=--workspace\nmy shop")
	if got := v.List("ARGUMENTS"); v.Err() != nil || !slices.Equal(got, []string{"--workspace", "my shop"}) {
		t.Errorf("%q, %v", got, v.Err())
	}
}

func TestGeneral(t *testing.T) {
	v := vars("TIMEOUT=1h30m", "DEBUG=YES", "COMMAND=logout")
	if v.Timeout() != 90*time.Minute || !v.Boolean("DEBUG") || v.Text("COMMAND") != "logout" || v.Err() != nil {
		t.Errorf("%v, %v, %v", v.Timeout(), v.Text("COMMAND"), v.Err())
	}
	v = vars("TIMEOUT=0", "DEBUG="+canary)
	limit := v.Timeout()
	v.Boolean("DEBUG")
	if got := len(hint.Failures(v.Err())); got != 2 || strings.Contains(v.Err().Error(), canary) || limit != time.Minute {
		t.Errorf("%v, %v", limit, v.Err())
	}
}

func TestForm(t *testing.T) {
	for value, want := range map[string]string{
		"x":    "1 character",
		"a1 -": "4 characters of letters and digits and spaces and other signs",
		"ü2":   "2 characters of letters and digits",
	} {
		if got := form(value); got != want {
			t.Errorf("form(%q) = %q, want %q", value, got, want)
		}
	}
}

func FuzzParseDuration(f *testing.F) {
	for _, s := range []string{"1h", "3600", "-1", "1h30m", "9223372036854775807", "1e9s", "0.5ns", "+5", "١"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if d, err := ParseDuration(s); err == nil && d < 0 {
			t.Errorf("%q is %v", s, d)
		}
	})
}

func FuzzSplit(f *testing.F) {
	for _, s := range []string{"", "a", "a,b", "a\nb,c", " , ,", "\r\n", "a\rb"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, item := range split(s) {
			if item == "" || item != strings.TrimSpace(item) || !strings.Contains(s, item) || strings.Contains(item, "\n") {
				t.Errorf("%q has the item %q", s, item)
			}
		}
	})
}
