package audit

import "bitbucket-oidc/internal/finding"

func keysBesideToken() finding.Rule {
	return finding.Rule{
		Name: "keys-beside-token", Severity: finding.Error,
		Finds: "stored keys on a step that signs in with its token",
		Why:   "The SDKs look for keys first: the step never signs in with its token.",
		Fix:   "Remove the keys.",
	}
}

func (r *run) keysBesideToken() {
	for _, s := range r.steps {
		if s.Token && s.keys != nil && s.signsIn(s.keys.cloud) && (!s.keys.pipe || s.bothInOnePipe()) {
			r.report(report{
				rule: keysBesideToken(), at: s.keys.place, about: s.keys.cloud, steps: []*step{s},
				message: "The step has stored keys and a token, and the SDKs use the keys.",
			})
		}
	}
}

// signsIn reports whether the step signs in to a cloud with its token.
func (s *step) signsIn(cloud string) bool {
	for _, c := range s.Clouds {
		if c.Cloud == cloud && c.How != "static-keys" {
			return true
		}
	}
	return false
}

// bothInOnePipe reports whether a pipe gets a role and keys.
func (s *step) bothInOnePipe() bool {
	for _, p := range s.pipes {
		_, role := p.Value("AWS_OIDC_ROLE_ARN")
		_, other := p.Value("ROLE_ARN")
		if _, key := p.Value("AWS_ACCESS_KEY_ID"); key != "" && role+other != "" {
			return true
		}
	}
	return false
}
