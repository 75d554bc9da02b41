package audit

import (
	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/pipelines"
)

func fileUnreadable() finding.Rule {
	return finding.Rule{
		Name: "file-unreadable", Severity: finding.Error, Milder: finding.Warning,
		Finds: "a file that is not YAML, names an anchor that it does not have, or has no pipelines",
		Why:   "Bitbucket refuses it, and nothing runs. A second YAML document in the file, of which Bitbucket reads the first, is a warning.",
		Fix:   "Mend the line.",
	}
}

func stepMisplaced() finding.Rule {
	return finding.Rule{
		Name: "step-misplaced", Severity: finding.Error,
		Finds: "a step where no pipeline runs it",
		Why:   "Keys beside `step:` in place of below it make an empty step; a step inside a step and steps below a name that is no kind of pipeline never run.",
		Fix:   "Indent the keys below `step:`, or move the step below `default`, `branches`, `tags`, `pull-requests` or `custom`.",
	}
}

func pipelineRefused() finding.Rule {
	return finding.Rule{
		Name: "pipeline-refused", Severity: finding.Error,
		Finds: "what makes Bitbucket refuse the whole file",
		Why:   "A pipeline must not begin with a manual step, an environment stands once in a pipeline, a step of a stage has neither condition nor trigger nor deployment, and variables belong to custom pipelines.",
		Fix:   "Move or remove the key.",
	}
}

func stepKeyUnknown() finding.Rule {
	return finding.Rule{
		Name: "step-key-unknown", Severity: finding.Warning,
		Finds: "a key of a step that Bitbucket does not know",
		Why:   "It is ignored. A role that it would set is empty, and a slip of `oidc` gives no token.",
		Fix:   "Set variables with `export` in the script, or in the repository's settings; correct the key's name.",
	}
}

func oidcValue() finding.Rule {
	return finding.Rule{
		Name: "oidc-value", Severity: finding.Error,
		Finds: "a value of `oidc` that is neither a boolean nor a mapping with `audiences`",
		Why:   "Bitbucket's validator refuses it.",
		Fix:   "oidc: true",
	}
}

// faults reports what the walk came across.
func (r *run) faults() {
	rules := map[pipelines.FaultKind]finding.Rule{
		pipelines.Misplaced: stepMisplaced(), pipelines.Refused: pipelineRefused(), pipelines.Ignored: stepKeyUnknown(), pipelines.Value: oidcValue(),
	}
	for _, f := range r.parsed.Faults {
		p := report{rule: rules[f.Kind], at: f.Place, path: f.Path, about: f.Path + "\x00" + f.Text, message: f.Text}
		if f.Kind == pipelines.Value {
			p.fix = finding.Fix{Kind: finding.YAML, Text: "oidc: true"}
		}
		for _, s := range r.steps {
			if s.Path == f.Path || len(f.Path) > len(s.Path) && f.Path[:len(s.Path)+1] == s.Path+"." {
				p.steps = append(p.steps, s)
			}
		}
		r.report(p)
	}
}

// second reports a second YAML document.
func (r *run) second() {
	if at := r.parsed.Second; at.Line != 0 {
		r.report(report{
			rule: fileUnreadable(), severity: finding.Warning, at: at, about: "second document",
			message: "A second YAML document begins here: Bitbucket reads the first one only.",
			fix:     finding.Fix{Kind: finding.Advice, Text: "Remove the line `---` and what follows it, or make one document of both."},
		})
	}
}
