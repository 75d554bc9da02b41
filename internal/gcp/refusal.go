package gcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/api/googleapi"

	"bitbucket-oidc/internal/charset"
	"bitbucket-oidc/internal/hint"
	"bitbucket-oidc/internal/oidc"
	"bitbucket-oidc/internal/transport"
	"bitbucket-oidc/internal/trust"
)

// A refusal is what is known when Google says no.
type refusal struct {
	claims   oidc.Claims
	provider Provider
	account  string
	// delegates stand between the step and the account.
	delegates []string
	lifetime  time.Duration
}

// A meaning is what an error stands for. STS has one code for many causes, so that a part of its text must tell them
// apart. Source: Google Cloud, "Troubleshoot Workload Identity Federation", and the answers seen by users of
// google-github-actions/auth.
type meaning struct {
	code string
	text string // a part of the message, or empty
	says string
	do   func(refusal) []string
}

// meanings is searched from the top: the first row whose code and text fit is the one.
func meanings() []meaning {
	return []meaning{
		{"unauthorized_client", "", "the provider's attribute condition rejects this step", refusal.condition},
		{"invalid_target", "", "the provider does not exist, or it is disabled or deleted", refusal.describe},
		{"invalid_request", "exceeds the 127 bytes limit", "google.subject is mapped to more than 127 bytes", refusal.mapping},
		{"invalid_request", "Invalid value for \"audience\"", "Google does not know this provider name", refusal.describe},
		{"invalid_grant", "audience in ID Token", "the provider does not allow the token's audience", refusal.audience},
		{"invalid_grant", "issuer in ID Token", "the provider has another issuer than the token", refusal.issuer},
		{"invalid_grant", "credential's issuer", "Google cannot reach the provider's issuer, or it is not the token's", refusal.issuer},
		{"invalid_grant", "is stale to sign-in", "the token has expired", refusal.expired},
		{"invalid_grant", "", "Google does not accept the token", refusal.rejected},
		{"invalid_request", "", "Google does not accept the exchange", refusal.rejected},
		{"quota_exceeded", "", "Google throttles the requests", func(refusal) []string {
			return []string{"raise TIMEOUT, or start fewer steps at once: every attempt was refused"}
		}},
		{"PERMISSION_DENIED", "can not have lifetimes of more than 1 hour", "the organisation does not allow tokens that last longer than an hour", refusal.tooLong},
		{"PERMISSION_DENIED", "", "this step may not impersonate the service account, or it does not exist", refusal.member},
		{"NOT_FOUND", "", "the service account does not exist", refusal.member},
		{"INVALID_ARGUMENT", "", "Google does not accept the request", func(r refusal) []string {
			return []string{"look at GCP_SERVICE_ACCOUNT, GCP_SCOPES and GCP_TOKEN_LIFETIME"}
		}},
		{"UNAUTHENTICATED", "", "the federated token was not accepted", func(refusal) []string {
			return []string{"look at GCP_IAMCREDENTIALS_ENDPOINT: it must be of the same universe as GCP_STS_ENDPOINT"}
		}},
	}
}

// isCode tells whether s looks like an error code.
func isCode(s string) bool { return charset.Only(s, "A-Za-z_", 3, 64) }

// code and text of an answer: STS has OAuth's form of an error, the other services and every 5xx have Google's.
func parse(e *googleapi.Error) (code, text string) {
	var oauth struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	if json.Unmarshal([]byte(e.Body), &oauth) == nil {
		return oauth.Error, oauth.Description
	}
	var google struct {
		Error struct {
			Status  string `json:"status"`
			Message string `json:"message"`
		} `json:"error"`
	}
	if json.Unmarshal([]byte(e.Body), &google) == nil {
		return google.Error.Status, google.Error.Message
	}
	return "", ""
}

