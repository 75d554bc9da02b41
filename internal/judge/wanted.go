package judge

import (
	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/document"
	"bitbucket-oidc/internal/setup"
	"bitbucket-oidc/internal/shell"
	"bitbucket-oidc/internal/trust"
)

// Wanted is what a document of a kind must contain to let the identity in. It is for documents in which no single condition is the cause of
// the denial.
func Wanted(kind trust.Kind, id bitbucket.Identity) string {
	c, p := id.Claims, setup.Places{}.Known()
	switch kind {
	case trust.GCPProvider:
		return "--attribute-condition=" + shell.Word(setup.GCPConditionFor(c))
	case trust.GCPPolicy:
		return "the member " + setup.GCPMember(c, p.GCPProjectNumber, p.GCPPool)
	case trust.VaultRole:
		role := setup.VaultRoleFor(c)
		return document.Indented(struct {
			BoundAudiences  []string          `json:"bound_audiences"`
			BoundClaimsType string            `json:"bound_claims_type,omitempty"`
			BoundClaims     map[string]string `json:"bound_claims"`
		}{role.BoundAudiences, role.BoundClaimsType, role.BoundClaims})
	}
	return setup.AWSStatement(c, "aws", p.AWSAccount)
}
