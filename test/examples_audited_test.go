package test

import (
	"strings"
	"testing"

	"bitbucket-oidc/internal/audit"
)

// TestDocsExamplesPassTheAudit: what a reader copies from the page of examples has nothing that the program itself would find, but that
// the reader's image is not named, and what one of them is about: a self-hosted runner.
func TestDocsExamplesPassTheAudit(t *testing.T) {
	const page = "docs/examples.md"
	blocks := codeBlocks(docPage(t, page), "yaml")
	if len(blocks) < 10 {
		t.Fatalf("%s has %d examples", page, len(blocks))
	}
	for _, block := range blocks {
		block = strings.TrimPrefix(block, "\n")
		within := "pipelines:\n  custom:\n    example:\n"
		switch {
		case strings.HasPrefix(block, "- pipe:"):
			block = within + "      - step:\n          oidc: true\n          script:\n" + indented(block, 12)
		case strings.HasPrefix(block, "- step:"):
			block = within + indented(block, 6)
		}
		result := audit.File("bitbucket-pipelines.yml", []byte(block), audit.Options{})
		if len(result.Steps) == 0 {
			t.Errorf("%s: no step in\n%s", page, block)
		}
		for _, f := range result.Findings {
			unnamed := f.Rule == "image-unpinned" && strings.HasPrefix(f.Message, "The step names no image")
			if !unnamed && f.Rule != "oidc-on-self-hosted" {
				t.Errorf("%s: %s: %s in\n%s", page, f.Rule, f.Message, block)
			}
		}
	}
}

// indented is a text with so many blanks before each line.
func indented(text string, blanks int) string {
	margin := strings.Repeat(" ", blanks)
	return margin + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n"+margin) + "\n"
}
