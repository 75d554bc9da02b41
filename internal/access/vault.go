package access

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// A vaultRole is a role of Vault's JWT method, as `vault write auth/jwt/role/NAME -` takes it.
//
// Source: HashiCorp, "JWT/OIDC auth method (API)", Create/Update Role.
type vaultRole struct {
	RoleType        string            `json:"role_type"`
	UserClaim       string            `json:"user_claim"`
	BoundAudiences  []string          `json:"bound_audiences"` // any of them
	BoundClaimsType string            `json:"bound_claims_type,omitempty"`
	BoundClaims     map[string]any    `json:"bound_claims"` // all of them; of a list, any value
	ClaimMappings   map[string]string `json:"claim_mappings"`
	TokenTTL        int               `json:"token_ttl"`     // seconds
	TokenMaxTTL     int               `json:"token_max_ttl"` // seconds
}

// vaultTTL is how long a token lasts where the map does not say: a deployment, not a day.
const vaultTTL = 15 * time.Minute

// vaultRole is the role that lets in the steps which the grants name. An environment belongs to one repository. A list of
// repositories beside a list of environments therefore lets in no pair that the map does not have.
func (m *Map) vaultRole(t Target, grants []Grant) (any, error) {
	ttl := m.Session(t.Name)
	if ttl == 0 {
		ttl = vaultTTL
	}
	role := vaultRole{
		RoleType: "jwt", UserClaim: "repositoryUuid", BoundAudiences: []string{m.Workspace.Audience()}, BoundClaims: map[string]any{},
		ClaimMappings: map[string]string{"pipelineUuid": "pipeline", "stepUuid": "step"}, TokenTTL: int(ttl.Seconds()), TokenMaxTTL: int(ttl.Seconds()),
	}
	var repositories, environments, subjects []string
	whole := false
	for _, w := range granted(grants) {
		if w.Environment == NoEnvironment {
			return nil, fmt.Errorf("%s: Vault cannot require that a claim is absent: give the steps a deployment environment", w)
		}
		repositories = add(repositories, w.Repository.UUID)
		subjects = append(subjects, w.Subject())
		if w.Environment == AnyEnvironment {
			whole = true
		} else {
			environments = append(environments, w.UUID)
		}
	}
	switch {
	case whole && len(environments) > 0: // one claim for both: the subject
		role.BoundClaims["sub"], role.BoundClaimsType = subjects, "glob"
	case whole:
		role.BoundClaims["repositoryUuid"] = oneOrMore(repositories)
	default:
		role.BoundClaims["repositoryUuid"] = oneOrMore(repositories)
		role.BoundClaims["deploymentEnvironmentUuid"] = oneOrMore(environments)
	}
	branches := grants[0].Branches
	for _, g := range grants[1:] {
		if !slices.Equal(g.Branches, branches) {
			return nil, errors.New("its grants have different branches, and a role has one list: make two roles")
		}
	}
	if len(branches) > 0 {
		role.BoundClaims["branchName"], role.BoundClaimsType = oneOrMore(branches), "glob"
	}
	return role, nil
}
