package test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/rogpeppe/go-internal/txtar"

	"bitbucket-oidc/internal/accept"
	"bitbucket-oidc/internal/audit"
	"bitbucket-oidc/internal/audit/judges"
	"bitbucket-oidc/internal/audit/judges/judgestest"
	"bitbucket-oidc/internal/drift"
	"bitbucket-oidc/internal/drift/drifttest"
	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/finding/findingtest"
	"bitbucket-oidc/internal/judge"
	"bitbucket-oidc/internal/pipelines"
	"bitbucket-oidc/internal/report"
	"bitbucket-oidc/internal/trust"
	"bitbucket-oidc/internal/trust/trusttest"
)

// A ruleFamily is rules that have their cases in one folder and are found in one way.
type ruleFamily struct {
	title  string
	by     string // what finds them, in Markdown
	cases  string // the folder of the cases
	rules  []finding.Rule
	accept func(f finding.Finding) string // how a finding is accepted, in Markdown

	// find is what the product finds in a case, and the files that it was given, as they are shown.
	find func(t *testing.T, c findingtest.Case, shared []txtar.File) ([]finding.Finding, []txtar.File)
}

func ruleFamilies() []ruleFamily {
	of := func(prefix string) []finding.Rule {
		return slices.DeleteFunc(judge.Rules(), func(r finding.Rule) bool { return !strings.HasPrefix(r.Name, prefix) })
	}
	const check, audits = "[`check`](../check.md)", "[`audit`](../audit.md)"
	return []ruleFamily{
		{title: "Trust in AWS", by: check, cases: "trust/iam", rules: of("aws-"), accept: acceptInList, find: findInTrust},
		{
			title: "Trust in Google Cloud", by: check, cases: "trust/wif", rules: of("gcp-"), accept: acceptInList,
			find: findInTrust,
		},
		{
			title: "Trust in Vault", by: check, cases: "trust/vaultrole", rules: of("vault-"), accept: acceptInList,
			find: findInTrust,
		},
		{
			title: "A pipelines file", by: audits, cases: "audit", rules: ownRules(), accept: acceptInComment,
			find: findInPipelines,
		},
		{
			title: "A pipelines file and trust documents", by: audits + " with `--document`", cases: "audit/judges",
			rules: judges.Documents{}.Rules(), accept: acceptInComment, find: findInPipelines,
		},
		{
			title: "A pipelines file and an access map", by: audits + " with `--map`", cases: "audit/judges",
			rules: judges.AccessMap{}.Rules(), accept: acceptInComment, find: findInPipelines,
		},
		{
			title: "A pipelines file and guardrails", by: audits + " with `--guard`", cases: "audit/judges",
			rules: judges.Guardrails{}.Rules(), accept: acceptInComment, find: findInPipelines,
		},
		{
			title: "Who gets in and who should", by: "[`drift`](../access-map.md)", cases: "drift", rules: drift.Rules(),
			accept: acceptInMap, find: findDrift,
		},
		{
			title: "Accepted findings",
			by:    "`--accept` with any of these commands, and comments that [`audit`](../audit.md) reads", cases: "accept",
			rules: accept.Rules(), accept: acceptNothing, find: findInList,
		},
	}
}

// ownRules are the rules that audit finds in a pipelines file alone.
func ownRules() []finding.Rule {
	return slices.DeleteFunc(audit.Rules(), func(r finding.Rule) bool {
		return slices.ContainsFunc(accept.Rules(), func(a finding.Rule) bool { return a.Name == r.Name })
	})
}

const rulesFolder = "docs/rules"

