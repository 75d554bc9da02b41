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
	"time"

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

	// HandOver replaces this program by the program beside it, for a command that this program does not have. It returns only if that
	// is not possible. A program without HandOver names the other program.
	HandOver func(program string, args []string) error
}

// A Command is one thing that a program does.
type Command struct {
	Name    string
	Usage   func(program string) string
	Options []Option

	// Guarded is for a command that must not go on if the name of a guard is misspelt, or the name of a variable that decides who
	// the step becomes.
	Guarded bool

	// Acts is for a command that is run for its effect: it does not fail if its output cannot be printed.
	Acts bool

	// Serves is for a command that runs until its input ends: TIMEOUT bounds each of its answers, and not the command.
	Serves bool

	// Takes reports whether this program runs the command for these arguments; if not, the program beside it does. nil means for all
	// arguments.
	Takes func(args []string) bool

	// Run returns the exit status. The arguments already hold what is wrong with them and with the variables that every command
	// obeys, so that Run reports this together with its own problems. The context ends at TIMEOUT.
	Run func(ctx context.Context, c *Console, a *Arguments) int
}

// Main runs the command that the arguments or the environment ask for, and returns the exit status. It always returns soon after ctx is
// done or TIMEOUT is over: what still runs then ends with the process.
func (p Program) Main(ctx context.Context, s Start) int {
	config.Prepare() // before anything reads the environment, libraries included
	vars := config.Take(p.Variables)
	asked := choose(s.Args, vars)
	command, own := p.command(asked)
	asked.limit = vars.Timeout()
	run := bounded.Command{Name: p.Name, Timeout: asked.limit}
	if own && command.Serves {
		run.Timeout = 0
	}
	run.Run = func(ctx context.Context) int {
		c := &Console{Version: s.Version, out: s.Stdout, err: s.Stderr}
		switch {
		case asked.version:
			return c.answer("bitbucket-oidc " + s.Version)
		case asked.help:
			return c.answer(usage(p.Name))
		case !own:
			// A program that takes over finds by itself what is wrong with the variables. It sees nothing of ARGUMENTS.
			vars.Boolean("DEBUG")
			if asked.unread {
				return c.Fail(vars.Err(), Misused)
			}
			return c.Fail(errors.Join(p.handOver(asked), vars.Err()), Misused)
		}
		return p.run(ctx, c, command, asked, vars)
	}
	return bounded.Run(ctx, run, s.Stderr)
}

// run reads a command's arguments and runs the command.
func (p Program) run(ctx context.Context, c *Console, command Command, asked choice, vars *config.Vars) int {
	a, err := parseArguments(p.Name, command, asked.args, vars)
	a.Limit = asked.limit
	if errors.Is(err, flag.ErrHelp) {
		return c.answer(strings.TrimSuffix(command.Usage(p.Name), "\n"))
	}
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

// A choice is what the command line or the variables ask for: the version, the program's help, or a command.
type choice struct {
	version, help bool
	name, from    string // of the command; where the name comes from, for messages
	args          []string
	unread        bool          // something is wrong with ARGUMENTS
	limit         time.Duration // TIMEOUT
}

// choose takes the command from the command line, or else from the variables.
func choose(args []string, vars *config.Vars) choice {
	if len(args) == 0 {
		chosen := choice{name: vars.Text("COMMAND"), from: " in COMMAND"}
		list := vars.Group()
		chosen.args = list.List("ARGUMENTS")
		chosen.unread = list.Failed()
		return chosen
	}
	switch first := args[0]; {
	case first == "--version":
		return choice{version: true}
	case slices.Contains([]string{"--help", "-help", "-h"}, first) && !vars.IsSet("COMMAND"): // COMMAND=login --help is pipe login --help
		return choice{help: true}
	case strings.HasPrefix(first, "-"):
		return choice{name: vars.Text("COMMAND"), from: " in COMMAND", args: args}
	default:
		return choice{name: first, args: args[1:]}
	}
}

// handOver runs a command that this program does not have in the program beside it. It returns only if that is not possible.
func (p Program) handOver(asked choice) error {
	e, known := entry(asked.name)
	if !known {
		// The name is not repeated: it could be a secret that was put into the wrong variable.
		return hint.New("unknown command"+asked.from, "the commands are "+names()+": see "+p.Name+" --help")
	}
	other := e.Programs[0]
	if p.HandOver == nil {
		return hint.New(p.Name+" has no command "+e.Name, "it is a command of the program "+other+": see "+p.Name+" --help")
	}
	if err := refuseTokens(asked.args); err != nil {
		return err
	}
	return fmt.Errorf("%s: %w", e.Name, p.HandOver(other, append([]string{e.Name}, asked.args...)))
}
