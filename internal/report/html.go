package report

import (
	"crypto/sha256"
	_ "embed" // the style of the page
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/markup"
	"bitbucket-oidc/internal/visible"
)

//go:embed page.css
var pageCSS string

// mostOpen is how many edges a table may have that is shown without a click.
const mostOpen = 40

// writeHTML is the report as one page that loads nothing: it has no script, its policy names the style by its hash, and its picture
// is in the page. It has no time in it, so the same input gives the same bytes.
func writeHTML(r *Report, _ bool) string {
	var p markup.Page
	r.head(&p)
	if flow := merged(r.Flow); len(flow) > 0 {
		draw(flow).html(&p)
	}
	for _, s := range r.Sections {
		r.sectionHTML(&p, s)
	}
	if len(r.Accepted) > 0 {
		p.Raw("<section>\n<h2>Accepted findings</h2>\n<ul>\n")
		for _, a := range r.Accepted {
			p.Element("li", visible.Text(a.line()))
			p.Raw("\n")
		}
		p.Raw("</ul>\n</section>\n")
	}
	p.Raw("</main>\n")
	r.foot(&p)
	p.Raw("</body>\n</html>")
	return p.String()
}

// head ends inside of main, behind the verdict.
func (r *Report) head(p *markup.Page) {
	style := strings.TrimSpace(pageCSS)
	sum := sha256.Sum256([]byte(style))
	p.Raw("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta http-equiv=\"Content-Security-Policy\"")
	p.Attribute("content", "default-src 'none'; style-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'; base-uri 'none'; form-action 'none'")
	p.Raw(">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"referrer\" content=\"no-referrer\">\n")
	p.Element("title", r.Summary())
	p.Raw("\n<style>", markup.Raw(style), "</style>\n</head>\n<body>\n<header>\n")
	if r.Failed() {
		p.Element(`h1 class="bad"`, r.Summary())
	} else {
		p.Element(`h1 class="good"`, r.Summary())
	}
	p.Raw("\n</header>\n<main>\n")
}

// html is the picture, and beside it a table with the same edges.
func (d picture) html(p *markup.Page) {
	p.Raw("<section aria-labelledby=\"flow\">\n<h2 id=\"flow\">Who becomes what</h2>\n",
		"<div class=\"wide\" tabindex=\"0\" role=\"group\" aria-label=\"Picture of the identity flow, which can be scrolled\">\n",
		"<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\"")
	p.Attribute("aria-label", "Identity flow with "+Count(len(d.Paths), "edge")+"; the table below it has the same")
	numbers(p, number{"width", d.Width}, number{"height", d.Height})
	p.Attribute("viewBox", fmt.Sprintf("0 0 %d %d", d.Width, d.Height))
	p.Raw(">\n<defs><marker id=\"arrow\" viewBox=\"0 0 8 8\" refX=\"2\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" orient=\"auto\">",
		"<polygon class=\"arrow\" points=\"0,0 8,4 0,8\"/></marker></defs>\n")
	for _, c := range d.Columns {
		p.Raw(`<text class="head"`)
		numbers(p, number{"x", c.X}, number{"y", c.Y})
		p.Raw(">")
		p.Text(c.Name)
		p.Raw("</text>\n")
	}
	for _, e := range d.Paths {
		p.Raw("<path")
		p.Attribute("class", "edge "+e.Verdict)
		p.Attribute("d", e.D)
		p.Raw(" marker-end=\"url(#arrow)\"/>\n")
	}
	for _, b := range d.Boxes {
		b.html(p)
	}
	p.Raw("</svg>\n</div>\n<details")
	if len(d.Paths) <= mostOpen {
		p.Raw(" open")
	}
	p.Raw(">\n")
	p.Element("summary", "The same as a table: "+Count(len(d.Paths), "edge"))
	p.Raw("\n")
	openTable(p, "Table of the identity flow, which can be scrolled", "Each edge of the picture", "From", "To", "Verdict")
	for _, e := range d.Paths {
		verdict := e.Verdict
		if verdict == "" {
			verdict = "not judged"
		}
		if e.Says != "" {
			verdict += ": " + visible.Text(e.Says)
		}
		p.Row("td", visible.Text(e.From.Name), visible.Text(e.To.Name), verdict)
	}
	p.Raw("</tbody>\n</table>\n</div>\n</details>\n</section>\n")
}

