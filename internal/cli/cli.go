// Package cli is the frame of both programs: it chooses the command, reads its arguments, and is the only place that prints.
//
// Standard output has one line for each thing done, beginning with ✔, or what a command was asked to print. Standard error has
// failures, each on a line that begins with ✖ and followed by lines that begin with "hint: ", and lines that begin with
// "warning: " or "debug: ". Nothing that is printed is a secret.
package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	"bitbucket-oidc/internal/bounded"
	"bitbucket-oidc/internal/config"
	"bitbucket-oidc/internal/hint"
)

// Exit statuses.
const (
	Done    = 0
	Failed  = 1 // refused or failed
	Misused = 2 // the configuration or the command line is wrong
)

// Start is what a program is started with.
type Start struct {
	Version        string
	Args           []string // without the program's name
	Stdout, Stderr io.Writer
}

// A Program is a list of commands.
type Program struct {
	Name      string
	Commands  []Command
	Variables []config.Group // that a user may set

	// HandOver runs a program beside this one in its place, for a command that this one does not have. It returns only if that
	// is not possible. A program without HandOver names the other one.
	HandOver func(program string, args []string) error
}

// A Command is one thing that a program does.
type Command struct {
	Name    string
	Usage   func(program string) string
	Options []Option

	// Guarded is for a command that does not go on where a guard, or the choice of whom the step becomes, is misspelt.
	Guarded bool

	// Acts is for a command that is there for what it does: that nobody can read what it prints does not fail it.
	Acts bool

	// Serves is for a command that runs until its input ends: TIMEOUT bounds each of its answers and not the command.
	Serves bool

	// Takes reports whether the program has the command for these arguments, where it leaves others to the program beside it; nil
	// for all arguments.
	Takes func(args []string) bool

	// Run returns the exit status. The arguments already hold what is wrong with them and with the variables that every command
	// obeys, so that Run reports this together with its own problems. The context ends at TIMEOUT.
	Run func(ctx context.Context, c *Console, a *Arguments) int
}

// Main runs the command that the arguments or the environment ask for, and returns the exit status. It returns soon after ctx is
// done, or TIMEOUT is over, in any case: what goes on then ends with the process.
func (p Program) Main(ctx context.Context, s Start) int {
	config.Prepare() // before anything reads the environment, libraries included
	vars := config.Take(p.Variables)
	command := bounded.Command{Name: p.Name, Timeout: vars.Timeout()}
	chosen := choose(s.Args, vars)
	if c, ok := p.command(chosen); ok && c.Serves {
		command.Timeout = 0
	}
	command.Run = func(ctx context.Context) int { return p.run(ctx, s, chosen, vars) }
	return bounded.Run(ctx, command, s.Stderr)
}

// run runs the command that the arguments or the variables ask for.
func (p Program) run(ctx context.Context, s Start, chosen choice, vars *config.Vars) int {
	c := &Console{Version: s.Version, out: s.Stdout, err: s.Stderr}
	if len(s.Args) > 0 {
		switch s.Args[0] {
		case "--version":
			c.Print("bitbucket-oidc " + s.Version)
			return c.settle(Done)
		case "--help", "-help", "-h":
			if vars.IsSet("COMMAND") {
				break // COMMAND=login --help is pipe login --help
			}
			c.Print(usage(p.Name))
			return c.settle(Done)
		}
	}
	command, ok := p.command(chosen)
	if !ok {
		vars.Boolean("DEBUG")
		return p.handOver(c, chosen, vars.Err())
	}
	a, err := parseArguments(p.Name, command, chosen.args)
	if errors.Is(err, flag.ErrHelp) {
		c.Print(strings.TrimSuffix(command.Usage(p.Name), "\n"))
		return c.settle(Done)
	}
	a.Vars = vars
	c.debugging = vars.Boolean("DEBUG")
	for _, m := range vars.Misspelt() {
		if m.Stops && command.Guarded {
			vars.Add(m.Err())
		} else {
			c.Warn(m.String())
		}
	}
	if err != nil {
		a.Add(err)
		return c.Fail(a.Err(), Misused)
	}
	status := command.Run(ctx, c, a)
	if command.Acts {
		return status
	}
	return c.settle(status)
}

// command is the program's own command for a choice.
func (p Program) command(chosen choice) (Command, bool) {
	i := slices.IndexFunc(p.Commands, func(c Command) bool { return c.Name == chosen.name && (c.Takes == nil || c.Takes(chosen.args)) })
	if i < 0 {
		return Command{}, false
	}
	return p.Commands[i], true
}

// A choice is a command and its arguments, and where they come from.
type choice struct {
	name, from string
	args       []string
}

// choose takes the command from the command line, or else from the variables.
func choose(args []string, vars *config.Vars) choice {
	switch {
	case len(args) == 0:
		return choice{vars.Text("COMMAND"), " in COMMAND", vars.List("ARGUMENTS")}
	case strings.HasPrefix(args[0], "-"):
		return choice{vars.Text("COMMAND"), " in COMMAND", args}
	}
	return choice{args[0], "", args[1:]}
}

// handOver is for a command that this program does not have. wrong is what is wrong with the variables; a program that takes over
// finds it by itself.
func (p Program) handOver(c *Console, chosen choice, wrong error) int {
	e, known := entry(chosen.name)
	if !known {
		// The name is not repeated: it could be a secret that was put into the wrong variable.
		unknown := hint.New("unknown command"+chosen.from, "the commands are "+names()+": see "+p.Name+" --help")
		return c.Fail(errors.Join(unknown, wrong), Misused)
	}
	other := e.Programs[0]
	if p.HandOver == nil {
		return c.Fail(errors.Join(hint.New(p.Name+" has no command "+e.Name, "it is a command of the program "+other+": see "+p.Name+" --help"), wrong), Misused)
	}
	err := refuseTokens(chosen.args)
	if err == nil {
		err = fmt.Errorf("%s: %w", e.Name, p.HandOver(other, append([]string{e.Name}, chosen.args...)))
	}
	return c.Fail(errors.Join(err, wrong), Misused)
}
