package chaos

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A record is what all tests of one run found out, for the page.
type record struct {
	mu       sync.Mutex
	outcomes []outcome
	tallies  []tally
}

var found = &record{}

func TestMain(m *testing.M) {
	start := time.Now()
	status := m.Run()
	if *write != "" && status == 0 {
		if err := os.WriteFile(*write, []byte(found.page(time.Since(start))), 0o644); err != nil {
			fmt.Fprintln(os.Stderr, "chaos:", err)
			status = 1
		}
	}
	os.Exit(status)
}

func (r *record) play(outcomes []outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.outcomes = append(r.outcomes, outcomes...)
}

// note logs a tally and keeps it under the test's name.
func (r *record) note(t *testing.T, row tally) {
	t.Helper()
	row.name = t.Name()
	t.Log(row)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tallies = append(r.tallies, row)
}

// skip skips a test by its name.
func (r *record) skip(t *testing.T, reason string) {
	t.Helper()
	r.mu.Lock()
	r.tallies = append(r.tallies, tally{name: t.Name(), skipped: reason})
	r.mu.Unlock()
	t.Skip(reason)
}

// mark is a cell of the page.
func (o outcome) mark() string {
	switch {
	case o.skipped != "":
		return "–"
	case o.verdict == harmless:
		return "✔"
	case o.once && o.late:
		return "2+"
	case o.once:
		return "2"
	case o.verdict == hangs:
		return "T"
	case o.verdict == throttles:
		return "T5"
	}
	return fmt.Sprint(o.attempts)
}

// marks joins the cells of one row and one column.
func (r *record) marks(row fault, column request) string {
	var all []string
	for _, o := range r.outcomes {
		if o.fault.group == row.group && o.fault.name == row.name && o.request.name == column.name {
			if m := o.mark(); !slices.Contains(all, m) {
				all = append(all, m)
			}
		}
	}
	return strings.Join(all, " ")
}

const pageHead = `# Chaos

What networks, servers, disks and hosts can do to a login, and what it makes of it. Each cell is a process of its own, with
real sockets, files and signals. In each, the command got 200 MiB of memory at most, and ended within ` + "`TIMEOUT`" + ` and
two seconds, with the right exit status; a failure named the backend, or the folder that could not be used, and had a hint; a login
that failed changed no file and left nothing half-written, except in the cases named below; no secret was printed, and none lay
where it may not.

`

const hostsHead = `
## Disks, signals, neighbours

A command succeeded, or it failed and the files were as before. *Met it*: runs in which the fault came in time. *Mute*: those
of them in which it came to the report itself, or to Go's runtime, which ends the process then; exit status and report mean
nothing there, and the files and the secrets alone are judged. Some cases can promise less than "as before":

- Several faults in one run, as each thread has its n-th call: what lies under the promised names is as before; a leftover
  may stay, which the next login clears away.
- A logout that failed has removed what it could. What it left is as it was, or was emptied, and its hint says to call it again.
- The file of records grows, whatever becomes of the command: no line is lost, each new line is a whole record, and a login that
  succeeded recorded the credentials that it wrote. One that was killed may leave half a line, which stays a line of its own.
- A command that was killed, or mute: the files of one login, all of them, or none. The next login succeeds.
- Somebody else removing the output folder at a random moment may leave half of it. The next login succeeds.

| What | Runs | Met it | Mute | Succeeded | Failed |
|---|---:|---:|---:|---:|---:|
`

func (r *record) page(took time.Duration) string {
	var b strings.Builder
	b.WriteString(pageHead)
	played, skipped := 0, map[string][]string{}
	for _, o := range r.outcomes {
		if o.skipped != "" {
			name := o.request.name + " / " + o.fault.group + ": " + o.fault.name
			if !slices.Contains(skipped[o.skipped], name) {
				skipped[o.skipped] = append(skipped[o.skipped], name)
			}
			continue
		}
		played++
	}
	runs := 0
	for _, t := range r.tallies {
		runs += t.done + t.failed
	}
	fmt.Fprintf(&b, "%d cells of requests, and %d runs on disks and hosts that let them down, in %v. Seed of all random moments: %d.\n"+
		"Written by `make chaos` on %s; `make test` plays one or two cells of each row, and some of each column.\n\n",
		played, runs, took.Round(time.Second), *seed, time.Now().Format(time.DateOnly))

	b.WriteString("## Requests\n\n| | Request |\n|---|---|\n")
	for i, q := range requests() {
		fmt.Fprintf(&b, "| %d | %s |\n", i+1, q.name)
	}
	b.WriteString("\nA number is the attempt with which it ended. **2**: the fault came once, and the second attempt succeeded (**2+**: it went\n" +
		"away after the first). **5**: it came always, and the fifth attempt was the last. **1**: there is no use in trying again. **T**:\n" +
		"only TIMEOUT ended it. **T5**: either of them. **✔**: a success at once. **–**: skipped, see below.\n\n")
	b.WriteString("| Fault |")
	for i := range requests() {
		fmt.Fprintf(&b, " %d |", i+1)
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(requests())) + "\n")
	group := ""
	for _, f := range faults() {
		if f.group == documentedGroup {
			continue
		}
		if f.group != group {
			group = f.group
			fmt.Fprintf(&b, "| **%s** |%s\n", group, strings.Repeat(" |", len(requests())))
		}
		fmt.Fprintf(&b, "| %s |", f.name)
		for _, q := range requests() {
			b.WriteString(" " + r.marks(f, q) + " |")
		}
		b.WriteString("\n")
	}

	b.WriteString("\n## Failures that services document\n\nThe service says nothing of when to come back.\n\n| Failure | Request | Ended with |\n|---|---|---|\n")
	for _, f := range faults() {
		if f.group != documentedGroup {
			continue
		}
		for _, q := range requests() {
			if f.only(q) {
				fmt.Fprintf(&b, "| `%s` | %s | %s |\n", f.name, q.name, r.marks(f, q))
			}
		}
	}

	b.WriteString(hostsHead)
	slices.SortFunc(r.tallies, func(a, b tally) int { return cmp.Compare(a.name, b.name) })
	for _, t := range r.tallies {
		name := strings.ReplaceAll(strings.TrimPrefix(t.name, "Test"), "_", " ")
		if t.skipped != "" {
			if dir := strings.TrimPrefix(path.Dir(t.name), "Test"); !slices.Contains(skipped[t.skipped], dir) {
				skipped[t.skipped] = append(skipped[t.skipped], dir)
			}
			continue
		}
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %d | %d |\n", name, t.done+t.failed, t.hit, t.muted, t.done, t.failed)
	}

	b.WriteString("\n## Skipped\n\n| Why | What |\n|---|---|\n")
	for _, reason := range slices.Sorted(maps.Keys(skipped)) {
		fmt.Fprintf(&b, "| %s | %s |\n", reason, strings.ReplaceAll(strings.Join(skipped[reason], "; "), "_", " "))
	}
	return b.String()
}
