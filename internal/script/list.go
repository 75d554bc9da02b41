package script

import (
	"slices"
	"strings"
)

// A list is the list of commands that is being read.
type list struct {
	*reader
	current int         // index of the command that is being read, or -1
	feeders []int       // the commands that feed the next one
	groups  []group     // that are open
	closed  map[int]int // the first command of a group, by the command that closes it
	defines int         // the command in front of the last parenthesis, which the next one makes the name of a function
}

// A group is commands with one output: ( … ), { … }, or if, case and the loops.
type group struct {
	begin int
	word  string // that opens it
}

// maxGroups bounds how deep groups nest.
const maxGroups = 50

// list reads commands up to the character that ends the list, or the end of the text.
func (r *reader) list(end byte) {
	backticks := r.backticks
	r.backticks = end == '`'
	defer func() { r.backticks = backticks }()
	l := &list{reader: r, current: -1, defines: -1, closed: map[int]int{}}
	for r.at < len(r.text) {
		c := r.text[r.at]
		switch {
		case c == end && !(c == ')' && (l.inPatterns() || l.inParentheses())):
			r.at++
			return
		case c == '\n':
			r.newline()
			l.current = -1
		case c == ' ' || c == '\t' || c == '\r':
			r.at++
		case c == '\\' && r.follows("\\\n", "\\\r\n"):
			r.at += 1 + strings.IndexByte(r.text[r.at:], '\n')
			r.line++
		case c == '#':
			r.at += strings.IndexByte(r.text[r.at:]+"\n", '\n')
		case c == ';':
			r.at++
			l.current = -1
		case c == '(':
			r.at++
			l.open(len(r.all), "(")
			l.defines = l.current
			l.current = -1
		case c == ')':
			r.at++
			l.parenthesis()
		case r.follows("&>"), c != '&' && c != '|' && r.redirection():
			l.redirect()
		case c == '&' || c == '|':
			l.operator()
		default:
			l.word()
		}
	}
}

// begin is the command that is being read: a new one, if none is.
func (l *list) begin() int {
	if l.current < 0 {
		l.all = append(l.all, Command{Line: l.line, Outer: l.outer, Output: l.usual(), Depth: l.depth})
		l.current = len(l.all) - 1
		for _, i := range l.feeders {
			l.all[i].Output, l.all[i].Next = Piped, l.current
		}
		l.feeders = nil
	}
	return l.current
}

func (l *list) word() {
	i := l.begin()
	w := l.reader.word(i)
	if w.Text == "{" && l.all[i].Name() == "function" {
		l.current = -1
		l.open(len(l.all), w.Text)
		return
	}
	first := len(l.all[i].Words) == 0
	l.take(i, w)
	switch {
	case !first:
	case slices.Contains([]string{"{", "if", "while", "until", "for", "case", "select"}, w.Text):
		l.open(i, w.Text)
	case slices.Contains([]string{"}", "fi", "done", "esac"}, w.Text):
		l.close(i, false)
	}
}

// operator reads &, &&, |, |& or ||.
func (l *list) operator() {
	c := l.text[l.at]
	twice := l.at+1 < len(l.text) && l.text[l.at+1] == c
	switch {
	case twice:
		l.at++
	case c == '|':
		if l.at+1 < len(l.text) && l.text[l.at+1] == '&' {
			l.at++
		}
		if l.current >= 0 && l.all[l.current].Output != File {
			l.feeders = append(l.inside(l.current), l.current)
		}
	}
	l.at++
	l.current = -1
}

// redirect reads a redirection. Behind a group it is about all commands of the group.
func (l *list) redirect() {
	i := l.begin()
	l.reader.redirect(i)
	if c := l.all[i]; c.Output == File {
		for _, k := range l.inside(i) {
			l.all[k].Output, l.all[k].File = File, c.File
		}
	}
}

// inside are the commands of the group that a command closes, if their output is the group's.
func (l *list) inside(i int) []int {
	begin, closes := l.closed[i]
	if !closes {
		return nil
	}
	var all []int
	for k := begin; k < i; k++ {
		if c := l.all[k]; c.Outer == l.outer && c.Output == l.usual() {
			all = append(all, k)
		}
	}
	return all
}

func (l *list) open(begin int, word string) {
	if len(l.groups) == maxGroups {
		return
	}
	l.groups = append(l.groups, group{begin, word})
	if word == "(" {
		l.depth++
	}
}

// close closes the innermost group, in parentheses or not, and those inside it that lack an end.
func (l *list) close(by int, parenthesis bool) {
	for i := len(l.groups) - 1; i >= 0; i-- {
		g := l.groups[i]
		l.groups = l.groups[:i]
		if g.word == "(" {
			l.depth--
		}
		if (g.word == "(") == parenthesis {
			l.closed[by] = g.begin
			return
		}
	}
}

func (l *list) inParentheses() bool {
	return slices.ContainsFunc(l.groups, func(g group) bool { return g.word == "(" })
}

// inPatterns reports whether a parenthesis ends a pattern of case.
func (l *list) inPatterns() bool {
	last := len(l.groups) - 1
	return last >= 0 && l.groups[last].word == "case"
}

// parenthesis reads the end of a group, of a pattern of case, which is no command, or of the name of a function.
func (l *list) parenthesis() {
	switch name := l.defines; {
	case !l.inPatterns() && l.inParentheses():
		l.current = -1
		l.close(l.begin(), true)
		if name >= 0 && l.closed[l.current] == l.current && len(l.all[name].Words) == 1 {
			l.all[name].Words = append([]Word{{Text: "function"}}, l.all[name].Words...)
		}
	default:
		l.pattern()
		l.current = -1
	}
	l.defines = -1
}

// pattern drops the last commands, which feed each other: they are alternatives of a pattern and no commands.
func (l *list) pattern() {
	for i := l.current; i >= 0; i-- {
		c := &l.all[i]
		if c.Name() == "case" || i != l.current && (c.Output != Piped || c.Next != i+1) {
			return
		}
		c.Words = nil
	}
}
