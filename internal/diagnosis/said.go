package diagnosis

import (
	"regexp"
	"slices"
	"strings"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/oidc"
	"bitbucket-oidc/internal/pattern"
)

// A failure is what login prints about one: a line after ✖, and what to do.
type failure struct {
	line  string
	hints []string // each with its further lines, which login prints with two spaces before them
}

// mostFailures is more than a login can have: each role is reported once.
const mostFailures = 200

// colours are what a log may have around a line.
var colours = pattern.New(`\x1b\[[0-9;]*m`)

// failuresIn are the failures of a text, also behind a log's time. Hints are of the failure above them; failures one below the other
// without hints between them share the hints of the last one, as login prints them.
func failuresIn(text string) []failure {
	var all []failure
	hinting, margin := false, 0 // margin is what the log has before a hint, such as a time: it has as much before the lines that follow
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if _, said, ok := strings.Cut(line, "✖ "); ok {
			if len(all) == mostFailures {
				break
			}
			all, hinting = append(all, failure{line: strings.TrimSpace(said)}), false
			continue
		}
		if len(all) == 0 {
			continue
		}
		hints := &all[len(all)-1].hints
		before, hint, ok := strings.Cut(line, "hint: ")
		switch more, indented := strings.CutPrefix(line[min(margin, len(line)):], "  "); {
		case ok:
			*hints, hinting, margin = append(*hints, hint), true, len(before)
		case hinting && indented:
			(*hints)[len(*hints)-1] += "\n" + more
		default:
			hinting = false
		}
	}
	for i := len(all) - 2; i >= 0; i-- {
		if all[i].hints == nil {
			all[i].hints = all[i+1].hints
		}
	}
	return all
}

// login is how a line begins that is about a backend: its name, and which of its logins.
var login = pattern.New(`^([a-z]+) [^ :]+: `)

// service is the backend that a failure is about, or empty.
func (f failure) service() string {
	if m := login.FindStringSubmatch(f.line); m != nil {
		return m[1]
	}
	return ""
}

// guard is a refusal by a guardrail. The author of the rules chose its name and its message.
var guard = pattern.New(`^guard ([A-Za-z0-9][A-Za-z0-9_.-]*): (.+)$`)

func (f failure) guarded() (Cause, bool) {
	m := guard.FindStringSubmatch(f.line)
	if m == nil {
		return Cause{}, false
	}
	c := Cause{Service: "guard", Code: m[1], Means: "a guardrail refused the login", Condition: "the rule says: " + m[2]}
	if fix := (Cause{Advice: slices.Clone(f.hints)}); len(f.hints) > 0 {
		fix.choose()
		c.Paste, c.Advice = fix.Paste, slices.Insert(fix.Advice, 0, fix.Condition)
	}
	if c.Code == "map" {
		if target := granted.FindStringSubmatch(m[2]); target != nil {
			c.Paste = "- become: [\"" + target[1] + "\"]\n  who: [REPOSITORY/ENVIRONMENT]\n  why: REASON"
		}
		return c, true
	}
	c.Advice = append(c.Advice, "`bitbucket-oidc guard test FILE` shows whether somebody else holds the rule as well")
	return c, true
}

// granted is a target that the access map gives to nobody, or not to this step.
var granted = pattern.New(`(?:no grant of the map names|the map does not grant) ` +
	`(arn:aws[a-z-]*:iam::\d{12}:role/[A-Za-z0-9+=,.@_/-]+|[a-z0-9-]+@[a-z0-9.-]+\.gserviceaccount\.com)`)

// quoted is a failure in its own words.
func (f failure) quoted() Cause {
	c := Cause{Service: f.service(), Means: f.line, Grounds: Quoted, Advice: slices.Clone(f.hints)}
	c.choose()
	if c.Condition == "" {
		c.Condition = "what the line says"
	}
	return c
}

// printed is the hint that login made of an advice: the same words, with values in place of the table's placeholders. A value has no
// character that ends a word in a shell or in a policy.
func (f failure) printed(advice string) (string, bool) {
	if len(f.hints) == 0 {
		return "", false
	}
	form, last := strings.Builder{}, 0
	for _, at := range open.FindAllStringIndex(advice, -1) {
		form.WriteString(regexp.QuoteMeta(advice[last:at[0]]) + `[A-Za-z0-9{}:/_.+=,@-]+`)
		last = at[1]
	}
	form.WriteString(regexp.QuoteMeta(advice[last:]))
	fits := regexp.MustCompile("^" + form.String() + "$")
	for _, h := range f.hints {
		if fits.MatchString(h) {
			return h, true
		}
	}
	return "", false
}

// open are the parts of a table's advice that depend on the login: placeholders, durations and numbers of seconds.
var open = pattern.New(`\b(?:` + placeholders + `)\b|\b[0-9]+h[0-9]+m[0-9]+s\b|\b3600\b`)

// stated are the claims that login prints with a refusal, or nil.
func stated(text string) *oidc.Claims {
	m := statement.FindStringSubmatch(text)
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

var statement = pattern.New(theTokenSays + `issuer (https://[A-Za-z0-9._~:/-]+), audience (\S+)(?: and \S+)*, subject ([{}0-9A-Fa-f:-]+)`)
