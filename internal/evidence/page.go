package evidence

import (
	"bufio"
	"crypto/sha256"
	"encoding/base64"
	"html/template"
)

// style is all that the page loads: nothing comes from anywhere else.
const style = `:root{color-scheme:light dark;--line:#8886;--soft:#8882}body{font:16px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem}` +
	`table{border-collapse:collapse;width:100%;margin:.5rem 0 1.5rem}th,td{text-align:left;vertical-align:top;padding:.3rem .6rem;border-bottom:1px solid var(--line);overflow-wrap:anywhere}` +
	`th{background:var(--soft)}td.n{text-align:right;font-variant-numeric:tabular-nums}.verdict{font-size:1.2rem;padding:.8rem 1rem;background:var(--soft);border-left:.4rem solid var(--line)}` +
	`code{font-family:ui-monospace,monospace;font-size:.9em}@media print{body{max-width:none;margin:0}tr{break-inside:avoid}}`

const pageTemplate = `<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src '{{.Hash}}'; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>Evidence, {{.IPE.From}} to {{.IPE.To}}</title>
<style>{{.Style}}</style></head><body><main>
<h1>Who got which credential, {{.IPE.From}} to {{.IPE.To}}</h1>
<p class="verdict">{{.IPE.RowsOut}} records, {{.Exceptions}} exceptions, {{len .IPE.Gaps}} commands with gaps, {{.IPE.Malformed}} lines that cannot be read.</p>
<h2>Exceptions</h2>
{{if .Kinds}}<table><thead><tr><th scope="col">Exception</th><th scope="col">Meaning</th><th scope="col">Rows</th></tr></thead><tbody>
{{range .Kinds}}<tr><td><code>{{.Name}}</code></td><td>{{.Means}}</td><td class="n">{{.Rows}}</td></tr>
{{end}}</tbody></table><p>The rows are in <code>exceptions.csv</code>.</p>{{else}}<p>None.</p>{{end}}
<h2>Completeness</h2>
<table><tbody>
<tr><th scope="row">Lines read</th><td class="n">{{.IPE.RowsIn}}</td></tr>
<tr><th scope="row">In the population</th><td class="n">{{.IPE.RowsOut}}</td></tr>
<tr><th scope="row">Copies</th><td class="n">{{.IPE.Duplicates}}</td></tr>
<tr><th scope="row">Outside of the period</th><td class="n">{{.IPE.Outside}}</td></tr>
<tr><th scope="row">Cannot be read</th><td class="n">{{.IPE.Malformed}}</td></tr>
<tr><th scope="row">Samples drawn</th><td class="n">{{.IPE.Drawn}}</td></tr>
<tr><th scope="row">Seed</th><td>{{.IPE.Seed}}</td></tr>
</tbody></table>
{{if .Gaps}}<h3>Gaps</h3><table><thead><tr><th scope="col">First record</th><th scope="col">Step</th><th scope="col">Command</th><th scope="col">Missing numbers</th></tr></thead><tbody>
{{range .Gaps}}<tr><td>{{.Time}}</td><td>{{.Step}}</td><td>{{.Command}}</td><td>{{range $i, $n := .Missing}}{{if $i}}, {{end}}{{$n}}{{end}}</td></tr>
{{end}}</tbody></table>{{if .MoreGaps}}<p>{{.MoreGaps}} more are in <code>ipe.json</code>.</p>{{end}}{{end}}
<h2>Sources</h2>
<table><thead><tr><th scope="col">File</th><th scope="col">Lines</th><th scope="col">First</th><th scope="col">Last</th><th scope="col">SHA-256</th></tr></thead><tbody>
{{range .IPE.Sources}}<tr><td>{{visible .Path}}</td><td class="n">{{.Lines}}</td><td>{{.First}}</td><td>{{.Last}}</td><td><code>{{.SHA256}}</code></td></tr>
{{end}}{{range .IPE.CloudTrail}}<tr><td>{{visible .Path}} (CloudTrail)</td><td class="n">{{.Lines}}</td><td></td><td></td><td><code>{{.SHA256}}</code></td></tr>
{{end}}</tbody></table>
<h2>Controls that this supports evidence for</h2>
<table><thead><tr><th scope="col">SOC 2</th><th scope="col">ISO/IEC 27001:2022</th><th scope="col">What</th><th scope="col">Shown by</th></tr></thead><tbody>
{{range .Controls}}<tr><td>{{.SOC2}}</td><td>{{.ISO}}</td><td>{{.Supports}}</td><td>{{.Shown}}</td></tr>
{{end}}</tbody></table>
<p>Made by bitbucket-oidc {{.IPE.Version}}. <code>manifest.sha256</code> has the digests of all files: <code>sha256sum -c manifest.sha256</code>.</p>
</main></body></html>
`

// maxShown bounds the gaps that the page lists.
const maxShown = 1000

// page writes the report for people.
func (p *population) page(w *bufio.Writer, i ipe) error {
	sum := sha256.Sum256([]byte(style))
	type kind struct {
		Name, Means string
		Rows        int
	}
	type shown struct{ SOC2, ISO, Supports, Shown string }
	data := struct {
		IPE        ipe
		Exceptions int
		Kinds      []kind
		Gaps       []gap
		MoreGaps   int
		Controls   []shown
		Style      template.CSS
		Hash       string
	}{
		IPE: i, Exceptions: p.exceptions(), Gaps: i.Gaps[:min(len(i.Gaps), maxShown)], MoreGaps: max(0, len(i.Gaps)-maxShown),
		Style: style, Hash: "sha256-" + base64.StdEncoding.EncodeToString(sum[:]),
	}
	for _, k := range kinds() {
		if n := i.Exceptions[k.name]; n > 0 {
			data.Kinds = append(data.Kinds, kind{k.name, k.means, n})
		}
	}
	for _, c := range controls() {
		data.Controls = append(data.Controls, shown{c.soc2, c.iso, c.supports, c.shown})
	}
	t, err := template.New("page").Funcs(template.FuncMap{"visible": visible}).Parse(pageTemplate)
	if err != nil {
		return err
	}
	return t.Execute(w, data)
}
