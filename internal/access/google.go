package access

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Provider is a workload identity provider as the map needs it.
type Provider struct {
	Name               string            `json:"name"`
	State              string            `json:"state"`
	AttributeMapping   map[string]string `json:"attributeMapping"`
	AttributeCondition string            `json:"attributeCondition"`
	OIDC               ProviderOIDC      `json:"oidc"`
}

// ProviderOIDC is the issuer and the audiences that a provider trusts.
type ProviderOIDC struct {
	IssuerURI        string   `json:"issuerUri"`
	AllowedAudiences []string `json:"allowedAudiences"`
}

// longestCondition is how many characters Google stores of an attribute condition (IAM API, WorkloadIdentityPoolProvider).
const longestCondition = 4096

// A gcpPolicy is the IAM policy of a service account.
type gcpPolicy struct {
	Bindings []gcpBinding `json:"bindings"`
}

type gcpBinding struct {
	Role    string   `json:"role"`
	Members []string `json:"members"`
}

const workloadIdentityUser = "roles/iam.workloadIdentityUser"

// iamPolicy is the policy of a service account. A member matches one attribute, so one attribute joins repository and environment.
func (m *Map) iamPolicy(grants []Grant) (any, error) {
	var members []string
	for _, g := range grants {
		provider, err := m.Through(g)
		if err != nil {
			return nil, err
		}
		pool, _, _ := strings.Cut(provider, "/providers/")
		for _, w := range granted(grants) {
			if !slices.ContainsFunc(g.Who, func(o Who) bool { return o.String() == w.String() }) {
				continue
			}
			if member := "principalSet://iam.googleapis.com/" + pool + "/" + attribute(w); !slices.Contains(members, member) {
				members = append(members, member)
			}
		}
	}
	return gcpPolicy{[]gcpBinding{{workloadIdentityUser, members}}}, nil
}

// attribute is an attribute with a value that [mapping] gives to the steps of w and to no other step.
func attribute(w Who) string {
	switch w.Environment {
	case AnyEnvironment:
		return "attribute.repository_uuid/" + w.Repository.UUID
	case NoEnvironment:
		return "attribute.deployment/" + w.Repository.UUID + ":none"
	}
	return "attribute.deployment/" + w.Repository.UUID + ":" + w.UUID
}

// Through is the provider that the steps of a grant come through.
func (m *Map) Through(g Grant) (string, error) {
	switch {
	case g.Through != "":
		return g.Through, nil
	case len(m.Read.GCP) == 1:
		return m.Read.GCP[0], nil
	case len(m.Read.GCP) == 0:
		return "", fmt.Errorf("grants[%d]: no provider for the steps to come through: add it to read.gcp", g.Index)
	}
	return "", fmt.Errorf("grants[%d]: read.gcp has several providers: add through", g.Index)
}

// mapping is the attribute mapping that the members rest on. The subject is for Google's audit log.
func mapping() map[string]string {
	return map[string]string{
		"google.subject":            "assertion.sub",
		"attribute.repository_uuid": "assertion.repositoryUuid",
		"attribute.deployment": "assertion.repositoryUuid + ':' + " +
			"(has(assertion.deploymentEnvironmentUuid) ? assertion.deploymentEnvironmentUuid : 'none')",
	}
}

// providers are the providers that rendered policies rest on. Each lets in only the repositories to which the map grants something
// through it, be it rendered or not, or the whole workspace where their list would be longer than what Google stores: the members decide
// either way.
func (m *Map) providers(policies []Policy, now time.Time) []Provider {
	repositories := map[string][]string{}
	audiences := map[string][]string{}
	rested := map[string]bool{}
	for _, t := range m.Targets() {
		if t.Kind != ServiceAccount {
			continue
		}
		rendered := slices.ContainsFunc(policies, func(p Policy) bool { return p.Target.Name == t.Name })
		for _, g := range m.Of(t.Name, now) {
			name, err := m.Through(g)
			if err != nil {
				continue // its own policy is not rendered, for this reason
			}
			rested[name] = rested[name] || rendered
			for _, w := range g.Who {
				repositories[name] = add(repositories[name], w.Repository.UUID)
			}
			audiences[name] = add(audiences[name], append([]string{m.Workspace.Audience()}, g.Audiences...)...)
		}
	}
	var all []Provider
	for name, uuids := range repositories {
		if !rested[name] {
			continue
		}
		slices.Sort(uuids)
		condition := "assertion.repositoryUuid in ['" + strings.Join(uuids, "', '") + "']"
		if len(uuids) == 1 {
			condition = "assertion.repositoryUuid == '" + uuids[0] + "'"
		}
		if len(condition) > longestCondition {
			condition = "assertion.workspaceUuid == '" + m.Workspace.UUID + "'"
		}
		all = append(all, Provider{
			Name: name, State: "ACTIVE", AttributeMapping: mapping(), AttributeCondition: condition,
			OIDC: ProviderOIDC{m.Workspace.Issuer(), audiences[name]},
		})
	}
	slices.SortFunc(all, func(a, b Provider) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

func add(list []string, texts ...string) []string {
	for _, text := range texts {
		if !slices.Contains(list, text) {
			list = append(list, text)
		}
	}
	return list
}
