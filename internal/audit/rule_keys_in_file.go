package audit

import (
	"slices"
	"strings"

	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/pattern"
	"bitbucket-oidc/internal/pipelines"
	"bitbucket-oidc/internal/script"
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
	for i, line := range r.source {
		if strings.HasPrefix(strings.TrimSpace(line), "#") {
			continue
		}
		for _, k := range keysOfLine() {
			if m := k.pattern.FindStringIndex(line); m != nil && !strings.HasSuffix(line[m[0]:m[1]], "EXAMPLE") {
				r.keyFound(place{Line: i + 1, Column: 1 + len([]rune(line[:m[0]]))}, k.about, r.on(i+1), "The file contains "+k.what+".")
			}
		}
	}
	for _, s := range r.steps {
		if i := s.src.Image; i != nil && isLiteral(i.Password.Text) {
			r.keyFound(i.Password.Place, "image", []*step{s}, "The password of the image has a literal value.")
		}
		for _, p := range s.pipes {
			for _, v := range p.Variables {
				if secretName.MatchString(v.Name) && isLiteral(strings.Join(v.Values, " ")) {
					r.keyFound(v.Place, v.Name, []*step{s}, "The variable "+v.Name+" of the pipe has a literal value.")
				}
			}
		}
		for i, c := range s.commands {
			if isLiteral(s.password(i)) {
				r.keyFound(c.at, c.Name()+" login", []*step{s}, "The command "+c.Name()+" contains a password.")
			}
			for _, w := range append(c.Assign, c.Words...) {
				if name, value, ok := strings.Cut(w.Text, "="); ok && name == "AWS_SECRET_ACCESS_KEY" && isLiteral(value) {
					r.keyFound(c.at, name, []*step{s}, "The file contains an AWS secret access key.")
				}
			}
		}
	}
}

func (r *run) keyFound(at place, about string, steps []*step, message string) {
	r.report(report{rule: keysInFile(), at: at, about: about, steps: steps, message: message})
}

// password is what a command of a login is given as a password, or empty.
func (s *step) password(i int) string {
	c := s.commands[i]
	text := c.Text()
	switch {
	case c.Is("docker", "podman", "helm") && strings.Contains(text, " login"), c.Name() == "az" && strings.Contains(text, " login "):
		return flag(c.Words, "-p", "--password")
	case c.Is("echo", "printf") && c.Output == script.Piped && len(c.Words) > 1 && strings.Contains(s.commands[s.next(i)].Text(), "--password-stdin"):
		return c.Words[len(c.Words)-1].Text
	case c.Name() == "sshpass":
		return flag(c.Words, "-p")
	case c.Is("curl", "wget"):
		_, password, _ := strings.Cut(flag(c.Words, "-u", "--user"), ":")
		return password
	case c.Name() == "git":
		if m := inAddress.FindStringSubmatch(text); m != nil {
			return m[1]
		}
	case strings.Contains(text, "configure set") && strings.Contains(text, "aws_secret_access_key"):
		return c.Words[len(c.Words)-1].Text
	}
	return ""
}

func isLiteral(value string) bool { return literal.MatchString(value) && !filler.MatchString(value) }

// on are the steps with something on a line.
func (r *run) on(line int) []*step {
	return slices.DeleteFunc(slices.Clone(r.steps), func(s *step) bool {
		return !slices.ContainsFunc(s.src.Script, func(i pipelines.Item) bool { return i.On(line) })
	})
}

// keyOfLine is a key that a line shows by its form.
type keyOfLine struct {
	pattern     *pattern.Pattern
	about, what string
}

func keysOfLine() []keyOfLine {
	return []keyOfLine{
		{keyID, "key id", "an AWS access key"},
		{privateKey, "private key", "a private key"},
		{serviceToken, "token", "a token of a service"},
	}
}

var (
	keyID      = pattern.New(`\b(?:AKIA|ASIA)[0-9A-Z]{16}\b`)
	privateKey = pattern.New(`-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----|"private_key"\s*:\s*"-`)
	// serviceToken matches tokens of GitHub, GitLab, npm, Docker Hub, Vault, Slack and Atlassian, by the prefixes that they document.
	serviceToken = pattern.New(`\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_\w{50,}|glpat-[\w-]{20,}|npm_[A-Za-z0-9]{36}|dckr_pat_[\w-]{20,}|hv[sb]\.[\w-]{24,}|xox[abp]-[\w-]{20,}|AT[AC]TT3xFf[\w=-]{20,}|ATBB[A-Za-z0-9]{28,})`)
	inAddress    = pattern.New(`://[^/\s:@]+:([^/\s:@]+)@`)
	secretName   = pattern.New(`(?:PASSWORD|PASSWD|SECRET|SECRET_ACCESS_KEY|SECRET_KEY|API_KEY|APIKEY|ACCESS_TOKEN|AUTH_TOKEN|PRIVATE_KEY)$`)
	literal      = pattern.New(`^[^\s$<>{}%]{6,}$`)
	filler       = pattern.New(`(?i)^(?:x+|\*+|true|false|changeme|change-me|your.*|example.*|placeholder.*|dummy.*|test.*|string|.*example|none|null|\d{1,6}|https?:.*|/.*)$`)
)
