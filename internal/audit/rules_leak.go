package audit

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/pipelines"
	"bitbucket-oidc/internal/script"
)

func tokenPrinted() finding.Rule {
	return finding.Rule{
		Name: "token-printed", Severity: finding.Error,
		Finds: "the token in the log",
		Why:   "Whoever reads the log can use it while it is valid. That Bitbucket masks the token is not confirmed.",
		Fix:   "Remove the command. `pipe explain` prints the token's claims, which are no secret.",
	}
}

func credentialsPrinted() finding.Rule {
	return finding.Rule{
		Name: "credentials-printed", Severity: finding.Error,
		Finds: "a cloud's keys, tokens or secrets in the log",
		Why:   "Bitbucket does not know them, so that nobody masks them.",
		Fix:   "Capture the answer in a variable, or write it to a file outside of the checkout.",
	}
}

// printed finds commands whose output is the token or credentials, where the output comes into the log.
func (r *run) printed() {
	for _, s := range r.steps {
		trace := false
		for i, c := range s.commands {
			text := c.Text()
			if c.Name() == "set" && traces.MatchString(text) {
				trace = !strings.Contains(text, "+x") && !strings.Contains(text, "+o")
				continue
			}
			switch {
			case !s.Token:
			case s.tells(i) && s.shown(i), s.dumps(i):
				r.report(report{rule: tokenPrinted(), at: c.at, about: text, steps: []*step{s}, message: "The command prints the step's token into the log."})
			case trace && (s.uses(c) || slices.ContainsFunc(c.Assign, holds(s))):
				r.report(report{rule: tokenPrinted(), at: c.at, about: text, steps: []*step{s}, message: "`set -x` prints the command with the step's token in it.",
					fix: finding.Fix{Kind: finding.Shell, Text: "set +x"}})
			}
			if s.answers(i) && s.shown(i) {
				r.report(report{rule: credentialsPrinted(), at: c.at, about: text, steps: []*step{s}, message: "The command prints credentials into the log."})
			}
		}
	}
}

var traces = regexp.MustCompile(`^set .*[-+](?:[a-z]*x|o xtrace)`)

