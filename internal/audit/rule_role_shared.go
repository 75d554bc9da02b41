package audit

import (
	"fmt"
	"slices"
	"strings"

	"bitbucket-oidc/internal/finding"
)

func roleShared() finding.Rule {
	return finding.Rule{
		Name: "role-shared", Severity: finding.Warning,
		Finds: "one role for steps that deserve different trust",
		Why:   "The trust policy must let in the least trusted of these steps, such as a step of a pull request, a step of any branch, a step without an environment, or a step of another environment.",
		Fix:   "Make a role for each: a read-only one for pull requests and plans, and one for each environment.",
	}
}

// roleShared finds roles that steps of different trust ask for.
func (r *run) roleShared() {
	type asked struct {
		cloud, who string
	}
	var order []asked
	by := map[asked][]*step{}
	at := map[asked]place{}
	for _, s := range r.steps {
		for _, c := range s.Clouds {
			a := asked{c.Cloud, str(c.Who)}
			if !s.Token || a.who == "" || c.How == "assume-role-chain" {
				continue
			}
			if by[a] == nil {
				order = append(order, a)
				at[a] = place{Line: c.Line, Column: c.column}
			}
			by[a] = append(by[a], s)
		}
	}
	for _, a := range order {
		steps := by[a]
		for i, s := range steps {
			j := slices.IndexFunc(steps[:i], func(o *step) bool { return differ(o, s, strings.Contains(a.who, "$")) != "" })
			if j < 0 {
				continue
			}
			r.report(report{
				rule: roleShared(), at: at[a], about: a.who, path: steps[0].Path, steps: steps,
				message: fmt.Sprintf("%s is asked for by %s: its trust policy must let both in.", a.who, differ(steps[j], s, false)),
			})
			break
		}
	}
}

// differ says in which way two steps deserve different trust, or returns "". Variables can differ between environments.
func differ(a, b *step, variable bool) string {
	x, y := strings.ToLower(str(a.Environment)), strings.ToLower(str(b.Environment))
	switch {
	case x != y && variable:
		return ""
	case a.src.PullRequest != b.src.PullRequest:
		return "a step of a pull request and a step that runs after review"
	case x != y && (x == "" || y == ""):
		return "a step with an environment and a step without one"
	case x != y:
		return fmt.Sprintf("the environments %s and %s", str(a.Environment), str(b.Environment))
	case x == "" && everyBranch(a) != everyBranch(b) && (oneBranch(a) || oneBranch(b)):
		return "a step of every branch and a step of a single branch"
	}
	return ""
}

func everyBranch(s *step) bool {
	return s.src.Pipeline == "pipelines.default" || s.src.Pipeline == `pipelines.branches["**"]`
}

func oneBranch(s *step) bool {
	return strings.HasPrefix(s.src.Pipeline, "pipelines.branches[") && !strings.ContainsAny(s.Pattern, "*?")
}
