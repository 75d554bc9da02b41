package report

import (
	"fmt"
	"slices"
	"strings"

	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/visible"
)

// Width is how wide a text is: what a CI log shows without breaking lines. Text to paste may be wider.
const Width = 100

// A Text is lines for people. Everything that is added to it is made visible, also text of somebody else's file.
type Text struct{ lines []string }

// Say adds text, wrapped, indented by so many columns, the lines after the first by two more.
func (t *Text) Say(indent int, text string) {
	line := strings.Repeat(" ", indent)
	room, empty := Width-indent, true
	for _, word := range strings.Fields(text) {
		word = visible.Text(word)
		n := columns(word)
		if !empty && n+1 > room {
			t.lines = append(t.lines, line)
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
	t.lines = append(t.lines, line)
}

// Paste adds text as it is, indented.
func (t *Text) Paste(indent int, text string) {
	for _, line := range strings.Split(text, "\n") {
		t.lines = append(t.lines, strings.TrimRight(strings.Repeat(" ", indent)+visible.Text(line), " "))
	}
}

// Gap adds an empty line, unless the last line is empty.
func (t *Text) Gap() {
	if n := len(t.lines); n > 0 && t.lines[n-1] != "" {
		t.lines = append(t.lines, "")
	}
}

// Add adds another text.
func (t *Text) Add(other Text) { t.lines = append(t.lines, other.lines...) }

// String is the lines, without an end of the last one.
func (t Text) String() string { return strings.Join(t.lines, "\n") }

// writeText is the report for people.
func writeText(r *Report, colour bool) string {
	var t Text
	t.Say(0, r.Summary())
	for _, s := range r.Sections {
		t.Gap()
		t.section(r, s)
	}
	if len(r.Accepted) > 0 {
		t.Gap()
		t.Say(0, Count(len(r.Accepted), "accepted finding")+":")
		for _, a := range r.Accepted {
			t.Say(2, a.line())
		}
	}
	if colour {
		return t.coloured()
	}
	return t.String()
}

// Summary is the result in one line. Every format for people begins with it.
func (r *Report) Summary() string {
	if len(r.Rules) == 0 { // a report without rules has no findings to count
		return r.Command + ": " + r.Headline
	}
	mark := "✔ "
	if r.Failed() {
		mark = "✖ "
	}
	text := mark + r.Command + ": " + r.counts()
	if r.Headline != "" {
		text += "; " + r.Headline
	}
	return text
}

// counts says how many findings there are of each severity.
func (r *Report) counts() string {
	var all []string
	for _, severity := range []finding.Severity{finding.Error, finding.Warning, finding.Note} {
		n, fresh, marked := 0, 0, false
		for _, f := range r.Findings() {
			if f.Severity != severity {
				continue
			}
			n++
			if f.New != nil {
				marked = true
				if *f.New {
					fresh++
				}
			}
		}
		text := Count(n, string(severity))
		if marked {
			text += fmt.Sprintf(" (%d new)", fresh)
		}
		all = append(all, text)
	}
	if n := len(r.Accepted); n > 0 {
		all = append(all, fmt.Sprintf("%d accepted", n))
	}
	return strings.Join(all, ", ")
}

// Count is so many of a thing.
func Count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	if stem, ok := strings.CutSuffix(thing, "y"); ok {
		thing = stem + "ie"
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

func (t *Text) section(r *Report, s Section) {
	indent := 0
	if s.Title != "" {
		t.Say(0, s.Title)
		indent = 2
	}
	t.Add(s.Body)
	for _, f := range s.Findings {
		if s.Title != "" || len(s.Body.lines) > 0 {
			t.Gap()
		}
		t.finding(indent, r, f)
	}
}

// mostShared is how many of those that share a finding are listed.
const mostShared = 8

// finding adds a finding: where it is, what it is, the line of the file, and what to do.
func (t *Text) finding(indent int, r *Report, f finding.Finding) {
	head := fmt.Sprintf("%s: %s %s", place(f), f.Severity, f.Rule)
	if f.New != nil && *f.New {
		head += " (new)"
	}
	t.Gap()
	t.Say(indent, head)
	for _, line := range r.excerpt(f, Width-indent-2) {
		t.Paste(indent+2, line)
	}
	t.Say(indent+2, f.Message)
	shared := f.Shared
	if len(shared) == 0 && f.Path != "" {
		shared = []string{f.Path}
	}
	for i, path := range shared {
		if i == mostShared {
			t.Say(indent+2, fmt.Sprintf("and in %d more", len(shared)-mostShared))
			break
		}
		t.Say(indent+2, "in "+path)
	}
	switch {
	case f.Fix.Text == "":
	case f.Fix.Kind == finding.Advice:
		t.Say(indent+2, "fix: "+f.Fix.Text)
	default:
		t.Paste(indent+2, "fix: "+strings.ReplaceAll(f.Fix.Text, "\n", "\n     "))
	}
	t.Say(indent+2, "id: "+f.ID)
}

// line is an accepted finding in one line.
func (a Accepted) line() string {
	until := ""
	if a.Until != "" {
		until = " until " + a.Until
	}
	return fmt.Sprintf("%s %s: %s %s%s: %s", a.ID, place(a.Finding), a.Severity, a.Rule, until, a.Why)
}

// place is file:line:column, as far as they are known.
func place(f finding.Finding) string {
	switch {
	case f.Line == 0:
		return f.File
	case f.Column == 0:
		return fmt.Sprintf("%s:%d", f.File, f.Line)
	}
	return fmt.Sprintf("%s:%d:%d", f.File, f.Line, f.Column)
}

// coloured is the lines with a colour for the mark that a line begins with, and for the severity of a finding.
func (t Text) coloured() string {
	const reset = "\x1b[0m"
	colours := map[string]string{
		"✔": "\x1b[32m", "✖": "\x1b[1;31m", "?": "\x1b[33m",
		string(finding.Error): "\x1b[1;31m", string(finding.Warning): "\x1b[1;33m", string(finding.Note): "\x1b[1;36m",
	}
	lines := slices.Clone(t.lines)
	for i, line := range lines {
		words := strings.Split(line, " ")
		for j, word := range words {
			first := strings.TrimSpace(strings.Join(words[:j], "")) == ""
			if colour, ok := colours[word]; ok && (first || j+1 < len(words) && strings.HasSuffix(words[j-1], ":")) {
				words[j] = colour + word + reset
				break
			}
		}
		lines[i] = strings.Join(words, " ")
	}
	return strings.Join(lines, "\n")
}
