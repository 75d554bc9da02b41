// Package oidctest makes tokens that nobody signed. Only tests import it.
package oidctest

import (
	"encoding/base64"
	"testing"

	"bitbucket-oidc/internal/oidc"
)

// JWT is a token with these claims, as JSON. Its signature is the word canary, which no output may repeat.
func JWT(claims string) string {
	part := base64.RawURLEncoding.EncodeToString
	return part([]byte(`{"alg":"RS256","kid":"key-1"}`)) + "." + part([]byte(claims)) + "." + part([]byte("canary"))
}

// Token is a [JWT] that was parsed. Claims that no token can have fail the test.
func Token(t testing.TB, claims string) oidc.Token {
	t.Helper()
	token, err := oidc.Parse(JWT(claims))
	if err != nil {
		t.Fatal(err)
	}
	return token
}
