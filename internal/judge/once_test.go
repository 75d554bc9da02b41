package judge

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"bitbucket-oidc/internal/setup"
	"bitbucket-oidc/internal/trust/trusttest"
)

// What explain prints is read in one pass a document, and each expression is compiled once, for however many identities. The numbers are
// counts of the coverage tool, from a run of its own, so that no counter is needed in the program.
func TestReadOnceJudgeMany(t *testing.T) {
	profile := filepath.Join(t.TempDir(), "counts")
	const covered = "bitbucket-oidc/internal/document,bitbucket-oidc/internal/cel,bitbucket-oidc/internal/bitbucket"
	run := exec.Command("go", "test", "-count=1", "-covermode=count", "-coverpkg="+covered, "-coverprofile="+profile, "-run=^TestSixDocuments$", ".")
	if out, err := run.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	expressions := len(setup.GCPAttributes(trusttest.ClaimsWith(t, "").Claims)) + 1 // and the condition
	passes := calls(t, profile, "document/node.go", "func newReader(")
	ofClaims := calls(t, profile, "bitbucket/identity.go", "func FromClaims(") // those of identities, each of which is one pass
	compilations := calls(t, profile, "cel/cel.go", "func (e *Environment) Compile(")
	if passes-ofClaims != 6 || compilations != expressions {
		t.Errorf("%d passes over 6 documents, and %d compilations of %d expressions", passes-ofClaims, compilations, expressions)
	}
	if ofClaims < 10 {
		t.Errorf("%d identities: too few to say much", ofClaims)
	}
}

// TestSixDocuments judges what explain prints for several identities. It is what [TestReadOnceJudgeMany] counts.
func TestSixDocuments(t *testing.T) {
	id := trusttest.ClaimsWith(t, "")
	e, err := setup.Explain(id, setup.Places{})
	if err != nil {
		t.Fatal(err)
	}
	all, err := Read(documents(t, e))
	if err != nil || len(all) != 6 {
		t.Fatal(len(all), err)
	}
	for _, claims := range []string{"", trusttest.Deployment, `{"branchName": "x"}`, `{"repositoryUuid": "` + trusttest.Other + `"}`} {
		if results := all.Judge(trusttest.ClaimsWith(t, claims), trusttest.Options()); len(results) != 6 {
			t.Errorf("%d results", len(results))
		}
	}
}

// calls is how often a function was called, by the count of its first block.
func calls(t *testing.T, profile, file, declaration string) int {
	t.Helper()
	source, err := os.ReadFile(filepath.Join("..", file))
	if err != nil {
		t.Fatal(err)
	}
	before, _, found := strings.Cut(string(source), "\n"+declaration)
	if !found {
		t.Fatalf("%s has no %s", file, declaration)
	}
	prefix := fmt.Sprintf("bitbucket-oidc/internal/%s:%d.", file, strings.Count(before, "\n")+2)
	counts, err := os.Open(profile)
	if err != nil {
		t.Fatal(err)
	}
	defer counts.Close()
	for lines := bufio.NewScanner(counts); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), prefix) {
			var n int
			if _, err := fmt.Sscan(lines.Text()[strings.LastIndex(lines.Text(), " ")+1:], &n); err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("no count of %s in %s", declaration, file)
	return 0
}
