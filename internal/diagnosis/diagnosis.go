// Package diagnosis turns the text of a failed login into causes: what was refused, which condition does not hold, and what to paste.
// It reads the lines that login prints after ✖, and else what a cloud or its tools say. Of the text only codes that the tables have
// and names of a known form come into an answer; the tables come from the backends.
package diagnosis

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/oidc"
	"bitbucket-oidc/internal/pattern"
	"bitbucket-oidc/internal/refusal"
)

// A Cause is one refusal, explained.
type Cause struct {
	Service   string // aws, gcp, vault, okta, another service of login, or guard
	Code      string // the service's own, where the text has one
	Means     string // a phrase without a full stop
	Condition string // what must hold, and may not
	Paste     string // text that makes it hold; empty where there is none
	Advice    []string
	Sure      bool // the text is login's own; else it was recognised by a cloud's words
}

// Read finds the causes in a text. claims are the step's; nil leaves those that the text has, and else placeholders.
// unexplained counts login's failures that no table has.
func Read(text string, claims *oidc.Claims) (causes []Cause, unexplained int, err error) {
	all, err := tables()
	if err != nil {
		return nil, 0, err
	}
	r := reader{tables: all, claims: claims, text: text}
	if claims == nil {
		r.claims = stated(text)
	}
	failures := failed.FindAllStringSubmatch(text, mostFailures)
	for _, f := range failures {
		c, ok := r.line(strings.TrimSpace(f[1]))
		if !ok {
			unexplained++
			continue
		}
		causes = append(causes, c)
	}
	if len(failures) == 0 {
		if c, ok := r.recognised(); ok {
			causes = append(causes, c)
		}
	}
	return distinct(causes), unexplained, nil
}

// failed is a failure as login prints it, also behind a log's time and colours.
var failed = pattern.New(`✖ ([^\r\n]*)`)

// mostFailures is more than a login can have: so many roles it asks for at most, and each is reported once.
const mostFailures = 200

// distinct are the causes without those that say the same of the same service.
func distinct(all []Cause) []Cause {
	var kept []Cause
	for _, c := range all {
		if !slices.ContainsFunc(kept, func(k Cause) bool {
			return k.Service == c.Service && k.Code == c.Code && k.Means == c.Means && k.Paste == c.Paste
		}) {
			kept = append(kept, c)
		}
	}
	return kept
}

type reader struct {
	tables map[string]Table
	claims *oidc.Claims
	text   string
}

// line explains a failure of login's: the longest message of a table that ends it.
func (r reader) line(line string) (Cause, bool) {
	service, rest, _ := strings.Cut(line, " ")
	if service == "guard" {
		return guarded(rest), true
	}
	names := tablesOf(service)
	best, table, length := Row{}, "", 0
	for _, name := range names {
		for _, row := range r.tables[name].Rows {
			if said := r.tables[name].said(row); strings.HasSuffix(line, ": "+said) && len(said) > length {
				best, table, length = row, name, len(said)
			}
		}
	}
	if table == "" {
		return Cause{}, false
	}
	c := r.cause(table, best, line)
	c.Service, c.Sure = service, true
	return c, true
}

// tablesOf are the tables with the messages of a backend. Services that are only data share one.
func tablesOf(service string) []string {
	switch service {
	case "aws":
		return []string{"aws", "aws-chain", "aws-registry"}
	case "gcp", "vault", "okta":
		return []string{service}
	}
	return []string{"oauth"}
}

// guarded is a refusal by a guardrail. The author of the rules chose its name and its message.
func guarded(rest string) Cause {
	name, says, _ := strings.Cut(rest, ": ")
	return Cause{
		Service: "guard", Code: name, Sure: true, Means: "a guardrail refused the login before anything was sent",
		Condition: "the rule says: " + says,
		Advice:    []string{"do what the rule's own fix says, the line after `hint:`; `bitbucket-oidc guard test FILE` shows whether somebody else holds the rule as well"},
	}
}

// recognised finds the cause in a text that login did not print.
func (r reader) recognised() (Cause, bool) {
	for _, name := range r.services() {
		for _, strict := range []bool{true, false} {
			if row, ok := r.find(r.tables[name], strict); ok {
				c := r.cause(name, row, r.text)
				c.Service, _, _ = strings.Cut(name, "-")
				return c, true
			}
		}
	}
	return Cause{}, false
}

// A clue is how a text shows which service it is of. The first that is in it counts.
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
		{regexp.MustCompile(`(?i)googleapis|gcloud|google|iam\.serviceAccounts|workload.?identity|attribute condition|gserviceaccount`), "gcp"},
		{regexp.MustCompile(`(?i)\bvault\b|/v1/auth/|bound_|error validating token|\bopenbao\b`), "vault"},
		{regexp.MustCompile(`(?i)\bokta\b`), "okta"},
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

