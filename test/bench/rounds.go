package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const processLimit = 2 * time.Minute // the slowest client takes a few seconds

// A plan says how often to measure each subject.
type plan struct {
	seed       uint64
	warmUps    int // rounds that do not count
	rounds     int
	slowRounds int // of the rounds, those that the slow subjects take part in
	memory     int // runs of each subject for its memory
	slowMemory int
}

// due says whether a slow subject takes part in a round. Its rounds are spread over the whole run, so that a machine that
// changes its pace meets all subjects alike. The last warm-up is one of them.
func (p plan) due(round int) bool {
	if round < 0 {
		return round == -1
	}
	return (round+1)*p.slowRounds/p.rounds > round*p.slowRounds/p.rounds
}

// A result is what was measured of a subject.
type result struct {
	subject
	samples []sample
	peaks   []int64 // bytes
}

type sample struct {
	round     int
	wall, cpu time.Duration
	requests  int
}

// runAll measures all subjects side by side: every round runs each once, in an order of its own, so that two samples of
// one round share what the machine was busy with.
func (s *step) runAll(ctx context.Context, p plan, subjects []subject, gnuTime string) ([]result, error) {
	results := make([]result, len(subjects))
	order := make([]int, len(subjects))
	for i, subject := range subjects {
		results[i].subject, order[i] = subject, i
	}
	random := rand.New(rand.NewPCG(p.seed, 0))
	for round := -p.warmUps; round < p.rounds; round++ {
		random.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		for _, i := range order {
			if subjects[i].missing != "" || subjects[i].slow && !p.due(round) {
				continue
			}
			taken, err := s.fresh(ctx, subjects[i])
			if err != nil {
				return nil, err
			}
			taken.round = round
			if round >= 0 {
				results[i].samples = append(results[i].samples, taken)
			}
		}
	}
	if gnuTime == "" {
		return results, nil
	}
	for i, subject := range subjects {
		times := p.memory
		if subject.slow {
			times = p.slowMemory
		}
		if subject.missing != "" {
			times = 0
		}
		for range times {
			peak, err := s.peak(ctx, subject, gnuTime)
			if err != nil {
				return nil, err
			}
			results[i].peaks = append(results[i].peaks, peak)
		}
	}
	return results, nil
}

// fresh runs a subject in a folder of its own: files of an earlier process would make it a second login.
func (s *step) fresh(ctx context.Context, subject subject, wrapper ...string) (sample, error) {
	dir, err := os.MkdirTemp(s.dir, "build-")
	if err != nil {
		return sample{}, err
	}
	defer os.RemoveAll(dir)
	return s.start(ctx, subject, dir, wrapper...)
}

// start runs a subject once and checks that it did what it is measured for.
func (s *step) start(ctx context.Context, subject subject, dir string, wrapper ...string) (sample, error) {
	fail := func(err error) (sample, error) {
		return sample{}, fmt.Errorf("%s: %s: %w", subject.group, subject.label, err)
	}
	command, variables, err := subject.prepare(dir)
	if err != nil {
		return fail(err)
	}
	// With a file, no thread of this process has to read what is printed.
	output, err := os.CreateTemp(s.dir, "output-")
	if err != nil {
		return fail(err)
	}
	defer os.Remove(output.Name())
	defer output.Close()

	ctx, cancel := context.WithTimeout(ctx, processLimit)
	defer cancel()
	command = append(wrapper, command...)
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Dir, cmd.Env = dir, append(s.environment(dir), variables...)
	cmd.Stdout, cmd.Stderr = output, output
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // to end it with all that it started
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }

	before := s.requests()
	begin := time.Now()
	err = cmd.Run()
	wall := time.Since(begin)
	if err != nil {
		said, _ := os.ReadFile(output.Name()) // the status says enough where it cannot be read
		return fail(fmt.Errorf("%w: %s", err, s.mask(strings.TrimSpace(string(said)))))
	}
	sent := s.requests() - before
	if subject.requests != whatever && sent != subject.requests {
		return fail(fmt.Errorf("it sent %d requests, not %d", sent, subject.requests))
	}
	return sample{wall: wall, cpu: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), requests: sent}, nil
}

// peak is the most memory that a subject had resident, in a run of its own.
//
// The peak that wait4 reports for a child is at least the memory of this process: until exec the child runs in the parent's
// memory, and the kernel counts that. GNU time is small, and forks before it runs the command. Its own start would count as wall
// time, so the samples above are taken without it. If there are several processes, as in a script, the peak is that of the largest.
func (s *step) peak(ctx context.Context, subject subject, gnuTime string) (int64, error) {
	file := filepath.Join(s.dir, "peak")
	if _, err := s.fresh(ctx, subject, gnuTime, "-f", "%M", "-o", file); err != nil {
		return 0, err
	}
	said, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	kilobytes, err := strconv.ParseInt(strings.TrimSpace(string(said)), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("GNU time: %w", err)
	}
	return kilobytes << 10, nil
}

// findGNUTime is the path of GNU time: other programs of that name know no format.
func findGNUTime(ctx context.Context) (string, error) {
	for _, name := range []string{"time", "gtime"} {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		out, err := exec.CommandContext(ctx, path, "--version").CombinedOutput()
		if err == nil && strings.Contains(string(out), "GNU") {
			return path, nil
		}
	}
	return "", errors.New("GNU time is not installed")
}
