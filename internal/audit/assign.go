package audit

import (
	"slices"
	"strings"
)

// assign notes what the step's scripts set.
func (s *step) assign() {
	s.sets = map[string][]assigned{}
	note := func(text string, at place) {
		name, value, ok := strings.Cut(strings.TrimPrefix(text, "$env:"), "=")
		known := slices.ContainsFunc(s.sets[name], func(a assigned) bool { return a.value == value })
		if ok && !known && len(s.sets[name]) < maxValues {
			s.sets[name] = append(s.sets[name], assigned{value, at})
		}
	}
	for _, c := range s.commands {
		for _, w := range slices.Concat(c.Assign, c.Words) {
			note(w.Text, c.at)
		}
		if len(c.Words) == 3 && c.Words[1].Text == "=" { // PowerShell has spaces around it
			note(c.Words[0].Text+"="+c.Words[2].Text, c.at)
		}
		if c.Here == nil {
			continue
		}
		for _, line := range strings.Split(c.Here.Text, "\n") {
			name, value, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "export "), "=")
			if ok && !strings.Contains(name, " ") {
				note(name+"="+strings.Trim(value, `"'`), c.at)
			}
		}
	}
}

// An assigned value is one that a script gives a variable: by export, in front of a command, or for later ones.
type assigned struct {
	value string
	at    place
}

// maxValues caps the values of a variable.
const maxValues = 10

// set is the first value that a script gives a variable, and where.
func (s *step) set(name string) (value string, at place, ok bool) {
	if all := s.sets[name]; len(all) > 0 {
		return all[0].value, all[0].at, true
	}
	return "", place{}, false
}

// literal is an identity that the file says: where it is a variable to which the scripts give a single value, that value. It is
// empty where a command computes it.
func (s *step) literal(who string) string {
	const most = 5 // assignments in a row
	for range most {
		values := s.sets[strings.Trim(who, "${}")]
		if !strings.HasPrefix(who, "$") || !bare(who) || len(values) != 1 || values[0].value == "" || strings.Contains(values[0].value, "$()") {
			break
		}
		who = values[0].value
	}
	if strings.Contains(who, "$()") {
		return ""
	}
	return who
}
