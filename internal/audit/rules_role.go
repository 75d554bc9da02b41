package audit

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/script"
)

func holds(s *step) func(script.Word) bool {
	return func(w script.Word) bool { return s.holdsToken(w.Vars) }
}

func roleShared() finding.Rule {
	return finding.Rule{
		Name: "role-shared", Severity: finding.Warning,
		Finds: "one role for steps that deserve different trust",
		Why:   "The trust policy must let the weakest of them in: a pull request beside a branch, any branch beside one, a step with an environment beside one without, one environment beside another.",
		Fix:   "Make a role for each: a read-only one for pull requests and plans, and one for each environment.",
	}
}

// shared finds roles that steps of different trust ask for.
func (r *run) shared() {
	type asked struct {
		cloud, who string
	}
	var order []asked
	by := map[asked][]*step{}
	at := map[asked]place{}
	for _, s := range r.steps {
		for _, c := range s.Clouds {
			a := asked{c.Cloud, str(c.Who)}
			if !s.Token || a.who == "" || c.How == "assume-role-chain" {
				continue
			}
			if by[a] == nil {
				order = append(order, a)
				at[a] = place{Line: c.Line, Column: c.column}
			}
			by[a] = append(by[a], s)
		}
	}
	for _, a := range order {
		steps := by[a]
		for i, s := range steps {
			j := slices.IndexFunc(steps[:i], func(o *step) bool { return differ(o, s, strings.Contains(a.who, "$")) != "" })
			if j < 0 {
				continue
			}
			r.report(report{
				rule: roleShared(), at: at[a], about: a.who, path: steps[0].Path, steps: steps,
				message: fmt.Sprintf("%s is asked for by %s: its trust policy must let both in.", a.who, differ(steps[j], s, false)),
			})
			break
		}
	}
}

// differ says in which way two steps deserve different trust, or returns "". Variables can differ between environments.
func differ(a, b *step, variable bool) string {
	x, y := strings.ToLower(str(a.Environment)), strings.ToLower(str(b.Environment))
	switch {
	case x != y && variable:
		return ""
	case a.src.PullRequest != b.src.PullRequest:
		return "a pull request's step and one that runs after review"
	case x != y && (x == "" || y == ""):
		return "a step with an environment and one without"
	case x != y:
		return fmt.Sprintf("the environments %s and %s", str(a.Environment), str(b.Environment))
	case x == "" && everyBranch(a) != everyBranch(b) && (oneBranch(a) || oneBranch(b)):
		return "a step of every branch and one of a single branch"
	}
	return ""
}

func everyBranch(s *step) bool {
	return s.src.Pipeline == "pipelines.default" || s.src.Pipeline == `pipelines.branches["**"]`
}

func oneBranch(s *step) bool {
	return strings.HasPrefix(s.src.Pipeline, "pipelines.branches[") && !strings.ContainsAny(s.Pattern, "*?")
}

func roleChosenByCaller() finding.Rule {
	return finding.Rule{
		Name: "role-chosen-by-caller", Severity: finding.Warning, Milder: finding.Note,
		Finds: "a variable of a custom pipeline that names the role; a note where the values are fixed",
		Why:   "Whoever may run the pipeline picks the identity.",
		Fix:   "Make a pipeline for each role, or fix the values with `allowed-values`.",
	}
}

func (r *run) chosen() {
	for _, s := range r.steps {
		for _, c := range s.Clouds {
			for _, v := range s.src.Variables {
				if !takes(str(c.Who), v.Name) || !s.Token {
					continue
				}
				p := report{rule: roleChosenByCaller(), at: place{Line: c.Line, Column: c.column}, about: v.Name, steps: []*step{s},
					message: fmt.Sprintf("Whoever runs the pipeline chooses the identity with the variable %s.", v.Name)}
				if len(v.Allowed) > 0 {
					p.severity = finding.Note
				}
				r.report(p)
			}
		}
	}
}

// takes reports whether a value takes a variable.
func takes(value, name string) bool {
	if strings.Contains(value, "${"+name+"}") || strings.Contains(value, "${"+name+":") {
		return true
	}
	_, rest, found := strings.Cut(value, "$"+name)
	return found && (rest == "" || !nameStart.MatchString(rest))
}

var nameStart = regexp.MustCompile(`^\w`)

func maxTimeOverSession() finding.Rule {
	return finding.Rule{
		Name: "max-time-over-session", Severity: finding.Warning,
		Finds: "keys that end before the step has to",
		Why:   "Keys that were exported once are not renewed: a long deployment dies half way.",
		Fix:   "Raise `--duration-seconds` up to the role's maximum, lower `max-time`, or use a token file, which the SDKs renew from.",
	}
}

