package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

const plotName = "performance.svg"

// A report is everything that a page says.
type report struct {
	plan      plan
	machine   machine
	toolchain string
	sizes     sizes
	rows      []row
	noMemory  error // why there are no peaks, if so
}

func groups() []string {
	return []string{groupStart, groupAWS, groupTLS, groupGuard, groupGCP, groupSeveral, groupJudging}
}

// inGroup are the rows of a group, in the order in which they were planned.
func (r report) inGroup(group string) []row {
	return slices.DeleteFunc(slices.Clone(r.rows), func(line row) bool { return line.group != group })
}

func (r report) markdown() string {
	var b strings.Builder
	b.WriteString(`# Performance

What a ` + "`pipe login`" + ` costs beside what would be run in its place: whole processes, against clouds on the same
machine, so that no network hides the difference. ` + "`make bench`" + ` measures again and writes this page. The
milliseconds are of one machine; quote the ratios.

![Wall time of each process](` + plotName + `)

## Targets

| Target | Measured | |
|---|---:|---|
`)
	for _, t := range r.targets() {
		measured := "–"
		if t.known {
			measured = t.format(t.value)
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", t.words, measured, t.verdict())
	}
	fmt.Fprintf(&b, `
The size is that of the two programs alone, %s, after gzip: an estimate. The image's layer also has the certificate
authorities and a few pages; `+"`make image`"+` prints what all of it comes to.
`, formatBytes(float64(r.sizes.program)))

	for _, group := range groups() {
		fmt.Fprintf(&b, "\n## %s\n\n", group)
		b.WriteString("| | Wall, median | least to 90 % | CPU | Memory | Requests | Beside | n |\n" +
			"|---|---:|---:|---:|---:|---:|---|---:|\n")
		for _, line := range r.inGroup(group) {
			b.WriteString(line.markdown())
		}
	}

	b.WriteString(triedMarkdown())
	fmt.Fprintf(&b, `
## How it is measured

- Every round runs each process once, in random order (seed %d): %d rounds after %d that do not count. Slow
  clients take part in %d of the rounds.
- *Wall* is from the start of the process to its end. *CPU* is user and system time, with the processes that it started. Both
  are medians.
- *Beside* is the ratio of two wall times of one round: the median over all rounds, and in brackets the middle half of them. What
  guardrails and records *add* is the median of the differences of one round.
- *Memory* is the median peak of the resident set, in runs of their own: of several processes, the largest one's.%s
- *Requests* are counted by the clouds. They are the fakes that the tests use: they check signature, audience and trust, answer
  at once or after %d ms, by plain HTTP except in the rounds over TLS, and share this machine's cores with what they answer.
- Over TLS, both read the public certificate authorities and the server's own from one file. What judges runs on one core
  (GOMAXPROCS=1) and reads one JSON value a line.
- The program is built with the Dockerfile's flags. It is run from a warm page cache; pulling and starting an image is not in
  here.
- A process gets PATH, HOME and the variables that Bitbucket sets in a step, and a fresh folder for HOME and the build
  directory. Clients that others wrote also get variables that keep them from any other cloud.
- curl reads its request from a file of mode 0600, writes the answer to another, and parses nothing. Google's second
  request carries the first one's answer, so a shell runs curl twice. gcloud starts without a configuration, as in a step.

## Machine

| | |
|---|---|
`, r.plan.seed, r.plan.rounds, r.plan.warmUps, r.plan.slowRounds, r.memoryNote(), latency.Milliseconds())
	for _, line := range r.machineLines() {
		fmt.Fprintf(&b, "| %s | %s |\n", line[0], line[1])
	}
	return b.String()
}

func (line row) markdown() string {
	label := line.label
	if strings.HasPrefix(label, "pipe ") {
		label = "**" + label + "**"
	}
	if line.missing != "" {
		return fmt.Sprintf("| %s | not measured: %s | | | | | | 0 |\n", label, line.missing)
	}
	beside, peak, sent := "", "–", ""
	if line.compared > 0 {
		beside = fmt.Sprintf("%s × %s (%s to %s)", formatRatio(line.ratio.median), line.against,
			formatRatio(line.ratio.quarter), formatRatio(line.ratio.threeQuarters))
	}
	if line.peak > 0 {
		peak = formatMemory(float64(line.peak))
	}
	if line.sent > 0 {
		sent = strconv.Itoa(line.sent)
	}
	return fmt.Sprintf("| %s | %s | %s to %s | %s | %s | %s | %s | %d |\n", label,
		formatDuration(line.wall.median), formatDuration(line.wall.least), formatDuration(line.wall.ninety),
		formatDuration(float64(line.cpu)), peak, sent, beside, line.n)
}

func (r report) memoryNote() string {
	if r.noMemory != nil {
		return " Not here: " + r.noMemory.Error() + "."
	}
	return fmt.Sprintf(" Runs: %d, of slow clients %d.", r.plan.memory, r.plan.slowMemory)
}

func (r report) machineLines() [][2]string {
	m := r.machine
	lines := [][2]string{
		{"Processor", fmt.Sprintf("%s, %d cores", m.cpu, m.cores)},
		{"Memory", fmt.Sprintf("%.1f GiB", float64(m.memory)/(1<<30))},
		{"Kernel", m.kernel},
		{"Load before", m.load},
		{"Go", r.toolchain},
		{"Date", m.date.Format(time.DateOnly)},
	}
	var versions []string
	for _, line := range r.rows {
		if line.version != "" && line.missing == "" && !slices.Contains(versions, line.version) {
			versions = append(versions, line.version)
			lines = append(lines, [2]string{line.label, line.version})
		}
	}
	return lines
}

// formatDuration has three digits, or two below a millisecond.
func formatDuration(nanoseconds float64) string {
	switch ms := nanoseconds / 1e6; {
	case ms < 10:
		return fmt.Sprintf("%.2f ms", ms)
	case ms < 100:
		return fmt.Sprintf("%.1f ms", ms)
	default:
		return fmt.Sprintf("%.0f ms", ms)
	}
}

func formatRatio(ratio float64) string {
	if ratio < 10 {
		return fmt.Sprintf("%.2f", ratio)
	}
	return fmt.Sprintf("%.1f", ratio)
}

func formatMemory(bytes float64) string { return fmt.Sprintf("%.1f MiB", bytes/(1<<20)) }

func formatBytes(bytes float64) string {
	digits := strconv.FormatInt(int64(bytes), 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits + " bytes"
}
