package inventory

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"bitbucket-oidc/internal/access"
	"bitbucket-oidc/internal/collect"
	"bitbucket-oidc/internal/document"
	"bitbucket-oidc/internal/drift"
	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/setup"
	"bitbucket-oidc/internal/shell"
	"bitbucket-oidc/internal/trust/iam"
	"bitbucket-oidc/internal/trust/wif"
)

// providers notes every OIDC provider of an account: the list has all of them. An empty list does not say which account it is about: it
// counts for the only account of the map.
func (x *inventory) providers(d collect.Document, source string) {
	if account, ok := strings.CutPrefix(source, "aws:"); ok {
		x.listed = set(x.listed, account)
	}
	list := d.Root.Get("OpenIDConnectProviderList").Items
	if only, ok := x.only(); ok && source == "" && len(list) == 0 {
		x.listed = set(x.listed, only.Account)
	}
	for _, n := range list {
		arn := textOf(n.Get("Arn"))
		x.known = set(x.known, arn)
		if account := accountOf(arn); account != "" {
			x.listed = set(x.listed, account)
		}
	}
}

// provider notes the client ids of an OIDC provider. The document of AWS's own tool does not say which account it is about: it
// counts for the only account of the map.
func (x *inventory) provider(p *iam.Provider) {
	arn := cmp.Or(textOf(p.Inner.Get("OpenIDConnectProviderArn")), p.Target())
	if only, ok := x.only(); ok && arn == "" {
		arn = providerARN(only.Partition, only.Account, p.Name())
	}
	if arn == "" {
		return
	}
	if x.clients == nil {
		x.clients = map[string][]string{}
	}
	x.known = set(x.known, arn)
	x.clients[arn] = []string{}
	if list := p.Inner.Get("ClientIDList"); list.Is(document.List) {
		for _, n := range list.Items {
			x.clients[arn] = append(x.clients[arn], textOf(n))
		}
	}
}

// only is a role of the one account with roles in the map, if there is exactly one.
func (x *inventory) only() (access.Target, bool) {
	var only access.Target
	if x.m == nil {
		return only, false
	}
	for _, t := range x.m.Targets() {
		if t.Kind == access.AWSRole && only.Account != "" && t.Account != only.Account {
			return only, false
		}
		if t.Kind == access.AWSRole {
			only = t
		}
	}
	return only, only.Account != ""
}

func providerARN(partition, account, url string) string {
	return "arn:" + partition + ":iam::" + account + ":oidc-provider/" + strings.TrimPrefix(url, "https://")
}

func set(m map[string]bool, name string) map[string]bool {
	if m == nil {
		m = map[string]bool{}
	}
	m[name] = true
	return m
}

func accountOf(arn string) string {
	if parts := strings.SplitN(arn, ":", 6); len(parts) == 6 {
		return parts[4]
	}
	return ""
}

// mount notes the configuration of a mount of Vault's.
func (x *inventory) mount(d collect.Document, how string) {
	if d.Target == "" {
		return
	}
	if x.mounts == nil {
		x.mounts = map[string]*document.Node{}
	}
	x.mounts[d.Target] = d.Root
	x.source("vault:"+d.Target, how)
}

// issues reports whether a role of Vault is behind a mount that trusts the workspace's issuer, as far as that is known.
func (x *inventory) issues(name string) bool {
	t, ok := access.ParseTarget(name)
	return !ok || t.Kind != access.VaultRole || x.otherIssuer(t.Mount) == ""
}

// otherIssuer is the issuer that a mount trusts where it is not the workspace's, or empty.
func (x *inventory) otherIssuer(mount string) string {
	config := x.mounts[mount]
	for _, name := range []string{"bound_issuer", "oidc_discovery_url"} {
		if issuer := textOf(config.Get(name)); issuer != "" && issuer != x.u.Issuer {
			return issuer
		}
	}
	return ""
}

// faults finds what is wrong with the providers that the map's grants rely on.
func (x *inventory) faults() {
	if x.m == nil {
		return
	}
	partitions := map[string]string{}
	mounts := map[string]bool{}
	for _, t := range x.m.Targets() {
		if len(x.m.Of(t.Name, x.u.Now)) == 0 {
			continue
		}
		switch t.Kind {
		case access.AWSRole:
			partitions[t.Account] = t.Partition
		case access.VaultRole:
			mounts[t.Mount] = true
		}
	}
	for _, account := range slices.Sorted(maps.Keys(partitions)) {
		x.awsFault(partitions[account], account)
	}
	for _, mount := range slices.Sorted(maps.Keys(mounts)) {
		if other := x.otherIssuer(mount); other != "" {
			x.fault(mount, fmt.Sprintf("The mount trusts the issuer %q, and the workspace's is %q.", other, x.u.Issuer), finding.Advice, "set oidc_discovery_url and bound_issuer of the mount to the workspace's issuer")
		}
	}
	x.googleFaults()
}

