package audit

import (
	"slices"
	"strings"

	"bitbucket-oidc/internal/pattern"
	"bitbucket-oidc/internal/script"
)

// next is the index of the command that a piped one feeds.
func (s *step) next(i int) int { return s.commands[i].base + s.commands[i].Next }

// outputFile is the file to which the command's output goes, through tee as well, or empty.
func (s *step) outputFile(i int) string {
	for range len(s.commands) {
		c := s.commands[i]
		switch {
		case c.Output == script.File:
			return c.File
		case c.Output == script.Piped:
			i = s.next(i)
			if n := s.commands[i]; n.Name() == "tee" && len(n.Words) > 1 {
				return n.Words[len(n.Words)-1].Text
			} else if n.Is(cmdlets()...) {
				return cmdletFile(n)
			}
		default:
			return ""
		}
	}
	return ""
}

// cmdlets are those of PowerShell that write to a file.
func cmdlets() []string { return []string{"Set-Content", "Add-Content", "Out-File"} }

// cmdletFile is the file that a cmdlet writes to.
func cmdletFile(c command) string {
	if file := flag(c.Words, "-Path", "-FilePath", "-LiteralPath"); file != "" {
		return file
	}
	if len(c.Words) > 1 && !strings.HasPrefix(c.Words[1].Text, "-") {
		return c.Words[1].Text
	}
	return ""
}

// shown reports whether what the command prints comes into the log.
func (s *step) shown(i int) bool {
	for range len(s.commands) {
		c := s.commands[i]
		switch c.Output {
		case script.Shown:
			return true
		case script.File:
			return false
		case script.Piped:
			i = s.next(i)
			if !passes(s.commands[i]) {
				return false
			}
		case script.Captured:
			i = c.base + c.Outer
			if n := s.commands[i].Name(); n != "echo" && n != "printf" {
				return false
			}
		}
	}
	return false
}

// passes reports whether a command prints what it reads.
func passes(c command) bool {
	switch text := c.Text(); c.Name() {
	case "cat", "tee", "sed", "head", "tail", "tr", "fold", "xxd", "rev", "nl", "sort", "less", "more":
		return true
	case "base64":
		return !strings.Contains(text, " -d") && !strings.Contains(text, " -D") && !strings.Contains(text, "--decode")
	case "jq":
		return !strings.Contains(text, " .") || strings.HasSuffix(strings.TrimSpace(text), " .") || secret(text)
	}
	return false
}

// secret reports whether what selects a part of an answer with keys selects a key.
func secret(filter string) bool {
	return secretWords.MatchString(filter) && (!plainWords.MatchString(filter) || keyWords.MatchString(filter))
}

var (
	plainWords = pattern.New(`Expiration|AssumedRole|\bArn\b`)
	keyWords   = pattern.New(`(?i)secretaccesskey|sessiontoken|accesskeyid`)
)

// secretWords are in what selects a part of an answer with keys.
var secretWords = pattern.New(`(?i)credential|secret|accesskey|sessiontoken|\btoken\b`)

// flag is the value of a flag, in both ways to write it, or empty.
func flag(words []script.Word, names ...string) string {
	for i, w := range words {
		for _, name := range names {
			if value, ok := strings.CutPrefix(w.Text, name+"="); ok {
				return value
			}
			if w.Text == name && i+1 < len(words) {
				return words[i+1].Text
			}
		}
	}
	return ""
}

// answers reports whether the command's output is keys, a token of a cloud, or a secret.
func (s *step) answers(i int) bool {
	c := s.commands[i]
	text := c.Text()
	switch c.Name() {
	case "aws":
		if !answersAWS.MatchString(text) {
			return false
		}
		query := flag(c.Words, "--query")
		return query == "" || secret(query) || !strings.Contains(text, " sts ")
	case "gcloud":
		return answersGoogle.MatchString(text)
	case "vault":
		return answersVault.MatchString(text)
	case "curl", "wget":
		return !toFile.MatchString(text) && slices.ContainsFunc(requests(), func(r request) bool { return r.address.MatchString(requested(c)) })
	case "az":
		return strings.Contains(text, " account get-access-token")
	case "databricks":
		return strings.Contains(text, " auth token")
	}
	if c.Name() == "jq" && passes(c) || slices.Contains(readers(), c.Name()) && !readsPart.MatchString(text) {
		return slices.ContainsFunc(c.Words[1:], func(w script.Word) bool { return s.isFile(c, w.Text, false) })
	}
	return false
}

var (
	answersAWS    = pattern.New(`^\S*aws (?:-\S+ (?:[^-]\S* )?)*(?:sts (?:assume-role|get-session-token)|configure export-credentials|secretsmanager get-secret-value|ssm get-parameters?(?:-by-path)? .*--with-decryption|ecr(?:-public)? get-login-password|codeartifact get-authorization-token|eks get-token)`)
	answersGoogle = pattern.New(`\bauth (?:application-default )?print-(?:access|identity)-token|\bsecrets versions access\b`)
	toFile        = pattern.New(` (?:-[a-zA-Z]*[oO] ?[^- ]|--output[ =]|--output-document[ =]|-[a-zA-Z]*O$)`)
	answersVault  = pattern.New(`^\S*vault (?:kv get|read|write .*auth/\S+/login)\b`)
)
