package setup

import (
	"cmp"
	"encoding/json"
	"errors"
	"regexp"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/oidc"
)

// Placeholders of commands. They stand in no document that can be checked.
const (
	RoleName       = "ROLE_NAME"
	ServiceAccount = "SERVICE_ACCOUNT"
)

// Places say where the configuration will be. An empty place becomes a placeholder.
type Places struct {
	AWSAccount        string
	GCPProjectNumber  string
	GCPPool           string
	GCPProvider       string
	GCPServiceAccount string // e-mail
}

// Known fills in the placeholders.
func (p Places) Known() Places {
	return Places{
		AWSAccount:        cmp.Or(p.AWSAccount, AccountID),
		GCPProjectNumber:  cmp.Or(p.GCPProjectNumber, ProjectNumber),
		GCPPool:           cmp.Or(p.GCPPool, Pool),
		GCPProvider:       cmp.Or(p.GCPProvider, Provider),
		GCPServiceAccount: cmp.Or(p.GCPServiceAccount, ServiceAccount),
	}
}

// An Explanation is what to configure so that exactly one identity is let in: scoped to its repository, and to its
// deployment environment when it has one.
type Explanation struct {
	Version int            `json:"version"`
	Claims  map[string]any `json:"claims"`
	AWS     AWSTrust       `json:"aws"`
	GCP     GCPTrust       `json:"gcp"`
	Vault   struct {
		Role VaultRole `json:"role"`
	} `json:"vault"`
	Okta struct {
		Connection OktaConnection `json:"connection"`
	} `json:"okta"`
}

// AWSTrust is an IAM OIDC provider and a role's trust policy.
type AWSTrust struct {
	ProviderURL string    `json:"providerUrl"`
	Audience    string    `json:"audience"`
	TrustPolicy AWSPolicy `json:"trustPolicy"`
}

// AWSPolicy is a role's trust policy.
type AWSPolicy struct {
	Version   string
	Statement []json.RawMessage
}

// GCPTrust is a workload identity provider and the member of a binding.
type GCPTrust struct {
	IssuerURI          string            `json:"issuerUri"`
	AllowedAudiences   []string          `json:"allowedAudiences"`
	AttributeMapping   map[string]string `json:"attributeMapping"`
	AttributeCondition string            `json:"attributeCondition"`
	Member             string            `json:"member"`
}

// VaultRole is a role of Vault's JWT auth method, as `vault write auth/jwt/role/NAME -` takes it.
//
// Source: HashiCorp, "JWT/OIDC auth method (API)", Create/Update Role.
type VaultRole struct {
	RoleType        string            `json:"role_type"`
	UserClaim       string            `json:"user_claim"`
	BoundAudiences  []string          `json:"bound_audiences"`             // any of them
	BoundClaimsType string            `json:"bound_claims_type,omitempty"` // glob, where a value is a pattern
	BoundClaims     map[string]string `json:"bound_claims"`                // all of them
	ClaimMappings   map[string]string `json:"claim_mappings"`              // for Vault's audit log
	TokenTTL        int               `json:"token_ttl"`                   // seconds
}

// OktaConnection is a workload connection of Okta Privileged Access.
//
// Source: Okta's OpenAPI description opa-minimal, POST /v1/teams/{team}/connections/workloads.
type OktaConnection struct {
	Name   string        `json:"name"`
	Type   string        `json:"type"`
	Config OktaJWTConfig `json:"jwt_config"`
	TTL    int           `json:"token_ttl_in_seconds"`
	// Conditions must all hold.
	Conditions []OktaCondition `json:"conditions"`
}

// OktaJWTConfig says where the issuer's keys are.
type OktaJWTConfig struct {
	KeysURL string `json:"jwks_url"`
}

// OktaCondition is a claim and what it must be.
type OktaCondition struct {
	Name    string `json:"name"`
	Matcher string `json:"matcher"`
	Value   string `json:"value"`
}

// tokenTTL is how many seconds Vault's and Okta's tokens last: a deployment, not a day.
const tokenTTL = 15 * 60

