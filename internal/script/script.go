// Package script splits scripts into commands as a POSIX shell would, as far as that is possible without running them. It never
// fails: text that it does not understand becomes words.
package script

import (
	"slices"
	"strings"
)

// An Output says where a command's standard output goes.
type Output int

// The outputs.
const (
	Shown    Output = iota // the log
	File                   // a file, or nothing
	Captured               // a variable or an argument: inside $( ), backticks or <( )
	Piped                  // the next command of the list
)

// A Command is one simple command.
type Command struct {
	Words  []Word // without assignments in front, redirections, and words such as then
	Assign []Word // NAME=value in front of the command, or all of it
	Line   int    // index of its first line in the script
	Output Output
	File   string // that the output goes to, if it is a file
	Reads  string // file of the redirected input
	Here   *Word  // here-document or here-string
	Outer  int    // index of the command around a Captured one, or -1
	Next   int    // index of the command that a Piped one feeds
	Depth  int    // how many subshells it is in

	outside bool // see unfold
}

// A Word is a word without its quotes.
type Word struct {
	Text string
	Vars []string // variables whose values the word takes

	line, last int // indices of the lines on which it begins and ends
}

// Name is the command's name without its folder.
func (c Command) Name() string {
	if len(c.Words) == 0 {
		return ""
	}
	return base(c.Words[0].Text)
}

// Is reports whether the command has one of these names.
func (c Command) Is(names ...string) bool { return slices.Contains(names, c.Name()) }

// Text is the command in one line.
func (c Command) Text() string {
	all := make([]string, len(c.Words))
	for i, w := range c.Words {
		all[i] = w.Text
	}
	return strings.Join(all, " ")
}

// maxDepth bounds how deep substitutions nest.
const maxDepth = 20

// Parse splits a script into its commands, in the order in which they begin. Substitutions, and the commands that sh -c or eval runs,
// are behind the command around them.
func Parse(text string) []Command { return parse(text, 0) }

func parse(text string, depth int) []Command {
	r := &reader{text: text, outer: -1}
	r.list(0)
	return unfold(r.all, depth)
}

type reader struct {
	text  string
	at    int
	line  int
	depth int
	all   []Command
	outer int

	backticks bool // whether a backtick ends the list that is being read
	inArray   bool // whether the values of NAME=(…) are being read

	waiting []here // here-documents that begin on the next line
}

type here struct {
	command int
	end     string
	raw     bool // whether variables keep their names
	tabs    bool
}

// usual is where output goes unless the command says otherwise.
func (r *reader) usual() Output {
	if r.outer >= 0 {
		return Captured
	}
	return Shown
}

func (r *reader) follows(any ...string) bool {
	return slices.ContainsFunc(any, func(s string) bool { return strings.HasPrefix(r.text[r.at:], s) })
}

// take adds a word to a command.
func (r *reader) take(command int, w Word) {
	c := &r.all[command]
	if len(c.Words) == 0 {
		if slices.Contains([]string{"if", "then", "else", "elif", "while", "until", "do", "!", "{", "}", "time", "fi", "done", "esac"}, w.Text) {
			return
		}
		if assigns(w.Text) {
			c.Assign = append(c.Assign, w)
			return
		}
	}
	c.Words = append(c.Words, w)
}

// assigns reports whether a word is NAME=value.
func assigns(word string) bool {
	name, _, ok := strings.Cut(word, "=")
	return ok && name != "" && strings.Trim(name, nameChars) == "" && (name[0] < '0' || name[0] > '9')
}

const nameChars = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"

// newline ends a line, and reads the here-documents that begin behind it.
func (r *reader) newline() {
	r.at++
	r.line++
	for _, h := range r.waiting {
		var body strings.Builder
		first := r.line
		for r.at < len(r.text) {
			line, _, more := strings.Cut(r.text[r.at:], "\n")
			r.at += len(line)
			if more {
				r.at++
				r.line++
			}
			line = strings.TrimSuffix(line, "\r")
			if line == h.end || h.tabs && strings.TrimLeft(line, "\t") == h.end {
				break
			}
			body.WriteString(line + "\n")
		}
		w := Word{Text: body.String(), line: first, last: max(first, r.line-1)}
		if !h.raw {
			w.Vars = variables(w.Text)
		}
		r.all[h.command].Here = &w
	}
	r.waiting = nil
}

