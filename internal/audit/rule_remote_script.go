package audit

import (
	"slices"

	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/script"
)

func remoteScript() finding.Rule {
	return finding.Rule{
		Name: "remote-script", Severity: finding.Warning,
		Finds: "a script from the network that runs on a step with a token",
		Why:   "Whoever controls the server runs commands with the token.",
		Fix:   "Install the program in the image, or download a version and verify its checksum.",
	}
}

func (r *run) remoteScript() {
	for _, s := range r.steps {
		if !s.Token {
			continue
		}
		for i, c := range s.commands {
			if !c.Is("curl", "wget", "iwr") {
				continue
			}
			into := -1
			switch c.Output {
			case script.Piped:
				into = s.next(i)
				if n := s.commands[into]; n.Is("tee", "tac", "sed") && n.Output == script.Piped {
					into = s.next(into)
				}
			case script.Captured:
				into = c.base + c.Outer
			}
			if into < 0 || !isShell(s.commands[into].Command) {
				continue
			}
			if outer := s.commands[into]; outer.Is("python3", "python", "node", "ruby", "perl") && containsAny(outer.Text(), " -c", " -m", " -e") {
				continue // the program is in the file; the network's answer is its input
			}
			r.report(report{rule: remoteScript(), at: c.at, about: c.Text(), steps: []*step{s}, message: "A shell runs what the server answers, on a step with a token."})
		}
	}
}

func isShell(c script.Command) bool {
	name := c.Name()
	if name == "sudo" && len(c.Words) > 1 {
		name = c.Words[1].Text
	}
	return slices.Contains([]string{"sh", "bash", "zsh", "dash", "python", "python3", "node", "iex", "source", ".", "eval", "perl", "ruby", "pwsh"}, name)
}
