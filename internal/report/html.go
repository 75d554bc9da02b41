package report

import (
	"crypto/sha256"
	_ "embed" // the page and its style
	"encoding/base64"
	"encoding/hex"
	"html/template"
	"strings"

	"bitbucket-oidc/internal/cli"
	"bitbucket-oidc/internal/finding"
)

//go:embed page.html
var pageHTML string

//go:embed page.css
var pageCSS string

// writeHTML is the report as one page that asks nobody for anything: no script, a style that the policy names by its hash, a picture
// drawn here. It has no clock in it, so that the same input gives the same bytes.
func writeHTML(r *Report, _ bool) string {
	style := strings.TrimSpace(pageCSS)
	sum := sha256.Sum256([]byte(style))
	data := struct {
		*Report
		Policy  string
		Style   template.CSS
		Summary string
		Flow    *picture
	}{Report: r, Summary: r.Summary(), Style: template.CSS(style), //nolint:gosec // our own
		Policy: "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'"}
	if flow := merged(r.Flow); len(flow) > 0 {
		p := draw(flow)
		data.Flow = &p
	}
	page := template.Must(template.New("page").Funcs(r.functions()).Parse(pageHTML))
	var b strings.Builder
	if err := page.Execute(&b, data); err != nil {
		return "" // cannot be: a test executes every part of the page
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// functions are what the page calls.
func (r *Report) functions() template.FuncMap {
	return template.FuncMap{
		"visible":  cli.Visible,
		"lines":    cli.VisibleLines,
		"place":    place,
		"accepted": Accepted.line,
		"deref":    func(b *bool) bool { return *b },
		"excerpt":  func(f finding.Finding) string { return strings.Join(r.excerpt(f, Width), "\n") },
		"shared": func(f finding.Finding) []string {
			if len(f.Shared) == 0 && f.Path != "" {
				return []string{f.Path}
			}
			return f.Shared
		},
		"sha256": func(data []byte) string {
			sum := sha256.Sum256(data)
			return hex.EncodeToString(sum[:])
		},
	}
}
