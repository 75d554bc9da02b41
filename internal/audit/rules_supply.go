package audit

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/pipelines"
	"bitbucket-oidc/internal/script"
)

func pipeUnknown() finding.Rule {
	return finding.Rule{
		Name: "pipe-unknown", Severity: finding.Warning,
		Finds: "a pipe of Atlassian's that is not known",
		Why:   "Machine-written guides recommend sign-in pipes that do not exist. The list of pipes may be behind: look it up.",
		Fix:   "Use one of Atlassian's pipes with `AWS_OIDC_ROLE_ARN`, or this pipe to sign in.",
	}
}

func pipeUnpinned() finding.Rule {
	return finding.Rule{
		Name: "pipe-unpinned", Severity: finding.Warning,
		Finds: "a pipe without a whole version on a step with a token",
		Why:   "What runs with the token changes without a change of this file.",
		Fix:   "Name a version of three numbers, or a digest.",
	}
}

func imageUnpinned() finding.Rule {
	return finding.Rule{
		Name: "image-unpinned", Severity: finding.Warning,
		Finds: "a build image without a version on a step with a token",
		Why:   "What runs with the token changes without a change of this file.",
		Fix:   "Name a version or a digest.",
	}
}

// pipes are Atlassian's, as of 2026-08. A pipe that is missing here costs a warning.
func atlassianPipes() []string {
	return strings.Fields(`aws-cloudformation-deploy aws-cloudfront-invalidate aws-code-deploy aws-ecr-push-image aws-ecs-deploy aws-eks-kubectl-run
		aws-elasticbeanstalk-deploy aws-elasticbeanstalk-run aws-elastic-beanstalk-deploy aws-elastic-beanstalk-run aws-lambda-deploy aws-s3-deploy aws-sam-deploy
		azure-aks-deploy azure-aks-helm-deploy azure-arm-deploy azure-cli-run azure-functions-deploy azure-storage-deploy azure-vm-linux-script-deploy
		azure-vmss-linux-script-deploy azure-web-apps-containers-deploy azure-web-apps-deploy azure-acr-push-image azure-static-web-apps-deploy
		bitbucket-build-statistics bitbucket-clear-cache bitbucket-list-default-reviewers bitbucket-pipe-release bitbucket-runners-autoscaler bitbucket-trigger-pipeline bitbucket-upload-file
		bitbucket-update-wiki bitbucket-create-pull-request checkstyle-report checkstyle-code-insights-report cocoapods-publish docker-publish demo-pipe-bash demo-pipe-python email-notify
		firebase-deploy ftp-deploy git-secrets-scan google-app-engine-deploy google-artifact-registry-push-image google-cloud-functions-deploy google-cloud-run-deploy google-cloud-storage-deploy
		google-gcr-push-image google-gke-kubectl-run heroku-deploy jira-create-issue jira-transition jira-release kubectl-run microsoft-teams-notify msteams-notify npm-publish opsgenie-send-alert
		pagerduty-send-alert pypi-publish rsync-deploy runners-autoscaler scp-deploy sftp-deploy slack-notify snyk-scan sonarcloud-scan ssh-run telegram-notify trigger-pipeline bitbucket-clean-artifacts
		self-hosted-runners-autoscaler statuspage-update sync-default-reviewers terraform-deploy codefresh-run docker-scan`)
}

func (r *run) unknownPipes() {
	known := atlassianPipes()
	for _, s := range r.steps {
		for _, p := range s.pipes {
			if p.owner == "atlassian" && !p.docker && !slices.Contains(known, p.name) && !strings.Contains(p.name, "$") {
				r.report(report{rule: pipeUnknown(), at: p.place, about: p.Name, steps: []*step{s}, message: fmt.Sprintf("No pipe atlassian/%s is known.", p.name)})
			}
		}
	}
}

