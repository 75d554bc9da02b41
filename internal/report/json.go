package report

import (
	"bitbucket-oidc/internal/document"
	"bitbucket-oidc/internal/trust"
)

// jsonOf is the judgement as other programs read it.
func jsonOf(c Check) string {
	type identity struct {
		Issuer   string         `json:"issuer"`
		Audience []string       `json:"audience"`
		Subject  string         `json:"subject"`
		Claims   map[string]any `json:"claims"`
	}
	claims := c.Identity.Claims
	return document.Indented(struct {
		Version  int            `json:"version"`
		Identity identity       `json:"identity"`
		Results  []trust.Result `json:"results"`
	}{1, identity{claims.Issuer, claims.Audience, claims.Subject, c.Identity.All}, append([]trust.Result{}, c.Results...)})
}