// explain words an error of the Google client. Nothing that the server wrote goes into it, except a code that looks like
// one.
func (r refusal) explain(ctx context.Context, doing, endpoint string, err error) error {
	if unreachable := transport.Unreachable(ctx, endpoint, err); unreachable != nil {
		err := fmt.Errorf("%s: %w", doing, unreachable)
		if unreachable.Advice != "" {
			return hint.With(err, unreachable.Advice)
		}
		return hint.With(err, "the runner must reach "+endpoint+": look at GCP_STS_ENDPOINT, GCP_IAMCREDENTIALS_ENDPOINT, GCP_UNIVERSE_DOMAIN and the proxy")
	}
	var answer *googleapi.Error
	if !errors.As(err, &answer) {
		return unusable(doing, "it is not Google's JSON")
	}
	code, text := parse(answer)
	if isCode(code) {
		for _, m := range meanings() {
			if m.code == code && strings.Contains(text, m.text) {
				return hint.With(fmt.Errorf("%s: %s: %s", doing, m.code, m.says), m.do(r)...)
			}
		}
	}
	if answer.Code >= 500 || answer.Code == 429 {
		return hint.New(fmt.Sprintf("%s: Google answered with status %d", doing, answer.Code),
			"this passes as a rule: run the step again, or raise TIMEOUT; https://status.cloud.google.com tells of outages")
	}
	if isCode(code) {
		return hint.New(fmt.Sprintf("%s: %s (status %d)", doing, code, answer.Code), r.claims.Identity(),
			"the code is explained in Google Cloud's \"Troubleshoot Workload Identity Federation\"")
	}
	return unusable(doing, fmt.Sprintf("status %d without an error that Google has", answer.Code))
}

// update is a gcloud command that changes the provider.
func (r refusal) update(flags string) string {
	return trust.GCPProviderCommand("update-oidc", r.provider.String(), flags)
}

func (r refusal) trustSettings() string {
	return fmt.Sprintf("the provider lets in this repository with:\n--attribute-mapping=%s\n--attribute-condition=%s",
		trust.ShellWord(trust.GCPMapping()), trust.ShellWord(trust.GCPCondition(r.claims)))
}

func (r refusal) memberText() string {
	member := trust.GCPMember(r.claims, r.provider.ProjectNumber, r.provider.Pool)
	if r.account == "" {
		return "the member to grant roles to is, braces included:\n" + member
	}
	first := r.account
	if len(r.delegates) > 0 {
		first = r.delegates[0] // the step becomes this one
	}
	return "the member that is this step, braces included, must hold roles/iam.workloadIdentityUser on the service account:\n" +
		trust.GCPBinding(first, member)
}

func (r refusal) allowedAudience() string {
	return fmt.Sprintf("the provider must allow the audience %s (the command replaces the list: add the audiences that it has):\n%s",
		trust.WorkspaceAudience(r.claims), r.update("--allowed-audiences="+trust.ShellWord(trust.WorkspaceAudience(r.claims))))
}

func (r refusal) condition() []string {
	return []string{r.claims.Identity(), r.trustSettings(), r.allowedAudience(), r.memberText()}
}

func (r refusal) mapping() []string { return []string{r.trustSettings()} }

func (r refusal) audience() []string {
	return []string{r.claims.Identity(), r.allowedAudience(), r.trustSettings(), r.memberText()}
}

func (r refusal) issuer() []string {
	return []string{
		r.claims.Identity(),
		"the provider's issuer must be exactly the token's; it changes when the Bitbucket workspace is renamed:\n" +
			r.update("--issuer-uri="+trust.ShellWord(r.claims.Issuer)),
	}
}

func (r refusal) describe() []string {
	return []string{
		"GCP_WORKLOAD_IDENTITY_PROVIDER names the project by number and ends in /providers/ID; see whether it exists and is ACTIVE:\n" +
			trust.GCPProviderCommand("describe", r.provider.String()),
	}
}

func (r refusal) expired() []string { return []string{r.claims.Age(time.Now())} }

func (r refusal) rejected() []string {
	return []string{r.claims.Identity(), r.allowedAudience(), r.trustSettings(), r.memberText()}
}

func (r refusal) member() []string {
	advice := []string{r.claims.Identity(), r.memberText()}
	for i, account := range r.delegates {
		next := r.account
		if i+1 < len(r.delegates) {
			next = r.delegates[i+1]
		}
		advice = append(advice, fmt.Sprintf("%s must hold roles/iam.serviceAccountTokenCreator on %s", account, next))
	}
	return append(advice, r.trustSettings(),
		"usual causes: the UUID lost its braces; the binding is on an attribute that the provider does not map; a misspelt account; "+
			"the IAM Credentials API is off in the account's project; the binding was made minutes ago")
}

func (r refusal) tooLong() []string {
	return []string{
		fmt.Sprintf("lower GCP_TOKEN_LIFETIME (now %s) to 1h, or list %s in the organisation policy constraints/iam.allowServiceAccountCredentialLifetimeExtension",
			r.lifetime, r.account),
	}
}
