package audit

import (
	"fmt"
	"strings"

	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/pattern"
)

func imageUnpinned() finding.Rule {
	return finding.Rule{
		Name: "image-unpinned", Severity: finding.Warning,
		Finds: "a build image without a version on a step with a token",
		Why:   "The code that runs with the token can change without a change of this file.",
		Fix:   "Name a version or a digest.",
	}
}

func (r *run) imageUnpinned() {
	for _, s := range r.steps {
		if !s.Token {
			continue
		}
		p := report{rule: imageUnpinned(), steps: []*step{s}}
		switch i := s.src.Image; {
		case i == nil:
			p.at, p.about, p.message = s.src.Place, "default image", "The step names no image, and runs in the latest atlassian/default-image."
		case strings.Contains(i.Name, "$") || i.Name == "":
			continue
		default:
			name, tag := splitVersion(i.Name)
			if tag != "" && !movingTag.MatchString(tag) {
				continue
			}
			p.at, p.about, p.message = i.Place, i.Name, fmt.Sprintf("The tag %s of the image %s moves.", tag, name)
			if tag == "" {
				p.message = fmt.Sprintf("The image %s has no tag, which means latest.", name)
			}
		}
		r.report(p)
	}
}

var movingTag = pattern.New(`^(?:latest|edge|stable|main|master|dev|develop|nightly|canary|next|current|lts|beta|alpha|rolling|unstable)$`)
