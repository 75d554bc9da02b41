package evidence

import (
	"bufio"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"bitbucket-oidc/internal/markup"
	"bitbucket-oidc/internal/visible"
)

// style is all that the page loads: nothing comes from anywhere else.
const style = `:root{color-scheme:light dark;--line:#8886;--soft:#8882}body{font:16px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem}` +
	`table{border-collapse:collapse;width:100%;margin:.5rem 0 1.5rem}th,td{text-align:left;vertical-align:top;padding:.3rem .6rem;border-bottom:1px solid var(--line);overflow-wrap:anywhere}` +
	`th{background:var(--soft)}td.n{text-align:right;font-variant-numeric:tabular-nums}.verdict{font-size:1.2rem;padding:.8rem 1rem;background:var(--soft);border-left:.4rem solid var(--line)}` +
	`code{font-family:ui-monospace,monospace;font-size:.9em}@media print{body{max-width:none;margin:0}tr{break-inside:avoid}}`

// maxShown bounds the gaps that the page lists.
const maxShown = 1000

// page writes the report for people.
func (p *population) page(w *bufio.Writer, i ipe) error {
	sum := sha256.Sum256([]byte(style))
	period := i.From + " to " + i.To
	var h markup.Page
	h.Raw("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n<meta http-equiv=\"Content-Security-Policy\"")
	h.Attribute("content", "default-src 'none'; style-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'; base-uri 'none'; form-action 'none'")
	h.Raw(">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">")
	h.Element("title", "Evidence, "+period)
	h.Raw("\n<style>", style, "</style></head><body><main>\n")
	h.Element("h1", "Who got which credential, "+period)
	h.Raw("\n")
	h.Element(`p class="verdict"`, fmt.Sprintf("%d records, %d exceptions, %d commands with gaps, %d lines that cannot be read.",
		i.RowsOut, p.exceptions(), len(i.Gaps), i.Malformed))
	h.Raw("\n")
	exceptions(&h, i)
	completeness(&h, i)
	sources(&h, i)
	h.Raw("<h2>Controls that this supports evidence for</h2>\n")
	openTable(&h, "SOC 2", "ISO/IEC 27001:2022", "What", "Shown by")
	for _, c := range controls() {
		h.Row("td", c.soc2, c.iso, c.supports, c.shown)
	}
	h.Raw("</tbody></table>\n<p>Made by bitbucket-oidc ")
	h.Text(i.Version)
	h.Raw(". <code>manifest.sha256</code> has the digests of all files: <code>sha256sum -c manifest.sha256</code>.</p>\n</main></body></html>\n")
	_, err := w.WriteString(h.String())
	return err
}

// openTable begins a table, up to its rows.
func openTable(h *markup.Page, heads ...string) {
	h.Raw("<table><thead><tr>")
	for _, head := range heads {
		h.Element(`th scope="col"`, head)
	}
	h.Raw("</tr></thead><tbody>\n")
}

func exceptions(h *markup.Page, i ipe) {
	h.Raw("<h2>Exceptions</h2>\n")
	if total(i.Exceptions) == 0 {
		h.Raw("<p>None.</p>\n")
		return
	}
	openTable(h, "Exception", "Meaning", "Rows")
	for _, k := range kinds() {
		if n := i.Exceptions[k.name]; n > 0 {
			h.Raw("<tr><td>")
			h.Element("code", k.name)
			h.Raw("</td>")
			h.Element("td", k.means)
			h.Element(`td class="n"`, strconv.Itoa(n))
			h.Raw("</tr>\n")
		}
	}
	h.Raw("</tbody></table><p>The rows are in <code>exceptions.csv</code>.</p>\n")
}

func completeness(h *markup.Page, i ipe) {
	h.Raw("<h2>Completeness</h2>\n<table><tbody>\n")
	for _, row := range []struct {
		name  string
		value int
	}{
		{"Lines read", i.RowsIn}, {"In the population", i.RowsOut}, {"Copies", i.Duplicates}, {"Outside of the period", i.Outside},
		{"Cannot be read", i.Malformed}, {"Samples drawn", i.Drawn},
	} {
		h.Raw("<tr>")
		h.Element(`th scope="row"`, row.name)
		h.Element(`td class="n"`, strconv.Itoa(row.value))
		h.Raw("</tr>\n")
	}
	h.Raw("<tr>")
	h.Element(`th scope="row"`, "Seed")
	h.Element("td", i.Seed)
	h.Raw("</tr>\n</tbody></table>\n")
	if len(i.Gaps) == 0 {
		return
	}
	h.Raw("<h3>Gaps</h3>")
	openTable(h, "First record", "Step", "Command", "Missing numbers")
	for _, g := range i.Gaps[:min(len(i.Gaps), maxShown)] {
		var missing []string
		for _, n := range g.Missing {
			missing = append(missing, fmt.Sprint(n))
		}
		h.Row("td", g.Time, g.Step, g.Command, strings.Join(missing, ", "))
	}
	h.Raw("</tbody></table>")
	if more := len(i.Gaps) - maxShown; more > 0 {
		h.Raw("<p>")
		h.Number(more)
		h.Raw(" more are in <code>ipe.json</code>.</p>")
	}
	h.Raw("\n")
}

func sources(h *markup.Page, i ipe) {
	h.Raw("<h2>Sources</h2>\n")
	openTable(h, "File", "Lines", "First", "Last", "SHA-256")
	row := func(name string, lines int, first, last, sum string) {
		h.Raw("<tr>")
		h.Element("td", name)
		h.Element(`td class="n"`, strconv.Itoa(lines))
		h.Element("td", first)
		h.Element("td", last)
		h.Raw("<td>")
		h.Element("code", sum)
		h.Raw("</td></tr>\n")
	}
	for _, s := range i.Sources {
		row(visible.Text(s.Path), s.Lines, s.First, s.Last, s.SHA256)
	}
	for _, s := range i.CloudTrail {
		row(visible.Text(s.Path)+" (CloudTrail)", s.Lines, s.First, s.Last, s.SHA256)
	}
	h.Raw("</tbody></table>\n")
}

func total(counts map[string]int) int {
	n := 0
	for _, count := range counts {
		n += count
	}
	return n
}
