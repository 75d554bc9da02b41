package audit

import (
	"fmt"
	"regexp"
	"strings"

	"bitbucket-oidc/internal/finding"
)

func roleChosenByCaller() finding.Rule {
	return finding.Rule{
		Name: "role-chosen-by-caller", Severity: finding.Warning, Milder: finding.Note,
		Finds: "a variable of a custom pipeline that names the role; a note where the values are fixed",
		Why:   "Whoever may run the pipeline picks the identity.",
		Fix:   "Make a pipeline for each role, or fix the values with `allowed-values`.",
	}
}

func (r *run) roleChosenByCaller() {
	for _, s := range r.steps {
		for _, c := range s.Clouds {
			for _, v := range s.src.Variables {
				if !takes(str(c.Who), v.Name) || !s.Token {
					continue
				}
				p := report{rule: roleChosenByCaller(), at: place{Line: c.Line, Column: c.column}, about: v.Name, steps: []*step{s},
					message: fmt.Sprintf("Whoever runs the pipeline chooses the identity with the variable %s.", v.Name)}
				if len(v.Allowed) > 0 {
					p.severity = finding.Note
				}
				r.report(p)
			}
		}
	}
}

// takes reports whether a value takes a variable.
func takes(value, name string) bool {
	if strings.Contains(value, "${"+name+"}") || strings.Contains(value, "${"+name+":") {
		return true
	}
	_, rest, found := strings.Cut(value, "$"+name)
	return found && (rest == "" || !nameStart.MatchString(rest))
}

var nameStart = regexp.MustCompile(`^\w`)
