package audit

import (
	"slices"
	"strings"

	"bitbucket-oidc/internal/pattern"
	"bitbucket-oidc/internal/pipelines"
	"bitbucket-oidc/internal/script"
)

// follow follows the token into other variables and into files.
func (s *step) follow() {
	for i := range s.commands {
		c := &s.commands[i]
		s.followVariables(i)
		if file := s.outputFile(i); file != "" {
			switch {
			case s.tells(i), s.Token && c.Output == script.File && environment(*c):
				s.write(i, file, true)
			case s.answers(i), s.tellsKeys(i), c.Name() == "cat" && c.Here != nil && strings.Contains(c.Here.Text, "external_account"):
				s.write(i, file, false)
			}
		}
		text := c.Text()
		if strings.Contains(text, "create-cred-config") {
			s.write(i, flag(c.Words, "--output-file"), false)
		}
		if c.Is(cmdlets()...) && s.uses(*c) {
			s.write(i, cmdletFile(*c), true)
		}
		s.moves(i)
		if obtains.MatchString(text) {
			s.session = true
			s.secrets = append(s.secrets, "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
		}
	}
}

// followVariables notes the variables that hold the token, or credentials, behind a command.
func (s *step) followVariables(i int) {
	for _, a := range assignments(s.commands[i]) {
		name, value, _ := strings.Cut(a.Text, "=")
		if s.holdsToken(a.Vars) && bare(value) && !slices.Contains(s.token, name) {
			s.token = append(s.token, name)
		}
	}
	for _, name := range s.captor(i) {
		switch {
		case s.tells(i) && !slices.Contains(s.token, name):
			s.token = append(s.token, name)
		case (s.answers(i) || s.tellsKeys(i)) && !slices.Contains(s.secrets, name) && !strings.HasSuffix(strings.ToUpper(name), "KEY_ID"):
			s.secrets = append(s.secrets, name)
		}
	}
}

// captor lists the variables that take what the command prints.
func (s *step) captor(i int) []string {
	var names []string
	for range len(s.commands) {
		c := s.commands[i]
		switch c.Output {
		case script.Piped:
			i = s.next(i)
			if !passes(s.commands[i]) {
				return nil
			}
		case script.Captured:
			i = c.base + c.Outer
			for _, a := range assignments(s.commands[i]) {
				if name, value, _ := strings.Cut(a.Text, "="); value == "$()" {
					names = append(names, name)
				}
			}
			if n := s.commands[i].Name(); len(names) > 0 || n != "echo" && n != "printf" {
				return names
			}
		default:
			return nil
		}
	}
	return nil
}

// assignments are the words NAME=value of a command that sets variables for the commands behind it.
func assignments(c command) []script.Word {
	if slices.Contains([]string{"export", "declare", "readonly", "local", "typeset"}, c.Name()) {
		return append(slices.Clone(c.Assign), c.Words[1:]...)
	}
	return c.Assign
}

// obtains matches commands that answer with keys.
var obtains = pattern.New(`\bsts assume-role|\bsts get-session-token|export-credentials`)

// bare reports whether a value is a variable and nothing else.
func bare(value string) bool {
	return strings.HasPrefix(value, "$") && !strings.ContainsAny(strings.Trim(value, "${}"), " /,:?&")
}

// holdsToken reports whether one of the variables holds the token.
func (s *step) holdsToken(vars []string) bool {
	return slices.ContainsFunc(vars, func(v string) bool { return slices.Contains(s.token, v) })
}

// holds returns a function that reports whether a word takes the token.
func holds(s *step) func(script.Word) bool {
	return func(w script.Word) bool { return s.holdsToken(w.Vars) }
}

// uses reports whether a word of the command takes the token.
func (s *step) uses(c command) bool {
	return slices.ContainsFunc(c.Words, func(w script.Word) bool { return s.holdsToken(w.Vars) })
}

// agent reports whether an agent runs on the step.
func (s *step) agent() bool {
	return slices.ContainsFunc(s.src.Script, func(i pipelines.Item) bool { return i.Agent })
}

// tells reports whether the command's output is the token.
func (s *step) tells(i int) bool {
	c := s.commands[i]
	switch c.Name() {
	case "echo", "printf", "Write-Host", "Write-Output":
		return s.uses(c)
	case "":
		return false
	case "printenv":
		return c.Text() == "printenv "+tokenVariable
	}
	if strings.HasPrefix(c.Words[0].Text, "$env:") && len(c.Words) == 1 { // PowerShell prints a value that nothing takes
		return s.uses(c)
	}
	if slices.Contains(readers(), c.Name()) && !readsPart.MatchString(c.Text()) {
		return c.Here != nil && s.holdsToken(c.Here.Vars) || slices.ContainsFunc(c.Words[1:], func(w script.Word) bool { return s.isFile(c, w.Text, true) })
	}
	return false
}

// readers are the programs that print the files which they are given.
func readers() []string {
	return []string{"cat", "type", "Get-Content", "head", "tail", "less", "more", "nl", "tac", "rev", "xxd", "od", "hexdump", "strings", "sed", "awk", "base64"}
}

var readsPart = pattern.New(`^(?:head|tail) .*-c|^sed .*-\w*i|^base64 .*-(?:d|D|-decode)\b`)

// tellsKeys reports whether the command's output is the value of a variable with credentials.
func (s *step) tellsKeys(i int) bool {
	c := s.commands[i]
	holds := func(w script.Word) bool {
		return slices.ContainsFunc(w.Vars, func(v string) bool { return slices.Contains(s.secrets, v) })
	}
	return (c.Name() == "echo" || c.Name() == "printf") && slices.ContainsFunc(c.Words, holds) || c.Name() == "cat" && c.Here != nil && holds(*c.Here)
}
