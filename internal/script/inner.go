package script

import (
	"slices"
	"strings"

	"bitbucket-oidc/internal/pattern"
)

var (
	shells   = pattern.New(`^(?:ba|da|z|k|a)?sh$`)
	wrappers = pattern.New(`^(?:sudo|exec|command|time|nice|nohup|env|timeout)$`)
	programs = pattern.New(`^-[a-z]*c[a-z]*$`) // options behind which the script is
	some     = pattern.New(`[A-Za-z]`)
)

// shell is the index of the word that names the shell which a command runs, or -1.
func shell(c Command) int {
	for i, w := range c.Words {
		if shells.MatchString(base(w.Text)) {
			return i
		}
		if !wrappers.MatchString(c.Name()) {
			break
		}
	}
	return -1
}

// document is the script that a shell reads from a here-document, or nil.
func document(c Command) *Word {
	at := shell(c)
	other := func(w Word) bool { return !strings.HasPrefix(w.Text, "-") || programs.MatchString(w.Text) }
	if c.Here == nil || at < 0 || slices.ContainsFunc(c.Words[at+1:], other) {
		return nil
	}
	return c.Here
}

// inner is the index of the word that a command runs as a script of its own, or -1: sh -c SCRIPT, and eval SCRIPT.
func inner(c Command) int {
	if c.Name() == "eval" && len(c.Words) == 2 && some.MatchString(c.Words[1].Text) {
		return 1
	}
	at := shell(c)
	for i := at + 1; at >= 0 && i+1 < len(c.Words) && strings.HasPrefix(c.Words[i].Text, "-"); i++ {
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
	if depth > maxDepth || !slices.ContainsFunc(all, func(c Command) bool { return inner(c) >= 0 || document(c) != nil }) {
		return all
	}
	var unfolded []Command
	moved := make([]int, len(all)) // where the commands of all are now
	for i, c := range all {
		moved[i] = len(unfolded)
		var text Word
		if at := inner(c); at >= 0 {
			text = c.Words[at]
			c.Words = slices.Clone(c.Words)
			c.Words[at].Text = ""
		} else if here := document(c); here != nil {
			text, c.Here = *here, nil
		} else {
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
	for _, i := range moved {
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
