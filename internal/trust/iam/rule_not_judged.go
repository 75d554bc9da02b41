package iam

import (
	"slices"

	"bitbucket-oidc/internal/finding"
)

func notJudged() finding.Rule {
	return finding.Rule{
		Name: "aws-not-judged", Severity: finding.Note,
		Finds: "a statement for other principals",
		Why:   "Accounts, services and other identity providers are not Bitbucket's identities. `check` does not judge whom such a statement lets in, so exit status 0 says nothing about it.",
		Fix:   "Use a role for each kind of principal.",
	}
}

// findNotJudged leaves a statement for the whole world to aws-principal.
func (j *roleJudgement) findNotJudged() {
	for _, s := range j.statements {
		if s.effect != "Allow" || s.admitsWorld() {
			continue
		}
		if s.principals.others || s.principals.everyone || slices.ContainsFunc(s.principals.federated, j.isAnotherProvider) {
			j.Find(finding.Note, "aws-not-judged", s.path+".Principal", "The statement names principals other than the token's provider, and check does not judge whom it lets in among these.",
				finding.Fix{Kind: finding.Advice, Text: "review by hand whom the statement lets in"})
		}
	}
}

// isAnotherProvider reports whether a provider has another issuer than the token.
func (j *roleJudgement) isAnotherProvider(name string) bool {
	p, ok := parseProviderARN(name)
	return !ok || p.path != j.request.issuer
}
