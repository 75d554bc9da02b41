package test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"bitbucket-oidc/internal/audit"
	"bitbucket-oidc/internal/audit/judges"
	"bitbucket-oidc/internal/drift"
	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/judge"
)

func TestLinksLeadSomewhere(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	for _, name := range pages(t) {
		text := codeFence.ReplaceAllString(docPage(t, name), "")
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			file, anchor, anchored := strings.Cut(m[1], "#")
			target := name
			if file != "" {
				target = filepath.Join(filepath.Dir(name), file)
			}
			if _, err := os.Stat(filepath.Join(checkout, target)); err != nil {
				t.Errorf("%s: %v", name, err)
			} else if anchored && !slices.Contains(anchors(docPage(t, target)), anchor) {
				t.Errorf("%s: no heading for %s", name, m[1])
			}
			// The image has the pages and not the sources, which only CONTRIBUTING.md is about.
			if top, _, _ := strings.Cut(target, "/"); name != "CONTRIBUTING.md" && top != "docs" && !slices.Contains(pages(t), top) {
				t.Errorf("%s: %s is not in the image", name, m[1])
			}
		}
	}
}

// TestLinksLeadToEveryPage: nobody reads a page that no link leads to.
func TestLinksLeadToEveryPage(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)\s#]+)[^)\s]*\)`)
	seen, todo := map[string]bool{"README.md": true}, []string{"README.md"}
	for len(todo) > 0 {
		name := todo[0]
		todo = todo[1:]
		for _, m := range link.FindAllStringSubmatch(docPage(t, name), -1) {
			if target := filepath.Join(filepath.Dir(name), m[1]); strings.HasSuffix(target, ".md") && !seen[target] && !strings.Contains(m[1], "://") {
				seen[target] = true
				todo = append(todo, target)
			}
		}
	}
	for _, name := range pages(t) {
		if !seen[name] {
			t.Errorf("no link leads from README.md to %s", name)
		}
	}
	if lines := strings.Count(docPage(t, "README.md"), "\n"); lines > 300 {
		t.Errorf("README.md has %d lines: what one task needs belongs into its page", lines)
	}
}

// TestLinksLeadToWhatIsNotConfirmed: whoever reads of one such thing can look up all of them, and how to tell us.
func TestLinksLeadToWhatIsNotConfirmed(t *testing.T) {
	for _, name := range pages(t) {
		if name == "CHANGELOG.md" || filepath.Base(name) == "not-confirmed.md" {
			continue
		}
		if text := docPage(t, name); strings.Contains(text, "ot confirmed") && !strings.Contains(text, "not-confirmed.md") {
			t.Errorf("%s says that something is not confirmed, and has no link to docs/not-confirmed.md", name)
		}
	}
}

// TestLinksLeadToEveryRule: the page that a finding names is there.
func TestLinksLeadToEveryRule(t *testing.T) {
	for _, rule := range slices.Concat(judge.Rules(), audit.Rules(), judges.Rules(), drift.Rules()) {
		page, found := strings.CutPrefix(finding.Docs(rule.Name), "https://bitbucket.org/ACCOUNT/bitbucket-oidc/src/main/")
		if !found || !strings.HasPrefix(docPage(t, page), "# "+rule.Name+"\n") {
			t.Errorf("%s is not the page of %s", page, rule.Name)
		}
	}
}

// anchors are what a page's headings can be linked by.
func anchors(page string) []string {
	heading := regexp.MustCompile(`(?m)^#+ (.+)$`)
	other := regexp.MustCompile(`[^a-z0-9 _-]`)
	var all []string
	for _, m := range heading.FindAllStringSubmatch(codeFence.ReplaceAllString(page, ""), -1) {
		all = append(all, strings.ReplaceAll(other.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-"))
	}
	return all
}
