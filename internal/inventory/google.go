package inventory

import (
	"strings"

	"bitbucket-oidc/internal/access"
	"bitbucket-oidc/internal/collect"
	"bitbucket-oidc/internal/document"
	"bitbucket-oidc/internal/trust/wif"
)

// google judges each policy through the provider of its pool that takes the workspace's tokens.
func (x *inventory) google() {
	var providers []*wif.Provider
	for _, t := range x.things {
		p, ok := t.Document.(*wif.Provider)
		if !ok {
			continue
		}
		name := textOf(p.Inner.Get("name"))
		if strings.Contains(name, "/providers/") {
			x.source("gcp:"+name, t.how).Partial = false
		}
		p.InPool(collect.Closed(x.pools, name))
		if textOf(p.Inner.Get("oidc").Get("issuerUri")) == x.u.Issuer {
			providers = append(providers, p)
		}
	}
	for _, t := range x.things {
		policy, ok := t.Document.(*wif.Policy)
		if !ok {
			continue
		}
		if through := x.through(policy, providers); through != nil {
			policy.Through(through)
		}
	}
}

// through is the provider that a policy's identities come through: the one that the map names, or else the only one.
func (x *inventory) through(p *wif.Policy, providers []*wif.Provider) *wif.Provider {
	if x.m != nil {
		for _, g := range x.m.Of(p.Target(), x.u.Now) {
			name, err := x.m.Through(g)
			if err != nil {
				continue
			}
			for _, provider := range providers {
				if textOf(provider.Inner.Get("name")) == name {
					return provider
				}
			}
		}
	}
	if len(providers) == 1 {
		return providers[0]
	}
	return nil
}

// asImpersonation is the policy of a resource that is not a service account. Every role that members of a pool have there is replaced
// by the role with which they become a service account: these members get in as well, without becoming anybody.
func asImpersonation(d collect.Document) (collect.Document, bool) {
	bindings := d.Root.Get("bindings")
	if !bindings.Is(document.List) {
		return d, false
	}
	all := bindings.List()
	for _, b := range bindings.Items {
		members := b.Get("members")
		if !members.Is(document.List) || !strings.Contains(document.Tight(members.Any()), "workloadIdentityPools/") {
			continue
		}
		binding := b.New(
			document.Member{Name: "role", Value: b.String("roles/iam.workloadIdentityUser")},
			document.Member{Name: "members", Value: members},
			document.Member{Name: "condition", Value: b.Get("condition")},
		)
		all.Items = append(all.Items, binding)
	}
	d.File = d.With(d.Root.New(document.Member{Name: "bindings", Value: all}))
	return d, len(all.Items) > 0
}

// wanted are the providers that the map wants to be read, or goes through.
func (x *inventory) wanted() []string {
	all := append([]string{}, x.m.Read.GCP...)
	for _, g := range x.m.Grants {
		for _, t := range g.Become {
			if t.Kind != access.ServiceAccount {
				continue
			}
			if name, err := x.m.Through(g); err == nil {
				all = append(all, name)
			}
		}
	}
	return all
}
