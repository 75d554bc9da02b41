package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"bitbucket-oidc/internal/charset"
	"bitbucket-oidc/internal/hint"
)

// A Misspelling is a variable that is set and unknown, and what was probably meant.
type Misspelling struct {
	Written string
	Known   Variable
	Group   Group // of the known one
	Stops   bool  // login must not go on without the variable that was meant: a guard, or one that decides who the step becomes
	reason  string
}

func (m Misspelling) String() string {
	if m.Written == m.Known.Name {
		return m.Written + " " + m.reason
	}
	return fmt.Sprintf("%s %s: did you mean %s?", m.Written, m.reason, m.Known.Name)
}

// Err is the misspelling as an error.
func (m Misspelling) Err() error {
	why := "it decides who the step becomes"
	if m.Known.Guard {
		why = "it is a guard"
	}
	instead := "set " + m.Known.Name + " instead of " + m.Written
	if m.Written == m.Known.Name {
		instead = "give " + m.Written + " one value, and no list"
	}
	return hint.New(m.String(), instead+", or remove it: "+why+", so login does not go on without it")
}

// Misspelt finds each variable that is set, unknown, and close to a known variable or to another tool's name for one. The items of a
// list are reported under the list's name, which is what the user wrote. Variables of backends that BACKENDS leaves out are not looked at.
func (v *Vars) Misspelt() []Misspelling {
	var all []Misspelling
	for _, name := range v.names {
		if _, known := v.byName[name]; known || v.value(name) == "" || v.isItem(name) || foreign(name) {
			continue
		}
		m, found := v.stray(name)
		if !found {
			m, found = v.meantBy(name)
		}
		if !found || m.Group.Backend && !v.Judged(m.Group.Name) ||
			slices.ContainsFunc(all, func(other Misspelling) bool { return other.Written == m.Written }) {
			continue
		}
		m.Stops = m.Known.Guard || m.Known.Decides && !v.IsSet(m.Known.Name)
		all = append(all, m)
	}
	return all
}

// isItem reports whether a name is of the array form of a known list, and counted there.
func (v *Vars) isItem(name string) bool {
	list := listOf(name)
	if !v.byName[list].List {
		return false
	}
	item, err := strconv.Atoi(strings.TrimPrefix(name, list+"_"))
	if err != nil {
		return true // the count itself
	}
	count, err := strconv.Atoi(v.value(list + "_COUNT"))
	return item < count || err != nil && v.value(list+"_COUNT") != "" // a count that is not a number is reported with the list
}

// stray finds the list to which an item without a count seems to belong.
func (v *Vars) stray(name string) (Misspelling, bool) {
	list := listOf(name)
	for _, g := range v.known {
		for _, one := range g.Variables {
			if one.List && one.Name == list && name != list {
				return Misspelling{Written: name, Known: one, Group: g, reason: "is an item that " + list + "_COUNT does not count"}, true
			}
		}
	}
	return Misspelling{}, false
}

// meantBy finds the variable that an unknown name probably stands for.
func (v *Vars) meantBy(name string) (Misspelling, bool) {
	const nearest = 3 // a name that is further away means something else
	best := Misspelling{}
	least := nearest
	watched := slices.ContainsFunc(prefixes(), func(prefix string) bool { return strings.HasPrefix(strings.ToUpper(name), prefix) })
	for _, g := range v.known {
		for _, one := range g.Variables {
			written := name
			if base := listOf(name); one.List || base == one.Name {
				written = base
			}
			d, reason := nearest, "is not a variable of this pipe"
			switch {
			case v.peer(one, written):
				d = 0
			case written == one.Name:
				d, reason = 0, "is given as a list, which it cannot be"
			case watched:
				d = distance(strings.ToUpper(written), one.Name)
			case one.Guard && distance(strings.ToUpper(written), one.Name) == 1: // the letter is in the prefix, as in MINUMUM_LIFETIME
				d = 1
			}
			if d < least {
				best, least = Misspelling{Written: written, Known: one, Group: g, reason: reason}, d
			}
		}
	}
	return best, least < nearest
}

// peer reports whether other tools have this name for a variable. AWS_ROLE_ARN belongs to the AWS SDKs if the token's file is set
// beside it, or if a role is named.
func (v *Vars) peer(one Variable, written string) bool {
	if written == "AWS_ROLE_ARN" && (v.IsSet("AWS_OIDC_ROLE_ARN") || v.IsSet("AWS_OIDC_ROLES") || v.value("AWS_WEB_IDENTITY_TOKEN_FILE") != "") {
		return false
	}
	return slices.Contains(one.Peers, written)
}

// foreign reports whether a variable belongs to an SDK or a tool, although it looks like a variable of the pipe.
func foreign(name string) bool {
	return strings.HasPrefix(name, "AWS_ENDPOINT_URL_") || slices.Contains([]string{
		"AWS_ROLE_SESSION_NAME", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_ACCOUNT_ID", "VAULT_TOKEN", "VAULT_CAPATH",
		"DATABRICKS_TOKEN", "JFROG_CLI_HOME_DIR", "CLOUDSMITH_API_KEY", "PULUMI_HOME",
	}, name)
}

// listOf is the name of the list if a variable can be an item or the count of one, or else the variable's own name.
func listOf(name string) string {
	if i := strings.LastIndexByte(name, '_'); i > 0 && (name[i+1:] == "COUNT" || charset.Only(name[i+1:], charset.Digit, 1, 4)) {
		return name[:i]
	}
	return name
}

// distance counts the letters to insert, remove, replace or swap with a neighbour (optimal string alignment).
func distance(a, b string) int {
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
