package audit

import (
	"fmt"
	"slices"
	"strings"

	"bitbucket-oidc/internal/finding"
)

func signInUnseen() finding.Rule {
	return finding.Rule{
		Name: "sign-in-unseen", Severity: finding.Note,
		Finds: "a sign-in that the file does not show",
		Why:   "The sign-in is in a script of the repository, in a program of the image, in another file, or in the settings of the repository. It was not judged.",
		Fix:   "Read what is named, or sign in with a pipe that shows the role in the file.",
	}
}

// signInUnseen finds, once for a step, what was not judged.
func (r *run) signInUnseen() {
	for _, s := range r.steps {
		if p, found := s.unseenSignIn(); found {
			r.report(p)
		}
	}
	for _, i := range r.parsed.Imports {
		r.report(report{rule: signInUnseen(), at: i.Place, path: i.Path, about: i.Path, message: "The pipeline is imported: its steps, which run with this repository's identity, were not judged."})
	}
}

func (s *step) unseenSignIn() (p report, found bool) {
	if !s.Token || s.src.Child != "" {
		return report{}, false
	}
	p = report{rule: signInUnseen(), steps: []*step{s}}
	if u := s.unseen; u != nil {
		p.at, p.about, p.message = u.at, u.what, fmt.Sprintf("The step's sign-in is not in this file; it may be in %s, which was not judged.", u.what)
		if strings.HasSuffix(u.how, "-pipe") {
			p.message = "The pipe gets the token, and the file does not say which identity it gets."
		}
		return p, true
	}
	federated := s.federated()
	if i := slices.IndexFunc(federated, func(c Cloud) bool { return c.Who == nil }); i >= 0 {
		c := federated[i]
		p.at, p.about = place{Line: c.Line, Column: c.column}, c.Cloud+" "+c.How
		p.message = fmt.Sprintf("The step signs in with %s, and the file does not say as which identity.", c.How)
		return p, true
	}
	i := slices.IndexFunc(s.commands, func(c command) bool {
		return signsItself(c) || c.Is(".", "source")
	})
	if len(federated) > 0 || i < 0 {
		return report{}, false
	}
	c := s.commands[i]
	name := unwrapped(c.Command).Name()
	p.at, p.about, p.message = c.at, name, fmt.Sprintf("The file does not show which identity %s signs in as.", name)
	return p, true
}
