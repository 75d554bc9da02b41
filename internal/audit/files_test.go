package audit_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"bitbucket-oidc/internal/audit"

	"github.com/rogpeppe/go-internal/txtar"
)

// TestFiles reads testdata/files.txtar: every finding is expected on its line, and none is missing.
func TestFiles(t *testing.T) {
	archive, err := txtar.ParseFile("testdata/files.txtar")
	if err != nil {
		t.Fatal(err)
	}
	if len(archive.Files) < 30 {
		t.Errorf("%d files", len(archive.Files))
	}
	for _, file := range archive.Files {
		t.Run(file.Name, func(t *testing.T) {
			var want, got []string
			for i, line := range strings.Split(string(file.Data), "\n") {
				if _, mark, ok := strings.Cut(line, "#!"); ok {
					below, rules, _ := strings.Cut(mark, " ")
					n, _ := strconv.Atoi(below)
					for _, rule := range strings.Fields(rules) {
						want = append(want, fmt.Sprint(i+1+n, " ", rule))
					}
				}
			}
			ids := map[string]bool{}
			for _, f := range audit.File(file.Name, file.Data, audit.Options{}).Findings {
				got = append(got, fmt.Sprint(f.Line, " ", f.Rule))
				if ids[f.ID] || len(f.ID) != 12 || f.Column < 1 || f.Message == "" || f.Fix.Text == "" || f.Docs == "" {
					t.Errorf("%+v", f)
				}
				ids[f.ID] = true
			}
			slices.Sort(want)
			slices.Sort(got)
			for _, one := range got {
				if !slices.Contains(want, one) {
					t.Errorf("over-reported: %s", one)
				}
			}
			for _, one := range want {
				if !slices.Contains(got, one) {
					t.Errorf("missed: %s", one)
				}
			}
		})
	}
}

// TestIDsStay holds an id to its promise: it stays when lines and steps are added above.
func TestIDsStay(t *testing.T) {
	const (
		pipelines = "image: node\npipelines:\n  branches:\n    main:\n"
		deploy    = "      - step:\n          name: Deploy\n          oidc: true\n          script: [terraform apply]\n"
		another   = "      - step: {name: Test, script: [make]}\n"
		nameless  = "      - step:\n          oidc: true\n          odic: true\n          deployment: test\n          deployment: test\n" +
			"          script: [terraform plan, echo $BITBUCKET_STEP_OIDC_TOKEN]\n      - step: {deployment: test, script: [make]}\n"
	)
	before := audit.File("x", []byte(pipelines+deploy+nameless), audit.Options{})
	after := audit.File("x", []byte("# a comment\n"+pipelines+another+deploy+"\n"+another+nameless), audit.Options{})
	if len(before.Findings) < 6 || len(before.Findings) != len(after.Findings) {
		t.Fatalf("%d and %d findings", len(before.Findings), len(after.Findings))
	}
	for i := range before.Findings {
		if before.Findings[i].ID != after.Findings[i].ID {
			t.Errorf("%s has another id", before.Findings[i].Rule)
		}
	}
}

// TestEdits applies the edit of a finding: the finding is gone then.
func TestEdits(t *testing.T) {
	const file = "pipelines:\n  default:\n    - step:\n        name: Deploy\n        script:\n          - echo $BITBUCKET_STEP_OIDC_TOKEN > /tmp/t\n"
	f := audit.File("x", []byte(file), audit.Options{}).Findings[0]
	if f.Rule != "oidc-missing" || f.Replace == nil {
		t.Fatalf("%+v", f)
	}
	lines := strings.Split(file, "\n")
	at := f.Replace.At
	lines[at.Line-1] = lines[at.Line-1][:at.Column-1] + f.Replace.Text + lines[at.Line-1][at.Column-1:]
	mended := audit.File("x", []byte(strings.Join(lines, "\n")), audit.Options{})
	if len(mended.Steps) != 1 || !mended.Steps[0].Token {
		t.Errorf("not mended:\n%s", strings.Join(lines, "\n"))
	}
}

// TestLongFile holds a file of 4,000 lines to its promise of 50 ms, with room for a busy machine.
func TestLongFile(t *testing.T) {
	var file strings.Builder
	file.WriteString("pipelines:\n  custom:\n")
	for i := range 400 {
		fmt.Fprintf(&file, `    p%d:
      - step:
          name: n
          oidc: true
          image: a:1
          script:
            - |
              echo $BITBUCKET_STEP_OIDC_TOKEN > token
              terraform apply
            - make
`, i)
	}
	began := time.Now()
	if r := audit.File("x", []byte(file.String()), audit.Options{}); len(r.Steps) != 400 {
		t.Errorf("%d steps", len(r.Steps))
	}
	if took := time.Since(began); took > slower*3*time.Second {
		t.Errorf("took %v", took)
	} else {
		t.Log(took)
	}
}

// TestBombs holds hostile files to bounds of time.
func TestBombs(t *testing.T) {
	script := strings.Repeat("        - echo $BITBUCKET_STEP_OIDC_TOKEN > a\n", 8_000)
	for name, file := range map[string]string{
		"one script, many steps":  "x: &s\n      oidc: true\n      script:\n" + script + "pipelines:\n  default: [" + strings.Repeat("{step: *s},", 3_000) + "]\n",
		"many files of one step":  "pipelines:\n  default:\n    - step:\n        oidc: true\n        script:\n" + strings.ReplaceAll(script, "        ", "         "),
		"many paths in variables": "pipelines:\n  default:\n    - step:\n        oidc: true\n        script:\n" + strings.Repeat("         - echo x > $X\n", 30_000),
		"nested substitutions":    "pipelines: {default: [{step: {oidc: true, script: ['" + strings.Repeat("a $(", 20_000) + "']}}]}",
		"open quotes":             "pipelines: {default: [{step: {oidc: true, script: [" + strings.Repeat("\"a ` $(\",", 20_000) + "]}}]}",
	} {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			audit.File("x", []byte(file), audit.Options{})
			if took := time.Since(began); took > slower*15*time.Second {
				t.Errorf("took %v", took)
			}
			t.Log(time.Since(began))
		})
	}
}

func FuzzFile(f *testing.F) {
	archive, err := txtar.ParseFile("testdata/files.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range archive.Files {
		f.Add(file.Data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r := audit.File("x", data, audit.Options{})
		lines := strings.Count(string(data), "\n") + 1
		for _, one := range r.Findings {
			if one.Line < 1 || one.Line > lines {
				t.Errorf("%s on line %d of %d", one.Rule, one.Line, lines)
			}
		}
	})
}
