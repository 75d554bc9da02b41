package audit

import (
	"errors"

	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/pipelines"
)

func fileUnreadable() finding.Rule {
	return finding.Rule{
		Name: "file-unreadable", Severity: finding.Error, Milder: finding.Warning,
		Finds: "a file that is not YAML, names an anchor that it does not have, or has no pipelines",
		Why:   "Bitbucket refuses the file, and nothing runs. A second YAML document in the file is a warning: Bitbucket reads only the first one.",
		Fix:   "Correct the line.",
	}
}

// unreadable reports why the file cannot be read. It is the only finding of the file.
func (r *run) unreadable(err error) {
	var u *pipelines.Unreadable
	if !errors.As(err, &u) {
		u = &pipelines.Unreadable{Place: pipelines.Place{Line: 1, Column: 1}, Reason: err.Error()}
	}
	r.report(report{rule: fileUnreadable(), at: u.Place, about: u.Reason, message: "The file cannot be read, so nothing runs: " + u.Reason + "."})
}

// fileUnreadable reports a second YAML document.
func (r *run) fileUnreadable() {
	if at := r.parsed.Second; at.Line != 0 {
		r.report(report{
			rule: fileUnreadable(), severity: finding.Warning, at: at, about: "second document",
			message: "A second YAML document begins here: Bitbucket reads the first one only.",
			fix:     finding.Fix{Kind: finding.Advice, Text: "Remove the line `---` and what follows it, or make one document of both."},
		})
	}
}
