package main

import (
	"fmt"
	"slices"
	"time"
)

// A target is a promise of the project, and what came of it.
type target struct {
	key    string
	words  string
	limit  float64
	value  float64
	known  bool // whether value was measured
	format func(float64) string
}

// verdict is honest about a miss: how far, and in proportion.
func (t target) verdict() string {
	switch {
	case !t.known:
		return "not measured"
	case t.value <= t.limit:
		return "met"
	}
	over := t.value - t.limit
	text := fmt.Sprintf("**missed** by %s (%.0f %%)", t.format(over), 100*over/t.limit)
	if reason := reasons()[t.key]; reason != "" {
		text += ": " + reason
	}
	return text
}

const (
	targetAWSWall = "aws-wall"
	targetAWSPeak = "aws-peak"
	targetBoth    = "both"
	targetMany    = "many-roles"
	targetSize    = "size"
	targetVersion = "version"
)

func (r report) targets() []target {
	wall := func(key, words string, subject id, limit time.Duration) target {
		line, known := r.find(subject)
		return target{key, words, float64(limit), line.wall.median, known && line.n > 0, formatDuration}
	}
	ratio := func(key, words string, subject id, limit float64) target {
		line, known := r.find(subject)
		return target{key, words, limit, line.ratio.median, known && line.compared > 0, formatRatio}
	}
	login, known := r.find(awsLogin)
	return []target{
		ratio(targetAWSWall, "A login with AWS takes at most 1.3 times as long as curl", awsLogin, 1.3),
		{targetAWSPeak, "A login with AWS takes at most 25 MiB of memory", 25 << 20,
			float64(login.peak), known && login.peak > 0, formatMemory},
		ratio(targetBoth, "A login with both clouds takes at most 1.3 times as long as with the slower one alone", bothLogin, 1.3),
		ratio(targetMany, fmt.Sprintf("%d roles take at most 1.5 times as long as one, where AWS answers after %d ms",
			manyRoles, latency.Milliseconds()), manyDistant, 1.5),
		{targetSize, "The image has at most 9,000,000 bytes, compressed", 9_000_000, float64(r.sizes.compressed), true, formatBytes},
		wall(targetVersion, "`pipe --version` takes at most 5 ms", pipeVersion, 5*time.Millisecond),
	}
}

func (r report) find(subject id) (row, bool) {
	i := slices.IndexFunc(r.rows, func(line row) bool { return line.id == subject })
	if i < 0 {
		return row{}, false
	}
	return r.rows[i], true
}

// reasons are why a target may be missed, by its key. They have no numbers, which would be those of another run.
func reasons() map[string]string {
	return map[string]string{
		targetAWSWall: "what is over curl is for the most part the start of the program, see [below](#starting-a-program)",
		targetVersion: "the start of Go and of the libraries that are linked in takes most of it, before main and whatever the command, see " +
			"[below](#starting-a-program). CEL, which only `check` uses, has its part: a program of its own for `check` would not fit into " +
			"the image's limit. No command but `check` compiles an expression",
	}
}
