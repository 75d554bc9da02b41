package audit

import (
	"fmt"

	"bitbucket-oidc/internal/finding"
)

func audiencesShared() finding.Rule {
	return finding.Rule{
		Name: "audiences-shared", Severity: finding.Warning, Milder: finding.Note,
		Finds: "one token for several services",
		Why:   "The step has one token with all audiences. A service that receives the token can use it at the other services. Whether AWS takes a token with several audiences is not confirmed.",
		Fix:   "Give each service a step of its own, with its audience only.",
	}
}

func (r *run) audiencesShared() {
	for _, s := range r.steps {
		o := s.src.OIDC
		if o == nil || len(o.Audiences) == 0 {
			continue
		}
		clouds := map[string]bool{}
		for _, c := range s.Clouds {
			clouds[c.Cloud] = true
		}
		different := map[string]bool{}
		for _, a := range o.Audiences {
			different[a] = true
		}
		p := report{rule: audiencesShared(), at: o.ListAt, about: "audiences", steps: []*step{s}}
		switch {
		case len(different) > 1:
			p.message = fmt.Sprintf("One token goes to %d services besides the workspace's own audience.", len(different))
		case clouds["aws"]:
			p.message = "The step signs in to AWS with a token that another service gets as well."
		case len(clouds) > 1:
			p.severity, p.message = finding.Note, "The step signs in to several services with one token."
		default:
			continue
		}
		r.report(p)
	}
}
