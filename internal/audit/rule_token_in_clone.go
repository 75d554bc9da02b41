package audit

import (
	"fmt"
	"path"
	"slices"
	"strings"

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
		packed := -1 // the last command that packs the checkout
		if len(s.files) > 0 {
			packed = lastly(s.commands, func(c command) bool { return packs.MatchString(strings.ReplaceAll(c.Text(), "\n", " ")) })
		}
		for _, f := range s.files {
			if !inClone(f.path) {
				continue
			}
			p := report{rule: tokenInClone(), at: f.at, about: f.path, steps: []*step{s}, message: fmt.Sprintf("The file %s is in the checkout.", path.Base(f.path))}
			if f.index < packed || s.uploads(f) {
				p.severity, p.message = finding.Warning, fmt.Sprintf("The file %s is in the checkout, which a later command packs.", path.Base(f.path))
			}
			r.report(p)
		}
	}
}

// lastly is the index of the last command for which something is true, or -1.
func lastly(all []command, is func(command) bool) int {
	for i := len(all) - 1; i >= 0; i-- {
		if is(all[i]) {
			return i
		}
	}
	return -1
}

// uploads reports whether a pipe behind a file uploads the whole checkout.
func (s *step) uploads(f written) bool {
	return slices.ContainsFunc(s.pipes, func(p pipe) bool {
		_, folder := p.Value("LOCAL_PATH")
		return p.place.Line > f.at.Line && whole.MatchString(folder)
	})
}

const checkout = `(?:\./?\*?|\$\{?BITBUCKET_CLONE_DIR\}?/?|\$\{?PWD\}?/?|\$\(\)/?)`

var (
	whole = pattern.New(`^` + checkout + `$`)
	packs = pattern.New(`\bdocker (?:buildx )?build\b.* ` + checkout + `(?: |$)|\bdocker[- ]compose .*(?:\bbuild\b|--build\b)|\bgit add (?:.* )?(?:-A|--all|\.)(?: |$)|\bgit commit -\w*a` +
		`|\bzip -\w*r\w* \S+ ` + checkout + `(?: |$)|\btar \S*c\S* .*` + checkout + `(?: |$)|\baws s3 (?:sync|cp) ` + checkout + ` ` +
		`|\b(?:rsync|scp) (?:.* )?` + checkout + ` |\b(?:gsutil|gcloud storage) .*\b(?:cp|rsync) (?:-\S+ )*` + checkout + ` `)
)
