// Package guard asks, before a login sends anything, whether the guardrails let it. The rules are judged by the program
// bitbucket-oidc, so that the process that holds the token has no expression language in it; this package has the question and
// the answer, and takes everything but a clear yes for a refusal.
package guard

import (
	"encoding/json"
	"errors"
	"time"
)

// An Input is all that a rule sees of one target of a login. Its JSON is a promise: a field with another name breaks people's rules.
// A text that is not known is empty.
type Input struct {
	Now        time.Time   `json:"now" cel:"-"`
	Claims     Claims      `json:"claims" cel:"-"`
	Request    Request     `json:"request" cel:"-"`
	Env        Env         `json:"env" cel:"-"`
	Pipeline   Pipeline    `json:"pipeline" cel:"-"`
	Credential *Credential `json:"credential,omitempty" cel:"-"` // nil before the exchange
}

// Claims are what Bitbucket signed. The cloud verifies the signature a moment later.
type Claims struct {
	Issuer                    string    `json:"issuer" cel:"issuer"`
	Audience                  []string  `json:"audience" cel:"audience"`
	Subject                   string    `json:"subject" cel:"subject"`
	Expires                   time.Time `json:"expires" cel:"expires"`
	IssuedAt                  time.Time `json:"issuedAt" cel:"issuedAt"`
	WorkspaceUUID             string    `json:"workspaceUuid" cel:"workspaceUuid"`
	RepositoryUUID            string    `json:"repositoryUuid" cel:"repositoryUuid"`
	DeploymentEnvironmentUUID string    `json:"deploymentEnvironmentUuid" cel:"deploymentEnvironmentUuid"`
	BranchName                string    `json:"branchName" cel:"branchName"`
	PipelineUUID              string    `json:"pipelineUuid" cel:"pipelineUuid"`
	StepUUID                  string    `json:"stepUuid" cel:"stepUuid"`
}

// A Request is what the login is about to ask for.
type Request struct {
	Backend  string        `json:"backend" cel:"backend"` // aws, gcp, …
	Name     string        `json:"name" cel:"name"`       // the profile or the credential, such as default
	Target   string        `json:"target" cel:"target"`   // the first role, the service account, the Vault role, the provider
	Account  string        `json:"account" cel:"account"` // AWS account
	Project  string        `json:"project" cel:"project"` // Google project
	Duration time.Duration `json:"duration" cel:"duration"`
	Policies []string      `json:"policies" cel:"policies"` // session policies: ARNs, and "inline" for one that is given as JSON
	Chain    []string      `json:"chain" cel:"chain"`       // the roles after the target, or the delegates
	Audience string        `json:"audience" cel:"audience"`
	Scopes   []string      `json:"scopes" cel:"scopes"`

	// Resource is the target in the words of an access map, where they differ: the URL of a Vault role or of an Okta connection.
	Resource string `json:"resource,omitempty" cel:"-"`
}

// Env is what the step's variables say. Whoever writes the pipeline can overwrite them.
type Env struct {
	Repository  string `json:"repository" cel:"repository"` // workspace/slug
	Branch      string `json:"branch" cel:"branch"`
	Tag         string `json:"tag" cel:"tag"`
	PullRequest string `json:"pullRequest" cel:"pullRequest"`
	Environment string `json:"environment" cel:"environment"`
	Commit      string `json:"commit" cel:"commit"`
	Build       string `json:"build" cel:"build"`
	Triggerer   string `json:"triggerer" cel:"triggerer"`
}

// A Pipeline is what the checkout says. Whoever writes the pipeline writes it.
type Pipeline struct {
	Images []string `json:"images" cel:"images"` // of steps and pipes, each once
	File   string   `json:"file" cel:"file"`     // the name of the pipelines file; empty without one that can be read
}

// A Credential is what the cloud answered. A rule that reads it is judged after the exchange and before anything is written.
type Credential struct {
	Principal string    `json:"principal" cel:"principal"`
	Account   string    `json:"account" cel:"account"`
	Expires   time.Time `json:"expires" cel:"expires"`
}

// MarshalJSON writes the duration as people and CEL write one, such as 1h0m0s.
func (r Request) MarshalJSON() ([]byte, error) {
	type plain Request
	return json.Marshal(struct {
		plain
		Duration string `json:"duration"`
	}{plain(r), r.Duration.String()})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (r *Request) UnmarshalJSON(data []byte) error {
	type plain Request
	var read struct {
		plain
		Duration string `json:"duration"`
	}
	if err := strict(data, &read); err != nil {
		return err
	}
	*r = Request(read.plain)
	if read.Duration == "" {
		return nil
	}
	d, err := time.ParseDuration(read.Duration)
	if err != nil {
		return errors.New("request.duration: expected a duration such as 1h")
	}
	r.Duration = d
	return nil
}

// RecordKey is where a record has the input, as JSON, so that other guardrails can be tried on past logins.
const RecordKey = "guard.input"
