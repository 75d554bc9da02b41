package audit

import (
	"strings"

	"bitbucket-oidc/internal/pattern"
)

// A storedKey is where a step takes a key that is stored.
type storedKey struct {
	cloud string
	place
	pipe bool // whether only a pipe has it
}

// stored finds keys that are stored in variables: of a pipe, exported, or written into a tool's configuration.
func (s *step) stored() (storedKey, bool) {
	if i := s.src.Image; i != nil && i.Keys.Line != 0 {
		return storedKey{"aws", i.Keys, true}, true
	}
	for _, p := range s.pipes {
		for _, v := range p.Variables {
			value := strings.Join(v.Values, " ")
			switch {
			case v.Name == "AWS_ACCESS_KEY_ID" && value != "" && !s.session:
				return storedKey{"aws", v.Place, true}, true
			case v.Name == "KEY_FILE" && strings.HasPrefix(value, "$") && strings.Contains(p.name, "g"):
				return storedKey{"gcp", v.Place, true}, true
			case v.Name == "AZURE_PASSWORD" && value != "":
				return storedKey{"azure", v.Place, true}, true
			}
		}
	}
	if s.session {
		return storedKey{}, false
	}
	for _, c := range s.commands {
		text := c.Text()
		if m := storedAWS.FindStringSubmatch(text); m != nil {
			return storedKey{"aws", c.at, false}, true
		}
		if strings.Contains(text, "auth activate-service-account") && c.Name() == "gcloud" {
			return storedKey{"gcp", c.at, false}, true
		}
		if c.Name() == "az" && strings.Contains(text, " login ") && strings.HasPrefix(flag(c.Words, "-p", "--password"), "$") {
			return storedKey{"azure", c.at, false}, true
		}
		for _, a := range c.Assign {
			if v, ok := strings.CutPrefix(a.Text, "AWS_ACCESS_KEY_ID="); ok && keyValue(v) {
				return storedKey{"aws", c.at, false}, true
			}
		}
	}
	return storedKey{}, false
}

// keyValue reports whether a value is one of a variable of its own, and not of an answer.
func keyValue(v string) bool { return bare(v) && v != "$()" || literalKey.MatchString(v) }

var (
	storedAWS  = pattern.New(`^export AWS_ACCESS_KEY_ID=(?:\$\{?[A-Za-z_]\w*\}?|(?:AKIA|ASIA)\w+)(?: |$)|\bconfigure set (?:default\.)?aws_access_key_id \S+|\b(?:serverless|sls) config credentials\b`)
	literalKey = pattern.New(`^(?:AKIA|ASIA)[0-9A-Z]{16}$`)
)
