package audit

import (
	"fmt"

	"bitbucket-oidc/internal/finding"
)

func oidcForAll() finding.Rule {
	return finding.Rule{
		Name: "oidc-for-all", Severity: finding.Warning,
		Finds: "`oidc` in the options of the file",
		Why:   "Then every step has a token, also tests, third-party pipes and whatever they install.",
		Fix:   "Remove `oidc` from `options`, and set it on the steps that sign in.",
	}
}

func (r *run) oidcForAll() {
	o := r.parsed.OIDC
	if o == nil || !o.On || len(r.steps) < 2 {
		return
	}
	var all []*step
	for _, s := range r.steps {
		if s.Token && s.src.OIDC == o {
			all = append(all, s)
		}
	}
	r.report(report{rule: oidcForAll(), at: o.Place, about: "options", path: "options.oidc", steps: all, message: fmt.Sprintf("`options.oidc` gives a token to %d steps.", len(all))})
}
