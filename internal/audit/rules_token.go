package audit

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/pipelines"
)

func oidcMissing() finding.Rule {
	return finding.Rule{
		Name: "oidc-missing", Severity: finding.Error,
		Finds: "a sign-in by token on a step without a token",
		Why:   "The token's variable is empty. The clouds' messages then look like a wrong role; Atlassian's pipes fall back to stored keys with a warning only.",
		Fix:   "oidc: true",
	}
}

// missing finds what needs the token on steps that have none.
func (r *run) missing() {
	add := func(s *step, at place, what string) {
		r.report(report{
			rule: oidcMissing(), at: at, about: what, steps: []*step{s}, fix: finding.Fix{Kind: finding.YAML, Text: "oidc: true"},
			message: fmt.Sprintf("%s needs the step's token, and the step has no `oidc: true`.", what), replace: r.insert(s, "oidc: true"),
		})
	}
	for _, s := range r.steps {
		if s.Token || s.src.Child != "" {
			continue
		}
		if i := s.src.Image; i != nil && i.OIDCRole != "" {
			add(s, i.RoleAt, "The image's `oidc-role`")
		}
		for _, p := range s.pipes {
			if isOurs(p, r.options.OurPipes) {
				if _, command := p.Value("COMMAND"); command == "" || command == "login" || command == "explain" {
					add(s, p.place, "The pipe "+p.name)
				}
				continue
			}
			for _, name := range []string{"AWS_OIDC_ROLE_ARN", "GOOGLE_OIDC_CONFIG_FILE"} {
				if v, value := p.Value(name); value != "" {
					add(s, v.Place, "The pipe's variable "+name)
				}
			}
		}
		tested := slices.ContainsFunc(s.commands, func(c command) bool {
			return slices.Contains([]string{"[", "[[", "test"}, c.Name()) && s.uses(c) || strings.Contains(c.Text(), tokenVariable+":-")
		})
		if tested {
			continue
		}
		for _, c := range s.commands {
			if s.uses(c) || slices.ContainsFunc(c.Assign, holds(s)) || c.Here != nil && s.holdsToken(c.Here.Vars) {
				add(s, c.at, "The command")
				break
			}
		}
	}
}

// insert is the edit that gives a step a key, in front of its first one, or nil where the step is not written as a block of keys
// in the place that runs it.
func (r *run) insert(s *step, text string) *finding.Edit {
	at := s.src.Defined
	if s.src.Fields == nil || at.Line <= s.src.Line || at.Line > len(r.source) || at.Column > len(r.source[at.Line-1]) || s.src.OIDC != nil {
		return nil
	}
	if before, rest := r.source[at.Line-1][:at.Column-1], r.source[at.Line-1][at.Column-1:]; strings.TrimSpace(before) != "" || !blockKey.MatchString(rest) {
		return nil
	}
	return &finding.Edit{
		At:   finding.Place{Line: at.Line, Column: at.Column, EndLine: at.Line, EndColumn: at.Column},
		Text: text + "\n" + strings.Repeat(" ", at.Column-1),
	}
}

var blockKey = regexp.MustCompile(`^[a-z-]+:(?: |$)`)

func oidcUnused() finding.Rule {
	return finding.Rule{
		Name: "oidc-unused", Severity: finding.Warning,
		Finds: "a token that the step does nothing with",
		Why:   "Every command of the step, and everything that it installs, could use the token.",
		Fix:   "Remove `oidc` from the step.",
	}
}

// unused finds steps of which every command is known not to sign in.
func (r *run) unused() {
	for _, s := range r.steps {
		if !s.Token || len(s.pipes) > 0 || len(s.opaque) > 0 || len(s.Clouds) > 0 || s.agent() {
			continue
		}
		quiet := !slices.ContainsFunc(s.commands, func(c command) bool {
			return selfSigning.MatchString(c.Name()) && !slices.Contains([]string{"docker", "npx"}, c.Name()) || s.mentions(c) || strings.Contains(c.Text(), "-c ") || c.Name() == "eval" || c.Name() == "." || c.Name() == "source" || strings.HasPrefix(c.Name(), "$")
		})
		if quiet && len(s.commands) > 0 {
			r.report(report{rule: oidcUnused(), at: s.src.OIDC.Place, about: "oidc", steps: []*step{s}, message: "The step has a token, and none of its commands signs in with it."})
		}
	}
}

// mentions reports whether the command names the token's variable, even as text.
func (s *step) mentions(c command) bool {
	if c.Here != nil && strings.Contains(c.Here.Text, tokenVariable) {
		return true
	}
	for _, w := range slices.Concat(c.Assign, c.Words) {
		if strings.Contains(w.Text, tokenVariable) || s.holdsToken(w.Vars) {
			return true
		}
	}
	return false
}

func oidcForAll() finding.Rule {
	return finding.Rule{
		Name: "oidc-for-all", Severity: finding.Warning,
		Finds: "`oidc` in the options of the file",
		Why:   "Every step has a token then: tests, third-party pipes, and what they install.",
		Fix:   "Remove `oidc` from `options`, and set it on the steps that sign in.",
	}
}

