package trust

import (
	"slices"
	"strings"
)

// awsProvider judges what `aws iam get-open-id-connect-provider` prints, and tells whether a document is that. AWS prints
// the URL without its scheme (IAM API Reference, GetOpenIDConnectProvider).
func awsProvider(data []byte, id Identity, _ Options) ([]Result, bool, error) {
	d, root, err := readDocument(data)
	if err != nil || d.kind(root.get("Url")) != '"' || root.get("ClientIDList") == nil && root.get("ThumbprintList") == nil {
		return nil, false, nil
	}
	url := root.get("Url").text
	clients, _ := d.texts(root.get("ClientIDList"))
	j := roleJudgement{id: id, request: newIAMRequest(id.Claims)}
	r := Result{Kind: "aws-provider", Name: url, Verdict: Allow, Reason: "The provider is the token's issuer, and takes its audience.", Steps: []Step{}}
	if !slices.ContainsFunc(clients, func(client string) bool { return slices.Contains(id.Claims.Audience, client) }) {
		r.Verdict, r.Reason = Deny, "The provider takes none of the token's audiences."
		j.find("aws-aud-mismatch", Error, "ClientIDList", "None of the provider's client ids is an audience of the token.",
			AWSAddAudience(j.provider().String(), id.Claims))
	}
	if strings.TrimPrefix(url, "https://") != j.request.issuer {
		r.Verdict, r.Reason = Deny, "The provider is another one than the token's issuer."
		j.find("aws-principal", Error, "Url", "The provider's URL is not the token's issuer.", AWSCreateProvider(id.Claims))
	}
	r.Findings = append([]Finding{}, j.findings...)
	return []Result{r}, true, nil
}
