package judges

import (
	"fmt"
	"slices"
	"strings"

	"bitbucket-oidc/internal/audit"
	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/trust"
)

func trustAdmitsOthers() finding.Rule {
	return finding.Rule{
		Name: "trust-admits-others", Severity: finding.Warning,
		Finds: "a trust policy that also lets in steps that do not ask for the role",
		Why:   "Whoever can change such a step can become the role. It is an error where pull requests are among them: their code is unreviewed.",
		Fix:   "Give the step that needs the role an environment, and bind the policy to the environment's UUID.",
	}
}

// admitted finds the documents that let in steps which do not ask for their role. A document that no step asks for is left out.
func admitted(rulings []ruling) []audit.Judgement {
	asked := map[string][]*audit.Step{} // by document and name
	others := map[string][]ruling{}
	var order []string
	for _, r := range rulings {
		key := name(r.result)
		if r.asked {
			asked[key] = append(asked[key], r.step)
			continue
		}
		if r.result.Verdict == trust.Allow {
			if others[key] == nil {
				order = append(order, key)
			}
			others[key] = append(others[key], r)
		}
	}
	var all []audit.Judgement
	for _, key := range order {
		if j := admittedBy(key, others[key], asked[key]); len(j.Steps) > 0 {
			all = append(all, j)
		}
	}
	return all
}

// admittedBy is the finding about one document. Steps with the subject of a step that asks for the role are left out, because no
// cloud can tell them apart. Steps of pull requests stay, because nobody has reviewed them.
func admittedBy(key string, others []ruling, asked []*audit.Step) audit.Judgement {
	j := audit.Judgement{Rule: trustAdmitsOthers(), Severity: finding.Warning, About: key}
	if len(asked) == 0 {
		return j
	}
	reviewed := slices.ContainsFunc(asked, func(s *audit.Step) bool { return !s.PullRequest })
	for _, r := range others {
		same := slices.ContainsFunc(asked, func(s *audit.Step) bool { return strings.EqualFold(*s.Subject, *r.step.Subject) })
		unreviewed := r.step.PullRequest && reviewed
		if same && !unreviewed || slices.Contains(j.Steps, r.step) { // a document may be given twice
			continue
		}
		if unreviewed {
			j.Severity = finding.Error
		}
		j.Steps = append(j.Steps, r.step)
	}
	j.Message = fmt.Sprintf("%s also lets in %d of the file's steps that do not ask for it.", title(others[0].result), len(j.Steps))
	return j
}
