package gcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/api/googleapi"

	"bitbucket-oidc/internal/charset"
	"bitbucket-oidc/internal/clock"
	"bitbucket-oidc/internal/hint"
	"bitbucket-oidc/internal/oidc"
	"bitbucket-oidc/internal/refusal"
	"bitbucket-oidc/internal/setup"
	"bitbucket-oidc/internal/transport"
)

// A request is what is known about a request that Google refused.
type request struct {
	claims   oidc.Claims
	provider Provider
	account  string
	// delegates stand between the step and the account.
	delegates []string
	lifetime  time.Duration

	api     service
	project string // that the account belongs to, or empty

	// consumer is the number of the project that Google names, or empty. It is compared and never printed.
	consumer string
}

// A service is one of the two APIs that a login calls.
type service struct{ name, host string }

func securityTokenService() service {
	return service{"Security Token Service API", "sts.googleapis.com"}
}

func iamCredentials() service {
	return service{"IAM Service Account Credentials API", "iamcredentials.googleapis.com"}
}

// Refusals are the messages of the table, from the code on.
func Refusals() []string { return refusals().Said() }

// Meanings are the rows of the table by the call that it is about, for a step with these claims that asks for an account of which
// nothing is known.
func Meanings(c oidc.Claims) map[string][]refusal.Meaning {
	of := func(api service) []refusal.Meaning {
		about := request{
			claims: c, provider: Provider{setup.ProjectNumber, setup.Pool, setup.Provider}, account: setup.ServiceAccount, lifetime: time.Hour, api: api,
		}
		return refusals().Meanings(func(refusal.Row[request]) request { return about })
	}
	return map[string][]refusal.Meaning{"gcp": of(iamCredentials()), "gcp-exchange": of(securityTokenService())}
}

// refusals is the table. STS has one code for many causes, so a part of its text must tell them apart; the reasons are those of
// google.api.ErrorReason. Source: Google Cloud, "Troubleshoot Workload Identity Federation", and the answers seen by users of
// google-github-actions/auth.
func refusals() refusal.Table[request] {
	const denied = "PERMISSION_DENIED"
	return slices.Concat(circumstances(), refusal.Table[request]{
		{Code: "unauthorized_client", Means: "the provider's attribute condition rejects this step", Do: request.condition},
		{Code: "invalid_target", Means: "the provider does not exist, or it is disabled or deleted", Do: request.describe},
		{Code: "access_denied", Means: "VPC Service Controls or an organization policy refuses the exchange", Do: request.perimeter},
		{Code: "invalid_request", Texts: []string{"exceeds the 127 bytes limit"}, Means: "google.subject is mapped to more than 127 bytes", Do: request.mapping},
		{Code: "invalid_request", Texts: []string{"Invalid value for \"audience\""}, Means: "Google does not know this provider name", Do: request.describe},
		{Code: "invalid_grant", Texts: []string{"audience in ID Token"}, Means: "the provider does not allow the token's audience", Do: request.audience},
		{Code: "invalid_grant", Texts: []string{"issuer in ID Token"}, Means: "the provider has another issuer than the token", Do: request.issuer},
		{Code: "invalid_grant", Texts: []string{"credential's issuer"}, Means: "Google cannot reach the provider's issuer, or it is not the token's", Do: request.issuer},
		{Code: "invalid_grant", Texts: refusal.Expired(), Means: "the token has expired", Clock: clock.Behind, Do: request.expired},
		{Code: "invalid_grant", Texts: refusal.TooNew(), Means: "the token is not valid yet", Clock: clock.Ahead, Do: request.tooNew},
		// Google's answer to a token that is too new is not confirmed: it may be this one.
		{Code: "invalid_grant", Means: "Google does not accept the token", Clock: clock.Ahead, Do: request.rejected},
		{Code: "invalid_request", Means: "Google does not accept the exchange", Do: request.rejected},
		{Code: "quota_exceeded", Means: "Google throttles the requests", Do: advise("raise TIMEOUT, or start fewer steps at once: every attempt was refused")},
		{Code: denied, Means: "this step may not impersonate the service account, or it does not exist", Do: request.member},
		{Code: "NOT_FOUND", Means: "the service account does not exist", Do: request.member},
		{Code: "INVALID_ARGUMENT", Means: "Google does not accept the request", Do: advise("look at GCP_SERVICE_ACCOUNT, GCP_SCOPES and GCP_TOKEN_LIFETIME")},
		{Code: "UNAUTHENTICATED", Means: "the federated token was not accepted", Do: advise(
			"look at GCP_IAMCREDENTIALS_ENDPOINT: it must be of the same universe as GCP_STS_ENDPOINT")},
	})
}

