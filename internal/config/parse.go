package config

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"bitbucket-oidc/internal/hint"
)

// maxList bounds a list in array form.
const maxList = 1000

// problems collects what is wrong, so that one run tells all of it.
type problems []error

func (p *problems) add(err error) {
	if err != nil {
		*p = append(*p, err)
	}
}

// value reports a variable whose value is not what was expected. The value is described and not quoted: it may be a secret
// that was put into the wrong variable.
func (p *problems) value(name, value, expected string) {
	p.reason(name, errors.New(form(value)), expected)
}

// reason is value with a better description.
func (p *problems) reason(name string, reason error, expected string) {
	p.add(hint.New(fmt.Sprintf("%s: %s: expected %s", name, reason, expected), "correct "+name+" in bitbucket-pipelines.yml"))
}

// form describes a value: how long it is and what it is made of.
func form(value string) string {
	var letters, digits, spaces, others bool
	count := 0
	for _, r := range value {
		count++
		switch {
		case unicode.IsLetter(r):
			letters = true
		case unicode.IsDigit(r):
			digits = true
		case unicode.IsSpace(r):
			spaces = true
		default:
			others = true
		}
	}
	var of []string
	for _, kind := range []struct {
		has  bool
		name string
	}{{letters, "letters"}, {digits, "digits"}, {spaces, "spaces"}, {others, "other signs"}} {
		if kind.has {
			of = append(of, kind.name)
		}
	}
	if count == 1 {
		return "1 character"
	}
	return fmt.Sprintf("%d characters of %s", count, strings.Join(of, " and "))
}

func parseBool(s string) (bool, error) {
	switch strings.ToLower(s) {
	case "true", "yes", "on", "1":
		return true, nil
	case "false", "no", "off", "0":
		return false, nil
	}
	return false, errors.New("not a boolean")
}

const expectedBool = "true, false, yes, no, on, off, 1 or 0"

// ParseDuration reads Go's form or whole seconds.
func ParseDuration(s string) (time.Duration, error) {
	if seconds, err := strconv.ParseUint(s, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, errors.New("not a duration")
	}
	return d, nil
}

const expectedDuration = "a duration such as 45m or 1h30m, or whole seconds such as 3600"

func (p *problems) boolean(name, value string) bool {
	b, err := parseBool(value)
	if err != nil {
		p.value(name, value, expectedBool)
	}
	return b
}

// duration reads a duration between least and most.
func (p *problems) duration(name, value string, least, most time.Duration) time.Duration {
	d, err := ParseDuration(value)
	switch {
	case err != nil:
		p.value(name, value, expectedDuration)
	case d < least || d > most:
		p.reason(name, errors.New(d.String()), short(least)+" to "+short(most))
	}
	return d
}

// seconds is duration for the clouds, which count whole seconds.
func (p *problems) seconds(name, value string, least, most time.Duration) time.Duration {
	before := len(*p)
	d := p.duration(name, value, least, most)
	if len(*p) == before && d%time.Second != 0 {
		p.reason(name, errors.New(d.String()), "whole seconds")
	}
	return d
}

// short drops the zero units that Go prints at a duration's end.
func short(d time.Duration) string {
	s := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(s, zero) {
			s = s[:len(s)-2]
		}
	}
	return s
}

// list reads a list variable: X, or X_COUNT with X_0, X_1 and so on.
func (p *problems) list(name, single string) []string {
	countName := name + "_COUNT"
	text := strings.TrimSpace(os.Getenv(countName))
	if text == "" {
		return split(single)
	}
	if strings.TrimSpace(os.Getenv(name)) != "" {
		p.add(hint.New(name+": set beside "+countName, "give the list in one form: a YAML list, or one string"))
		return nil
	}
	count, err := strconv.Atoi(text)
	if err != nil || count < 0 || count > maxList {
		p.value(countName, text, fmt.Sprintf("a number from 0 to %d", maxList))
		return nil
	}
	var items, missing []string
	for i := range count {
		variable := name + "_" + strconv.Itoa(i)
		item, ok := os.LookupEnv(variable)
		if !ok {
			missing = append(missing, variable)
		} else if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	if missing != nil {
		p.add(hint.New(fmt.Sprintf("%s: missing, though %s is %d", strings.Join(missing, ", "), countName, count),
			"Bitbucket sets the items of a YAML list by itself: write the list under "+name))
	}
	return items
}

// unique drops items that were there before.
func unique(items []string) []string {
	var first []string
	for _, item := range items {
		if !slices.Contains(first, item) {
			first = append(first, item)
		}
	}
	return first
}

// split cuts one string into items: at line breaks, or at commas where it has none.
func split(s string) []string {
	separators := ","
	if strings.ContainsAny(s, "\r\n") {
		separators = "\r\n"
	}
	var items []string
	for item := range strings.FieldsFuncSeq(s, func(r rune) bool { return strings.ContainsRune(separators, r) }) {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}
