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
	issuer := AWSProviderPath(id.Claims)
	var r ruling
	if strings.TrimPrefix(url, "https://") != issuer {
		r.refuse("aws-principal", "Url", "The provider's URL is not the token's issuer.", AWSCreateProvider(id.Claims))
	}
	if !slices.ContainsFunc(clients, func(client string) bool { return slices.Contains(id.Claims.Audience, client) }) {
		r.refuse("aws-aud-mismatch", "ClientIDList", "None of the provider's client ids is an audience of the token.",
			AWSAddAudience(providerARN{"aws", AccountID, issuer}.String(), id.Claims))
	}
	return []Result{r.result("aws-provider", url, "The provider is the token's issuer, and takes its audience.")}, true, nil
}
