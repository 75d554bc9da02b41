package cloud

import (
	"errors"
	"net/http"
	"time"
)

// The default world: one Bitbucket repository, and an AWS role and a Google service account that trust it.
const (
	Workspace       = "acme"
	WorkspaceUUID   = "{7baee083-4f25-4a97-8a9a-0fde1b623b45}"
	RepositoryUUID  = "{2e9e429c-7b8b-404f-8648-8c40c27c9ebd}"
	EnvironmentUUID = "{c3e5a1f0-5d0e-4b6a-9b54-7c1de2f80a11}" // production
	PipelineUUID    = "{d0b4f7f8-1c55-4f7e-8a1e-3f6f0a9f6c22}"
	StepUUID        = "{98f3c8f3-6c0a-4b5e-9f1f-0d9a8b7c6d33}"

	AWSAccount = "123456789012"
	RoleARN    = "arn:aws:iam::123456789012:role/deploy"

	ProviderName        = "projects/210987654321/locations/global/workloadIdentityPools/pipelines/providers/bitbucket"
	ServiceAccountEmail = "deploy@my-project.iam.gserviceaccount.com"

	// StepLifetime is how long the default step's token lasts. Bitbucket documents none.
	StepLifetime = time.Hour
)

// A World is all the fakes, each on its own address, with defaults that let the default step in.
type World struct {
	Issuer *Issuer
	AWS    *AWS
	GCP    *GCP

	STS            *Server // AWS, with ECR
	GoogleSTS      *Server
	IAMCredentials *Server // knows the tokens of GoogleSTS

	Sink       *Sink // takes records
	SinkServer *Server

	IAM       *Server // AWS, whose roles and providers it shows
	GoogleIAM *Server // Google's IAM and Cloud Asset Inventory
}

// StartWorld makes the default world with an issuer of its own, that of [Workspace].
func StartWorld() (*World, error) {
	issuer, err := NewIssuer(WorkspaceIssuerURL(Workspace))
	if err != nil {
		return nil, err
	}
	return Start(issuer)
}

// Start makes the default world. The issuer may be shared between worlds; Close leaves it alone.
func Start(issuer *Issuer) (*World, error) {
	audience := DefaultStep().WorkspaceAudience()
	w := &World{Issuer: issuer}
	w.AWS = NewAWS(AWSConfig{
		Providers: []OIDCProvider{{Account: AWSAccount, Issuer: issuer, ClientIDs: []string{audience}}},
		Roles:     []Role{{ARN: RoleARN, Trust: []Trust{DefaultTrust(issuer)}}},
	})
	w.GCP = NewGCP(GCPConfig{
		Providers: []WorkloadProvider{{
			Name:             ProviderName,
			Issuer:           issuer,
			AllowedAudiences: []string{audience},
			Mapping:          MapRepository,
			Shown: map[string]string{
				"google.subject": "assertion.repositoryUuid", "attribute.repository_uuid": "assertion.repositoryUuid",
				"attribute.deployment": "assertion.repositoryUuid + ':' + (has(assertion.deploymentEnvironmentUuid) ? assertion.deploymentEnvironmentUuid : 'none')",
			},
		}},
		ServiceAccounts: []ServiceAccount{{Email: ServiceAccountEmail, Members: []string{RepositoryMember}}},
	})

	w.Sink = NewSink(w.AWS)

	var errs []error
	for _, s := range []struct {
		server **Server
		fake   http.Handler
	}{{&w.STS, w.AWS}, {&w.IAM, w.AWS}, {&w.GoogleSTS, w.GCP}, {&w.IAMCredentials, w.GCP}, {&w.GoogleIAM, w.GCP}, {&w.SinkServer, w.Sink}} {
		var err error
		*s.server, err = Serve(s.fake)
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		w.Close()
		return nil, err
	}
	return w, nil
}

// Close ends the servers.
func (w *World) Close() {
	for _, s := range []*Server{w.STS, w.IAM, w.GoogleSTS, w.IAMCredentials, w.GoogleIAM, w.SinkServer} {
		if s != nil {
			s.Close()
		}
	}
}

// Secrets are everything that the fakes of this world handed out.
func (w *World) Secrets() []Secret {
	return append(append(append(w.Issuer.Secrets(), w.AWS.Secrets()...), w.GCP.Secrets()...), w.Sink.Secrets()...)
}

// DefaultStep is a step of the default repository, without deployment, whose token was issued now.
func DefaultStep() Step {
	now := time.Now()
	return Step{
		WorkspaceUUID:  WorkspaceUUID,
		RepositoryUUID: RepositoryUUID,
		PipelineUUID:   PipelineUUID,
		StepUUID:       StepUUID,
		Branch:         "main",
		Issued:         now,
		Expires:        now.Add(StepLifetime),
	}
}

// DefaultTrust lets every step of the default repository assume a role.
func DefaultTrust(issuer *Issuer) Trust {
	return Trust{
		Actions:  []string{actionWebIdentity},
		Issuer:   issuer.URL(),
		Audience: DefaultStep().WorkspaceAudience(),
		Subject:  RepositoryUUID + ":*",
	}
}

// RepositoryMember is the default repository, under [MapRepository], as a member of a service account.
const RepositoryMember = "principalSet://iam.googleapis.com/projects/210987654321/locations/global/" +
	"workloadIdentityPools/pipelines/attribute.repository_uuid/" + RepositoryUUID

// MapRepository is an attribute mapping that suits Bitbucket: a subject that stays the same from step to step, and one
// attribute for repository and environment together, because a principalSet matches one attribute only.
//
//	google.subject            = assertion.repositoryUuid
//	attribute.repository_uuid = assertion.repositoryUuid
//	attribute.deployment      = assertion.repositoryUuid + ':' + (has(assertion.deploymentEnvironmentUuid) ?
//	                            assertion.deploymentEnvironmentUuid : 'none')
func MapRepository(claims map[string]any) (subject string, attributes map[string]string) {
	repository, _ := claims["repositoryUuid"].(string)
	environment, ok := claims["deploymentEnvironmentUuid"].(string)
	if !ok {
		environment = "none"
	}
	return repository, map[string]string{"repository_uuid": repository, "deployment": repository + ":" + environment}
}

// Endpoints are the variables that send the program to this world's clouds.
func (w *World) Endpoints() []string {
	return []string{
		"AWS_ENDPOINT_URL_STS=" + w.STS.URL,
		"GCP_STS_ENDPOINT=" + w.GoogleSTS.URL,
		"GCP_IAMCREDENTIALS_ENDPOINT=" + w.IAMCredentials.URL,
	}
}
