package audit

import "bitbucket-oidc/internal/finding"

func keysStored() finding.Rule {
	return finding.Rule{
		Name: "keys-stored", Severity: finding.Warning,
		Finds: "a cloud's keys from a variable of the repository",
		Why:   "They do not end. Whoever copies them once has them for good.",
		Fix:   "Give the step `oidc: true` and a role: Atlassian's pipes take `AWS_OIDC_ROLE_ARN`.",
	}
}

func (r *run) keysStored() {
	for _, s := range r.steps {
		if s.keys != nil {
			r.report(report{
				rule: keysStored(), at: s.keys.place, about: s.keys.cloud, steps: []*step{s},
				message: "The step signs in to " + cloudName(s.keys.cloud) + " with keys that are stored and do not end.",
			})
		}
	}
}

func cloudName(cloud string) string {
	if name, ok := map[string]string{"aws": "AWS", "gcp": "Google Cloud", "azure": "Azure"}[cloud]; ok {
		return name
	}
	return cloud
}