var (
	threeNumbers = regexp.MustCompile(`\d+\.\d+\.\d+`)
	commitHash   = regexp.MustCompile(`^(?:sha-|sha256:)?[0-9a-f]{7,}$`)
	movingTag    = regexp.MustCompile(`^(?:latest|edge|stable|main|master|dev|develop|nightly|canary|next|current|lts|beta|alpha|rolling|unstable)$`)
)

func (r *run) unpinned() {
	for _, s := range r.steps {
		if !s.Token {
			continue
		}
		for _, p := range s.pipes {
			if threeNumbers.MatchString(p.version) || commitHash.MatchString(p.version) || strings.Contains(p.Name, "$") {
				continue
			}
			message := fmt.Sprintf("The version %s of the pipe %s moves.", p.version, p.name)
			if p.version == "" {
				message = fmt.Sprintf("The pipe %s has no version.", p.name)
			}
			r.report(report{rule: pipeUnpinned(), at: p.place, about: p.Name, steps: []*step{s}, message: message})
		}
		p := report{rule: imageUnpinned(), steps: []*step{s}}
		switch i := s.src.Image; {
		case i == nil:
			p.at, p.about, p.message = s.src.Place, "default image", "The step names no image, and runs in the latest atlassian/default-image."
		case strings.Contains(i.Name, "$") || i.Name == "":
			continue
		default:
			name, tag := splitVersion(i.Name)
			if tag != "" && !movingTag.MatchString(tag) {
				continue
			}
			p.at, p.about, p.message = i.Place, i.Name, fmt.Sprintf("The tag %s of the image %s moves.", tag, name)
			if tag == "" {
				p.message = fmt.Sprintf("The image %s has no tag, which means latest.", name)
			}
		}
		r.report(p)
	}
}

func importUnpinned() finding.Rule {
	return finding.Rule{
		Name: "import-unpinned", Severity: finding.Warning,
		Finds: "a pipeline imported from a branch",
		Why:   "Whoever can push the branch there runs steps with this repository's identity.",
		Fix:   "Import from a tag or a commit.",
	}
}

var (
	versionRef = regexp.MustCompile(`^v?\d+(?:\.\d+)*(?:[-+.]\w+)*$|^[0-9a-f]{7,40}$`)
	releaseRef = regexp.MustCompile(`(?i)^(?:release|rel|tags?|refs/tags)[/-]v?\d`)
)

func (r *run) imports() {
	for _, i := range r.parsed.Imports {
		repository, rest, remote := strings.Cut(i.Source, ":")
		if i.Source == "" || !remote && (strings.Contains(i.Source, "/") || strings.HasPrefix(i.Source, ".") || strings.HasSuffix(i.Source, ".yml") || strings.HasSuffix(i.Source, ".yaml")) {
			continue
		}
		ref, _, _ := strings.Cut(rest, ":")
		if versionRef.MatchString(ref) || releaseRef.MatchString(ref) || strings.Contains(ref, "$") {
			continue
		}
		message := fmt.Sprintf("The pipeline is imported from the branch %s of %s, which moves.", ref, repository)
		if ref == "" {
			message = fmt.Sprintf("The pipeline is imported from %s without a version.", repository)
		}
		r.report(report{rule: importUnpinned(), at: i.At, path: i.Path, about: i.Source, message: message})
	}
}

func remoteScript() finding.Rule {
	return finding.Rule{
		Name: "remote-script", Severity: finding.Warning,
		Finds: "a script from the network that runs on a step with a token",
		Why:   "Whoever controls the server runs commands with the token.",
		Fix:   "Install the program in the image, or download a version and verify its checksum.",
	}
}

func isShell(c script.Command) bool {
	name := c.Name()
	if name == "sudo" && len(c.Words) > 1 {
		name = c.Words[1].Text
	}
	return slices.Contains([]string{"sh", "bash", "zsh", "dash", "python", "python3", "node", "iex", "source", ".", "eval", "perl", "ruby", "pwsh"}, name)
}

