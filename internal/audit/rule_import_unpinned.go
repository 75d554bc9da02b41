package audit

import (
	"fmt"
	"strings"

	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/pattern"
)

func importUnpinned() finding.Rule {
	return finding.Rule{
		Name: "import-unpinned", Severity: finding.Warning,
		Finds: "a pipeline imported from a branch",
		Why:   "Whoever can push the branch there runs steps with this repository's identity.",
		Fix:   "Import from a tag or a commit.",
	}
}

func (r *run) importUnpinned() {
	for _, i := range r.parsed.Imports {
		repository, rest, remote := strings.Cut(i.Source, ":")
		local := !remote && (strings.Contains(i.Source, "/") || strings.HasPrefix(i.Source, ".") || hasAnySuffix(i.Source, ".yml", ".yaml"))
		if i.Source == "" || local {
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

var (
	versionRef = pattern.New(`^v?\d+(?:\.\d+)*(?:[-+.]\w+)*$|^[0-9a-f]{7,40}$`)
	releaseRef = pattern.New(`(?i)^(?:release|rel|tags?|refs/tags)[/-]v?\d`)
)