func (r *run) forAll() {
	o := r.parsed.OIDC
	if o == nil || !o.On || len(r.steps) < 2 {
		return
	}
	var all []*step
	for _, s := range r.steps {
		if s.Token && s.src.OIDC == o {
			all = append(all, s)
		}
	}
	r.report(report{rule: oidcForAll(), at: o.Place, about: "options", path: "options.oidc", steps: all, message: fmt.Sprintf("`options.oidc` gives a token to %d steps.", len(all))})
}

func oidcInDefault() finding.Rule {
	return finding.Rule{
		Name: "oidc-in-default", Severity: finding.Note,
		Finds: "a token in a pipeline that every branch runs",
		Why:   "Whoever can push a branch holds the repository's identity, before any review.",
		Fix:   "Move the step below `branches` and the branch that deploys, or give it an environment that only that branch may deploy to.",
	}
}

func (r *run) inDefault() {
	for _, s := range r.steps {
		if s.Token && (s.src.Pipeline == "pipelines.default" || s.src.Pipeline == `pipelines.branches["**"]`) {
			r.report(report{rule: oidcInDefault(), at: s.src.Place, about: "default", steps: []*step{s}, message: "The step has a token on every branch."})
		}
	}
}

func oidcOnPullRequest() finding.Rule {
	return finding.Rule{
		Name: "oidc-on-pull-request", Severity: finding.Warning,
		Finds: "a token on a pull request; an error where the step changes something",
		Why:   "The code is unreviewed, and its author holds the repository's identity. Pull requests of forks start no pipeline.",
		Fix:   "Give the step a read-only role of its own, bound to an environment of its own; let it plan and not apply.",
	}
}

func deploymentOnPullRequest() finding.Rule {
	return finding.Rule{
		Name: "deployment-on-pull-request", Severity: finding.Error, Milder: finding.Warning,
		Finds: "an environment's identity on a pull request; a warning where the environment is not production",
		Why:   "Unreviewed code becomes what the cloud trusts as the environment.",
		Fix:   "Remove `deployment:` from the step, or make an environment for pull requests only.",
	}
}

var (
	production = regexp.MustCompile(`(?i)prod|live|\bprd\b|release|main`)
	preview    = regexp.MustCompile(`(?i)preview|review|ephemeral|pull|\bprs?\b|sandbox|\btest`)
)

func (r *run) unreviewed() {
	for _, s := range r.steps {
		if !s.Token || !s.src.PullRequest {
			continue
		}
		p := report{rule: oidcOnPullRequest(), at: s.src.Place, about: "pull request", steps: []*step{s}, message: "The step has a token on pull requests, before any review."}
		if s.changes != nil {
			p.severity, p.message = finding.Error, fmt.Sprintf("The step has a token on pull requests, and line %d changes something before any review.", s.changes.Line)
			p.message = "The step has a token on pull requests, and it changes something before any review."
		}
		r.report(p)
		if s.Environment == nil || preview.MatchString(*s.Environment) {
			continue
		}
		p = report{rule: deploymentOnPullRequest(), severity: finding.Warning, at: s.src.Place, about: *s.Environment, steps: []*step{s},
			message: fmt.Sprintf("A pull request becomes the environment %s before any review.", *s.Environment)}
		if production.MatchString(*s.Environment) {
			p.severity = finding.Error
		}
		r.report(p)
	}
}

func deploymentMissing() finding.Rule {
	return finding.Rule{
		Name: "deployment-missing", Severity: finding.Warning,
		Finds: "a step that changes something with the identity of every other step",
		Why:   "Without `deployment:` the token's subject is `{repository}:{step}`: on AWS no trust policy can tell the step from a pull request's.",
		Fix:   "Add `deployment:` with the environment's name, and bind the trust policy to the environment's UUID.",
	}
}

func (r *run) undeployed() {
	for _, s := range r.steps {
		if s.Token && s.Environment == nil && s.changes != nil && !s.src.PullRequest {
			r.report(report{
				rule: deploymentMissing(), at: s.src.Place, about: "deployment", steps: []*step{s}, fix: finding.Fix{Kind: finding.YAML, Text: "deployment: production"},
				message: "The step changes something, and its token does not name an environment.",
			})
		}
	}
}

func audiencesShared() finding.Rule {
	return finding.Rule{
		Name: "audiences-shared", Severity: finding.Warning, Milder: finding.Note,
		Finds: "one token for several services",
		Why:   "The step has one token with all audiences in it. A service that receives it can show it to the others. Whether AWS takes a token with several audiences is not confirmed.",
		Fix:   "Give each service a step of its own, with its audience only.",
	}
}

func audienceLimit() finding.Rule {
	return finding.Rule{
		Name: "audience-limit", Severity: finding.Error,
		Finds: "more than 10 audiences, one of more than 150 characters, or an empty one",
		Why:   "Bitbucket refuses the file.",
		Fix:   "Remove or shorten the audience. The provider at the service must expect the shorter one.",
	}
}

