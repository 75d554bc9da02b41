package audit

import (
	"fmt"
	"strings"

	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/pattern"
	"bitbucket-oidc/internal/pipelines"
)

func roleChosenByCaller() finding.Rule {
	return finding.Rule{
		Name: "role-chosen-by-caller", Severity: finding.Warning, Milder: finding.Note,
		Finds: "a variable of a custom pipeline that names the role or the environment; a note where the values are fixed",
		Why:   "Whoever can run the pipeline chooses the identity.",
		Fix:   "Make a pipeline for each role, or fix the values with `allowed-values`.",
	}
}

func (r *run) roleChosenByCaller() {
	for _, s := range r.steps {
		if !s.Token {
			continue
		}
		for _, v := range s.src.Variables {
			for _, c := range s.Clouds {
				if s.flows(v.Name, str(c.Who)) {
					r.choice(s, v, place{Line: c.Line, Column: c.column}, "identity")
				}
			}
			if takes(str(s.Environment), v.Name) {
				r.choice(s, v, s.src.EnvironAt, "environment")
			}
		}
	}
}

func (r *run) choice(s *step, v pipelines.Variable, at place, what string) {
	p := report{rule: roleChosenByCaller(), at: at, about: v.Name, steps: []*step{s},
		message: fmt.Sprintf("Whoever runs the pipeline chooses the %s with the variable %s.", what, v.Name)}
	if len(v.Allowed) > 0 {
		p.severity = finding.Note
	}
	r.report(p)
}

// flows reports whether a value takes a variable, itself or through variables that the step's scripts set.
func (s *step) flows(name, value string) bool {
	const most = 5 // assignments in a row
	for range most {
		if takes(value, name) {
			return true
		}
		if !bare(value) {
			return false
		}
		next, _, ok := s.set(strings.Trim(value, "${}"))
		if !ok {
			return false
		}
		value = next
	}
	return false
}

// takes reports whether a value takes a variable.
func takes(value, name string) bool {
	if strings.Contains(value, "${"+name+"}") || strings.Contains(value, "${"+name+":") {
		return true
	}
	_, rest, found := strings.Cut(value, "$"+name)
	return found && (rest == "" || !nameStart.MatchString(rest))
}

var nameStart = pattern.New(`^\w`)
