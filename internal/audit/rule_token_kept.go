package audit

import (
	"fmt"
	"regexp"
	"strings"

	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/pipelines"
)

func tokenKept() finding.Rule {
	return finding.Rule{
		Name: "token-kept", Severity: finding.Error,
		Finds: "an artifact, a cache or an output variable with the token or credentials in it",
		Why:   "Artifacts can be downloaded for 14 days, by everybody who can read the repository.",
		Fix:   "Write the file to /tmp, or choose paths of artifacts that do not include it.",
	}
}

func (r *run) tokenKept() {
	for _, s := range r.steps {
		for _, f := range s.files {
			if strings.Contains(f.path, "BITBUCKET_PIPELINES_VARIABLES_PATH") {
				r.report(report{rule: tokenKept(), at: f.at, about: "output", steps: []*step{s}, message: "The token becomes an output variable, which Bitbucket stores unmasked."})
				continue
			}
			if f.gone || !inClone(f.path) {
				continue
			}
			for _, kind := range []struct {
				name  string
				globs []pipelines.Glob
			}{{"artifact", s.src.Artifacts}, {"cache", s.src.Caches}} {
				for _, g := range kind.globs {
					if !covers(g.Text, f.path) {
						continue
					}
					what := "credentials"
					if f.token {
						what = "the step's token"
					}
					r.report(report{rule: tokenKept(), at: g.Place, about: g.Text, steps: []*step{s}, message: fmt.Sprintf("The %s %s includes %s, which holds %s.", kind.name, g.Text, f.path, what)})
				}
			}
		}
	}
}

// covers reports whether an artifact's glob covers a path. That it covers names that begin with a dot is not confirmed, and
// taken for granted.
func covers(glob, file string) bool {
	glob = strings.TrimSuffix(strings.TrimPrefix(glob, "./"), "/")
	if glob == "**" || glob == "." || file == glob || strings.HasPrefix(file, glob+"/") {
		return true
	}
	pattern := regexp.QuoteMeta(glob)
	for _, r := range [][2]string{{`\*\*/`, `(?:.*/)?`}, {`\*\*`, `.*`}, {`\*`, `[^/]*`}, {`\?`, `[^/]`}} {
		pattern = strings.ReplaceAll(pattern, r[0], r[1])
	}
	ok, err := regexp.MatchString("^"+pattern+"$", file)
	return err == nil && ok
}
