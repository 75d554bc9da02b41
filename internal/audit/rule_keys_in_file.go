package audit

import (
	"slices"
	"strings"

	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/pattern"
	"bitbucket-oidc/internal/pipelines"
)

func keysInFile() finding.Rule {
	return finding.Rule{
		Name: "keys-in-file", Severity: finding.Error,
		Finds: "a key or a password in the file",
		Why:   "Everybody who can read the repository, its forks and its backups has the secret.",
		Fix:   "Revoke it, and sign in with the step's token instead.",
	}
}

// keysInFile reports keys without repeating them.
func (r *run) keysInFile() {
	add := func(at place, about string, steps []*step, message string) {
		r.report(report{rule: keysInFile(), at: at, about: about, steps: steps, message: message})
	}
	for i, line := range r.source {
		text := strings.TrimSpace(line)
		if strings.HasPrefix(text, "#") {
			continue
		}
		if m := keyID.FindStringIndex(line); m != nil && !strings.HasSuffix(line[m[0]:m[1]], "EXAMPLE") {
			add(place{Line: i + 1, Column: 1 + len([]rune(line[:m[0]]))}, "key id", r.on(i+1), "The file contains an AWS access key.")
		}
		if m := privateKey.FindStringIndex(line); m != nil {
			add(place{Line: i + 1, Column: 1 + len([]rune(line[:m[0]]))}, "private key", r.on(i+1), "The file contains a private key.")
		}
	}
	for _, s := range r.steps {
		for _, p := range s.pipes {
			for _, v := range p.Variables {
				if value := strings.Join(v.Values, " "); secretName.MatchString(v.Name) && literal.MatchString(value) && !filler.MatchString(value) {
					add(v.Place, v.Name, []*step{s}, "The variable "+v.Name+" of the pipe has a literal value.")
				}
			}
		}
		for _, c := range s.commands {
			text := c.Text()
			password := ""
			switch {
			case c.Is("docker", "podman", "helm") && strings.Contains(text, " login"):
				password = flag(c.Words, "-p", "--password")
			case c.Name() == "sshpass":
				password = flag(c.Words, "-p")
			}
			if literal.MatchString(password) && !filler.MatchString(password) {
				add(c.at, c.Name()+" login", []*step{s}, "The command line of "+c.Name()+" contains a password.")
			}
			for _, w := range append(c.Assign, c.Words...) {
				if name, value, ok := strings.Cut(w.Text, "="); ok && name == "AWS_SECRET_ACCESS_KEY" && literal.MatchString(value) && !filler.MatchString(value) {
					add(c.at, name, []*step{s}, "The file contains an AWS secret access key.")
				}
			}
		}
	}
}

// on are the steps with something on a line.
func (r *run) on(line int) []*step {
	return slices.DeleteFunc(slices.Clone(r.steps), func(s *step) bool {
		return !slices.ContainsFunc(s.commands, func(c command) bool { return c.at.Line == line }) &&
			!slices.ContainsFunc(s.pipes, func(p pipe) bool {
				return slices.ContainsFunc(p.Variables, func(v pipelines.PipeVariable) bool { return v.Line == line })
			})
	})
}

var (
	keyID      = pattern.New(`\b(?:AKIA|ASIA)[0-9A-Z]{16}\b`)
	privateKey = pattern.New(`-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----|"private_key"\s*:\s*"-`)
	secretName = pattern.New(`(?:PASSWORD|PASSWD|SECRET|SECRET_ACCESS_KEY|SECRET_KEY|API_KEY|APIKEY|ACCESS_TOKEN|AUTH_TOKEN|PRIVATE_KEY)$`)
	literal    = pattern.New(`^[^\s$<>{}%]{6,}$`)
	filler     = pattern.New(`(?i)^(?:x+|\*+|true|false|changeme|change-me|your.*|example.*|placeholder.*|dummy.*|test.*|string|.*example|none|null|\d{1,6}|https?:.*|/.*)$`)
)
