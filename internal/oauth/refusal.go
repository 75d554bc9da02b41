package oauth

import (
	"net/http"
	"strings"
	"time"

	"bitbucket-oidc/internal/clock"
	"bitbucket-oidc/internal/oidc"
	"bitbucket-oidc/internal/refusal"
	"bitbucket-oidc/internal/wire"
)

// A request is what is known about a request that a service refused.
type request struct {
	service Service
	claims  oidc.Claims
}

// Refusals are the messages of the table, from the code on.
func Refusals() []string { return refusals().Said() }

// Meanings are the rows of the table by the service, for a step with these claims and with placeholders for the endpoint.
func Meanings(c oidc.Claims) map[string][]refusal.Meaning {
	all := map[string][]refusal.Meaning{}
	for _, s := range []Service{
		{Name: Generic, Setup: trustTheToken}, JFrog("", "", "", nil), Cloudsmith("", "", nil), Databricks("", ""), Pulumi(organization),
	} {
		all[s.Name] = refusals().Meanings(func(refusal.Row[request]) request { return request{s, c} })
	}
	return all
}

// organization represents the organization of Pulumi Cloud in advice.
const organization = "ORGANIZATION"

// refusals are the error codes of RFC 6749 (section 5.2), RFC 8693 (section 2.2.2) and of servers in the field.
func refusals() refusal.Table[request] {
	row := func(code, means, atGeneric string) refusal.Row[request] {
		return refusal.Row[request]{Code: code, Means: means, Do: func(r request) []string { return r.advise(atGeneric) }}
	}
	const unaccepted = "the service does not accept the step's token"
	var table refusal.Table[request]
	for _, code := range []string{"invalid_grant", "invalid_token"} {
		table = append(append(table, times(refusal.Row[request]{Code: code})...), row(code, unaccepted, trustTheToken))
	}
	// A token that is "invalid for any reason" is an invalid_request too (RFC 8693, section 2.2.2).
	table = append(append(table, times(refusal.Row[request]{Code: "invalid_request"})...),
		row("invalid_target", "the service does not know the audience or resource", "correct OAUTH_AUDIENCE or OAUTH_RESOURCE"),
		row("invalid_client", "the service does not accept the client", "correct OAUTH_CLIENT_ID and OAUTH_CLIENT_SECRET"),
		row("unauthorized_client", "the client may not use this grant", "allow the grant for the client, or change OAUTH_GRANT"),
		row("unsupported_grant_type", "the service does not know the grant", "change OAUTH_GRANT: token-exchange or jwt-bearer"),
		row("invalid_scope", "the service does not grant the scopes", "correct OAUTH_SCOPES"),
		row("access_denied", "the service refuses this token", "a rule of the service must fit the token's claims; with Dex, OAUTH_SUBJECT_TOKEN_TYPE must be id_token"),
		row("invalid_request", "a required parameter is missing, or the service does not know one", "add what it wants to OAUTH_PARAMETERS; look at OAUTH_SUBJECT_TOKEN_TYPE"),
		row("request_not_supported", "the service does not take this type of token", "change OAUTH_SUBJECT_TOKEN_TYPE: id_token for Dex"))
	for _, status := range []int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusUnprocessableEntity} {
		table = append(append(table, times(refusal.Row[request]{Status: status})...),
			refusal.Row[request]{Status: status, Means: unaccepted, Do: func(r request) []string { return r.advise(r.service.Setup) }})
	}
	return table
}

// times are the rows for a token that is too old or too new, which say so where the answer has that code or status.
func times(of refusal.Row[request]) refusal.Table[request] {
	old, early := of, of
	old.Texts, old.Means, old.Clock = refusal.Expired(), "the token has expired", clock.Behind
	old.Do = func(r request) []string { return []string{r.claims.Age(time.Now())} }
	early.Texts, early.Means, early.Clock = refusal.TooNew(), "the token is not valid yet", clock.Ahead
	early.Do = func(r request) []string {
		return []string{"run the step again: a token is good from the moment at which Bitbucket made it", r.claims.Identity()}
	}
	return refusal.Table[request]{old, early}
}

const trustTheToken = "the service must trust the token's issuer and audience, and a rule of it must fit its claims"

// advise is what to do at a generic endpoint; a service that is only data has its own setup.
func (r request) advise(atGeneric string) []string {
	advice := r.service.Setup
	if r.service.Name == Generic {
		advice = atGeneric
	}
	return []string{advice, r.claims.Identity()}
}

// explain turns an error into a message. Nothing that the server wrote goes into it, except a code from the table.
func (r request) explain(doing string, a wire.Answer) error {
	said := refusal.Answer{Status: a.Status, Code: a.Value("error"), Text: text(a)}
	row, ok := refusals().Find(said)
	if !ok {
		return wire.Refused(doing, a, r.service.Variable)
	}
	return row.Err(doing, said, r)
}

// text is what the answer says for people: as OAuth has it, Cloudsmith's detail, Pulumi's message, or JFrog's list of messages.
func text(a wire.Answer) string {
	var jfrog struct {
		Errors []struct{ Message string }
	}
	all := []string{a.Value("error_description"), a.Value("detail"), a.Value("message")}
	if a.Into(&jfrog) {
		for _, e := range jfrog.Errors {
			all = append(all, e.Message)
		}
	}
	return strings.Join(all, "\n")
}