func (b box) html(p *markup.Page) {
	p.Raw("<g>")
	p.Element("title", b.Whole)
	p.Raw(`<rect class="box"`)
	numbers(p, number{"x", b.X}, number{"y", b.Y}, number{"width", b.Width}, number{"height", b.Height})
	p.Raw(` rx="4"/><text class="name"`)
	numbers(p, number{"x", b.TextX}, number{"y", b.TextY})
	p.Raw(">")
	p.Text(b.Label)
	p.Raw("</text></g>\n")
}

// A number is an attribute with a whole number.
type number struct {
	name  markup.Raw
	value int
}

func numbers(p *markup.Page, all ...number) {
	for _, n := range all {
		p.Attribute(n.name, strconv.Itoa(n.value))
	}
}

// openTable begins a table that scrolls by itself, up to its rows.
func openTable(p *markup.Page, label, caption markup.Raw, heads ...string) {
	p.Raw(`<div class="wide" tabindex="0" role="group" aria-label="`, label, "\">\n<table>\n<caption>", caption, "</caption>\n<thead>")
	p.Raw("<tr>")
	for _, head := range heads {
		p.Element(`th scope="col"`, head)
	}
	p.Raw("</tr></thead>\n<tbody>\n")
}

func (r *Report) sectionHTML(p *markup.Page, s Section) {
	p.Raw("<section>\n")
	if s.Title != "" {
		p.Element("h2", visible.Text(s.Title))
		p.Raw("\n")
	}
	if body := s.Body.String(); body != "" {
		p.Element(`pre class="body"`, body)
		p.Raw("\n")
	}
	for _, f := range s.Findings {
		r.findingHTML(p, f)
	}
	p.Raw("</section>\n")
}

func (r *Report) findingHTML(p *markup.Page, f finding.Finding) {
	p.Raw("<article")
	p.Attribute("class", string(f.Severity))
	p.Raw(">\n<h3>")
	p.Element(`span class="severity"`, string(f.Severity))
	p.Text(" " + f.Rule)
	if f.New != nil && *f.New {
		p.Raw(` <span class="new">new</span>`)
	}
	p.Raw("</h3>\n")
	p.Element(`p class="place"`, visible.Text(place(f)))
	p.Raw("\n")
	if excerpt := strings.Join(r.excerpt(f, Width), "\n"); excerpt != "" {
		p.Element(`pre class="source"`, excerpt)
		p.Raw("\n")
	}
	p.Element("p", visible.Text(f.Message))
	p.Raw("\n")
	shared := f.Shared
	if len(shared) == 0 && f.Path != "" {
		shared = []string{f.Path}
	}
	for _, path := range shared {
		p.Element(`p class="place"`, "in "+visible.Text(path))
		p.Raw("\n")
	}
	if f.Fix.Text != "" {
		p.Raw("<p>Fix:</p>\n")
		p.Element(`pre class="fix"`, visible.Lines(f.Fix.Text))
		p.Raw("\n")
	}
	p.Element(`p class="place"`, "id: "+f.ID)
	p.Raw("\n</article>\n")
}

func (r *Report) foot(p *markup.Page) {
	p.Raw("<footer>\n<h2>What was read</h2>\n")
	p.Element("p", "bitbucket-oidc "+r.Version+", command "+r.Command)
	p.Raw("\n")
	openTable(p, "Table of files, which can be scrolled", "Files and their SHA-256", "File", "SHA-256")
	for _, in := range r.Inputs {
		sum := sha256.Sum256(in.Data)
		p.Raw("<tr>")
		p.Element("td", visible.Text(in.Name))
		p.Raw("<td>")
		p.Element("code", hex.EncodeToString(sum[:]))
		p.Raw("</td></tr>\n")
	}
	p.Raw("</tbody>\n</table>\n</div>\n</footer>\n")
}
