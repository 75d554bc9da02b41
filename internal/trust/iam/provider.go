package iam

import (
	"slices"
	"strings"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/document"
	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/setup"
	"bitbucket-oidc/internal/trust"
)

// A Provider is an OIDC provider of IAM.
type Provider struct {
	trust.Source
	url     string
	clients []string
}

// ReadProvider reads what `aws iam get-open-id-connect-provider` prints, and reports whether the file is such a print. AWS prints the URL
// without its scheme (IAM API Reference, GetOpenIDConnectProvider).
func ReadProvider(f *document.File) (*Provider, bool) {
	if !f.Root.Get("Url").Is(document.String) || !f.Root.Has("ClientIDList", "ThumbprintList") {
		return nil, false
	}
	p := &Provider{Source: trust.Source{In: f, Inner: f.Root}, url: f.Root.Get("Url").Text}
	p.clients, _ = texts(f.Root.Get("ClientIDList"))
	return p, true
}

// Kind is the kind of a provider.
func (p *Provider) Kind() trust.Kind { return trust.AWSProvider }

// Name is the URL.
func (p *Provider) Name() string { return p.url }

// Judge judges the provider against an identity.
func (p *Provider) Judge(id bitbucket.Identity, _ trust.Options) trust.Result {
	issuer := setup.AWSProviderPath(id.Claims)
	var r trust.Ruling
	if strings.TrimPrefix(p.url, "https://") != issuer {
		r.Refuse("aws-principal", "Url", "The provider's URL is not the token's issuer.", finding.Fix{Kind: finding.Shell, Text: setup.AWSCreateProvider(id.Claims)})
	}
	if !slices.ContainsFunc(p.clients, func(client string) bool { return slices.Contains(id.Claims.Audience, client) }) {
		r.Refuse("aws-aud-mismatch", "ClientIDList", "None of the provider's client ids is an audience of the token.",
			finding.Fix{Kind: finding.Shell, Text: setup.AWSAddAudience(providerARN{"aws", setup.AccountID, issuer}.String(), id.Claims)})
	}
	return p.Place(r.Result(trust.AWSProvider, p.url, "The provider has the URL of the token's issuer, and accepts its audience."))
}
