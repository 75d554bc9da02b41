package judges

import (
	"bitbucket-oidc/internal/audit"
	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/judge"
)

func documentUnpaired() finding.Rule {
	return finding.Rule{
		Name: "document-unpaired", Severity: finding.Note,
		Finds: "a trust configuration that nothing in the file asks for",
		Why:   "No step names the role, or the policy has no name and the file asks for several. Nothing was judged against it.",
		Fix:   "Give the role as `aws iam get-role` prints it, with its name, or leave the document out.",
	}
}

// unpaired finds the roles that no step asks for. A provider is not a role: it is given together with them.
func (d Documents) unpaired(documents judge.Documents, rulings []ruling) []audit.Judgement {
	asked := map[string]bool{}
	for _, r := range rulings {
		if r.asked {
			asked[name(r.result)] = true
		}
	}
	var all []audit.Judgement
	for _, result := range d.judge(documents, &audit.Step{}, member{}, true) {
		key := name(result)
		why := "no step of the file asks for it"
		if result.Name == "" && result.ARN == "" {
			why = "it has no name, and the file does not ask for exactly one role"
		}
		if !asked[key] && result.Kind != "aws-provider" && result.Kind != "gcp-provider" {
			all = append(all, audit.Judgement{Rule: documentUnpaired(), About: key, Message: title(result) + " is not judged: " + why + "."})
		}
	}
	return all
}
