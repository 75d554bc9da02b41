package advisor

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"bitbucket-oidc/internal/audit"
	"bitbucket-oidc/internal/cli"
	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/report"
)

// auditText is for each file the verdict and the counts, the classes of identity, and the findings.
func auditText(files []audited, colours bool) string {
	p := &paint{on: colours}
	var r auditPage
	for i, f := range files {
		if i > 0 {
			r.Gap()
		}
		r.auditHead(f, p)
		r.classes(f.Classes, f.Steps)
		source := strings.Split(string(f.data), "\n")
		for _, one := range f.Findings {
			r.Gap()
			r.finding(one, source, p)
		}
		r.accepted(f.Accepted)
	}
	return r.String()
}

// paint colours text for a terminal.
type paint struct{ on bool }

func (p *paint) severity(s finding.Severity, text string) string {
	if !p.on {
		return text
	}
	code := map[finding.Severity]string{finding.Error: "31", finding.Warning: "33", finding.Note: "36"}[s]
	return "\x1b[1;" + code + "m" + text + "\x1b[0m"
}

// An auditPage is the report of an audit for people.
type auditPage struct{ report.Page }

func (r *auditPage) auditHead(f audited, p *paint) {
	counts := map[finding.Severity]int{}
	for _, one := range f.Findings {
		counts[one.Severity]++
	}
	tokens := 0
	for _, s := range f.Steps {
		if s.Token {
			tokens++
		}
	}
	mark, worst := "✔", finding.Note
	if counts[finding.Error] > 0 {
		mark, worst = "✖", finding.Error
	} else if counts[finding.Warning] > 0 {
		worst = finding.Warning
	}
	r.Paste(0, p.severity(worst, mark)+fmt.Sprintf(" %s: %s, %s, %s; %s, %d with a token", cli.Visible(f.File),
		counted(counts[finding.Error], "error"), counted(counts[finding.Warning], "warning"), counted(counts[finding.Note], "note"), counted(len(f.Steps), "step"), tokens))
}

// mostSteps is how many steps of a class are listed.
const mostSteps = 8

// classes lists the identities that clouds can tell apart.
func (r *auditPage) classes(classes []audit.Class, steps []audit.Step) {
	if len(classes) == 0 {
		return
	}
	r.Gap()
	r.Say(0, "Identities that the clouds can tell apart by the token's subject:")
	names := map[string]string{}
	for _, s := range steps {
		names[s.Path] = fmt.Sprintf("line %d  %s", s.Line, strings.TrimSpace(s.Path+" "+quoted(s.Name)))
	}
	for _, c := range classes {
		title := cli.Visible(c.Subject)
		if c.Undecided {
			title += "  undecided: it is not confirmed whether `environment:` without `deployment:` comes into the token"
		}
		r.Say(2, title)
		for i, path := range c.Steps {
			if i == mostSteps {
				r.Say(4, fmt.Sprintf("and %d more", len(c.Steps)-mostSteps))
				break
			}
			r.Say(4, cli.Visible(names[path]))
		}
		for _, a := range c.Asks {
			who := "an identity that the file does not say"
			if a.Who != nil {
				who = cli.Visible(*a.Who)
			}
			r.Say(4, "asks  "+a.Cloud+"  "+who)
		}
	}
}

func quoted(name string) string {
	if name == "" {
		return ""
	}
	return `"` + name + `"`
}

// finding shows a finding: where, the line with carets, what is wrong, and what to do.
func (r *auditPage) finding(f audit.Finding, source []string, p *paint) {
	r.Paste(0, fmt.Sprintf("%s:%d:%d: %s", cli.Visible(f.File), f.Line, f.Column, p.severity(f.Severity, string(f.Severity)+" "+f.Rule)))
	if f.Line >= 1 && f.Line <= len(source) && f.Rule != "keys-in-file" {
		r.excerpt(f, strings.TrimRight(source[f.Line-1], "\r"), p)
	}
	r.Say(2, cli.Visible(f.Message))
	for i, path := range f.Steps {
		if i == mostSteps {
			r.Say(2, fmt.Sprintf("and %d more steps", len(f.Steps)-mostSteps))
			break
		}
		r.Say(2, "in "+cli.Visible(path))
	}
	if f.Fix.Kind == finding.Advice {
		r.Say(2, "fix: "+cli.Visible(f.Fix.Text))
	} else {
		r.Paste(2, "fix: "+strings.ReplaceAll(cli.VisibleLines(f.Fix.Text), "\n", "\n     "))
	}
}

// excerpt shows the source line, cut around what is meant.
func (r *auditPage) excerpt(f audit.Finding, line string, p *paint) {
	text := []rune(strings.ReplaceAll(line, "\t", " "))
	from := min(max(f.Column-1, 0), len(text))
	to := from
	for to < len(text) && text[to] != ' ' {
		to++
	}
	number := fmt.Sprint(f.Line)
	room := report.Width - len(number) - 5
	indent := 0
	for indent < from && text[indent] == ' ' {
		indent++
	}
	if len(text) > room { // the indentation goes first
		cutAt := min(indent, len(text)-room)
		text, from, to = text[cutAt:], from-cutAt, to-cutAt
	}
	if from > room/2 && len(text) > room {
		skip := from - room/4
		text, from, to = append([]rune("…"), text[skip:]...), from-skip+1, to-skip+1
	}
	if len(text) > room {
		text = append(append([]rune{}, text[:room-1]...), '…')
	}
	to = max(min(to, len(text)), from+1)
	shown := cli.Visible(string(text))
	if utf8.RuneCountInString(shown) != len(text) { // control characters were written out: columns would lie
		r.Paste(2, number+" | "+shown)
		return
	}
	r.Paste(2, number+" | "+strings.TrimRight(shown, " "))
	r.Paste(2, strings.Repeat(" ", len(number))+" | "+strings.Repeat(" ", from)+p.severity(f.Severity, strings.Repeat("^", to-from)))
}

func (r *auditPage) accepted(all []audit.Accepted) {
	if len(all) == 0 {
		return
	}
	r.Gap()
	r.Say(0, counted(len(all), "accepted finding")+":")
	for _, a := range all {
		r.Say(2, fmt.Sprintf("%s:%d: %s %s: %s", cli.Visible(a.File), a.Line, a.Severity, a.Rule, cli.Visible(a.Why)))
	}
}
