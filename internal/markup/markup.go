// Package markup writes HTML. Markup of the program is a [Raw], which only constants become without a conversion; every other text is
// escaped where it is written.
//
// html/template would do the same by reflection, and with it the linker keeps every exported method of every linked library: 1.6 MB
// more to pull, compressed, for each step.
package markup

import (
	"html"
	"strconv"
	"strings"
)

// Raw is markup of the program's own.
type Raw string

// A Page is written from its beginning to its end.
type Page struct{ b strings.Builder }

// Raw writes markup.
func (p *Page) Raw(parts ...Raw) {
	for _, r := range parts {
		p.b.WriteString(string(r))
	}
}

// Text writes text, which cannot become markup, also inside of an attribute in double quotes.
func (p *Page) Text(text string) { p.b.WriteString(html.EscapeString(text)) }

// Number writes a whole number.
func (p *Page) Number(n int) { p.b.WriteString(strconv.Itoa(n)) }

// Element writes an element with a text in it: open is such as `p class="place"`.
func (p *Page) Element(open Raw, text string) {
	name, _, _ := strings.Cut(string(open), " ")
	p.Raw("<", open, ">")
	p.Text(text)
	p.Raw("</", Raw(name), ">")
}

// Attribute writes an attribute, with a blank in front of it.
func (p *Page) Attribute(name Raw, value string) {
	p.Raw(" ", name, `="`)
	p.Text(value)
	p.Raw(`"`)
}

// Row writes a row of a table.
func (p *Page) Row(cell Raw, texts ...string) {
	p.Raw("<tr>")
	for _, text := range texts {
		p.Element(cell, text)
	}
	p.Raw("</tr>\n")
}

// String is the page so far.
func (p *Page) String() string { return p.b.String() }
