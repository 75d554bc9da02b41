package judge

import (
	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/setup"
	"bitbucket-oidc/internal/shell"
	"bitbucket-oidc/internal/trust"
)

// Wanted is what a document must contain to let the identity in. It is for documents in which no single condition is the cause of the
// denial. It is empty if the document is not the cause either.
func Wanted(r trust.Result, id bitbucket.Identity) string {
	c, p := id.Claims, setup.Places{}.Known()
	switch r.Kind {
	case trust.GCPProvider:
		return "--attribute-condition=" + shell.Word(setup.GCPConditionFor(c))
	case trust.GCPPolicy, trust.VaultRole:
		return r.Wanted
	}
	return setup.AWSStatement(c, "aws", p.AWSAccount)
}
