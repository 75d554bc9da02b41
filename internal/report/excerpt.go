package report

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/visible"
)

// excerpt is the line of the file that a finding is about, with carets below the range, in at most so many columns. It is empty if
// the finding is about no line, if the line holds a secret, or if the file was not kept.
func (r *Report) excerpt(f finding.Finding, width int) []string {
	source, ok := r.source(f)
	if !ok || f.Secret {
		return nil
	}
	gutter := fmt.Sprintf("%d | ", f.Line)
	shown, from, to := marked(source, f, width-len(gutter))
	lines := []string{gutter + shown}
	if to > from {
		lines = append(lines, strings.Repeat(" ", len(gutter)-2)+"| "+strings.Repeat(" ", from)+strings.Repeat("^", to-from))
	}
	return lines
}

// source is the line that a finding is about, if the file was kept.
func (r *Report) source(f finding.Finding) (string, bool) {
	i := slices.IndexFunc(r.Inputs, func(in Input) bool { return in.Name == f.File })
	if i < 0 || f.Line == 0 {
		return "", false
	}
	return lineOf(r.Inputs[i].Data, f.Line)
}

// lineOf is a line of a file, from 1.
func lineOf(data []byte, line int) (string, bool) {
	for ; line > 1; line-- {
		end := bytes.IndexByte(data, '\n')
		if end < 0 {
			return "", false
		}
		data = data[end+1:]
	}
	if end := bytes.IndexByte(data, '\n'); end >= 0 {
		data = data[:end]
	}
	return strings.TrimSuffix(string(data), "\r"), true
}

// marked is a line, cut around the range of a finding, and where in the cut the range lies, in columns.
func marked(source string, f finding.Finding, width int) (shown string, from, to int) {
	runes := []rune(source)
	begin, end := span(runes, f)
	const most = 1000 // characters on each side of a cut: nobody sees more, and a file can be one long line
	cut := runes[begin:end]
	if len(cut) > 2*most {
		cut = slices.Concat(cut[:most], cut[len(cut)-most:])
	}
	before, inside, after := onLine(runes[max(0, begin-most):begin]), onLine(cut), onLine(runes[end:min(end+most, len(runes))])
	const some = 20 // columns before the range that say what it is in
	if columns(before)+columns(inside)+columns(after) > width {
		before = strings.TrimLeft(before, " ")
		if keep := max(some, width-columns(inside)-columns(after)); columns(before) > keep {
			before = "…" + lastColumns(before, keep-1)
		}
		inside = middle(inside, width-columns(before))
		after = firstColumns(after, width-columns(before)-columns(inside))
	}
	from = columns(before)
	return strings.TrimRight(before+inside+after, " "), from, from + columns(inside)
}

// span is where in its line the range of a finding begins and ends.
func span(line []rune, f finding.Finding) (begin, end int) {
	begin, end = min(max(f.Column-1, 0), len(line)), len(line) // the end of the line where the range goes on
	switch {
	case f.Column == 0:
		return begin, begin
	case f.End.Line == f.Line:
		end = f.End.Column - 1
	case f.End.Line == 0: // up to the next blank
		if n := slices.Index(line[begin:], ' '); n >= 0 {
			end = begin + n
		}
	}
	return begin, min(max(end, begin), len(line))
}

// middle cuts the middle of a text: the beginning says what the text is, and the end has the value.
func middle(text string, most int) string {
	if columns(text) <= most {
		return text
	}
	first := firstColumns(text, most/3)
	return first + lastColumns(text, most-columns(first))
}

// onLine is text of a line, with a blank for each tab so that what follows stays where it is.
func onLine(text []rune) string { return visible.Text(strings.ReplaceAll(string(text), "\t", " ")) }
