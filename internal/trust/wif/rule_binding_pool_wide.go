package wif

import (
	"fmt"
	"strings"

	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/setup"
)

func bindingPoolWide() finding.Rule {
	return finding.Rule{
		Name: "gcp-binding-pool-wide", Anyone: true, Severity: finding.Error,
		Finds: "a member that is the whole pool",
		Why:   "Every identity that any provider of the pool lets in may act as the service account.",
		Fix:   "Bind `principalSet://…/attribute.NAME/VALUE`, the repository or the deployment environment.",
	}
}

// poolWide finds members that are everybody, or every identity in a pool. The role does not matter: each role gives them something.
func (p *policyJudgement) poolWide(b binding, members []member) {
	const rule = "gcp-binding-pool-wide"
	for _, m := range members {
		who := m.everybody()
		if who == "" || p.Skip(rule) {
			continue
		}
		fix := p.fix(m) + "\n" + setup.GCPRevoke(b.Role, m.text)
		p.Find(finding.Error, rule, m.path, fmt.Sprintf("%s has the role %.100s.", who, b.Role),
			finding.Fix{Kind: finding.Shell, Text: fix})
	}
}

// everybody names who a member is, if the member is everybody in some sense; it is empty for other members.
func (m member) everybody() string {
	switch {
	case m.kind == wholePool:
		return "Every identity in the pool, from every repository of the workspace,"
	case m.text == "allUsers":
		return "Anyone on the internet"
	case m.text == "allAuthenticatedUsers":
		return "Anyone with a Google account"
	case strings.HasPrefix(m.text, resourcePools):
		return "Every identity in every pool of a project, a folder or an organisation"
	}
	return ""
}