// redirection reports whether a redirection begins here: <, >, or one with a number in front.
func (r *reader) redirection() bool {
	rest := strings.TrimLeft(r.text[r.at:], "0123456789")
	return rest != "" && (rest[0] == '>' || rest[0] == '<' && !strings.HasPrefix(rest, "<(")) && !strings.HasPrefix(rest, ">(")
}

func (r *reader) redirect(command int) {
	rest := r.text[r.at:]
	number := rest[:len(rest)-len(strings.TrimLeft(rest, "0123456789&"))]
	r.at += len(number)
	operator := r.text[r.at : r.at+1]
	for _, long := range []string{"<<<", "<<-", "<<", ">>", ">&", "<&", ">|", "<>"} {
		if r.follows(long) {
			operator = long
			break
		}
	}
	r.at += len(operator)
	for r.at < len(r.text) && (r.text[r.at] == ' ' || r.text[r.at] == '\t') {
		r.at++
	}
	begin := r.at
	w := r.word(command)
	raw := r.text[begin:r.at]
	c := &r.all[command]
	switch operator {
	case "<<<":
		c.Here = &w
	case "<<", "<<-":
		r.waiting = append(r.waiting, here{command, w.Text, strings.ContainsAny(raw, `'"\`), operator == "<<-"})
	case "<":
		c.Reads = w.Text
	case ">", ">>", ">|":
		if (number == "" || number == "1" || number == "&") && w.Text != "/dev/stdout" && w.Text != "/dev/stderr" && w.Text != "/dev/tty" {
			c.Output, c.File = File, w.Text
		}
	}
}

// word reads a word of a command. Substitutions inside it become commands of their own.
func (r *reader) word(command int) Word {
	w := Word{line: r.line}
	var text strings.Builder
	quoted := false // inside double quotes
	for r.at < len(r.text) {
		c := r.text[r.at]
		array := c == '(' && !r.inArray && strings.HasSuffix(text.String(), "=") && assigns(text.String())
		if !quoted && strings.IndexByte(" \t\r\n;&|<>()", c) >= 0 && !array && !r.follows("<(", ">(") {
			break
		}
		if c == '`' && r.backticks {
			break
		}
		switch {
		case array && !quoted:
			r.array(command, &w, &text)
		case c == '\'' && !quoted:
			text.WriteString(r.literal())
		case c == '"':
			quoted = !quoted
			r.at++
		case c == '\\' && r.at+1 < len(r.text):
			text.WriteString(r.escaped(quoted))
		case r.follows("$(("):
			text.WriteString("$(")
			r.at += 2
		case r.follows("$(") || !quoted && r.follows("<(", ">("):
			r.at += 2
			r.substitute(command, ')')
			text.WriteString("$()")
		case c == '`':
			r.at++
			r.substitute(command, '`')
			text.WriteString("$()")
		case c == '$':
			name, length := variable(r.text[r.at:])
			if name != "" {
				w.Vars = append(w.Vars, name)
			}
			text.WriteString(r.text[r.at : r.at+length])
			r.at += length
		default:
			if c == '\n' {
				r.line++
			}
			text.WriteByte(c)
			r.at++
		}
	}
	w.Text, w.last = text.String(), r.line
	if strings.Contains(w.Text, "%") || strings.Contains(w.Text, "$env:") {
		w.Vars = append(w.Vars, windows(w.Text)...)
	}
	return w
}

// literal reads a text in single quotes.
func (r *reader) literal() string {
	end := strings.IndexByte(r.text[r.at+1:]+"'", '\'')
	inner := r.text[r.at+1 : min(r.at+1+end, len(r.text))]
	r.line += strings.Count(inner, "\n")
	r.at = min(r.at+2+end, len(r.text))
	return inner
}

// escaped reads a backslash and the character behind it. Inside double quotes a backslash escapes only some characters, and stays
// in front of the others.
func (r *reader) escaped(quoted bool) string {
	escape := r.text[r.at : r.at+2]
	r.at += 2
	switch {
	case escape[1] == '\n':
		r.line++
		return ""
	case quoted && strings.IndexByte("$`\"\\", escape[1]) < 0:
		return escape
	}
	return escape[1:]
}

// substitute reads the commands of a substitution.
func (r *reader) substitute(command int, end byte) {
	outer := r.outer
	depth := 0
	for at := command; at >= 0; at = r.all[at].Outer {
		depth++
	}
	if depth > maxDepth {
		return
	}
	r.outer = command
	deep := r.depth
	r.depth++
	r.list(end)
	r.outer, r.depth = outer, deep
}

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