// TestStaleRules: each rule has a page with its texts and its first case, and the index has every rule.
func TestStaleRules(t *testing.T) {
	want := map[string]string{"README.md": rulesIndex()}
	for _, family := range ruleFamilies() {
		for _, rule := range family.rules {
			want[rule.Name+".md"] = rulePage(t, family, rule)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		path := filepath.Join(checkout, rulesFolder, name)
		got, err := os.ReadFile(path)
		switch {
		case err == nil && string(got) == want[name]:
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			t.Error(err)
		case *generate:
			if err := os.WriteFile(path, []byte(want[name]), 0o644); err != nil {
				t.Error(err)
			}
		default:
			t.Errorf("%s/%s is stale: run make docs", rulesFolder, name)
		}
	}
	files, err := os.ReadDir(filepath.Join(checkout, rulesFolder))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if _, known := want[f.Name()]; known {
			continue
		}
		if !*generate {
			t.Errorf("%s/%s belongs to no rule: run make docs", rulesFolder, f.Name())
		} else if err := os.Remove(filepath.Join(checkout, rulesFolder, f.Name())); err != nil {
			t.Error(err)
		}
	}
}

func rulesIndex() string {
	var b strings.Builder
	b.WriteString(`# Rules

Each finding names its rule. A rule's page says what the rule finds, why it matters, an example as the program prints it, how to mend it, and how
to accept it. An **error** makes the command end with status 1; with ` + "`--strict`" + ` a **warning** does as well; a **note** never does.
What ` + "`pipe explain`" + ` prints has no error and no warning. What is not confirmed about the services is [listed](../not-confirmed.md).
`)
	for _, family := range ruleFamilies() {
		fmt.Fprintf(&b, "\n## %s\n\nFound by %s.\n\n| Rule | Severity | Finds |\n|---|---|---|\n", family.title, family.by)
		for _, r := range family.rules {
			fmt.Fprintf(&b, "| [`%s`](%s.md) | %s | %s |\n", r.Name, r.Name, severity(r), r.Finds)
		}
	}
	return b.String()
}

func severity(r finding.Rule) string {
	if r.Milder != "" {
		return string(r.Severity) + ", or " + string(r.Milder)
	}
	return string(r.Severity)
}