func (x *inventory) fault(provider, message, kind, fix string) {
	x.state.Faults = append(x.state.Faults, drift.Fault{Provider: provider, Message: message, Fix: finding.Fix{Kind: kind, Text: fix}})
}

// awsFault compares the workspace's OIDC provider in an account, as far as it was read.
func (x *inventory) awsFault(partition, account string) {
	arn := providerARN(partition, account, x.u.Issuer)
	audience := x.u.OwnAudience()
	if !x.known[arn] {
		if x.listed[account] {
			x.fault(arn, "The account has no OIDC provider of the workspace: no role in it lets anybody in.", finding.Shell,
				"aws iam create-open-id-connect-provider --url "+shell.Word(x.u.Issuer)+" --client-id-list "+shell.Word(audience))
		}
		return
	}
	clients, read := x.clients[arn]
	if read && !slices.Contains(clients, audience) && !slices.ContainsFunc(x.u.Audiences, func(a string) bool { return slices.Contains(clients, a) }) {
		x.fault(arn, "None of the provider's client ids is an audience of the workspace's tokens.", finding.Shell,
			"aws iam add-client-id-to-open-id-connect-provider --open-id-connect-provider-arn "+shell.Word(arn)+" --client-id "+shell.Word(audience))
	}
}

// googleFaults compares the providers that the map relies on.
func (x *inventory) googleFaults() {
	names := x.wanted()
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		i := slices.IndexFunc(x.things, func(t thing) bool {
			p, ok := t.Document.(*wif.Provider)
			return ok && textOf(p.Inner.Get("name")) == name
		})
		source, read := x.sources["gcp:"+name]
		switch {
		case i < 0 && read && x.state.Sources[source].Why == "":
			x.fault(name, "The provider does not exist.", finding.Advice, "create the provider: map render --format gcloud prints the command")
		case i >= 0:
			x.googleFault(name, x.things[i].Document.(*wif.Provider).Inner)
		}
	}
}

func (x *inventory) googleFault(name string, n *document.Node) {
	pool, _, _ := strings.Cut(name, "/providers/")
	disabled := n.Get("disabled")
	switch closed := collect.Closed(x.pools, name); {
	case closed != "":
		x.fault(name, "The provider's pool is "+closed+".", finding.Shell, setup.GCPPoolEnable(pool, closed))
	case textOf(n.Get("state")) == "DELETED":
		x.fault(name, "The provider is deleted.", finding.Shell, setup.GCPProviderCommand("undelete", name))
	case disabled.Is(document.Bool) && disabled.Text == "true":
		x.fault(name, "The provider is disabled.", finding.Shell, setup.GCPProviderCommand("update-oidc", name, "--no-disabled"))
	case textOf(n.Get("oidc").Get("issuerUri")) != x.u.Issuer:
		x.fault(name, fmt.Sprintf("The provider's issuer is %q, and the workspace's is %q.", textOf(n.Get("oidc").Get("issuerUri")), x.u.Issuer), finding.Shell,
			setup.GCPProviderCommand("update-oidc", name, "--issuer-uri="+shell.Word(x.u.Issuer)))
	case !x.expected(name, n.Get("oidc").Get("allowedAudiences")):
		x.fault(name, "None of the provider's allowed audiences is an audience of the workspace's tokens.", finding.Shell,
			setup.GCPProviderCommand("update-oidc", name, "--allowed-audiences="+shell.Word(x.u.OwnAudience())))
	}
}

// expected reports whether a provider takes an audience that tokens of the workspace have, or that the map adds. Without a list it takes
// its own name.
func (x *inventory) expected(name string, allowed *document.Node) bool {
	takes := []string{"//iam.googleapis.com/" + name, "https://iam.googleapis.com/" + name}
	if allowed.Is(document.List) && len(allowed.Items) > 0 {
		takes = nil
		for _, n := range allowed.Items {
			takes = append(takes, textOf(n))
		}
	}
	return slices.Contains(takes, x.u.OwnAudience()) || slices.ContainsFunc(x.u.Audiences, func(a string) bool { return slices.Contains(takes, a) })
}
