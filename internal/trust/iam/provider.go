package iam

import (
	"slices"
	"strings"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/setup"
	"bitbucket-oidc/internal/trust"
)

// Provider judges what `aws iam get-open-id-connect-provider` prints, and tells whether a document is that. AWS prints
// the URL without its scheme (IAM API Reference, GetOpenIDConnectProvider).
func Provider(data []byte, id bitbucket.Identity, _ trust.Options) ([]trust.Result, bool, error) {
	d, root, err := readDocument(data)
	if err != nil || d.kind(root.Get("Url")) != '"' || root.Get("ClientIDList") == nil && root.Get("ThumbprintList") == nil {
		return nil, false, nil
	}
	url := root.Get("Url").Text
	clients, _ := d.texts(root.Get("ClientIDList"))
	issuer := setup.AWSProviderPath(id.Claims)
	var r trust.Ruling
	if strings.TrimPrefix(url, "https://") != issuer {
		r.Refuse("aws-principal", "Url", "The provider's URL is not the token's issuer.", setup.AWSCreateProvider(id.Claims))
	}
	if !slices.ContainsFunc(clients, func(client string) bool { return slices.Contains(id.Claims.Audience, client) }) {
		r.Refuse("aws-aud-mismatch", "ClientIDList", "None of the provider's client ids is an audience of the token.",
			setup.AWSAddAudience(providerARN{"aws", setup.AccountID, issuer}.String(), id.Claims))
	}
	return []trust.Result{r.Result("aws-provider", url, "The provider is the token's issuer, and takes its audience.")}, true, nil
}
