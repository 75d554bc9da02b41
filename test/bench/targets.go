package main

import (
	"fmt"
	"slices"
	"time"
)

// A target is a promise of the project, with what was measured.
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

	targetTLS        = "tls"
	targetGuard      = "guard"
	targetRecord     = "record"
	targetOTLP       = "otlp"
	targetAudit      = "audit"
	targetAudits     = "audits"
	targetAuditsPeak = "audits-peak"
	targetDrift      = "drift"
	targetDriftPeak  = "drift-peak"
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
	memory := func(key, words string, subject id, limit int64) target {
		line, known := r.find(subject)
		return target{key, words, float64(limit), float64(line.peak), known && line.peak > 0, formatMemory}
	}
	more := func(key, words string, subject id, limit time.Duration) target {
		line, known := r.find(subject)
		return target{key, words, float64(limit), line.more.median, known && line.compared > 0, formatDuration}
	}
	before, isThere := r.find(pipeBefore)
	return []target{
		ratio(targetAWSWall, "A login with AWS takes at most 1.25 times as long as curl, in plain HTTP", awsLogin, 1.25),
		ratio(targetTLS, "Over TLS, where both read the public certificate authorities, at most 0.85 times as long", tlsLogin, 0.85),
		memory(targetAWSPeak, "A login with AWS takes at most 20 MiB of memory", awsLogin, 20<<20),
		ratio(targetBoth, "A login with both clouds takes at most 1.3 times as long as with the slower one alone", bothLogin, 1.3),
		ratio(targetMany, fmt.Sprintf("%d roles take at most 1.5 times as long as one, where AWS answers after %d ms",
			manyRoles, latency.Milliseconds()), manyDistant, 1.5),
		{targetSize, "The image of both programs has at most 14,000,000 bytes, compressed", 14_000_000, float64(r.sizes.compressed), true, formatBytes},
		{targetVersion, "`pipe --version` takes at most 0.8 of what it took as one program, at commit " + oneProgram, 0.8, 1 / before.ratio.median,
			isThere && before.compared > 0, formatRatio},
		more(targetGuard, fmt.Sprintf("%d guardrails add at most 20 ms to a login", guardRules), guardLogin, 20*time.Millisecond),
		more(targetRecord, "A record in a file adds at most 1 ms", recordLogin, time.Millisecond),
		more(targetOTLP, "A record to a collector on loopback adds at most 10 ms", otlpLogin, 10*time.Millisecond),
		wall(targetAudit, "`audit` of a usual file takes at most 30 ms", auditOne, 30*time.Millisecond),
		wall(targetAudits, fmt.Sprintf("`audit` of %d files takes at most 3 s", estateCheckouts), auditMany, 3*time.Second),
		memory(targetAuditsPeak, "… and 200 MB", auditMany, 200_000_000),
		wall(targetDrift, "`drift` over 10,000 roles, 500 of them Bitbucket's, takes at most 5 s on one core", driftOf(10_000), 5*time.Second),
		memory(targetDriftPeak, "… and 150 MB", driftOf(10_000), 150_000_000),
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
		targetSize:    "the SDKs of the clouds, CEL and the protocol of copilots take most of it, see [below](#what-was-tried)",
		targetAWSWall: "what is over curl is for the most part the start of the program, see [below](#starting-a-program)",
		targetVersion: "the start of Go and of the libraries that are linked in takes most of it, before main and whatever the command, see " +
			"[below](#what-was-tried)",
	}
}
