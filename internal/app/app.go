// Package app is the program: its commands, and all that it prints.
//
// Standard output has one line for each thing done, beginning with ✔. Standard error has failures, each on a line that
// begins with ✖ and followed by lines that begin with "hint: ", and lines that begin with "warning: " or "debug: ".
// Nothing that is printed is a secret.
package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

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

// Main runs the command that the arguments or the environment ask for, and returns the exit status.
func Main(ctx context.Context, p Program) int {
	c := &console{version: p.Version, out: p.Stdout, err: p.Stderr}
	general, err := config.LoadGeneral()
	command := general.Command
	args := p.Args
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		command, args = args[0], args[1:]
	} else if len(args) > 0 {
		switch args[0] {
		case "--version":
			c.print("bitbucket-oidc " + p.Version)
			return done
		case "--help", "-h":
			c.print(strings.TrimSuffix(usage, "\n"))
			return done
		}
	}
	run, known := commands()[command]
	if !known {
		return c.fail(hint.New("unknown command", "the commands are login, logout, explain and check: see pipe --help"), misused)
	}
	if len(args) > 0 && (args[0] == "--help" || args[0] == "-h") {
		c.print(strings.TrimSuffix(run.usage(), "\n"))
		return done
	}
	c.debugging = general.Debug
	for _, w := range general.Warnings {
		c.warn(w)
	}
	ctx, cancel := context.WithTimeout(ctx, general.Timeout)
	defer cancel()
	return run.run(ctx, c, args, err)
}

// A command runs with the problems of the variables that every command obeys, so that it can report them with its own.
type command struct {
	usage func() string
	run   func(ctx context.Context, c *console, args []string, problems error) int
}

func commands() map[string]command {
	return map[string]command{
		"login":   {loginUsage, login},
		"logout":  {logoutUsage, logout},
		"explain": {explainUsage, explain},
		"check":   {checkUsage, check},
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

func (c *console) print(text string) { c.line(c.out, text) }

func (c *console) warn(text string) { c.line(c.err, "warning: "+text) }

func (c *console) debug(text string) {
	if c.debugging {
		c.line(c.err, "debug: "+text)
	}
}

// fail prints every failure in err with its hints and returns status. A hint may go on with lines to paste, which are
// indented.
func (c *console) fail(err error, status int) int {
	for _, failure := range hint.Failures(err) {
		c.line(c.err, "✖ "+failure.Error())
		for _, advice := range hint.All(failure) {
			c.line(c.err, "hint: "+strings.ReplaceAll(advice, "\n", "\n  "))
		}
	}
	return status
}

// tooMany is the error of arguments to a command that takes none.
func tooMany(command string, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return hint.With(errors.New("too many arguments"), command+" takes none: it is configured by variables")
}
