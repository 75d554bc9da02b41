package audit

import (
	"slices"

	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/pattern"
)

func buildBesideToken() finding.Rule {
	return finding.Rule{
		Name: "build-beside-token", Severity: finding.Note,
		Finds: "an installation of dependencies, or their tests, on a step with a token",
		Why:   "The scripts of every dependency can read the token.",
		Fix:   "Build on a step without a token, and pass the result on as an artifact.",
	}
}

// buildBesideToken finds the first such command of each step.
func (r *run) buildBesideToken() {
	for _, s := range r.steps {
		i := slices.IndexFunc(s.commands, func(c command) bool {
			text := c.program()
			return builds.MatchString(text) && !installsGlobally.MatchString(text)
		})
		if s.Token && i >= 0 {
			c := s.commands[i]
			r.report(report{rule: buildBesideToken(), at: c.at, about: c.program(), steps: []*step{s}, message: "The command runs the code of dependencies on a step with a token."})
		}
	}
}

var (
	builds           = pattern.New(`^(?:npm (?:ci|install|i|test|t)|yarn(?: install| test)?|pnpm (?:install|i|test)|bun install|bundle install|composer install|mvnw? .*\b(?:test|verify|package|install|sonar\S*|deploy)|gradlew? .*\b(?:test|build|check|sonar\S*)|pip3? install (?:.* )?(?:-r \S+|\.)|poetry install|cargo (?:test|build)|go test|dotnet (?:test|build)|uv (?:sync|run pytest)|python3? -m (?:pytest|pip install (?:.* )?(?:-r \S+|\.))|pytest|tox)(?: |$)`)
	installsGlobally = pattern.New(` (?:-g|--global)\b|^npm (?:install|i) (?:-\S+ )*[a-z@][\w@/.-]*`)
)