// circumstances are refusals that no change of a binding or a provider can mend. Google's reason says which refusal it is; an answer
// without a reason says it in a fixed phrase.
func circumstances() refusal.Table[request] {
	const denied = "PERMISSION_DENIED"
	rows := refusal.Table[request]{{
		Code: denied, Texts: []string{"can not have lifetimes of more than 1 hour"},
		Means: "the organisation does not allow tokens that last longer than an hour", Do: request.tooLong,
	}}
	all := []struct {
		reasons, texts []string
		means          string
		do             func(request) []string
	}{
		{[]string{"SERVICE_DISABLED", "SERVICE_NOT_VISIBLE"}, []string{"has not been used in project", "API is disabled", "API is not enabled"},
			"the API is switched off in the project", request.enable},
		{[]string{"BILLING_DISABLED"}, []string{"billing to be enabled", "billing is disabled"}, "the project has no billing", request.billing},
		{[]string{"SECURITY_POLICY_VIOLATED"}, []string{"vpcServiceControlsUniqueIdentifier", "VPC Service Controls"},
			"a VPC Service Controls perimeter refuses the request", request.perimeter},
		{[]string{"ORG_RESTRICTION_VIOLATION", "RESOURCE_USAGE_RESTRICTION_VIOLATED", "LOCATION_ORG_POLICY_VIOLATED"},
			[]string{"prohibited by organization's policy", "organization policy", "orgpolicy", "constraints/"}, "an organization policy refuses the request", request.organization},
		{[]string{"CONSUMER_SUSPENDED", "GCP_SUSPENDED", "CONSUMER_INVALID"}, []string{"has been suspended"}, "the project is suspended or gone", request.suspended},
		{[]string{"ACCOUNT_STATE_INVALID", "ACCOUNT_DISABLED", "USER_BLOCKED_BY_ADMIN"}, []string{"account disabled", "is disabled", "has been disabled"},
			"the service account is disabled", request.disabled},
	}
	for _, c := range all { // a reason says more than any text
		for _, reason := range c.reasons {
			rows = append(rows,
				refusal.Row[request]{Code: denied, Reason: reason, Means: c.means, Do: c.do},
				refusal.Row[request]{Reason: reason, Means: c.means, Do: c.do})
		}
	}
	for _, c := range all {
		for _, code := range []string{denied, "FAILED_PRECONDITION", "UNAUTHENTICATED"} {
			rows = append(rows, refusal.Row[request]{Code: code, Texts: c.texts, Means: c.means, Do: c.do})
		}
	}
	return rows
}

// advise is advice that depends on nothing.
func advise(hints ...string) func(request) []string { return func(request) []string { return hints } }

// isCode reports whether s looks like an error code.
func isCode(s string) bool { return charset.Only(s, "A-Za-z_", 3, 64) }

// parse reads an answer: STS has OAuth's form of an error, the other services and every 5xx have Google's (AIP-193).
func parse(e *googleapi.Error) (a refusal.Answer, consumer string) {
	a.Status = e.Code
	var oauth struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	if json.Unmarshal([]byte(e.Body), &oauth) == nil {
		a.Code, a.Text = oauth.Error, oauth.Description
		return a, ""
	}
	var google struct {
		Error struct {
			Status  string            `json:"status"`
			Message string            `json:"message"`
			Details []json.RawMessage `json:"details"`
		} `json:"error"`
	}
	if json.Unmarshal([]byte(e.Body), &google) != nil {
		return a, ""
	}
	a.Code, a.Text = google.Error.Status, google.Error.Message
	for _, detail := range google.Error.Details {
		var info struct {
			Type     string `json:"@type"`
			Reason   string `json:"reason"`
			Metadata struct {
				Consumer string `json:"consumer"`
			} `json:"metadata"`
		}
		if json.Unmarshal(detail, &info) == nil && strings.HasSuffix(info.Type, "/google.rpc.ErrorInfo") && info.Reason != "" {
			a.Reason, consumer = info.Reason, strings.TrimPrefix(info.Metadata.Consumer, "projects/")
			break
		}
	}
	return a, consumer
}

// explain turns an error of the Google client into a message. Nothing that the server wrote goes into it, except a code that
// looks like one.
func (r request) explain(ctx context.Context, doing, endpoint string, err error) error {
	if unreachable := transport.Unreachable(ctx, endpoint, err); unreachable != nil {
		err := fmt.Errorf("%s: %w", doing, unreachable)
		if unreachable.Advice != "" {
			return hint.With(err, unreachable.Advice)
		}
		return hint.With(err, "the runner must reach "+endpoint+": look at GCP_STS_ENDPOINT, GCP_IAMCREDENTIALS_ENDPOINT, GCP_UNIVERSE_DOMAIN and the proxy")
	}
	var response *googleapi.Error
	if !errors.As(err, &response) {
		return unusable(doing, "it is not Google's JSON")
	}
	said, consumer := parse(response)
	if isCode(said.Code) {
		if row, ok := refusals().Find(said); ok {
			r.consumer = consumer
			return row.Err(doing, said, r)
		}
	}
	if said.Status >= 500 || said.Status == 429 {
		return hint.New(fmt.Sprintf("%s: Google answered with status %d", doing, said.Status),
			"this is usually temporary: run the step again, or raise TIMEOUT; https://status.cloud.google.com lists outages")
	}
	if isCode(said.Code) {
		return hint.New(fmt.Sprintf("%s: %s (status %d)", doing, said.Code, said.Status), r.claims.Identity(),
			"the code is explained in Google Cloud's \"Troubleshoot Workload Identity Federation\"")
	}
	return unusable(doing, fmt.Sprintf("status %d without an error that Google has", said.Status))
}
