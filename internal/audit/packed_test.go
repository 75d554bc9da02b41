package audit_test

import (
	"strings"
	"testing"

	"bitbucket-oidc/internal/audit"
	"bitbucket-oidc/internal/finding"
)

// TestPacked: a file in the checkout is a warning where a command behind it packs the checkout.
func TestPacked(t *testing.T) {
	const write = "echo $BITBUCKET_STEP_OIDC_TOKEN > token"
	for _, c := range []struct {
		script string // commands, one a line
		want   finding.Severity
	}{
		{write, finding.Note},
		{write + "\ndocker build -t x .", finding.Warning},
		{write + "\ndocker build . -t x", finding.Warning},
		{write + "\ndocker build -t x $BITBUCKET_CLONE_DIR", finding.Warning},
		{write + "\ndocker compose up --build", finding.Warning},
		{write + "\ngit add -A", finding.Warning},
		{write + "\nzip -qr /tmp/x.zip ./*", finding.Warning},
		{write + "\ntar czf /tmp/x.tgz .", finding.Warning},
		{write + "\naws s3 sync . s3://x", finding.Warning},
		{write + "\nrsync -a ./ host:/srv", finding.Warning},
		{write + "\ngsutil -m rsync -r . gs://x", finding.Warning},
		{"docker build -t x .; " + write, finding.Note},
		{write + "\ndocker build -t x app", finding.Note},
		{write + "\naws s3 sync dist s3://x", finding.Note},
	} {
		file := "pipelines:\n  default:\n    - step:\n        oidc: true\n        script:\n          - " + strings.ReplaceAll(c.script, "\n", "\n          - ") + "\n"
		found := false
		for _, f := range audit.File("x", []byte(file), audit.Options{}).Findings {
			if f.Rule == "token-in-clone" {
				found = true
				if f.Severity != c.want {
					t.Errorf("%q: %s, want %s", c.script, f.Severity, c.want)
				}
			}
		}
		if !found {
			t.Errorf("%q: not found", c.script)
		}
	}
}
