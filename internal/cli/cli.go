// Package cli is the frame of both programs: it chooses the command, reads its arguments, and is the only place that prints.
//
// Standard output has one line for each thing done, beginning with ✔, or what a command was asked to print. Standard error has
// failures, each on a line that begins with ✖ and followed by lines that begin with "hint: ", and lines that begin with
// "warning: " or "debug: ". Nothing that is printed is a secret.
package cli

import (
	"cmp"
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
	Name     string
	Commands []Command

	// HandOver runs a program beside this one in its place, for a command that this one does not have. It returns only if that
	// is not possible. A program without HandOver names the other one.
	HandOver func(program string, args []string) error
}

// A Command is one thing that a program does.
type Command struct {
	Name    string
	Usage   func(program string) string
	Options []Option

	// Run returns the exit status. The arguments already hold what is wrong with them and with the variables that every command
	// obeys, so that Run reports this together with its own problems. The context ends at TIMEOUT.
	Run func(ctx context.Context, c *Console, a *Arguments) int
}

// Main runs the command that the arguments or the environment ask for, and returns the exit status. It returns soon after ctx is
// done, or TIMEOUT is over, in any case: what goes on then ends with the process.
func (p Program) Main(ctx context.Context, s Start) int {
	general, err := config.LoadGeneral()
	command := bounded.Command{Name: p.Name, Timeout: cmp.Or(general.Timeout, time.Minute)}
	command.Run = func(ctx context.Context) int { return p.run(ctx, s, general, err) }
	return bounded.Run(ctx, command, s.Stderr)
}

// run runs the command with what every command obeys, and with what is wrong with that.
func (p Program) run(ctx context.Context, s Start, general config.General, wrong error) int {
	c := &Console{out: s.Stdout, err: s.Stderr}
	if len(s.Args) > 0 {
		switch s.Args[0] {
		case "--version":
			c.Print("bitbucket-oidc " + s.Version)
			return Done
		case "--help", "-help", "-h":
			c.Print(usage(p.Name))
			return Done
		}
	}
	chosen := choose(s.Args, general)
	i := slices.IndexFunc(p.Commands, func(c Command) bool { return c.Name == chosen.name })
	if i < 0 {
		return p.handOver(c, chosen, wrong)
	}
	command := p.Commands[i]
	a, err := parseArguments(p.Name, command, chosen.args)
	if errors.Is(err, flag.ErrHelp) {
		c.Print(strings.TrimSuffix(command.Usage(p.Name), "\n"))
		return Done
	}
	c.debugging = general.Debug
	for _, w := range general.Warnings {
		c.Warn(w)
	}
	a.Add(wrong)
	if err != nil {
		a.Add(err)
		return c.Fail(a.Err(), Misused)
	}
	return command.Run(ctx, c, a)
}

// A choice is a command and its arguments, and where they come from.
type choice struct {
	name, from string
	args       []string
}

// choose takes the command from the command line, or else from the environment.
func choose(args []string, general config.General) choice {
	switch {
	case len(args) == 0:
		return choice{general.Command, " in COMMAND", general.Arguments}
	case strings.HasPrefix(args[0], "-"):
		return choice{general.Command, " in COMMAND", args}
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
