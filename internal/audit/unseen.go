package audit

import (
	"strings"

	"bitbucket-oidc/internal/pattern"
	"bitbucket-oidc/internal/script"
)

// opaques finds what may sign in without the file showing it.
func (s *step) opaques() {
	functions := map[string]bool{}
	for _, c := range s.commands {
		if c.Name() == "function" && len(c.Words) > 1 {
			functions[c.Words[1].Text] = true
		}
	}
	for _, c := range s.commands {
		if how, what := hidden(c.Command); how != "" && !functions[c.Name()] {
			s.opaque = append(s.opaque, opaque{how, what, c.at})
		}
	}
}

// hidden returns how a command runs something that the file does not show, and what that is. Both are empty if the file shows it.
func hidden(c script.Command) (how, what string) {
	if len(c.Words) == 0 {
		return "", ""
	}
	c = unwrapped(c)
	first, name := c.Words[0].Text, c.Name()
	second := ""
	for _, w := range c.Words[1:] {
		if !strings.HasPrefix(w.Text, "-") {
			second = w.Text
			break
		}
	}
	switch {
	case hasAnyPrefix(first, "./", "../", "$BITBUCKET_CLONE_DIR/", "${BITBUCKET_CLONE_DIR}/"), hasAnySuffix(first, ".sh", ".py", ".ps1"):
		if !c.Is("gradlew", "mvnw") {
			return "script-file", first
		}
		return task(c, second)
	case c.Is("sh", "bash", "dash", "zsh", "source", ".", "python", "python3", "node", "ruby", "pwsh"):
		return interpreted(c, second)
	case c.Is("make", "just", "task", "rake"):
		return "script-file", strings.TrimSpace(name + " " + second)
	case c.Is("npm", "yarn", "pnpm", "mvn", "gradle", "go", "php", "perl", "deno", "docker"):
		return task(c, second)
	case knownProgram(name):
		return "", ""
	case plainName.MatchString(name):
		return "image-script", name
	}
	return "", ""
}

// task is what a program runs that the project defines, if the file does not show what it does.
func task(c script.Command, argument string) (how, what string) {
	text := c.Text()
	switch c.Name() {
	case "npm":
		if !strings.Contains(text, " run ") || buildWords.MatchString(text) {
			return "", ""
		}
		return "script-file", text
	case "yarn", "pnpm":
		if argument == "" || buildWords.MatchString(text) || managers.MatchString(argument) && !strings.Contains(text, " run ") {
			return "", ""
		}
	case "mvn", "mvnw", "gradle", "gradlew":
		if !publishes.MatchString(text) {
			return "", ""
		}
	case "go", "docker":
		if !projects.MatchString(text) {
			return "", ""
		}
	case "php", "perl", "deno":
		if argument == "" || buildWords.MatchString(text) || strings.Contains(text, "phpunit") {
			return "", ""
		}
	}
	return "script-file", strings.TrimSpace(c.Name() + " " + argument)
}

var (
	managers  = pattern.New(`^(?:add|install|i|ci|remove|up|upgrade|update|why|cache|config|set|get|global|workspaces?|version|audit|info|list|ls|pack|link|dedupe|import|init|login|logout|store|fetch|prune|rebuild|outdated)$`)
	publishes = pattern.New(`(?i)deploy|publish|upload|release|jib`)
	projects  = pattern.New(`^\S*(?:go run |docker compose (?:-\S+ \S+ )*(?:run|exec) )`)
)

// interpreted is what an interpreter runs, if the file does not show what it does: a script, a module of the repository, or a program
// on the command line in a language other than the shell's that signs in.
func interpreted(c script.Command, argument string) (how, what string) {
	text, name := c.Text(), c.Name()
	if m := module.FindStringSubmatch(text); m != nil {
		if knownModule.MatchString(m[1]) {
			return "", ""
		}
		return "script-file", name + " -m " + m[1]
	}
	switch {
	case inline.MatchString(text) && (shellName.MatchString(name) || !signsInside.MatchString(text)):
		return "", ""
	case inline.MatchString(text):
		return "script-file", "a program on the command line of " + name
	case argument == "" || argument == "pip" || strings.Contains(argument, " ") || strings.Contains(argument, "$") && c.Is("source", "."):
		return "", ""
	}
	return "script-file", argument
}

var (
	// inline matches an interpreter with its program on the command line. What a shell runs is read: see package script.
	inline      = pattern.New(`^\S*(?:sh(?: -\w+)* -\w*c|python3?(?: -\w+)* -c|(?:node|ruby)(?: -\w+)* -e|pwsh(?: -\w+)* -[Cc]\w*) `)
	shellName   = pattern.New(`^(?:ba|da|z)?sh$`)
	signsInside = pattern.New(`boto|assume_?[rR]ole|google\.auth|google-auth|hvac|aws-sdk|OIDC_TOKEN`)
	module      = pattern.New(`^\S*python3?(?: -[a-ln-zA-Z]\w*)* -m (\S+)`)
	knownModule = pattern.New(`^(?:pip|pipx|pytest|unittest|venv|virtualenv|build|json\.tool|http\.server|compileall|py_compile|zipfile|tarfile|black|ruff|flake8|mypy|pylint|isort|coverage|tox|nox|poetry|uv|twine|ensurepip|site|this)(?:\.|$)`)
)