func (r *run) remote() {
	for _, s := range r.steps {
		if !s.Token {
			continue
		}
		for i, c := range s.commands {
			if name := c.Name(); name != "curl" && name != "wget" && name != "iwr" {
				continue
			}
			into := -1
			switch c.Output {
			case script.Piped:
				into = s.next(i)
				if n := s.commands[into]; (n.Name() == "tee" || n.Name() == "tac" || n.Name() == "sed") && n.Output == script.Piped {
					into = s.next(into)
				}
			case script.Captured:
				into = c.base + c.Outer
			}
			if into < 0 || !isShell(s.commands[into].Command) {
				continue
			}
			if outer := s.commands[into]; outer.Name() == "python3" || outer.Name() == "python" || outer.Name() == "node" || outer.Name() == "ruby" || outer.Name() == "perl" {
				if strings.Contains(outer.Text(), " -c") || strings.Contains(outer.Text(), " -m") || strings.Contains(outer.Text(), " -e") {
					continue // the program is in the file; the network's answer is its input
				}
			}
			r.report(report{rule: remoteScript(), at: c.at, about: c.Text(), steps: []*step{s}, message: "What the server answers runs in a shell, on a step with a token."})
		}
	}
}

func buildBesideToken() finding.Rule {
	return finding.Rule{
		Name: "build-beside-token", Severity: finding.Note,
		Finds: "an installation of dependencies, or their tests, on a step with a token",
		Why:   "The scripts of every dependency run with the token within reach.",
		Fix:   "Build on a step without a token, and pass the result on as an artifact.",
	}
}

func agentBesideToken() finding.Rule {
	return finding.Rule{
		Name: "agent-beside-token", Severity: finding.Warning,
		Finds: "an AI agent on a step with a token",
		Why:   "What the agent reads can tell it what to do, and the agent holds the token.",
		Fix:   "Run the agent on a step without `oidc`.",
	}
}

var (
	builds = regexp.MustCompile(`^(?:npm (?:ci|install|i|test|t)|yarn(?: install| test)?|pnpm (?:install|i|test)|bun install|bundle install|composer install|mvnw? .*\b(?:test|verify|package|install|sonar\S*|deploy)|gradlew? .*\b(?:test|build|check|sonar\S*)|pip3? install (?:.* )?(?:-r \S+|\.)|poetry install|cargo (?:test|build)|pytest|tox)(?: |$)`)
	global = regexp.MustCompile(` (?:-g|--global)\b|^npm (?:install|i) (?:-\S+ )*[a-z@][\w@/.-]*`)
	agents = regexp.MustCompile(`^(?:claude|codex|gemini|aider|rovodev|cursor-agent|acli rovodev|gh copilot|amp|goose)\b`)
)

func (s *step) agent() bool {
	return slices.ContainsFunc(s.src.Script, func(i pipelines.Item) bool { return i.Agent })
}

func (r *run) beside() {
	for _, s := range r.steps {
		if !s.Token {
			continue
		}
		for _, i := range s.src.Script {
			if i.Agent {
				r.report(report{rule: agentBesideToken(), at: i.Place, about: "agent", steps: []*step{s}, message: "An agent runs on a step with a token."})
			}
		}
		built := false
		for _, c := range s.commands {
			text := strings.TrimPrefix(strings.TrimPrefix(c.Text(), "./"), "npx ")
			if agents.MatchString(text) && !strings.Contains(text, "--version") {
				r.report(report{rule: agentBesideToken(), at: c.at, about: text, steps: []*step{s}, message: "An AI agent runs on a step with a token."})
			}
			if !built && builds.MatchString(text) && !global.MatchString(text) {
				built = true
				r.report(report{rule: buildBesideToken(), at: c.at, about: text, steps: []*step{s}, message: "The command runs the code of dependencies on a step with a token."})
			}
		}
	}
}