func (r *run) outlived() {
	for _, s := range r.steps {
		limit, said := r.maxTime(s)
		if !s.Token || !s.exports() {
			continue
		}
		for _, c := range s.commands {
			if !strings.Contains(c.Text(), "sts assume-role-with-web-identity") || c.Name() == "echo" {
				continue
			}
			given := flag(c.Words, "--duration-seconds")
			seconds := 3600
			if given != "" {
				seconds = number(given)
			}
			if seconds > 0 && (said || given != "") && seconds < limit*60 {
				r.report(report{rule: maxTimeOverSession(), at: c.at, about: c.Text(), steps: []*step{s},
					message: fmt.Sprintf("The keys end after %d minutes, and the step may run for %d.", seconds/60, limit)})
			}
		}
	}
}

// exports reports whether the step puts keys into variables.
func (s *step) exports() bool {
	return slices.ContainsFunc(s.commands, func(c command) bool {
		for _, w := range slices.Concat(c.Assign, c.Words) {
			if strings.HasPrefix(w.Text, "AWS_SESSION_TOKEN=") || strings.HasPrefix(w.Text, "AWS_SECRET_ACCESS_KEY=") || strings.Contains(w.Text, "AWS_SESSION_TOKEN=%s") || strings.Contains(w.Text, "AWS_SECRET_ACCESS_KEY=%s") {
				return true
			}
		}
		return strings.Contains(c.Text(), "configure set aws_secret_access_key")
	})
}

func serviceCannotAccept() finding.Rule {
	return finding.Rule{
		Name: "service-cannot-accept", Severity: finding.Error,
		Finds: "the token for a service that cannot accept it",
		Why:   "Bitbucket's own API does not take it, by design. Entra ID wants an exact subject, and Bitbucket's ends in the step's UUID, which changes with every step.",
		Fix:   "For Bitbucket's API use a repository access token. For Azure go through a broker, such as Vault's Azure engine.",
	}
}

func (r *run) unaccepted() {
	for _, s := range r.steps {
		for _, c := range s.commands {
			text := c.Text()
			switch {
			case azLogin.MatchString(text) && c.Name() == "az":
				r.report(report{rule: serviceCannotAccept(), at: c.at, about: text, steps: []*step{s}, message: "Entra ID cannot accept the token: its subject changes with every step."})
			case strings.Contains(text, "api.bitbucket.org") && s.uses(c) && c.Name() != "echo":
				r.report(report{rule: serviceCannotAccept(), at: c.at, about: text, steps: []*step{s}, message: "Bitbucket's API does not take the step's token."})
			}
		}
	}
}

func pipeCredentialsLost() finding.Rule {
	return finding.Rule{
		Name: "pipe-credentials-lost", Severity: finding.Error,
		Finds: "a cloud's client behind a pipe that signed in for itself only",
		Why:   "A pipe's credentials die with its container. The client finds none.",
		Fix:   "Sign in with this pipe, which leaves files for later commands, or call the client inside the pipe.",
	}
}

func (r *run) lost() {
	clients := map[string][]string{"aws": {"aws", "terraform", "tofu", "cdk", "sam", "kubectl", "helm", "eksctl"}, "gcp": {"gcloud", "gsutil", "bq", "terraform", "tofu", "kubectl", "helm"}, "unknown": {"aws", "gcloud"}}
	for _, s := range r.steps {
		if !s.Token || len(s.Clouds) == 0 || len(s.opaque) > 0 ||
			slices.ContainsFunc(s.Clouds, func(c Cloud) bool { return c.How != "atlassian-pipe" && c.How != "other-pipe" || c.Cloud == "conjur" }) {
			continue
		}
		cloud, line := s.Clouds[0].Cloud, s.Clouds[0].Line
		names, known := clients[cloud]
		i := slices.IndexFunc(s.commands, func(c command) bool {
			return c.at.Line > line && slices.Contains(names, c.Name()) && !strings.Contains(c.Text(), "--version")
		})
		if !known || i < 0 {
			continue
		}
		c := s.commands[i]
		r.report(report{rule: pipeCredentialsLost(), at: c.at, about: c.Text(), steps: []*step{s},
			message: fmt.Sprintf("%s has no credentials: those of the pipe ended with the pipe's container.", c.Name())})
	}
}

func tokenOfAnotherStep() finding.Rule {
	return finding.Rule{
		Name: "token-of-another-step", Severity: finding.Error,
		Finds: "a step that signs in with a file of an earlier step",
		Why:   "The token may have ended, it names the other step's environment, and the file had to be kept as an artifact to get there.",
		Fix:   "Give the step `oidc: true`, and let it sign in by itself.",
	}
}

func (r *run) inherited() {
	for _, s := range r.steps {
		for _, c := range s.Clouds {
			if c.How == "inherited-file" {
				r.report(report{rule: tokenOfAnotherStep(), at: place{Line: c.Line, Column: c.column}, about: "inherited", steps: []*step{s}, fix: finding.Fix{Kind: finding.YAML, Text: "oidc: true"},
					message: "The step signs in with a file that an earlier step wrote with its own token."})
			}
		}
	}
}
