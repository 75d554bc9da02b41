// Command bench compares the cost of a login with the cost of other clients: whole processes, in turn and in random order,
// against clouds on loopback. It prints a page, and with -write leaves the page and its plot in a folder.
//
// A missed target is reported and is not a failure. A client that the machine lacks is named. A client that is there and cannot
// be measured is a failure.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

const timeout = 30 * time.Minute // the step's token lasts an hour

func main() {
	if err := run(os.Stdout, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(out io.Writer, args []string) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	write := flags.String("write", "", "leave performance.md and performance.svg in this `folder`")
	quick := flags.Bool("quick", false, "few rounds, without the slow clients, to see that the measurement works")
	rounds := flags.Int("rounds", 60, "how often each process is measured; the slow clients are measured less often")
	seed := flags.Uint64("seed", uint64(time.Now().UnixNano()), "of the order in each round")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return err
	}
	if *rounds < 1 {
		return errors.New("-rounds is at least 1")
	}
	schedule := plan{seed: *seed, warmUps: 3, rounds: *rounds, slowRounds: 7, memory: 5, slowMemory: 3}
	if *quick {
		if *write != "" {
			return errors.New("-quick measures too little to be written down")
		}
		schedule = plan{seed: *seed, warmUps: 1, rounds: 3, memory: 1}
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()

	r, err := measure(ctx, schedule)
	if err != nil {
		return err
	}
	page := r.markdown()
	if _, err := io.WriteString(out, page); err != nil || *write == "" {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(*write, "performance.md"), []byte(page), 0o644),
		os.WriteFile(filepath.Join(*write, plotName), []byte(r.svg()), 0o644),
	)
}

// measure builds the programs, starts the clouds, runs all subjects, and summarises the results.
func measure(ctx context.Context, schedule plan) (report, error) {
	here := describeMachine() // before the load of this very run
	dir, err := os.MkdirTemp("", "bitbucket-oidc-bench-")
	if err != nil {
		return report{}, err
	}
	defer os.RemoveAll(dir)

	built, err := build(ctx, dir)
	if err != nil {
		return report{}, err
	}
	built.noBefore = "only in a whole run"
	if schedule.slowRounds > 0 {
		built.before, built.noBefore = buildBefore(ctx, built.root, dir)
	}
	s, err := startStep(dir, built)
	if err != nil {
		return report{}, err
	}
	defer s.close()

	subjects := s.own(ctx)
	tls, err1 := s.overTLS()
	guarded, err2 := s.guarded(s.toAWS())
	judging, err3 := s.judging(schedule.slowRounds > 0)
	if err := errors.Join(err1, err2, err3); err != nil {
		return report{}, err
	}
	subjects = slices.Concat(subjects, tls, guarded, judging)
	if schedule.slowRounds > 0 {
		others, err := s.others(ctx)
		if err != nil {
			return report{}, err
		}
		subjects = append(subjects, others...)
	}
	gnuTime, noMemory := findGNUTime(ctx)
	results, err := s.runAll(ctx, schedule, subjects, gnuTime)
	if err != nil {
		return report{}, err
	}
	return report{
		plan:      schedule,
		machine:   here,
		toolchain: built.toolchain,
		sizes:     built.sizes,
		rows:      summarize(results),
		noMemory:  noMemory,
	}, nil
}
