package audit

import (
	"strings"

	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/pattern"
)

func agentBesideToken() finding.Rule {
	return finding.Rule{
		Name: "agent-beside-token", Severity: finding.Warning,
		Finds: "an AI agent on a step with a token",
		Why:   "Text that the agent reads can tell the agent what to do, and the agent has the token.",
		Fix:   "Run the agent on a step without `oidc`.",
	}
}

func (r *run) agentBesideToken() {
	for _, s := range r.steps {
		if !s.Token {
			continue
		}
		for _, i := range s.src.Script {
			if i.Agent {
				r.report(report{rule: agentBesideToken(), at: i.Place, about: "agent", steps: []*step{s}, message: "An agent runs on a step with a token."})
			}
		}
		for _, c := range s.commands {
			if text := c.program(); agents.MatchString(text) && !strings.Contains(text, "--version") {
				r.report(report{rule: agentBesideToken(), at: c.at, about: text, steps: []*step{s}, message: "An AI agent runs on a step with a token."})
			}
		}
	}
}

var agents = pattern.New(`^(?:claude|claude-code|codex|gemini-cli|gemini|aider|rovodev|cursor-agent|acli rovodev|gh copilot|amp|goose)\b`)
