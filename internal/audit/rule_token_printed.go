package audit

import (
	"slices"
	"strings"

	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/pattern"
	"bitbucket-oidc/internal/script"
)

func tokenPrinted() finding.Rule {
	return finding.Rule{
		Name: "token-printed", Severity: finding.Error,
		Finds: "a command that prints the token into the log",
		Why:   "Whoever reads the log can use the token while it is valid. That Bitbucket masks the token is not confirmed.",
		Fix:   "Remove the command. `pipe explain` prints the token's claims, which are no secret.",
	}
}

// tokenPrinted finds commands that print the token, the whole environment, or themselves with the token in them.
func (r *run) tokenPrinted() {
	for _, s := range r.steps {
		if !s.Token {
			continue
		}
		trace := false
		for i, c := range s.commands {
			text := c.Text()
			p := report{rule: tokenPrinted(), at: c.at, about: text, steps: []*step{s}}
			switch {
			case c.Name() == "set" && traces.MatchString(text):
				trace = !strings.Contains(text, "+x") && !strings.Contains(text, "+o")
				continue
			case s.tells(i) && s.shown(i), s.dumps(i):
				p.message = "The command prints the step's token into the log."
			case trace && (s.uses(c) || slices.ContainsFunc(c.Assign, holds(s))):
				p.message, p.fix = "`set -x` prints the command with the step's token in it.", finding.Fix{Kind: finding.Shell, Text: "set +x"}
			default:
				continue
			}
			r.report(p)
		}
	}
}

var traces = pattern.New(`^set .*[-+](?:[a-z]*x|o xtrace)`)

// environment reports whether a command's output is the environment, or the token's variable of it.
func environment(c command) bool {
	words := c.Words
	for len(words) > 1 && privileged.MatchString(words[0].Text) {
		words = words[1:]
	}
	if len(words) == 0 {
		return false
	}
	var flags, names []string
	for _, w := range words[1:] {
		if strings.HasPrefix(w.Text, "-") {
			flags = append(flags, w.Text)
		} else {
			names = append(names, w.Text)
		}
	}
	switch name := words[0].Text; name[strings.LastIndexByte(name, '/')+1:] {
	case "env":
		return !slices.ContainsFunc(names, func(n string) bool { return !strings.Contains(n, "=") }) && !slices.ContainsFunc(flags, dropsAll.MatchString)
	case "printenv":
		return len(names) == 0 || slices.Contains(names, tokenVariable)
	case "set":
		return len(words) == 1
	case "export", "declare", "typeset":
		return len(names) == 0 && !slices.ContainsFunc(flags, functions.MatchString)
	case "Get-ChildItem", "gci":
		return slices.Contains(names, "env:")
	case "cat", "tr", "strings", "xargs", "sed":
		return slices.ContainsFunc(names, ofProcess.MatchString) || ofProcess.MatchString(c.Reads)
	}
	return false
}

var (
	privileged = pattern.New(`^(?:sudo|command|exec|time|nohup)$`)
	dropsAll   = pattern.New(`^(?:-|-i|--ignore-environment|--help|--version)$`)
	functions  = pattern.New(`^-\w*[fFn]`)
	ofProcess  = pattern.New(`^/proc/(?:self|\d+|\$\$|\$PPID)/environ$`)
)

// dumps reports whether a command prints the whole environment into the log.
func (s *step) dumps(i int) bool {
	c := s.commands[i]
	if !environment(c) {
		return false
	}
	if c.Output == script.Piped {
		if next := s.commands[s.next(i)]; next.Name() == "grep" {
			pattern := ""
			for _, w := range next.Words[1:] {
				if strings.HasPrefix(w.Text, "-") && strings.Contains(w.Text, "v") || hasAnyPrefix(w.Text, "-c", "-q") {
					return false
				}
				if !strings.HasPrefix(w.Text, "-") && pattern == "" {
					pattern = strings.Trim(w.Text, "^")
				}
			}
			return pattern != "" && strings.Contains(tokenVariable, strings.ToUpper(pattern))
		}
	}
	return s.shown(i)
}
