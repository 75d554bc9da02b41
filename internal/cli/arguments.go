package cli

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
	"bitbucket-oidc/internal/visible"
)

// An Option is a flag. It takes a value unless Value is empty.
type Option struct {
	Name, Value string
	Many        bool   // may be given several times
	File        bool   // the value names a file that is read; a dash is standard input
	Pattern     string // the regular expression that the whole value must match
	Expected    string // what the pattern allows, for messages
	Usage       string
}

// Arguments are the flags and files of a command line. They collect all problems, those of the variables too, so that one run reports
// all of them.
type Arguments struct {
	Files []string // the arguments that are not flags
	Vars  *config.Vars
	Limit time.Duration // TIMEOUT, for a command that serves

	program, command string
	values           map[string][]string
	given            []Flag
	problems         []error
}

// A Flag is a flag as it was given.
type Flag struct{ Name, Value string }

// refuseTokens refuses a command line with a token in it: every process of the machine can read the command line, and errors
// would repeat the token.
func refuseTokens(args []string) error {
	for _, arg := range args {
		if strings.HasPrefix(arg, "eyJ") || strings.Contains(arg, "=eyJ") {
			return hint.New("an argument looks like a token", "give the file that holds it with --token-file, or leave it in BITBUCKET_STEP_OIDC_TOKEN")
		}
	}
	return nil
}

// parseArguments reads flags, before and between files. It returns [flag.ErrHelp] where help was asked for.
func parseArguments(program string, command Command, args []string, vars *config.Vars) (*Arguments, error) {
	a := &Arguments{Vars: vars, program: program, command: command.Name, values: map[string][]string{}}
	if err := refuseTokens(args); err != nil {
		return a, err
	}
	flags := flag.NewFlagSet(command.Name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	for _, o := range command.Options {
		add := func(value string) error {
			a.values[o.Name] = append(a.values[o.Name], value)
			a.given = append(a.given, Flag{o.Name, value})
			return nil
		}
		if o.Value == "" {
			flags.BoolFunc(o.Name, "", add)
		} else {
			flags.Func(o.Name, "", add)
		}
	}
	var wrong []error
	for len(args) > 0 {
		err := flags.Parse(args)
		rest := flags.Args()
		read := len(args) - len(rest)
		switch {
		case errors.Is(err, flag.ErrHelp):
			return a, err
		case err != nil:
			wrong = append(wrong, a.misread(err))
			if read == 0 {
				rest = rest[1:] // an argument that package flag does not even split
			}
		case len(rest) > 0 && read > 0 && args[read-1] == "--":
			a.Files, rest = append(a.Files, rest...), nil
		case len(rest) > 0:
			a.Files, rest = append(a.Files, rest[0]), rest[1:]
		}
		args = rest
	}
	for _, o := range command.Options {
		a.verify(o)
	}
	a.onlyOneReadsStdin(command.Options)
	return a, errors.Join(wrong...)
}

// misread turns an error of package flag into a message of this program.
func (a *Arguments) misread(err error) error {
	what, name, _ := strings.Cut(err.Error(), ": -")
	says, known := map[string]string{
		"flag provided but not defined": "no such flag",
		"flag needs an argument":        "needs a value",
	}[what]
	if !known {
		return hint.New("a flag that cannot be read", a.help())
	}
	return hint.New("--"+visible.Text(name)+": "+says, a.help())
}

// Add adds a problem, if there is one.
func (a *Arguments) Add(err error) {
	if err != nil {
		a.problems = append(a.problems, err)
	}
}

// Err joins all problems, also those of the variables that were read, or is nil.
func (a *Arguments) Err() error {
	return errors.Join(a.Vars.Err(), errors.Join(a.problems...))
}

func (a *Arguments) help() string { return "see " + a.program + " " + a.command + " --help" }

// Wrong adds a problem with a flag.
func (a *Arguments) Wrong(name, text string) { a.Add(hint.New("--"+name+": "+text, a.help())) }

// verify compares an option's values with what the option expects. Like values of variables, they are not repeated in messages.
func (a *Arguments) verify(o Option) {
	values := a.values[o.Name]
	if len(values) > 1 && !o.Many {
		a.Wrong(o.Name, "given more than once")
	}
	if o.Value == "" {
		o.Pattern, o.Expected = "true", "no value"
	}
	whole := regexp.MustCompile(`^(?:` + cmp.Or(o.Pattern, `(?s).+`) + `)$`)
	for _, value := range values {
		if !whole.MatchString(value) {
			a.Wrong(o.Name, "expected "+cmp.Or(o.Expected, "a value"))
		}
	}
}

// onlyOneReadsStdin refuses a second dash: standard input can be read once only.
func (a *Arguments) onlyOneReadsStdin(options []Option) {
	names := slices.Clone(a.Files)
	for _, o := range options {
		if o.File {
			names = append(names, a.values[o.Name]...)
		}
	}
	names = slices.DeleteFunc(names, func(name string) bool { return name != "-" })
	if len(names) > 1 {
		a.Add(hint.New("standard input is asked for more than once", "give - for one file only"))
	}
}

// Given reports whether the flag is on the command line.
func (a *Arguments) Given(name string) bool { return len(a.values[name]) > 0 }

// Text is the flag's value, or empty.
func (a *Arguments) Text(name string) string {
	if !a.Given(name) {
		return ""
	}
	return a.values[name][0]
}

// Texts are the values of a flag that may be given several times.
func (a *Arguments) Texts(name string) []string { return a.values[name] }

// Sequence is the flags of these names in the order in which they were given.
func (a *Arguments) Sequence(names ...string) []Flag {
	return slices.DeleteFunc(slices.Clone(a.given), func(f Flag) bool { return !slices.Contains(names, f.Name) })
}

// Moment is the time that the flag names.
func (a *Arguments) Moment(name string, otherwise time.Time) time.Time {
	if !a.Given(name) {
		return otherwise
	}
	t, err := time.Parse(time.RFC3339, a.Text(name))
	if err != nil {
		a.Wrong(name, "expected a time such as 2026-11-22T23:00:00Z")
	}
	return t
}

// NoFiles refuses arguments that are not flags.
func (a *Arguments) NoFiles() {
	if len(a.Files) > 0 {
		a.Add(hint.New("too many arguments", a.command+" takes no files: "+a.help()))
	}
}

// Describe lists options for a command's help.
func Describe(options []Option) string {
	var b strings.Builder
	for _, o := range options {
		flag := "--" + o.Name
		if o.Value != "" {
			flag += " " + o.Value
		}
		if o.Many {
			flag += "…"
		}
		fmt.Fprintf(&b, "  %-33s %s\n", flag, o.Usage)
	}
	return b.String()
}
