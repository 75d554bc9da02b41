package report

import "strings"

// Width is how wide a report is: what a CI log shows without breaking lines. What is there to be pasted may be wider.
const Width = 100

// A Page is text for people.
type Page struct{ lines []string }

// Say adds text, wrapped, indented by so many columns, the lines after the first by two more.
func (p *Page) Say(indent int, text string) {
	line := strings.Repeat(" ", indent)
	room, empty := Width-indent, true
	for _, word := range strings.Fields(text) {
		n := len([]rune(word))
		if !empty && n+1 > room {
			p.lines = append(p.lines, line)
			line, room, empty = strings.Repeat(" ", indent+2), Width-indent-2, true
		}
		if !empty {
			line += " "
			room--
		}
		line += word
		room -= n
		empty = false
	}
	p.lines = append(p.lines, line)
}

// Paste adds text as it is, indented.
func (p *Page) Paste(indent int, text string) {
	for _, line := range strings.Split(text, "\n") {
		p.lines = append(p.lines, strings.Repeat(" ", indent)+line)
	}
}

// Gap adds an empty line.
func (p *Page) Gap() { p.lines = append(p.lines, "") }

// String is the whole text.
func (p *Page) String() string { return strings.Join(p.lines, "\n") }
