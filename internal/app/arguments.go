package app

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"bitbucket-oidc/internal/config"
	"bitbucket-oidc/internal/hint"
)

// An option is a flag that takes a value.
type option struct {
	name, value string
	many        bool   // may be given several times
	pattern     string // what the value must match as a whole
	expected    string // the same in words
	usage       string
}

// arguments are what a command line gives. They collect what is wrong, with the variables too, so that one run tells all of it.
type arguments struct {
	command  string
	values   map[string][]string
	files    []string
	problems []error
}

// parseArguments reads flags, before and between files. It returns [flag.ErrHelp] where help was asked for.
func parseArguments(command string, options []option, args []string) (*arguments, error) {
	a := &arguments{command: command, values: map[string][]string{}}
	for _, arg := range args {
		// A command line can be read by every process of the machine, and its errors would repeat the token.
		if strings.HasPrefix(arg, "eyJ") || strings.Contains(arg, "=eyJ") {
			return a, hint.New("an argument looks like a token", "give the file that holds it with --token-file, or leave it in BITBUCKET_STEP_OIDC_TOKEN")
		}
	}
	flags := flag.NewFlagSet(command, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	for _, o := range options {
		flags.Func(o.name, "", func(value string) error {
			a.values[o.name] = append(a.values[o.name], value)
			return nil
		})
	}
	for len(args) > 0 {
		if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
			return a, err
		} else if err != nil {
			return a, a.misread(err)
		}
		rest := flags.Args()
		if read := len(args) - len(rest); len(rest) > 0 && read > 0 && args[read-1] == "--" {
			a.files = append(a.files, rest...)
			break
		}
		if len(rest) > 0 {
			a.files, rest = append(a.files, rest[0]), rest[1:]
		}
		args = rest
	}
	for _, o := range options {
		a.verify(o)
	}
	a.onlyOneReadsStdin()
	return a, nil
}

// misread words an error of package flag in the way of this program.
func (a *arguments) misread(err error) error {
	what, name, _ := strings.Cut(err.Error(), ": -")
	says, known := map[string]string{
		"flag provided but not defined": "no such flag",
		"flag needs an argument":        "needs a value",
	}[what]
	if !known {
		return hint.New("a flag that cannot be read", a.help())
	}
	return hint.New("--"+visible(name)+": "+says, a.help())
}

func (a *arguments) add(err error) {
	if err != nil {
		a.problems = append(a.problems, err)
	}
}

// wrongs is all that is wrong, or nil.
func (a *arguments) wrongs() error { return errors.Join(a.problems...) }

func (a *arguments) help() string { return "see pipe " + a.command + " --help" }

func (a *arguments) wrong(name, text string) {
	a.problems = append(a.problems, hint.New("--"+name+": "+text, a.help()))
}

// verify holds an option's values to its table entry. Like those of variables they are not repeated.
func (a *arguments) verify(o option) {
	values := a.values[o.name]
	if len(values) > 1 && !o.many {
		a.wrong(o.name, "given more than once")
	}
	whole := regexp.MustCompile(`^(?:` + cmp.Or(o.pattern, `(?s).+`) + `)$`)
	for _, value := range values {
		if !whole.MatchString(value) {
			a.wrong(o.name, "expected "+cmp.Or(o.expected, "a value"))
		}
	}
}

// onlyOneReadsStdin refuses a second dash: what is read once is gone.
func (a *arguments) onlyOneReadsStdin() {
	dashes := 0
	for _, name := range slices.Concat(a.values["token-file"], a.values["claims"], a.files) {
		if name == "-" {
			dashes++
		}
	}
	if dashes > 1 {
		a.problems = append(a.problems, hint.New("standard input is asked for more than once", "give - for one file only"))
	}
}

// given tells whether the flag is on the command line.
func (a *arguments) given(name string) bool { return len(a.values[name]) > 0 }

// text is the flag's value, or empty.
func (a *arguments) text(name string) string {
	if !a.given(name) {
		return ""
	}
	return a.values[name][0]
}

func (a *arguments) moment(name string, otherwise time.Time) time.Time {
	if !a.given(name) {
		return otherwise
	}
	t, err := time.Parse(time.RFC3339, a.text(name))
	if err != nil {
		a.wrong(name, "expected a time such as 2026-11-22T23:00:00Z")
	}
	return t
}

// duration is the flag's value as AWS_SESSION_DURATION may have it.
func (a *arguments) duration(name string, otherwise time.Duration) time.Duration {
	if !a.given(name) {
		return otherwise
	}
	d, err := config.ParseDuration(a.text(name))
	if err != nil || d < config.ShortestSession || d > config.LongestSession || d%time.Second != 0 {
		a.wrong(name, "expected the duration of an AWS session, 15m to 12h, in whole seconds")
	}
	return d
}

// noFiles refuses what is no flag.
func (a *arguments) noFiles() {
	if len(a.files) > 0 {
		a.add(hint.New("too many arguments", a.command+" takes no files: "+a.help()))
	}
}

// describe lists the options for a command's help.
func describe(options []option) string {
	var b strings.Builder
	for _, o := range options {
		more := ""
		if o.many {
			more = "…"
		}
		fmt.Fprintf(&b, "  %-33s %s\n", "--"+o.name+" "+o.value+more, o.usage)
	}
	return b.String()
}
