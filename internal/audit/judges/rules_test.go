package judges_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bitbucket-oidc/internal/access"
	"bitbucket-oidc/internal/audit"
	"bitbucket-oidc/internal/audit/judges"
	"bitbucket-oidc/internal/finding/findingtest"
	"bitbucket-oidc/internal/guard/rules"
	"bitbucket-oidc/internal/trust"

	"github.com/rogpeppe/go-internal/txtar"
)

// shop is the repository of the cases.
func shop() judges.Repository {
	return judges.Repository{
		Workspace: "acme", WorkspaceUUID: "{7baee083-4f25-4a97-8a9a-0fde1b623b45}", RepositoryUUID: "{2e9e429c-7b8b-404f-8648-8c40c27c9ebd}",
		Environments: map[string]string{"production": "{c3e5a1f0-5d0e-4b6a-9b54-7c1de2f80a11}", "staging": "{a1b2c3d4-0000-4111-8222-333344445555}"},
		Now:          time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC),
	}
}

func TestEachRuleIsOneFile(t *testing.T) {
	findingtest.FileEach(t, judges.Rules())
}

// TestRules reads testdata/RULE.txtar as the test of package audit does. Files with other names than "found …" and "trap …" are
// what the judge reads.
func TestRules(t *testing.T) {
	for _, rule := range judges.Rules() {
		archive, err := txtar.ParseFile(filepath.Join("testdata", rule.Name+".txtar"))
		if err != nil {
			t.Error(err)
			continue
		}
		judge := judgeOf(t, archive)
		cases := map[string]int{}
		for _, file := range archive.Files {
			kind, _, ok := strings.Cut(file.Name, " ")
			if !ok {
				continue
			}
			cases[kind]++
			t.Run(rule.Name+"/"+file.Name, func(t *testing.T) {
				want, got := map[int]bool{}, map[int]bool{}
				for i, line := range strings.Split(string(file.Data), "\n") {
					if strings.HasSuffix(line, " #!") {
						want[i+1] = true
					}
				}
				if (kind == "found") != (len(want) > 0) {
					t.Fatal("the marks and the name disagree")
				}
				for _, f := range audit.File("x.yml", file.Data, audit.Options{Judges: []audit.Judge{judge}}).Findings {
					if f.Rule == rule.Name {
						got[f.Line] = true
					}
				}
				if fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("finds lines %v; want %v", got, want)
				}
			})
		}
		if cases["found"] < 2 || cases["trap"] < 2 {
			t.Errorf("%s has %v", rule.Name, cases)
		}
	}
}

// judgeOf reads what the cases of an archive are judged against.
func judgeOf(t *testing.T, archive *txtar.Archive) audit.Judge {
	t.Helper()
	documents := judges.Documents{Repository: shop()}
	for _, file := range archive.Files {
		switch {
		case strings.Contains(file.Name, " "):
		case file.Name == "access.yaml":
			m, err := access.Parse(file.Name, file.Data)
			if err != nil {
				t.Fatal(err)
			}
			return judges.AccessMap{Repository: shop(), Map: m}
		case file.Name == "guard.yaml":
			f, err := rules.Read(file.Name, file.Data)
			if err != nil {
				t.Fatal(err)
			}
			return judges.Guardrails{Repository: shop(), Context: t.Context(), File: f}
		default:
			documents.Files = append(documents.Files, trust.File{Name: file.Name, Data: file.Data})
		}
	}
	if err := documents.Readable(); err != nil {
		t.Fatal(err)
	}
	return documents
}
