package audit

import (
	"fmt"
	"strings"

	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/pattern"
)

func pipeUnpinned() finding.Rule {
	return finding.Rule{
		Name: "pipe-unpinned", Severity: finding.Warning,
		Finds: "a pipe without a whole version on a step with a token",
		Why:   "The code that runs with the token can change without a change of this file.",
		Fix:   "Name a version of three numbers, or a digest.",
	}
}

func (r *run) pipeUnpinned() {
	for _, s := range r.steps {
		if !s.Token {
			continue
		}
		for _, p := range s.pipes {
			if threeNumbers.MatchString(p.version) || commitHash.MatchString(p.version) || strings.Contains(p.Name, "$") {
				continue
			}
			message := fmt.Sprintf("The version %s of the pipe %s moves.", p.version, p.name)
			if p.version == "" {
				message = fmt.Sprintf("The pipe %s has no version.", p.name)
			}
			r.report(report{rule: pipeUnpinned(), at: p.place, about: p.Name, steps: []*step{s}, message: message})
		}
	}
}

var (
	threeNumbers = pattern.New(`\d+\.\d+\.\d+`)
	commitHash   = pattern.New(`^(?:sha-|sha256:)?[0-9a-f]{7,}$`)
)
