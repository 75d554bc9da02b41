// Package judgestest has the judges that the cases of rules are judged by.
package judgestest

import (
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"bitbucket-oidc/internal/access"
	"bitbucket-oidc/internal/audit"
	"bitbucket-oidc/internal/audit/judges"
	"bitbucket-oidc/internal/finding/findingtest"
	"bitbucket-oidc/internal/guard/rules"
	"bitbucket-oidc/internal/pipelines"
	"bitbucket-oidc/internal/trust"
)

// Shop is the repository of the cases.
func Shop() judges.Repository {
	return judges.Repository{
		Workspace: "acme", WorkspaceUUID: "{7baee083-4f25-4a97-8a9a-0fde1b623b45}", RepositoryUUID: "{2e9e429c-7b8b-404f-8648-8c40c27c9ebd}",
		Environments: map[string]string{"production": "{c3e5a1f0-5d0e-4b6a-9b54-7c1de2f80a11}", "staging": "{a1b2c3d4-0000-4111-8222-333344445555}"},
		Now:          time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC),
	}
}

// Against is the judge of a case. It reads an access.yaml, a guard.yaml, or trust documents: those that all cases share, and the case's
// own in place of shared ones with the same name.
func Against(t testing.TB, c findingtest.Case, shared []txtar.File) audit.Judge {
	t.Helper()
	files := c.Without(pipelines.FileName)
	for _, f := range shared {
		if c.File(f.Name) == nil {
			files = append(files, f)
		}
	}
	documents := judges.Documents{Repository: Shop()}
	for _, file := range files {
		switch file.Name {
		case "access.yaml":
			m, err := access.Parse(file.Name, file.Data)
			if err != nil {
				t.Fatal(err)
			}
			return judges.AccessMap{Repository: Shop(), Map: m}
		case "guard.yaml":
			f, err := rules.Read(file.Name, file.Data)
			if err != nil {
				t.Fatal(err)
			}
			return judges.Guardrails{Repository: Shop(), Context: t.Context(), File: f}
		default:
			documents.Files = append(documents.Files, trust.File{Name: file.Name, Data: file.Data})
		}
	}
	if err := documents.Readable(); err != nil {
		t.Fatal(err)
	}
	return documents
}