// find is the first row that fits the text. strict wants the row's code there; without it a phrase is enough.
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
		"AccessDenied":      {"not authorized to perform"},
		"PERMISSION_DENIED": {"IAM_PERMISSION_DENIED", "iam.serviceAccounts.getAccessToken", "iam.serviceAccounts.getOpenIdToken"},
	}[code] {
		if strings.Contains(strings.ToLower(r.text), strings.ToLower(phrase)) {
			return true
		}
	}
	return false
}

// cause puts together what a row says. about is the text with the names for the advice.
func (r reader) cause(table string, row Row, about string) Cause {
	says := r.tables[table].Says[row.Says]
	advice := says.Advice
	if r.claims != nil && r.claims.Environment() != "" && says.Deployed != nil {
		advice = says.Deployed
	}
	c := Cause{Code: cmp.Or(row.Code, row.Reason), Means: says.Means}
	fill := []*strings.Replacer{names(about)}
	if r.claims != nil {
		fill = append(fill, instead(*r.claims))
	}
	for _, a := range advice {
		if strings.HasPrefix(a, "the token says: ") && r.claims == nil {
			continue // it would name placeholders
		}
		for _, f := range fill {
			a = f.Replace(a)
		}
		c.Advice = append(c.Advice, a)
	}
	c.choose()
	return c
}

// command is a command at the end of an advice.
var command = pattern.New(`: ((?:aws|gcloud|vault) [a-z].*)$`)

// choose takes the condition from the advice: the first that has something to paste, or else the first that is not about the token.
func (c *Cause) choose() {
	best := -1
	for i, a := range c.Advice {
		if head, paste, ok := strings.Cut(a, "\n"); ok {
			best, c.Condition, c.Paste = i, strings.TrimSuffix(head, ":"), paste
			break
		}
		if m := command.FindStringSubmatchIndex(a); m != nil && c.Paste == "" {
			best, c.Condition, c.Paste = i, a[:m[0]], a[m[2]:]
		}
		if best < 0 && !strings.HasPrefix(a, "the token says: ") {
			best, c.Condition = i, a
		}
	}
	if best >= 0 {
		c.Advice = slices.Delete(c.Advice, best, best+1)
	}
}

// names replaces the placeholders of the tables with what a text names. Only names of a form that cannot be anything else, in a
// shell or in a policy, are taken.
func names(text string) *strings.Replacer {
	var pairs []string
	take := func(pattern string, placeholders ...string) {
		m := regexp.MustCompile(pattern).FindStringSubmatch(text)
		for i := 0; m != nil && i < len(placeholders); i++ {
			pairs = append(pairs, placeholders[i], m[i+1])
		}
	}
	const role = `arn:aws[a-z-]*:iam::(\d{12}):role/(?:[A-Za-z0-9+=,.@_/-]*/)?([A-Za-z0-9+=,.@_-]{1,64})`
	from := regexp.MustCompile(role + ` from arn:aws[a-z-]*:iam::(\d{12}):role/([A-Za-z0-9+=,.@_/-]{1,512})`)
	if m := from.FindStringSubmatch(text); m != nil {
		pairs = append(pairs, "ACCOUNT_ID:role/FIRST_ROLE_NAME", m[3]+":role/"+m[4])
	}
	take(role, "ACCOUNT_ID", "ROLE_NAME")
	take(`projects/(\d+)/locations/global/workloadIdentityPools/([a-z0-9-]{4,32})(?:/providers/([a-z0-9-]{4,32}))?`, "PROJECT_NUMBER", "POOL", "PROVIDER")
	take(`([a-z0-9-]{1,63}@[a-z0-9.-]{1,100}\.gserviceaccount\.com)`, "SERVICE_ACCOUNT")
	take(`auth/([A-Za-z0-9_/-]{1,100})/role/([A-Za-z0-9_.-]{1,100})`, "MOUNT", "ROLE_NAME")
	for i := 1; i < len(pairs); i += 2 {
		if pairs[i] == "" { // the text names the pool alone
			pairs[i] = pairs[i-1]
		}
	}
	return strings.NewReplacer(pairs...)
}

// stated are the claims that login prints with a refusal, or nil.
func stated(text string) *oidc.Claims {
	m := regexp.MustCompile(`the token says: issuer (https://[A-Za-z0-9._~:/-]+), audience (\S+)(?: and \S+)*, subject ([{}0-9A-Fa-f:-]+)`).FindStringSubmatch(text)
	if m == nil {
		return nil
	}
	c := oidc.Claims{Issuer: m[1], Audience: []string{m[2]}, Subject: m[3]}
	c.RepositoryUUID, c.DeploymentEnvironmentUUID = c.Repository(), c.Environment()
	if scope, _, _ := bitbucket.CutLast(c.Subject); scope != bitbucket.Subject(c) {
		return nil
	}
	return &c
}
