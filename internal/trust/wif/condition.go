package wif

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/cel"
	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/oidc"
	"bitbucket-oidc/internal/setup"
	"bitbucket-oidc/internal/shell"
	"bitbucket-oidc/internal/trust"
)

// variables are what a condition can read, and which fields of it are unknown.
func (p *providerJudgement) variables() (known map[string]any, unknown [][]string) {
	attribute, google := map[string]any{}, map[string]any{}
	for key, v := range p.values {
		variable, name, _ := strings.Cut(key, ".")
		switch {
		case !v.known:
			unknown = append(unknown, []string{variable, name})
		case key == "google.groups":
			google[name] = v.values
		case variable == "google":
			google[name] = v.values[0]
		default:
			attribute[name] = v.values[0]
		}
	}
	known = map[string]any{"attribute": attribute, "google": google}
	assertion, ok := cel.Claims(p.id.All)
	if !ok {
		unknown = append(unknown, []string{"assertion"})
	}
	known["assertion"] = assertion
	return known, append(unknown, p.unknownClaims()...)
}

// having shows the values that the token has for the fields that a condition reads.
func (p *providerJudgement) having(fields []string) string {
	var shown []string
	for _, field := range fields {
		variable, name, _ := strings.Cut(field, ".")
		if text, ok := p.id.All[name].(string); ok && variable == "assertion" {
			shown = append(shown, fmt.Sprintf("%s %q", name, text))
		} else if v := p.values[field]; v.known {
			shown = append(shown, fmt.Sprintf("%s %s", field, trust.Quoted(v.values)))
		}
	}
	if len(shown) == 0 {
		return ""
	}
	return ", which has " + strings.Join(shown, " and ")
}

// tellsRepositories reports whether fields hold the UUID of the repository or of the environment, by themselves or through the mapping.
// The subject begins with the UUID of the repository.
func (p *providerJudgement) tellsRepositories(fields []string) bool {
	return slices.ContainsFunc(fields, func(field string) bool {
		switch field {
		case "assertion.repositoryUuid", "assertion.deploymentEnvironmentUuid", "assertion.sub":
			return true
		}
		return p.tellsRepositories(p.values[field].reads())
	})
}

// hasCondition reports whether the provider has a condition.
func (p *Provider) hasCondition() bool { return strings.TrimSpace(p.file.AttributeCondition) != "" }

// conditionFix is the command that sets the condition for the repository of the identity.
func (p *providerJudgement) conditionFix() finding.Fix {
	return p.name.command("update-oidc", "--attribute-condition="+shell.Word(setup.GCPConditionFor(p.id.Claims)))
}

// repositoryMember is a member that only the identity matches: on an attribute that the provider maps, or else on an attribute of
// [setup.GCPMappingFor].
func (p *providerJudgement) repositoryMember(c oidc.Claims) (member string, mapped bool) {
	name := p.name.known()
	for _, value := range []string{bitbucket.Subject(c), c.Repository()} {
		for _, key := range slices.Sorted(maps.Keys(p.values)) {
			if v := p.values[key]; strings.HasPrefix(key, "attribute.") && v.known && v.values[0] == value {
				return setup.GCPMemberName(name.project, name.pool, key, value), true
			}
		}
	}
	return setup.GCPMember(c, name.project, name.pool), false
}
