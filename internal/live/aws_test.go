package live

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"bitbucket-oidc/internal/secret"
)

// TestPagesOfRoles: every page is followed, and where that cannot be done, the account is not read.
func TestPagesOfRoles(t *testing.T) {
	page := func(roles, next string) string {
		result := fmt.Sprintf("<IsTruncated>%t</IsTruncated><Marker>%s</Marker><Roles>%s</Roles>", next != "", strings.Trim(next, "-"), roles)
		return "<ListRolesResponse><ListRolesResult>" + result + "</ListRolesResult></ListRolesResponse>"
	}
	role := func(name string) string {
		return "<member><RoleName>" + name + "</RoleName><Arn>arn:aws:iam::123456789012:role/" + name + "</Arn></member>"
	}
	for _, c := range []struct {
		name   string
		pages  map[string]string // by the marker that asks for them
		roles  string            // that are read
		failed string
	}{
		{name: "one page", pages: map[string]string{"": page(role("a"), "")}, roles: "a"},
		{name: "two pages", pages: map[string]string{"": page(role("a"), "x"), "x": page(role("b"), "")}, roles: "a b"},
		{name: "a page without roles", pages: map[string]string{"": page("", "x"), "x": page(role("a"), "y"), "y": page("", "")}, roles: "a"},
		{name: "a page that names itself", pages: map[string]string{"": page(role("a"), "x"), "x": page(role("b"), "x")}, roles: "a", failed: "and not where"},
		{name: "more, and not where", pages: map[string]string{"": page(role("a"), "-")}, failed: "and not where"},
		{name: "no role at all", pages: map[string]string{"": page("", "")}, failed: "the account has none"},
		{
			name:  "roles of another account",
			pages: map[string]string{"": page(role("a"), "x"), "x": page(strings.ReplaceAll(role("b"), "123456789012", "210987654321"), "")},
			roles: "a", failed: "roles of another account",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body) // of a request of this test
				form, _ := url.ParseQuery(string(body))
				answer := `<ListOpenIDConnectProvidersResponse><ListOpenIDConnectProvidersResult/></ListOpenIDConnectProvidersResponse>`
				if form.Get("Action") == "ListRoles" {
					answer = c.pages[form.Get("Marker")]
				}
				_, _ = io.WriteString(w, answer) // what is lost, the reader misses
			}))
			defer server.Close()
			key := Key{ID: "AKIDEXAMPLE", Secret: secret.New("example")}
			readings := Read(t.Context(), Config{AWS: AWS{Read: true, Key: key, Endpoint: server.URL}})
			read, failed := []string{}, ""
			for _, d := range readings[0].Documents {
				for _, part := range strings.Split(string(d.Data), `"RoleName":"`)[1:] {
					read = append(read, part[:strings.Index(part, `"`)])
				}
				if strings.Contains(string(d.Data), "null") {
					t.Errorf("a document that nobody knows: %s", d.Data)
				}
			}
			if err := readings[0].Err; err != nil {
				failed = err.Error()
			}
			if got := strings.Join(read, " "); got != c.roles || (failed == "") != (c.failed == "") || !strings.Contains(failed, c.failed) {
				t.Errorf("roles %q, want %q; failed %q, want %q", got, c.roles, failed, c.failed)
			}
		})
	}
}

// TestHalfAKey: what is missing of a key is named, and nothing is sent.
func TestHalfAKey(t *testing.T) {
	readings := Read(t.Context(), Config{AWS: AWS{Read: true, Key: Key{ID: "AKIDEXAMPLE"}}})
	if err := readings[0].Err; err == nil || !strings.Contains(err.Error(), "AWS_SECRET_ACCESS_KEY is not") {
		t.Error(err)
	}
}
