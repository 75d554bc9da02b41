package peers

import (
	"bytes"
	"context"
	"fmt"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestPage lets a browser show the page of an audit at three sizes: it draws the picture and the table, runs and loads nothing, and its
// log has no complaint, of the page's policy least of all. Text of the pipelines file stays text.
func TestPage(t *testing.T) {
	const name = "chromium"
	browser, err := exec.LookPath("chromium")
	if err != nil {
		verdicts.skip(t, name, "not installed")
	}
	verdicts.ran(name)
	for _, steps := range []int{3, 30, 300} {
		t.Run(fmt.Sprint(steps), func(t *testing.T) {
			dir := t.TempDir()
			var file strings.Builder
			file.WriteString("pipelines:\n  custom:\n")
			for i := range steps {
				fmt.Fprintf(&file, `    p%d:
      - step:
          name: '<script>document.title=1</script> %d'
          oidc: true
          script:
            - pipe: docker://ACCOUNT/bitbucket-oidc:1.0.0
              variables: {AWS_OIDC_ROLE_ARN: 'arn:aws:iam::123456789012:role/r%d'}
`, i, i, i%40)
			}
			if err := os.WriteFile(filepath.Join(dir, "bitbucket-pipelines.yml"), []byte(file.String()), 0o644); err != nil {
				t.Fatal(err)
			}
			audit := exec.CommandContext(
				t.Context(), filepath.Join(filepath.Dir(pipe), "bitbucket-oidc"), "audit", "--no-exit-code", "--format", "html",
				"--output", "page.html",
			)
			audit.Dir = dir
			if err := quietly(audit); err != nil {
				t.Fatal(err)
			}
			dom, log := browse(t, browser, dir, "--dump-dom")
			for _, want := range []string{"<svg", "marker-end", "<table>", "&lt;script&gt;document.title=1"} {
				if !strings.Contains(dom, want) {
					t.Errorf("the page lacks %s", want)
				}
			}
			if strings.Contains(dom, "<title>1</title>") {
				t.Error("a script of the file ran")
			}
			if strings.Contains(log, "CONSOLE") || strings.Contains(log, "Content Security Policy") {
				t.Errorf("the browser complains:\n%s", log)
			}
			browse(t, browser, dir, "--window-size=1200,900", "--screenshot="+filepath.Join(dir, "page.png"))
			data, err := os.ReadFile(filepath.Join(dir, "page.png"))
			if err != nil {
				t.Fatal(err)
			}
			picture, err := png.Decode(bytes.NewReader(data))
			if err != nil || picture.Bounds().Dx() != 1200 {
				t.Errorf("no picture of the page: %v", err)
			}
		})
	}
}

// browse opens the page once. The browser talks to nobody: its own requests are switched off.
func browse(t *testing.T, browser, dir string, args ...string) (out, log string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), readerLimit)
	defer cancel()
	args = append([]string{
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--enable-logging=stderr", "--user-data-dir=" + filepath.Join(dir, "profile"),
	}, args...)
	cmd := exec.CommandContext(ctx, browser, append(args, "file://"+filepath.Join(dir, "page.html"))...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	return stdout.String(), stderr.String()
}
