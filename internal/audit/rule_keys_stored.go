package audit

import "bitbucket-oidc/internal/finding"

func keysStored() finding.Rule {
	return finding.Rule{
		Name: "keys-stored", Severity: finding.Warning,
		Finds: "keys of a cloud that are stored in a variable",
		Why:   "Stored keys do not expire. Whoever copies them can use them until somebody revokes them.",
		Fix:   "Give the step `oidc: true` and a role: Atlassian's pipes take `AWS_OIDC_ROLE_ARN`.",
	}
}

func (r *run) keysStored() {
	for _, s := range r.steps {
		if s.keys != nil {
			r.report(report{
				rule: keysStored(), at: s.keys.place, about: s.keys.cloud, steps: []*step{s},
				message: "The step signs in to " + cloudName(s.keys.cloud) + " with stored keys, which do not expire.",
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
