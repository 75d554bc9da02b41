package peers

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"bitbucket-oidc/test/cloud"

	"github.com/zitadel/oidc/v3/pkg/client/rp"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// TestZitadel trades the step's token at a token endpoint of ZITADEL's library, after RFC 7523: it fetches the keys, and
// wants its own address among the audiences.
func TestZitadel(t *testing.T) {
	t.Parallel()
	verdicts.ran("zitadel-oidc")
	slog.SetLogLoggerLevel(slog.LevelError) // the library warns of each refusal
	local := serveIssuer(t)
	server := httptest.NewUnstartedServer(nil)
	endpoint := "http://" + server.Listener.Addr().String()
	provider, err := op.NewProvider(&op.Config{CryptoKey: [32]byte{1}}, assertions{}, op.StaticIssuer(endpoint), op.WithAllowInsecure())
	if err != nil {
		t.Fatal(err)
	}
	grants := bearerGrants{provider, op.NewJWTProfileVerifierKeySet(
		rp.NewRemoteKeySet(http.DefaultClient, local.URL()+"/keys.json"), endpoint, time.Hour, time.Second,
		op.SubjectCheck(func(r *oidc.JWTTokenRequest) error { // any step of the issuer
			if r.Issuer != local.URL() || !strings.HasPrefix(r.Subject, cloud.RepositoryUUID+":") {
				return oidc.ErrInvalidGrant().WithDescription("not a step of the repository")
			}
			return nil
		}),
	)}
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { op.Exchange(w, r, grants) })
	server.Start()
	t.Cleanup(server.Close)

	step := cloud.DefaultStep()
	step.Audiences = []string{endpoint}
	sign := func(edit func(map[string]any)) string {
		claims := step.Claims(local.URL())
		edit(claims)
		return local.Sign(claims)
	}
	token := sign(func(map[string]any) {})
	good := []string{"OAUTH_TOKEN_URL=" + endpoint + "/oauth/token", "OAUTH_GRANT=jwt-bearer", "OAUTH_SCOPES=read,write", "OAUTH_TOKEN_VARIABLE=SHOP_TOKEN"}

	t.Run("login", func(t *testing.T) {
		env := signIn(t, local, token, good...)
		plain, err := provider.Crypto().Decrypt(sourced(t, env, "SHOP_TOKEN"))
		if want := "read write:" + step.Subject(); err != nil || plain != want {
			t.Errorf("the token stands for %q (%v), want %q", plain, err, want)
		}
	})
	for name, c := range map[string]struct {
		token     string
		variables []string
		says      []string
	}{
		"repository": {sign(func(c map[string]any) { c["sub"] = "{0}:{1}" }), nil, []string{"invalid_grant", "subject {0}:{1}"}},
		"issuer":     {sign(func(c map[string]any) { c["iss"] = "https://other.example" }), nil, []string{"invalid_grant", "issuer https://other.example"}},
		"scope":      {token, []string{"OAUTH_SCOPES=admin"}, []string{"invalid_scope", "OAUTH_SCOPES"}},
		"grant":      {token, []string{"OAUTH_GRANT=token-exchange"}, []string{"unsupported_grant_type", "OAUTH_GRANT"}},
		"audience":   {local.Token(cloud.DefaultStep()), nil, []string{"invalid_grant", "issuer and audience"}},
		"expired":    {sign(func(c map[string]any) { c["exp"] = time.Now().Add(-time.Minute).Unix() }), nil, []string{"invalid_grant"}},
		"signature":  {token[:strings.LastIndex(token, ".")+1] + strings.Repeat("A", 342), nil, []string{"invalid_grant"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			isRefused(t, local, c.token, c.says, append(slices.Clone(good), c.variables...)...)
		})
	}
}

// bearerGrants is a provider that verifies assertions by an issuer's keys.
type bearerGrants struct {
	*op.Provider
	verifier *op.JWTProfileVerifier
}

func (g bearerGrants) JWTProfileVerifier(context.Context) *op.JWTProfileVerifier { return g.verifier }

// assertions is as much of a storage as the grant needs; the rest is nil.
type assertions struct{ op.Storage }

func (assertions) ValidateJWTProfileScopes(_ context.Context, _ string, scopes []string) ([]string, error) {
	if slices.Contains(scopes, "admin") {
		return nil, oidc.ErrInvalidScope()
	}
	return scopes, nil
}

// CreateAccessToken names the token by its scopes, for the test to find.
func (assertions) CreateAccessToken(_ context.Context, r op.TokenRequest) (string, time.Time, error) {
	return strings.Join(r.GetScopes(), " "), time.Now().Add(15 * time.Minute), nil
}
