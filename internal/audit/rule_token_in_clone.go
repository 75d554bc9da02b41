package audit

import (
	"fmt"
	"path"

	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/pattern"
)

func tokenInClone() finding.Rule {
	return finding.Rule{
		Name: "token-in-clone", Severity: finding.Note,
		Finds: "the token or credentials in a file of the checkout; a warning where the checkout is packed",
		Why:   "`docker build .`, `git add`, `zip -r .` and an upload of the folder include the file.",
		Fix:   "Write the file to /tmp, or sign in with this pipe: git ignores its folder.",
	}
}

func (r *run) tokenInClone() {
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
			p := report{rule: tokenInClone(), at: f.at, about: f.path, steps: []*step{s}, message: fmt.Sprintf("The file %s is in the checkout.", path.Base(f.path))}
			if packed >= f.at.Line {
				p.severity, p.message = finding.Warning, fmt.Sprintf("The file %s is in the checkout, which a later command packs.", path.Base(f.path))
			}
			r.report(p)
		}
	}
}

var packs = pattern.New(`\bdocker (?:buildx )?build\b.* \.(?: |$)|\bgit add (?:-A|--all|\.)|\bgit commit -\w*a|\bzip -\w*r\w* \S+ \.(?: |$)|\btar \S*c\S* .*\.(?: |$)|\baws s3 (?:sync|cp) \.(?:/)? `)
