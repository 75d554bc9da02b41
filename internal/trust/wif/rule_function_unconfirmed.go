package wif

import (
	"fmt"
	"slices"
	"strings"

	"bitbucket-oidc/internal/cel"
	"bitbucket-oidc/internal/finding"
)

func functionUnconfirmed() finding.Rule {
	return finding.Rule{
		Name: "gcp-function-unconfirmed", Severity: finding.Warning,
		Finds: "a CEL function that Google does not document for workload identity",
		Why:   "The CEL library has the function, so the expression is evaluated here. It is not known whether Google's service accepts the function.",
		Fix:   "Use the documented functions: has, in, size, startsWith, endsWith, contains, matches, extract, split, join.",
	}
}

// confirm finds the functions that Google's documentation of workload identity does not have. Google accepted the expression when the
// provider was made, so the verdict does not depend on them.
func (p *providerJudgement) confirm(path string, expression cel.Expression) {
	if p.bare {
		return
	}
	documented := []string{"has", "size", "startsWith", "endsWith", "contains", "matches", "extract", "split", "join"}
	for _, name := range expression.Functions() {
		if !slices.Contains(documented, name) {
			p.Find(finding.Warning, "gcp-function-unconfirmed", path,
				fmt.Sprintf("CEL has %s(), and Google's documentation of workload identity does not.", name),
				finding.Fix{Kind: finding.Advice, Text: "use one of " + strings.Join(documented, ", ")})
		}
	}
}
