// Package bitbucket knows what the identities and subjects of Bitbucket Pipelines look like. It knows no cloud.
package bitbucket

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"bitbucket-oidc/internal/document"
	"bitbucket-oidc/internal/oidc"
)

// FromToken is the identity in a token.
func FromToken(t oidc.Token) Identity { return Identity{Claims: t.Claims, All: t.All()} }

// FromClaims is the identity in a token's claims, as JSON. Two claims with the same name are an error, and so are two names that differ
// only in upper and lower case: readers differ in which of the two they take.
func FromClaims(data []byte) (Identity, error) {
	claims, all, err := oidc.ParseClaims(data)
	if err != nil {
		return Identity{}, err
	}
	root, err := document.Parse(data)
	if err != nil {
		return Identity{}, fmt.Errorf("claims: %w", err)
	}
	for i, m := range root.Members {
		for _, other := range root.Members[:i] {
			if strings.EqualFold(m.Name, other.Name) {
				return Identity{}, fmt.Errorf("claims: %q and %q are the same claim for some readers", other.Name, m.Name)
			}
		}
	}
	return Identity{Claims: claims, All: all}, nil
}

// Parts describe a step before any pipeline ran. UUIDs may be without braces.
type Parts struct {
	Workspace       string // the slug
	WorkspaceUUID   string
	RepositoryUUID  string
	EnvironmentUUID string // empty unless the step has `deployment:`
	Branch          string // empty if there is none
	Audiences       []string

	// SomeEnvironment says that the step has a deployment environment with an unknown UUID. SomeBranch says that the step runs on an
	// unknown branch.
	SomeEnvironment, SomeBranch bool

	Now time.Time
}

// UUIDs that are new in every step run are made up, and look made up.
const (
	MadeUpStep     = "{00000000-0000-4000-8000-000000000001}"
	madeUpPipeline = "{00000000-0000-4000-8000-000000000002}"
)

// Identity is the identity of a step that begins now. It has the claims that Bitbucket documents.
func (p Parts) Identity() (Identity, error) {
	repository, environment := Braced(p.RepositoryUUID), Braced(p.EnvironmentUUID)
	audience := []string{WorkspaceARI + strings.Trim(Braced(p.WorkspaceUUID), "{}")}
	for _, a := range p.Audiences {
		if !slices.Contains(audience, a) {
			audience = append(audience, a)
		}
	}
	var unknown []string
	if p.SomeEnvironment && environment == "" {
		environment = UUIDForm
		unknown = append(unknown, "deploymentEnvironmentUuid", "sub")
	}
	if p.SomeBranch && p.Branch == "" {
		unknown = append(unknown, "branchName")
	}
	claims := map[string]any{
		"iss":            "https://api.bitbucket.org/2.0/workspaces/" + p.Workspace + "/pipelines-config/identity/oidc",
		"aud":            audience,
		"sub":            Subject(oidc.Claims{RepositoryUUID: repository, DeploymentEnvironmentUUID: environment}) + ":" + MadeUpStep,
		"iat":            p.Now.Unix(),
		"exp":            p.Now.Add(time.Hour).Unix(),
		"workspaceUuid":  Braced(p.WorkspaceUUID),
		"repositoryUuid": repository,
		"pipelineUuid":   madeUpPipeline,
		"stepUuid":       MadeUpStep,
	}
	if len(audience) == 1 { // a list only once the step asks for audiences of its own
		claims["aud"] = audience[0]
	}
	if environment != "" {
		claims["deploymentEnvironmentUuid"] = environment
	}
	if p.Branch != "" {
		claims["branchName"] = p.Branch
	}
	data, err := json.Marshal(claims)
	if err != nil {
		return Identity{}, fmt.Errorf("claims: %w", err) // cannot be: texts and whole numbers
	}
	id, err := FromClaims(data)
	id.Unknown = unknown
	return id, err
}

// MadeUp reports whether the identity was put together from [Parts].
func (id Identity) MadeUp() bool { return id.Claims.StepUUID == MadeUpStep }

// An Identity is the claims of a step, for which a trust configuration is judged.
type Identity struct {
	Claims oidc.Claims
	All    map[string]any // every claim in the types of package json, with numbers as json.Number

	// Unknown names the claims with unknown values: a judgement that depends on one of them is undecided. Such a claim has no value in
	// Claims and All, or a value in which [UUIDForm] stands for the unknown UUID.
	Unknown []string
}

// Knows reports whether it is known what value a claim has, or that the token does not have it.
func (id Identity) Knows(claim string) bool { return !slices.Contains(id.Unknown, claim) }

// Expired says when the token expired; it is empty if the token is valid.
func (id Identity) Expired(now time.Time) string {
	if id.Claims.Expires.IsZero() || now.Before(id.Claims.Expires) {
		return ""
	}
	return "the token expired at " + id.Claims.Expires.Format(time.RFC3339)
}
