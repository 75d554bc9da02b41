package okta

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"bitbucket-oidc/internal/clock"
	"bitbucket-oidc/internal/oidc"
	"bitbucket-oidc/internal/refusal"
	"bitbucket-oidc/internal/wire"
)

// asked is what is known about a request that Okta refused.
type asked struct{ claims oidc.Claims }

// Refusals are the messages of the table.
func Refusals() []string { return refusals().Said() }

// Meanings are the rows of the table, for a step with these claims.
func Meanings(c oidc.Claims) []refusal.Meaning {
	return refusals().Meanings(func(refusal.Row[asked]) asked { return asked{c} })
}

// refusals is the table: Okta's SDK knows statuses and no codes.
func refusals() refusal.Table[asked] {
	var table refusal.Table[asked]
	for _, status := range []int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden} {
		table = append(table,
			refusal.Row[asked]{Status: status, Texts: refusal.Expired(), Means: "the token has expired", Clock: clock.Behind, Do: asked.expired},
			refusal.Row[asked]{Status: status, Texts: refusal.TooNew(), Means: "the token is not valid yet", Clock: clock.Ahead, Do: asked.tooNew},
			refusal.Row[asked]{Status: status, Means: "Okta does not accept the step's token", Do: asked.conditions})
	}
	return append(table, refusal.Row[asked]{
		Status: http.StatusNotFound, Means: "no such team or workload connection", Do: func(asked) []string {
			return []string{"correct OKTA_ORG_URL (https://ORG.pam.okta.com), OKTA_TEAM and OKTA_WORKLOAD_CONNECTION"}
		},
	})
}

func (r asked) expired() []string { return []string{r.claims.Age(time.Now())} }

func (r asked) tooNew() []string {
	return []string{"run the step again: a token is good from the moment at which Bitbucket made it", r.claims.Identity()}
}

func (r asked) conditions() []string {
	return []string{
		fmt.Sprintf("the connection's conditions must fit the token: iss EQUALS %s, aud EQUALS %s, repositoryUuid EQUALS %s",
			r.claims.Issuer, strings.Join(r.claims.Audience, " and "), r.claims.Repository()),
		"the connection must be ACTIVE, not DRAFT, and takes about 5 minutes to become so; give the step plain `oidc: true`: how a list of audiences is compared is not confirmed",
		"if the conditions fit, set OKTA_CREDENTIAL_TYPE to jwt: which literal Okta wants is not confirmed",
	}
}

func (r asked) explain(doing string, a wire.Answer) error {
	// The form of errors in Okta's SDK for Go, ErrorResponse; other APIs of Okta have a message.
	said := refusal.Answer{Status: a.Status, Text: a.Value("error") + "\n" + a.Value("message")}
	row, ok := refusals().Find(said)
	if !ok {
		return wire.Refused(doing, a, "OKTA_ORG_URL")
	}
	return row.Err(doing, said, r)
}
