package judges

import (
	"fmt"

	"bitbucket-oidc/internal/audit"
	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/trust"
)

func trustRefuses() finding.Rule {
	return finding.Rule{
		Name: "trust-refuses", Severity: finding.Error,
		Finds: "a step that asks for a role, and that the trust policy of the role refuses",
		Why:   "The login fails. It may fail in production first, because the policy can let in other steps of the same file.",
		Fix:   "Change the condition that the reason names, or the step's environment. `check` prints the condition to paste.",
	}
}

// refused finds the steps that a document refuses, though they ask for its role.
func refused(rulings []ruling) []audit.Judgement {
	var all []audit.Judgement
	for _, r := range rulings {
		if r.asked && r.result.Verdict == trust.Deny {
			all = append(all, audit.Judgement{
				Rule: trustRefuses(), Steps: []*audit.Step{r.step}, About: name(r.result),
				Message: fmt.Sprintf("%s refuses the step: %s", title(r.result), sentence(r.result.Reason)),
			})
		}
	}
	return all
}
