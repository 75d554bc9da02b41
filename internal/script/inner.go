package script

import (
	"slices"
	"strings"

	"bitbucket-oidc/internal/pattern"
)

var (
	shells   = pattern.New(`^(?:ba|da|z|k|a)?sh$`)
	wrappers = pattern.New(`^(?:sudo|exec|command|time|nice|nohup|env|timeout)$`)
	programs = pattern.New(`^-[a-z]*c[a-z]*$`)
	some     = pattern.New(`[A-Za-z]`)
)

// piped is the script that a shell reads from a here-document, or nil.
func piped(c Command) *Word {
	at := 0
	if len(c.Words) > 0 && wrappers.MatchString(c.Name()) {
		at = slices.IndexFunc(c.Words, func(w Word) bool { return shells.MatchString(base(w.Text)) })
	}
	if c.Here == nil || at < 0 || at >= len(c.Words) || !shells.MatchString(base(c.Words[at].Text)) ||
		slices.ContainsFunc(c.Words[at+1:], func(w Word) bool { return !strings.HasPrefix(w.Text, "-") || programs.MatchString(w.Text) }) {
		return nil
	}
	return c.Here
}

// inner is the index of the word that a command runs as a script of its own, or -1: sh -c SCRIPT, and eval SCRIPT.
func inner(c Command) int {
	at := 0
	if len(c.Words) > 0 && wrappers.MatchString(c.Name()) {
		at = slices.IndexFunc(c.Words, func(w Word) bool { return shells.MatchString(base(w.Text)) })
	}
	if at < 0 || at >= len(c.Words) {
		return -1
	}
	if c.Words[at].Text == "eval" {
		if len(c.Words) == 2 && some.MatchString(c.Words[1].Text) {
			return 1
		}
		return -1
	}
	if !shells.MatchString(base(c.Words[at].Text)) {
		return -1
	}
	for i := at + 1; i+1 < len(c.Words) && strings.HasPrefix(c.Words[i].Text, "-"); i++ {
		switch text := c.Words[i].Text; {
		case programs.MatchString(text) && some.MatchString(c.Words[i+1].Text):
			return i + 1
		case text == "-o": // with the name of an option
			i++
		}
	}
	return -1
}

// unfold puts the commands of scripts inside commands behind the commands that run them. The outer command keeps an empty word
// for the script. Its output is that of the commands inside.
func unfold(all []Command, depth int) []Command {
	if depth > maxDepth || !slices.ContainsFunc(all, func(c Command) bool { return inner(c) >= 0 || piped(c) != nil }) {
		return all
	}
	var unfolded []Command
	moved := make([]int, len(all))
	own := []int{} // indices of the commands of all
	for i, c := range all {
		moved[i] = len(unfolded)
		own = append(own, len(unfolded))
		at := inner(c)
		var text Word
		switch document := piped(c); {
		case at >= 0:
			text = c.Words[at]
			c.Words = slices.Clone(c.Words)
			c.Words[at].Text = ""
		case document != nil:
			text, c.Here = *document, nil
		default:
			unfolded = append(unfolded, c)
			continue
		}
		unfolded = append(unfolded, c)
		begin := len(unfolded)
		for _, one := range parse(text.Text, depth+1) {
			one.Line = min(text.line+one.Line, text.last)
			one.Next += begin
			one.Depth += c.Depth + 1
			switch {
			case one.Outer >= 0:
				one.Outer += begin
			case one.Output == Shown:
				one.Output, one.File, one.Outer, one.Next = c.Output, c.File, c.Outer, c.Next
				one.outside = true
			}
			unfolded = append(unfolded, one)
		}
	}
	fix := func(c *Command) {
		if c.Outer >= 0 {
			c.Outer = moved[c.Outer]
		}
		if c.Output == Piped {
			c.Next = moved[c.Next]
		}
	}
	for _, i := range own {
		fix(&unfolded[i])
	}
	for i := range unfolded {
		if unfolded[i].outside {
			unfolded[i].outside = false
			fix(&unfolded[i])
		}
	}
	return unfolded
}

func base(name string) string { return name[strings.LastIndexByte(name, '/')+1:] }

// array reads the values of NAME=(…) into the word, with spaces between them.
func (r *reader) array(command int, w *Word, text *strings.Builder) {
	r.inArray = true
	defer func() { r.inArray = false }()
	r.at++
	separator := ""
	for r.at < len(r.text) {
		switch c := r.text[r.at]; {
		case c == ')':
			r.at++
			return
		case c == '\n':
			r.at++
			r.line++
		case strings.IndexByte(" \t\r;&|<>(", c) >= 0 && !r.follows("<(", ">("), c == '`' && r.backticks:
			r.at++
		case c == '#':
			r.at += strings.IndexByte(r.text[r.at:]+"\n", '\n')
		default:
			value := r.word(command)
			text.WriteString(separator + value.Text)
			w.Vars = append(w.Vars, value.Vars...)
			separator = " "
		}
	}
}