// rulePage is the page of a rule. Its example is the first case of the rule, and what comes of it is the case that is mended: the first
// trap that differs from the example, where no case is.
func rulePage(t *testing.T, family ruleFamily, rule finding.Rule) string {
	t.Helper()
	cases, shared := findingtest.Cases(t, filepath.Join(checkout, "internal", family.cases, "testdata", rule.Name+".txtar"), pipelines.FileName)
	before := cases[slices.IndexFunc(cases, func(c findingtest.Case) bool { return c.Kind == findingtest.Found })]
	all, shown := family.find(t, before, shared)
	at := slices.IndexFunc(all, func(f finding.Finding) bool { return f.Rule == rule.Name })
	if at < 0 {
		t.Fatalf("%s is not found in %q", rule.Name, before.Title)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n%s: finds %s.\n\n%s\n\nFound by %s. [All rules](README.md)\n", rule.Name, initial(severity(rule)), rule.Finds, rule.Why, family.by)
	if strings.Contains(rule.Why, "ot confirmed") {
		b.WriteString("What is not confirmed is [listed](../not-confirmed.md).\n")
	}
	fmt.Fprintf(&b, "\n## Example\n\n%s%s.\n", initial(before.Title), judgedFor(t, before))
	for _, f := range shown {
		b.WriteString(block(f))
	}
	fmt.Fprintf(&b, "\n```text\n%s\n```\n", printed(all[at], shown))
	fmt.Fprintf(&b, "\n## Fix\n\n%s\n", advice(rule))
	if after, mended := mendedCase(t, family, cases, shared, shown); len(mended) > 0 {
		fmt.Fprintf(&b, "\n%s%s:\n", initial(after.Title), otherwise(t, before, after))
		for _, f := range mended {
			b.WriteString(change(f, shown))
		}
	}
	if text := family.accept(all[at]); text != "" {
		fmt.Fprintf(&b, "\n## Accept\n\n%s", text)
	}
	return b.String()
}

// mendedCase is the case that shows how to mend the example, and its files that differ from those of the example.
func mendedCase(t *testing.T, family ruleFamily, cases []findingtest.Case, shared, before []txtar.File) (findingtest.Case, []txtar.File) {
	t.Helper()
	for _, kind := range []string{findingtest.Fixed, findingtest.Trap} {
		for _, c := range cases {
			if c.Kind != kind {
				continue
			}
			_, shown := family.find(t, c, shared)
			other := slices.DeleteFunc(shown, func(f txtar.File) bool {
				return slices.ContainsFunc(before, func(o txtar.File) bool { return o.Name == f.Name && bytes.Equal(o.Data, f.Data) })
			})
			if len(other) > 0 {
				return c, other
			}
		}
	}
	return findingtest.Case{}, nil
}

// advice is what to do in general: a sentence, or a key to write.
func advice(r finding.Rule) string {
	if strings.HasPrefix(r.Fix, "oidc: ") {
		return "Write `" + r.Fix + "`."
	}
	return r.Fix
}

// block is a file in a page.
func block(f txtar.File) string {
	language := map[string]string{".json": "json", ".yaml": "yaml", ".yml": "yaml"}[filepath.Ext(f.Name)]
	return fmt.Sprintf("\n```%s\n%s```\n", language, f.Data)
}

// change is what was changed in a file: of JSON the lines around the change, of YAML, which is short, the whole file.
func change(f txtar.File, before []txtar.File) string {
	i := slices.IndexFunc(before, func(o txtar.File) bool { return o.Name == f.Name })
	if i < 0 || filepath.Ext(f.Name) != ".json" {
		return block(f)
	}
	_, lines, _ := bytes.Cut(diff.Diff(f.Name, before[i].Data, f.Name, f.Data), []byte("\n+++ "+f.Name+"\n"))
	return fmt.Sprintf("\n```diff\n%s```\n", lines)
}

// printed is a finding as the program prints it.
func printed(f finding.Finding, files []txtar.File) string {
	r := report.Report{Sections: []report.Section{{Findings: []finding.Finding{f}}}}
	for _, file := range files {
		r.Inputs = append(r.Inputs, report.Input{Name: file.Name, Data: file.Data})
	}
	_, text, _ := strings.Cut(report.Formats()[0].Write(&r, false), "\n\n")
	return strings.TrimSuffix(text, "\n")
}

// judgedFor says for which step the documents of a case are judged, where its claims are not those of every example.
func judgedFor(t *testing.T, c findingtest.Case) string {
	t.Helper()
	changes := changedClaims(t, c)
	step := ", for a step of the repository `" + trusttest.Repository + "`"
	if c.File(pipelines.FileName) != nil || c.File("access.yaml") != nil || c.File("accept.yaml") != nil {
		return ""
	}
	if changes["deploymentEnvironmentUuid"] != nil {
		step += " on a deployment to `" + trusttest.Environment + "`"
	}
	delete(changes, "deploymentEnvironmentUuid")
	delete(changes, "sub")
	return step + claimsIn(t, changes)
}

// otherwise says for which other step a mended case is judged.
func otherwise(t *testing.T, before, after findingtest.Case) string {
	t.Helper()
	changes := changedClaims(t, after)
	if bytes.Equal(before.File("identity"), after.File("identity")) || len(changes) == 0 {
		return ""
	}
	delete(changes, "sub")
	return claimsIn(t, changes)
}

func changedClaims(t *testing.T, c findingtest.Case) map[string]any {
	t.Helper()
	changes := map[string]any{}
	if data := c.File("identity"); data != nil {
		if err := json.Unmarshal(data, &changes); err != nil {
			t.Fatal(err)
		}
	}
	return changes
}

func claimsIn(t *testing.T, claims map[string]any) string {
	t.Helper()
	if len(claims) == 0 {
		return ""
	}
	data, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	return " whose token has `" + string(data) + "`"
}

// initial is a text with a capital at the beginning.
func initial(text string) string { return strings.ToUpper(text[:1]) + text[1:] }

func findInTrust(t *testing.T, c findingtest.Case, _ []txtar.File) ([]finding.Finding, []txtar.File) {
	t.Helper()
	shown := c.Without("identity", "findings")
	var files []trust.File
	for _, f := range shown {
		files = append(files, trust.File{Name: f.Name, Data: f.Data})
	}
	documents, err := judge.Read(files)
	if err != nil {
		t.Fatal(err)
	}
	var all []finding.Finding
	for _, r := range documents.Judge(trusttest.ClaimsWith(t, string(c.File("identity"))), trusttest.Options()) {
		all = append(all, r.Findings...)
	}
	return all, shown
}

func findInPipelines(t *testing.T, c findingtest.Case, shared []txtar.File) ([]finding.Finding, []txtar.File) {
	t.Helper()
	data := bytes.ReplaceAll(c.File(pipelines.FileName), []byte(" #!\n"), []byte("\n"))
	shown := []txtar.File{{Name: pipelines.FileName, Data: data}}
	var options audit.Options
	if len(shared) > 0 {
		options.Judges = []audit.Judge{judgestest.Against(t, c, shared)}
		for _, f := range shared {
			if own := c.File(f.Name); own != nil {
				f.Data = own
			}
			shown = append(shown, f)
		}
	}
	var all []finding.Finding
	for _, f := range audit.File(pipelines.FileName, data, options).Findings {
		f.Shared = f.Steps
		all = append(all, f.Finding)
	}
	return all, shown
}

func acceptInList(f finding.Finding) string {
	return "If this is intended, accept it: list the finding by its id in a file for " +
		"[`--accept`](../reports.md#accepting-a-finding), with a last day and a reason:\n" + "\n```yaml\n- {id: " + f.ID +
		", until: 2027-03-31, why: see OPS-7}\n```\n"
}

func acceptInComment(f finding.Finding) string {
	if f.Rule == "file-unreadable" {
		return "" // nothing of the file is read, its comments neither
	}
	return "If this is intended, accept it: say why in a comment on the line or on the line above, or list the id of the finding in a file for\n" +
		"[`--accept`](../reports.md#accepting-a-finding):\n" +
		"\n```yaml\n# bitbucket-oidc: ignore[" + f.Rule + "] see OPS-7\n```\n"
}

func acceptInMap(f finding.Finding) string {
	return "If this is intended, accept it: list the finding by its id in `accept` of the map, or in a file for " +
		"[`--accept`](../reports.md#accepting-a-finding):\n" +
		"\n```yaml\naccept:\n  - {id: " + f.ID + ", until: 2027-03-31, why: see OPS-7}\n```\n"
}

func acceptNothing(finding.Finding) string { return "" }

func findDrift(t *testing.T, c findingtest.Case, _ []txtar.File) ([]finding.Finding, []txtar.File) {
	t.Helper()
	var all []finding.Finding
	for _, d := range drifttest.Compare(t, c) {
		all = append(all, d.Finding)
	}
	return all, c.Files
}

// findInList judges a list beside the findings that the cases take for there.
func findInList(t *testing.T, c findingtest.Case, _ []txtar.File) ([]finding.Finding, []txtar.File) {
	t.Helper()
	data := bytes.ReplaceAll(c.File("accept.yaml"), []byte(" #!\n"), []byte("\n"))
	list, err := accept.Read(data)
	if err != nil {
		t.Fatal(err)
	}
	r := report.Report{Now: judgestest.Shop().Now, Sections: []report.Section{{Findings: []finding.Finding{{ID: "5202ab0274af"}, {ID: "1eb7037f101f"}}}}}
	r.Accept("accept.yaml", data, list)
	return r.AboutAccepting(), []txtar.File{{Name: "accept.yaml", Data: data}}
}
