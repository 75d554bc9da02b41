package diagnosis

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"bitbucket-oidc/internal/refusal"
)

// recognised finds the cause in a text that login did not print. Tools of Python and Java quote an answer with a backslash before its quotation marks.
func (r reader) recognised() (Cause, bool) {
	r.text = strings.NewReplacer(`\'`, `'`, `\"`, `"`).Replace(r.text)
	for _, name := range r.services() {
		for _, strict := range []bool{true, false} {
			if row, ok := r.find(r.tables[name], strict); ok {
				c := r.cause(name, row, failure{line: r.text})
				c.Service, _, _ = strings.Cut(name, "-")
				c.Grounds = Likely
				return c, true
			}
		}
	}
	return Cause{}, false
}

// A clue is how a text shows which service it is about. The first clue in the text counts.
type clue struct {
	pattern *regexp.Regexp
	table   string
}

func clues() []clue {
	return []clue{
		{regexp.MustCompile(`GetAuthorizationToken|\becr(-public)?[.:]`), "aws-registry"},
		{regexp.MustCompile(`AssumeRoleWithWebIdentity|OpenIDConnect provider|IDPCommunicationError|IDPRejectedClaim`), "aws"},
		{regexp.MustCompile(`AssumeRole|sts:TagSession|sts:SetSourceIdentity`), "aws-chain"},
		{regexp.MustCompile(`(?i)\bsts\.[a-z0-9.-]*amazonaws|arn:aws|\bInvalidIdentityToken\b|\bAWS\b`), "aws"},
		{regexp.MustCompile(`(?i)\bsts\.googleapis|Security Token Service API`), "gcp-exchange"},
		{regexp.MustCompile(`(?i)googleapis|gcloud|google|iam\.serviceAccounts|workload.?identity|attribute condition|gserviceaccount`), "gcp"},
		{regexp.MustCompile(`(?i)\bvault\b|/v1/auth/|bound_|error validating (?:token|claims)|role "[^"]*" could not be found|\bopenbao\b`), "vault"},
		{regexp.MustCompile(`(?i)\bokta\b`), "okta"},
		{regexp.MustCompile(`(?i)\bjfrog\b|artifactory`), "jfrog"},
		{regexp.MustCompile(`(?i)\bcloudsmith\b`), "cloudsmith"},
		{regexp.MustCompile(`(?i)\bdatabricks\b`), "databricks"},
		{regexp.MustCompile(`(?i)\bpulumi\b`), "pulumi"},
	}
}

// services are the tables to look in: the table of a service that the text names, or else the tables with codes that are few enough to be
// known by themselves.
func (r reader) services() []string {
	for _, c := range clues() {
		if c.pattern.MatchString(r.text) {
			return []string{c.table}
		}
	}
	return []string{"aws", "gcp", "oauth"}
}

// find is the first row that fits the text. If strict, the text must have the row's code; if not, a phrase is enough.
func (r reader) find(t Table, strict bool) (Row, bool) {
	for _, row := range t.Rows {
		codes := []string{row.Code, row.Reason}
		if row.Status > 0 {
			codes = append(codes, strconv.Itoa(row.Status))
		}
		codes = slices.DeleteFunc(codes, func(c string) bool { return c == "" })
		has := len(row.Texts) == 0 || slices.ContainsFunc(row.Texts, func(p string) bool { return refusal.Says(r.text, p) })
		switch {
		case !has || len(codes)+len(row.Texts) == 0:
		case strict && !slices.ContainsFunc(codes, func(code string) bool { return !r.says(code) }):
			return row, true
		case !strict && len(row.Texts) > 0:
			return row, true
		}
	}
	return Row{}, false
}

// says reports whether the text has a code, or the phrase that the tools of the services print instead.
func (r reader) says(code string) bool {
	if refusal.Says(r.text, code) {
		return true
	}
	for _, phrase := range map[string][]string{
		"AccessDenied":          {"not authorized to perform"},
		"AccessDeniedException": {"not authorized to perform"},
		"PERMISSION_DENIED":     {"IAM_PERMISSION_DENIED", "iam.serviceAccounts.getAccessToken", "iam.serviceAccounts.getOpenIdToken"},
	}[code] {
		if strings.Contains(strings.ToLower(r.text), strings.ToLower(phrase)) {
			return true
		}
	}
	return false
}
