package audit

import (
	"slices"
	"strings"

	"bitbucket-oidc/internal/accept"
	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/pattern"
	"bitbucket-oidc/internal/pipelines"
)

// ignores matches the comment that accepts a finding on its line or on the line below it.
var ignores = pattern.New(`#\s*bitbucket-oidc:\s*ignore\[([a-z0-9, -]+)\]\s*(.*)$`)

// ignored sets apart what comments of the file accept.
func (r *run) ignored(all []Finding) ([]Finding, []Accepted) {
	kept, accepted := append([]Finding{}, all...), []Accepted{}
	if r.parsed == nil {
		return kept, accepted // of a file that cannot be read, one finding says it all
	}
	for i, line := range r.source {
		m := ignores.FindStringSubmatch(strings.TrimRight(line, "\r"))
		if m == nil {
			continue
		}
		at := pipelines.Place{Line: i + 1, Column: 1 + len([]rune(line[:strings.Index(line, "#")]))}
		below := 0 // the line below a comment that has a line of its own, and below others like it
		if alone(line) {
			for below = i + 1; below < len(r.source) && alone(r.source[below]) && ignores.MatchString(r.source[below]); below++ {
			}
			below++
		}
		for _, name := range strings.Split(m[1], ",") {
			name, why := strings.TrimSpace(name), strings.TrimSpace(m[2])
			var rest []Finding
			hit := false
			for _, f := range kept {
				if f.Rule != name || f.Line != at.Line && f.Line != below {
					rest = append(rest, f)
					continue
				}
				hit = true
				if why == "" {
					rest = append(rest, f)
				} else {
					accepted = append(accepted, Accepted{Finding: f, Why: why})
				}
			}
			kept = rest
			switch {
			case !hit && outside(name) && !r.asked(name): // not looked for in this run
			case !hit:
				kept = append(kept, r.comment(accept.Unused(), at, name, "The comment accepts "+name+", which is not found here."))
			case why == "":
				kept = append(kept, r.comment(accept.Incomplete(), at, name, "The comment accepts "+name+" without a reason, so it accepts nothing."))
			}
		}
	}
	if kept == nil {
		kept = []Finding{}
	}
	return kept, accepted
}

// alone reports whether a line is a comment and nothing else.
func alone(line string) bool { return strings.HasPrefix(strings.TrimSpace(line), "#") }

func (r *run) comment(rule finding.Rule, at pipelines.Place, name, message string) Finding {
	f := Finding{Steps: []string{}}
	f.ID, f.Rule, f.Severity, f.File, f.Line, f.Column = r.identify(rule.Name, name), rule.Name, rule.Severity, r.file, at.Line, at.Column
	f.Message, f.Fix, f.Docs = message, finding.Fix{Kind: finding.Advice, Text: rule.Fix}, finding.Docs(rule.Name)
	return f
}

// asked reports whether a judge of this run looks for a rule.
func (r *run) asked(rule string) bool {
	return slices.ContainsFunc(r.options.Judges, func(j Judge) bool {
		return slices.ContainsFunc(j.Rules(), func(f finding.Rule) bool { return f.Name == rule })
	})
}
