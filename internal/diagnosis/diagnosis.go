// Package diagnosis turns the text of a failed login into causes: what was refused, which condition does not hold, and what to paste.
// It reads the lines that login prints after ✖ with their hints, and else what a cloud or its tools say. What a table of the backends
// knows is said in the table's words: of the text only codes, names of a known form, and hints that the table would print come into
// it. What no table knows is quoted, and marked so.
package diagnosis

import (
	"cmp"
	"slices"
	"strings"

	"bitbucket-oidc/internal/oidc"
	"bitbucket-oidc/internal/pattern"
)

// A Cause is one refusal, explained.
type Cause struct {
	Service   string // aws, gcp, vault, okta, another service of login, or guard; empty for a failure that is about none
	Code      string // the service's own, where the text has one
	Means     string // a phrase without a full stop
	Condition string // what must hold, and may not
	Paste     string // text that makes it hold; empty where there is none
	Advice    []string
	Grounds   Grounds
}

// Grounds say how a cause was found.
type Grounds int

const (
	Certain Grounds = iota // a table has the line that login printed
	Likely                 // a table has the words of a cloud
	Quoted                 // no table has it: line and hints are the text's own
)

// Read finds the causes in a text, those that a table has first. claims are the step's; nil leaves those that the text has, and else
// placeholders. unexplained counts login's failures that no table has.
func Read(text string, claims *oidc.Claims) (causes []Cause, unexplained int, err error) {
	all, err := tables()
	if err != nil {
		return nil, 0, err
	}
	text = colours.ReplaceAllString(text, "")
	r := reader{tables: all, claims: claims, text: text, asked: claims != nil}
	if claims == nil {
		r.claims = stated(text)
	}
	failures := failuresIn(text)
	var quoted []Cause
	for _, f := range failures {
		c, ok := r.explained(f)
		if !ok {
			unexplained++
			quoted = append(quoted, f.quoted())
			continue
		}
		causes = append(causes, c)
	}
	if len(failures) == 0 {
		if c, ok := r.recognised(); ok {
			causes = append(causes, c)
		}
	}
	return distinct(append(causes, quoted...)), unexplained, nil
}

// distinct are the causes without those that say the same of the same service.
func distinct(all []Cause) []Cause {
	var kept []Cause
	for _, c := range all {
		if !slices.ContainsFunc(kept, func(k Cause) bool {
			return k.Service == c.Service && k.Code == c.Code && k.Means == c.Means && k.Condition == c.Condition && k.Paste == c.Paste
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
	asked  bool // whether claims are given by the caller, and not taken from the text
}

// explained is a failure of login's: the longest message of a table that ends its line.
func (r reader) explained(f failure) (Cause, bool) {
	if c, ok := f.guarded(); ok {
		return c, true
	}
	service := f.service()
	best, table, length := Row{}, "", 0
	for _, name := range tablesOf(service, f.line) {
		for _, row := range r.tables[name].Rows {
			if said := r.tables[name].said(row); strings.HasSuffix(f.line, ": "+said) && len(said) > length {
				best, table, length = row, name, len(said)
			}
		}
	}
	if table == "" {
		return Cause{}, false
	}
	c := r.cause(table, best, f)
	c.Service = service
	return c, true
}

// tablesOf are the tables with the messages of a backend.
func tablesOf(service, line string) []string {
	switch {
	case service == "aws":
		return []string{"aws", "aws-chain", "aws-registry"}
	case service == "gcp" && strings.Contains(line, ": exchanging the token at "):
		return []string{"gcp-exchange"}
	}
	return []string{service}
}

// cause puts together what a row says about a failure: each advice as login printed it, or else with the names that the failure has.
func (r reader) cause(table string, row Row, about failure) Cause {
	says := r.tables[table].Says[row.Says]
	advice := says.Advice
	if r.claims != nil && r.claims.Environment() != "" && says.Deployed != nil {
		advice = says.Deployed
	}
	c := Cause{Code: cmp.Or(row.Code, row.Reason), Means: says.Means}
	named := namesIn(about.line + "\n" + strings.Join(about.hints, "\n"))
	for _, a := range advice {
		if named["ACCOUNT_ID"] != "" {
			a = strings.Replace(a, ofNoAccount, "", 1)
		}
		if printed, ok := about.printed(a); ok && !r.asked {
			c.Advice = append(c.Advice, printed)
			continue
		}
		if strings.HasPrefix(a, theTokenSays) && r.claims == nil {
			continue // it would name placeholders
		}
		a = named.fill(circumstance.ReplaceAllString(a, ""))
		if r.claims != nil {
			a = instead(*r.claims).Replace(a)
		}
		c.Advice = append(c.Advice, a)
	}
	c.choose()
	return c
}

// circumstance is what a table cannot know about a login.
var circumstance = pattern.New(` \(now [0-9hms]+\)`)

// ofNoAccount is the text of a table for an account that is not known.
const ofNoAccount = ", with the role's own account for ACCOUNT_ID"

// theTokenSays begins the hint that states the token's claims.
const theTokenSays = "the token says: "

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
		if best < 0 && !strings.HasPrefix(a, theTokenSays) {
			best, c.Condition = i, a
		}
	}
	if best >= 0 {
		c.Advice = slices.Delete(c.Advice, best, best+1)
	}
}