// unwrapped is the command that a command runs: behind npx, sudo and similar programs, the command in their arguments, without a version.
func unwrapped(c script.Command) script.Command {
	for len(c.Words) > 1 && (runner.MatchString(c.Name()) || len(c.Words) > 2 && environments.MatchString(c.Name()+" "+c.Words[1].Text)) {
		if !runner.MatchString(c.Name()) {
			c.Words = c.Words[1:]
		}
		c.Words = c.Words[1:]
		for len(c.Words) > 1 && (strings.HasPrefix(c.Words[0].Text, "-") || strings.Contains(c.Words[0].Text, "=") || bound.MatchString(c.Words[0].Text)) {
			c.Words = c.Words[1:]
		}
		if at := strings.LastIndexByte(c.Words[0].Text, '@'); at > 0 {
			c.Words = append([]script.Word{{Text: c.Words[0].Text[:at]}}, c.Words[1:]...)
		}
	}
	return c
}

var (
	runner = pattern.New(`^(?:npx|bunx|pnpx|uvx|sudo|time|nohup|nice|timeout|env|exec)$`)
	// environments matches runners of two words.
	environments = pattern.New(`^(?:(?:uv|poetry|pipenv|hatch|rye|pdm|micromamba|conda) run|bundle exec|(?:yarn|pnpm|npm) (?:exec|dlx))$`)
	bound        = pattern.New(`^\d+[smhd]?$`)
)

var (
	buildWords = pattern.New(`\b(?:build|test|lint|format|typecheck|compile)\b`)
	plainName  = pattern.New(`^[a-z][a-z0-9_.-]*$`)
)

// selfSigning are clients that sign in by themselves with what a variable or a file of configuration names.
var selfSigning = pattern.New(`^(?:terraform|tofu|terragrunt|pulumi|aws|gcloud|gsutil|bq|kubectl|helm|cdk|aws-cdk|cdktf|sam|sls|serverless|vault|az|packer|ansible|ansible-playbook|eksctl|ecs|databricks|cosign|docker|twine|chainctl|infisical|faas-cli|firebase|flyctl|skaffold|argocd|flux|jf|jfrog|cloudsmith|op|doppler)$`)

// signsItself reports whether a command is a client that signs in with what a variable or a file names. docker does not.
func signsItself(c command) bool {
	name := unwrapped(c.Command).Name()
	return selfSigning.MatchString(name) && name != "docker"
}

// knownProgram reports whether a program is known not to sign in unless the script shows it.
func knownProgram(name string) bool {
	return selfSigning.MatchString(name) || common.MatchString(name)
}

var common = pattern.New(`^(?:echo|printf|cat|tee|cd|pwd|ls|ll|mkdir|rm|cp|mv|ln|touch|chmod|chown|find|xargs|grep|egrep|sed|awk|gawk|cut|tr|head|tail|sort|uniq|wc|diff|date|sleep|env|printenv|export|set|unset|` +
	`test|true|false|exit|return|read|eval|exec|source|trap|wait|local|declare|readonly|shift|command|which|type|hash|for|case|esac|in|function|let|if|fi|done|select|break|continue|` +
	`apt|apt-get|apk|yum|dnf|microdnf|brew|choco|pip|pip3|pipenv|poetry|uv|npm|yarn|pnpm|bun|npx|bunx|pnpx|uvx|corepack|node|python|python3|ruby|gem|bundle|php|composer|go|cargo|rustup|java|javac|mvn|mvnw|gradle|gradlew|dotnet|nuget|` +
	`git|curl|wget|jq|yq|tar|zip|unzip|gzip|gunzip|base64|openssl|sha256sum|md5sum|gpg|ssh|scp|rsync|ssh-keyscan|nc|dig|nslookup|ping|ps|kill|id|whoami|uname|hostname|df|du|free|time|timeout|sudo|su|nohup|basename|dirname|realpath|envsubst|` +
	`sh|bash|dash|zsh|pytest|jest|eslint|prettier|tsc|vitest|cypress|playwright|flake8|black|ruff|mypy|pylint|golangci-lint|tflint|tfsec|checkov|trivy|snyk|semgrep|hadolint|shellcheck|sonar-scanner|newman|mocha|karma|ng|vite|webpack|hugo|` +
	`file|stat|mktemp|seq|install|shred|unlink|pushd|popd|rev|nl|tac|fold|xxd|od|hexdump|strings|less|more|column|paste|comm|yes|tput|clear|compgen|getent|expr|bc|nproc|ulimit|umask|locale|export-env|nvm|rbenv|pyenv|sdk|pulumi-language|xvfb-run|codecov|phpunit|rspec|tox|nox|coverage|go-junit-report|claude|codex|gemini|aider|rovodev|acli)$`)