func (r *run) audiences() {
	seen := map[*pipelines.OIDC]bool{}
	for _, s := range r.steps {
		o := s.src.OIDC
		if o == nil || len(o.Audiences) == 0 && !o.Empty {
			continue
		}
		long := slices.ContainsFunc(o.Audiences, func(a string) bool { return len(a) > 150 })
		if !seen[o] && (o.Empty || long || len(o.Audiences) > 10) {
			r.report(report{rule: audienceLimit(), at: o.ListAt, about: "audiences", steps: []*step{s}, message: "Bitbucket takes at most 10 audiences of 1 to 150 characters."})
		}
		seen[o] = true
		clouds := map[string]bool{}
		for _, c := range s.Clouds {
			clouds[c.Cloud] = true
		}
		p := report{rule: audiencesShared(), at: o.ListAt, about: "audiences", steps: []*step{s}}
		switch {
		case len(o.Audiences) > 1:
			p.message = fmt.Sprintf("One token goes to %d services besides the workspace's own audience.", len(o.Audiences))
		case clouds["aws"] && len(o.Audiences) > 0:
			p.message = "The step signs in to AWS with a token that another service gets as well."
		case len(clouds) > 1 && len(o.Audiences) > 0:
			p.severity, p.message = finding.Note, "The step signs in to several services with one token."
		default:
			continue
		}
		r.report(p)
	}
}

func oidcOnSelfHosted() finding.Rule {
	return finding.Rule{
		Name: "oidc-on-self-hosted", Severity: finding.Note,
		Finds: "a token on a runner of one's own",
		Why:   "Files stay on shell runners after the step, and so do tokens and credentials that were written.",
		Fix:   "Use a runner that is made new for each step, and write nothing outside of the build directory.",
	}
}

func (r *run) selfHosted() {
	for _, s := range r.steps {
		if s.Token && s.src.RunsOn.Key != nil {
			r.report(report{rule: oidcOnSelfHosted(), at: s.src.RunsOn.Place(), about: "runs-on", steps: []*step{s}, message: "The step has a token on a self-hosted runner."})
		}
	}
}

func signInUnseen() finding.Rule {
	return finding.Rule{
		Name: "sign-in-unseen", Severity: finding.Note,
		Finds: "a sign-in that the file does not show",
		Why:   "It is in a script of the repository, in a program of the image, in another file, or in the repository's settings. Nothing was judged of it.",
		Fix:   "Read what is named, or sign in with a pipe that shows the role in the file.",
	}
}

// unseen says once for a step what was not judged, and adds a sign-in whose identity is not known.
func (r *run) unseen() {
	for _, s := range r.steps {
		if !s.Token || s.src.Child != "" {
			continue
		}
		federated := slices.DeleteFunc(slices.Clone(s.Clouds), func(c Cloud) bool { return c.How == "static-keys" })
		nameless := slices.IndexFunc(federated, func(c Cloud) bool { return c.Who == nil })
		p := report{rule: signInUnseen(), steps: []*step{s}}
		switch {
		case nameless >= 0:
			c := federated[nameless]
			p.at, p.about = place{Line: c.Line, Column: c.column}, c.Cloud+" "+c.How
			p.message = fmt.Sprintf("The step signs in with %s, and the file does not say as whom.", c.How)
		case len(federated) > 0:
			continue
		case len(s.opaque) > 0:
			o := s.opaque[0]
			p.at, p.about, p.message = o.at, o.what, fmt.Sprintf("The step's sign-in is not in this file; it may be in %s, which was not judged.", o.what)
			s.ask("unknown", o.how, "", o.at)
		case len(s.pipes) > 0:
			p.at, p.about, p.message = s.pipes[0].place, s.pipes[0].Name, "The pipe gets the token, and the file does not say whom it becomes."
			how := "other-pipe"
			if s.pipes[0].owner == "atlassian" {
				how = "atlassian-pipe"
			}
			s.ask(pipeCloud(s.pipes[0].name), how, "", s.pipes[0].place)
		default:
			i := slices.IndexFunc(s.commands, func(c command) bool {
				return selfSigning.MatchString(c.Name()) && !slices.Contains([]string{"docker", "npx"}, c.Name()) || c.Name() == "." || c.Name() == "source"
			})
			if i < 0 {
				continue
			}
			p.at, p.about = s.commands[i].at, s.commands[i].Name()
			p.message = fmt.Sprintf("The file does not show as whom %s signs in.", s.commands[i].Name())
		}
		r.report(p)
	}
	for _, i := range r.parsed.Imports {
		r.report(report{rule: signInUnseen(), at: i.Place, path: i.Path, about: i.Path, message: "The pipeline is imported: its steps, which run with this repository's identity, were not judged."})
	}
}

func pipeCloud(name string) string {
	for _, cloud := range [][2]string{{"aws", "aws"}, {"gcp", "gcp"}, {"google", "gcp"}, {"gke", "gcp"}, {"firebase", "gcp"}, {"vault", "vault"}, {"azure", "azure"}} {
		if strings.Contains(name, cloud[0]) {
			return cloud[1]
		}
	}
	return "unknown"
}
