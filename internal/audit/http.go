package audit

import (
	"slices"
	"strings"

	"bitbucket-oidc/internal/pattern"
)

// A request is one that trades a token.
type request struct {
	address *pattern.Pattern
	cloud   string
	how     string
	who     *pattern.Pattern // what names the identity in the request
}

func requests() []request {
	return []request{
		{vaultAddress, "vault", "vault-cli", roleOfJSON},
		{googleAccount, "gcp", "token-cli", googleAccount},
		{googleSTS, "gcp", "token-cli", googleProvider},
		{awsSTS, "aws", "token-cli", roleOfQuery},
	}
}

var (
	vaultAddress   = pattern.New(`/v1/auth/.*/login`)
	roleOfJSON     = pattern.New(`"role"\s*:\s*"([^"]+)"`)
	googleAccount  = pattern.New(`iamcredentials\.googleapis\.com/.*serviceAccounts/([^":]+):generate(?:Access|Id)Token`)
	googleSTS      = pattern.New(`sts\.googleapis\.com/`)
	googleProvider = pattern.New(`\b(projects/[^/\s"]+/locations/global/workloadIdentityPools/[^/\s"]+/providers/[^/\s"&]+)`)
	awsSTS         = pattern.New(`\bsts\.[\w.-]*amazonaws\.com.*\bAction=AssumeRoleWithWebIdentity\b`)
	roleOfQuery    = pattern.New(`\bRoleArn=([^&\s"]+)`)
)

// requested is a request in one line.
func requested(c command) string {
	text := c.Text()
	if c.Here != nil {
		text += " " + c.Here.Text
	}
	return strings.ReplaceAll(text, "\n", " ")
}

// http finds a sign-in by a request, and reports whether there is one. A service account is asked for in a second request: of the two,
// it is the identity.
func (s *step) http(c command) bool {
	text := requested(c)
	for _, r := range requests() {
		if !r.address.MatchString(text) {
			continue
		}
		who := ""
		if m := r.who.FindStringSubmatch(text); m != nil {
			who = m[1]
		}
		s.Clouds = slices.DeleteFunc(s.Clouds, func(o Cloud) bool {
			return o.Cloud == "gcp" && o.How == r.how && r.who == googleAccount && (o.Who == nil || strings.Contains(*o.Who, "workloadIdentityPools/"))
		})
		s.ask(r.cloud, r.how, who, c.at)
		return true
	}
	return false
}