// Explain says what to configure for id. It fails for claims that Bitbucket does not write: their values would have to be
// quoted in each cloud's own way, and a wildcard among them would let in others.
func Explain(id bitbucket.Identity, p Places) (Explanation, error) {
	c := id.Claims
	if err := plain(id); err != nil {
		return Explanation{}, err
	}
	p = p.Known()
	e := Explanation{
		Version: 1,
		Claims:  id.All,
		AWS: AWSTrust{
			ProviderURL: c.Issuer, Audience: bitbucket.WorkspaceAudience(c),
			TrustPolicy: AWSPolicy{Version: "2012-10-17", Statement: []json.RawMessage{json.RawMessage(AWSStatement(c, "aws", p.AWSAccount))}},
		},
		GCP: GCPTrust{
			IssuerURI: c.Issuer, AllowedAudiences: []string{bitbucket.WorkspaceAudience(c)}, AttributeMapping: GCPAttributes(c),
			AttributeCondition: GCPConditionFor(c), Member: GCPMember(c, p.GCPProjectNumber, p.GCPPool),
		},
	}
	e.Vault.Role = VaultRoleFor(c)
	e.Okta.Connection = oktaConnection(c)
	return e, nil
}

// plain refuses claims with values that Bitbucket does not write, and claims that contradict each other. AWS takes
// 255 characters of an issuer or an audience (IAM API, CreateOpenIDConnectProvider).
func plain(id bitbucket.Identity) error {
	const uuid = `\{[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\}`
	c := id.Claims
	for _, claim := range []struct{ name, value, pattern string }{
		{"iss", c.Issuer, `https://[0-9A-Za-z._~:/-]{1,247}`},
		{"aud", bitbucket.WorkspaceAudience(c), `[0-9A-Za-z._~:/-]{1,255}`},
		{"repositoryUuid", c.RepositoryUUID, "|" + uuid},
		{"deploymentEnvironmentUuid", c.DeploymentEnvironmentUUID, "|" + uuid},
		{"sub", c.Subject, uuid + ":(" + uuid + ":)?" + uuid},
	} {
		// Package json takes a name in any case, and null for nothing; the clouds do not.
		said, there := id.All[claim.name]
		misread := there && said != claim.value || !there && claim.value != ""
		if claim.name != "aud" && misread || !regexp.MustCompile("^(?:"+claim.pattern+")$").MatchString(claim.value) {
			return errors.New("claims: " + claim.name + ": not as Bitbucket writes it")
		}
	}
	if scope, _, _ := bitbucket.CutLast(c.Subject); scope != bitbucket.Subject(c) {
		return errors.New("claims: sub: not of the repository and the deployment environment beside it")
	}
	return nil
}

// VaultRoleFor is the role of Vault that lets in exactly the identity with these claims.
func VaultRoleFor(c oidc.Claims) VaultRole {
	role := VaultRole{
		RoleType: "jwt",
		// The entity is the repository: a claim that changes in every step would be a new entity each time.
		UserClaim:      "repositoryUuid",
		BoundAudiences: []string{bitbucket.WorkspaceAudience(c)},
		BoundClaims:    map[string]string{"repositoryUuid": c.Repository()},
		ClaimMappings:  map[string]string{"pipelineUuid": "pipeline", "stepUuid": "step"},
		TokenTTL:       tokenTTL,
	}
	if env := c.Environment(); env != "" {
		role.BoundClaims["deploymentEnvironmentUuid"] = env
	}
	if onlySubject(c) {
		role.BoundClaims, role.BoundClaimsType = map[string]string{"sub": bitbucket.Subject(c) + ":*"}, "glob"
	}
	if c.RepositoryUUID == "" {
		role.UserClaim = "iss" // the entity is the workspace: no other claim is sure to be there and to stay
	}
	return role
}

func oktaConnection(c oidc.Claims) OktaConnection {
	bound := []OktaCondition{{"repositoryUuid", "EQUALS", c.Repository()}}
	if env := c.Environment(); env != "" {
		bound = append(bound, OktaCondition{"deploymentEnvironmentUuid", "EQUALS", env})
	}
	if onlySubject(c) {
		bound = []OktaCondition{{"sub", "STARTS_WITH", bitbucket.Subject(c) + ":"}}
	}
	return OktaConnection{
		Name: "bitbucket-" + bitbucket.Slug(c), Type: "JWT", Config: OktaJWTConfig{KeysURL: c.Issuer + "/keys.json"}, TTL: tokenTTL,
		Conditions: append([]OktaCondition{{"iss", "EQUALS", c.Issuer}, {"aud", "EQUALS", bitbucket.WorkspaceAudience(c)}}, bound...),
	}
}

// Azure says why there is nothing to configure in Azure.
const Azure = "Azure cannot be offered: Entra compares the whole subject, and Bitbucket's ends in the UUID of the step."
