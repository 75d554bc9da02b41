// Package app is the program: its commands, and all that it prints.
//
// Standard output has one line for each thing done, beginning with ✔. Standard error has failures, each on a line that
// begins with ✖ and followed by lines that begin with "hint: ", and lines that begin with "warning: " or "debug: ".
// Nothing that is printed is a secret.
package app

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"bitbucket-oidc/internal/bounded"
	"bitbucket-oidc/internal/config"
	"bitbucket-oidc/internal/hint"
)

// Exit statuses.
const (
	done    = 0
	failed  = 1 // refused or failed
	misused = 2 // the configuration or the command line is wrong
)

// Program is what the operating system gives.
type Program struct {
	Version        string
	Args           []string
	Stdout, Stderr io.Writer
}

// Main runs the command that the arguments or the environment ask for, and returns the exit status. It returns soon after ctx is
// done, or TIMEOUT is over, in any case: what goes on then ends with the process.
func Main(ctx context.Context, p Program) int {
	general, err := config.LoadGeneral()
	command := bounded.Command{Name: "pipe", Timeout: cmp.Or(general.Timeout, time.Minute)}
	command.Run = func(ctx context.Context) int { return p.run(ctx, general, err) }
	return bounded.Run(ctx, command, p.Stderr)
}

// run runs the command with what every command obeys, and with what is wrong with that.
func (p Program) run(ctx context.Context, general config.General, err error) int {
	c := &console{version: p.Version, out: p.Stdout, err: p.Stderr}
	name, from := general.Command, " in COMMAND"
	args := p.Args
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		name, from, args = args[0], "", args[1:]
	} else if len(args) > 0 {
		switch args[0] {
		case "--version":
			c.print("bitbucket-oidc " + p.Version)
			return done
		case "--help", "-help", "-h":
			c.print(strings.TrimSuffix(usage, "\n"))
			return done
		}
	}
	run, known := commands()[name]
	if !known {
		unknown := hint.New("unknown command"+from, "the commands are login, logout, explain and check: see pipe --help")
		return c.fail(errors.Join(unknown, err), misused)
	}
	a, wrong := parseArguments(name, run.options, args)
	if errors.Is(wrong, flag.ErrHelp) {
		c.print(strings.TrimSuffix(run.usage(), "\n"))
		return done
	}
	c.debugging = general.Debug
	for _, w := range general.Warnings {
		c.warn(w)
	}
	a.add(err)
	if wrong != nil {
		a.add(wrong)
		return c.fail(a.wrongs(), misused)
	}
	return run.run(ctx, c, a)
}

// A command runs with arguments that hold what is wrong with them and with the variables that every command obeys, so that it can
// report that with its own.
type command struct {
	usage   func() string
	options []option
	run     func(ctx context.Context, c *console, a *arguments) int
}

func commands() map[string]command {
	return map[string]command{
		"login":   {loginUsage, nil, login},
		"logout":  {logoutUsage, nil, logout},
		"explain": {explainUsage, explainOptions(), explain},
		"check":   {checkUsage, checkOptions(), check},
	}
}

const usage = `Usage: pipe [COMMAND]

Signs later commands of a Bitbucket Pipelines step in, with the step's own identity token.

Commands (the variable COMMAND names one as well; login is the default):
  login    exchange the step's token with every configured backend and write the files
  logout   remove what login wrote, and revoke what can be revoked
  explain  print the token's claims and the trust configuration to paste
  check    judge a trust configuration against a token, offline

pipe COMMAND --help tells more. Exit status: 0 done; 1 refused or failed; 2 the configuration or the command line is
wrong.
`

// console is where the program prints. Requests run side by side, and so may their traces.
type console struct {
	version   string
	mu        sync.Mutex
	out, err  io.Writer
	debugging bool
}

func (c *console) line(w io.Writer, text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, _ = fmt.Fprintln(w, text)
}

// print prints what is the program's own, or has been made visible: it may have many lines.
func (c *console) print(text string) { c.line(c.out, text) }

func (c *console) warn(text string) { c.line(c.err, "warning: "+visible(text)) }

func (c *console) debug(text string) {
	if c.debugging {
		c.line(c.err, "debug: "+visible(text))
	}
}

// fail prints every failure in err with its hints and returns status. Failures with the same hints stand together above them, and
// no hint is printed twice.
func (c *console) fail(err error, status int) int {
	told := map[string]bool{}
	for _, group := range alike(hint.Failures(err)) {
		for _, failure := range group {
			c.line(c.err, "✖ "+visible(failure.Error()))
		}
		for _, advice := range hint.All(group[0]) {
			if !told[advice] {
				told[advice] = true
				c.hint(advice)
			}
		}
	}
	return status
}

// hint prints advice. It may go on with lines to paste, which are indented.
func (c *console) hint(advice string) {
	lines := strings.Split(advice, "\n")
	for i := range lines {
		lines[i] = visible(lines[i])
	}
	c.line(c.err, "hint: "+strings.Join(lines, "\n  "))
}

// alike groups failures that have the same hints, in the order of the first of each.
func alike(failures []error) [][]error {
	var groups [][]error
	place := map[string]int{}
	for _, failure := range failures {
		key := strings.Join(hint.All(failure), "\x00")
		at, known := place[key]
		if !known || key == "" {
			at = len(groups)
			place[key] = at
			groups = append(groups, nil)
		}
		groups[at] = append(groups[at], failure)
	}
	return groups
}