// dumps reports whether a command prints the whole environment into the log.
func (s *step) dumps(i int) bool {
	c := s.commands[i]
	switch c.Text() {
	case "env", "printenv", "set", "export", "export -p", "declare -p", "declare -x", "Get-ChildItem env:", "gci env:", "printenv " + tokenVariable:
	default:
		return false
	}
	if c.Output == script.Piped {
		if next := s.commands[s.next(i)]; next.Name() == "grep" {
			pattern := ""
			for _, w := range next.Words[1:] {
				if strings.HasPrefix(w.Text, "-") && strings.Contains(w.Text, "v") || strings.HasPrefix(w.Text, "-c") || strings.HasPrefix(w.Text, "-q") {
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

func tokenKept() finding.Rule {
	return finding.Rule{
		Name: "token-kept", Severity: finding.Error,
		Finds: "an artifact, a cache or an output variable with the token or credentials in it",
		Why:   "Artifacts can be downloaded for 14 days, by everybody who can read the repository.",
		Fix:   "Write the file to /tmp, or name the artifacts so that they do not cover it.",
	}
}

func (r *run) kept() {
	for _, s := range r.steps {
		for _, f := range s.files {
			if strings.Contains(f.path, "BITBUCKET_PIPELINES_VARIABLES_PATH") {
				r.report(report{rule: tokenKept(), at: f.at, about: "output", steps: []*step{s}, message: "The token becomes an output variable, which Bitbucket stores unmasked."})
				continue
			}
			if !inClone(f.path) {
				continue
			}
			for _, kind := range []struct {
				name  string
				globs []pipelines.Glob
			}{{"artifact", s.src.Artifacts}, {"cache", s.src.Caches}} {
				for _, g := range kind.globs {
					if !covers(g.Text, clean(f.path)) {
						continue
					}
					what := "credentials"
					if f.token {
						what = "the step's token"
					}
					r.report(report{rule: tokenKept(), at: g.Place, about: g.Text, steps: []*step{s}, message: fmt.Sprintf("The %s %s keeps %s, with %s in it.", kind.name, g.Text, f.path, what)})
				}
			}
		}
	}
}

// covers reports whether an artifact's glob covers a path. That it covers names that begin with a dot is not confirmed, and
// taken for granted.
func covers(glob, file string) bool {
	glob = strings.TrimSuffix(strings.TrimPrefix(glob, "./"), "/")
	if glob == "**" || glob == "." || file == glob || strings.HasPrefix(file, glob+"/") {
		return true
	}
	pattern := regexp.QuoteMeta(glob)
	for _, r := range [][2]string{{`\*\*/`, `(?:.*/)?`}, {`\*\*`, `.*`}, {`\*`, `[^/]*`}, {`\?`, `[^/]`}} {
		pattern = strings.ReplaceAll(pattern, r[0], r[1])
	}
	ok, err := regexp.MatchString("^"+pattern+"$", file)
	return err == nil && ok
}

func tokenInClone() finding.Rule {
	return finding.Rule{
		Name: "token-in-clone", Severity: finding.Note,
		Finds: "the token or credentials in a file of the checkout; a warning where the checkout is packed",
		Why:   "`docker build .`, `git add`, `zip -r .` and an upload of the folder take the file along.",
		Fix:   "Write the file to /tmp, or sign in with this pipe, whose folder git ignores.",
	}
}

var packs = regexp.MustCompile(`\bdocker (?:buildx )?build\b.* \.(?: |$)|\bgit add (?:-A|--all|\.)|\bgit commit -\w*a|\bzip -\w*r\w* \S+ \.(?: |$)|\btar \S*c\S* .*\.(?: |$)|\baws s3 (?:sync|cp) \.(?:/)? `)

func (r *run) cloned() {
	for _, s := range r.steps {
		packed := 0 // the last line that packs the checkout
		for _, c := range s.commands {
			if c.at.Line > packed && packs.MatchString(c.Text()) {
				packed = c.at.Line
			}
		}
		for _, f := range s.files {
			if !inClone(f.path) {
				continue
			}
			p := report{rule: tokenInClone(), at: f.at, about: f.path, steps: []*step{s}, message: fmt.Sprintf("The file %s lies in the checkout.", path.Base(f.path))}
			if packed >= f.at.Line {
				p.severity, p.message = finding.Warning, fmt.Sprintf("The file %s lies in the checkout, which a later command packs.", path.Base(f.path))
			}
			r.report(p)
		}
	}
}

func tokenToThirdParty() finding.Rule {
	return finding.Rule{
		Name: "token-to-third-party", Severity: finding.Warning,
		Finds: "the token in the hands of somebody else's code or server",
		Why:   "Whoever holds the token can become the step while the token is valid. A pipe on the step gets it without asking.",
		Fix:   "Call the pipe on a step without `oidc`, or pass it the credentials that it needs and no token.",
	}
}

// exchanges matches pipes whose purpose is to trade the token.
var exchanges = regexp.MustCompile(`(?i)oidc|conjur|vault|login|auth|assume-role|credential|secret|sts`)

func (r *run) handedOut() {
	for _, s := range r.steps {
		if !s.Token {
			continue
		}
		for _, p := range s.pipes {
			if p.owner != "atlassian" && p.owner != "" && !isOurs(p, r.options.OurPipes) && !exchanges.MatchString(p.name) && !strings.Contains(p.Name, "atlassian/") && !strings.HasPrefix(p.owner, "$") {
				r.report(report{rule: tokenToThirdParty(), at: p.place, about: p.Name, steps: []*step{s}, message: fmt.Sprintf("The pipe %s/%s gets the step's token.", p.owner, p.name)})
			}
		}
		for _, c := range s.commands {
			text := c.Text()
			given := s.uses(c) || strings.Contains(text, "-e "+tokenVariable) || strings.Contains(text, "--env "+tokenVariable)
			switch {
			case !given:
			case c.Name() == "docker" && strings.Contains(text, " run "):
				r.report(report{rule: tokenToThirdParty(), at: c.at, about: text, steps: []*step{s}, message: "The container gets the step's token."})
			case (c.Name() == "curl" || c.Name() == "wget") && !tradesAt.MatchString(text):
				r.report(report{rule: tokenToThirdParty(), at: c.at, about: text, steps: []*step{s}, message: "The server gets the step's token."})
			}
		}
	}
}

// tradesAt matches addresses at which tokens are traded, and those that have a finding of their own.
var tradesAt = regexp.MustCompile(`sts\.[\w.-]*amazonaws\.com|sts\.googleapis\.com|/v1/auth/|api\.bitbucket\.org|/oauth2?/|/oidc|/token\b|VAULT_ADDR|localhost|127\.0\.0\.1`)

func tokenAsArgument() finding.Rule {
	return finding.Rule{
		Name: "token-as-argument", Severity: finding.Note,
		Finds: "the token as a word of a command",
		Why:   "Every process of the step can read command lines, and `set -x` prints them.",
		Fix:   "Give the program a file with the token, such as `file://` or `@` with a path below /tmp.",
	}
}

// builtIn are words of the shell itself: their arguments are on no command line.
func builtIn(name string) bool {
	return slices.Contains([]string{"echo", "printf", "export", "declare", "local", "readonly", "typeset", "test", "[", "[[", "read", "set", "eval", ":", "return", "case", "for", "if", "unset", "Write-Host", "Write-Output", ""}, name)
}

func (r *run) arguments() {
	for _, s := range r.steps {
		if !s.Token {
			continue
		}
		for _, c := range s.commands {
			if builtIn(c.Name()) || azLogin.MatchString(c.Text()) {
				continue
			}
			for i, w := range c.Words[1:] {
				// Of some clients a flag is the only way in.
				before := c.Words[i].Text
				if s.holdsToken(w.Vars) && !strings.Contains(before, "jwt") && !strings.HasPrefix(w.Text, "--jwt") && !strings.HasPrefix(w.Text, "--oidc-jwt") {
					r.report(report{rule: tokenAsArgument(), at: c.at, about: c.Text(), steps: []*step{s}, message: fmt.Sprintf("The token stands on the command line of %s.", c.Name())})
					break
				}
			}
		}
	}
}
