package main

import (
	"math"
	"slices"
	"time"
)

// A row sums up a result.
type row struct {
	subject
	n        int
	wall     spread // nanoseconds
	cpu      time.Duration
	peak     int64 // bytes; 0: not measured
	sent     int   // requests
	ratio    spread
	more     spread // nanoseconds that it takes longer
	compared int    // pairs behind ratio and more; 0: there was nothing to compare with
	against  string
}

// A spread summarises many values.
type spread struct{ least, quarter, median, threeQuarters, ninety float64 }

func spreadOf(values []float64) spread {
	sorted := slices.Sorted(slices.Values(values))
	return spread{
		least:         quantile(sorted, 0),
		quarter:       quantile(sorted, 0.25),
		median:        quantile(sorted, 0.5),
		threeQuarters: quantile(sorted, 0.75),
		ninety:        quantile(sorted, 0.9),
	}
}

// quantile of sorted values, between two of them by their distance; NaN of none.
func quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return math.NaN()
	}
	place := q * float64(len(sorted)-1)
	low := int(place)
	high := min(low+1, len(sorted)-1)
	return sorted[low] + (sorted[high]-sorted[low])*(place-float64(low))
}

// ratios are those of the wall times of each round that both took part in.
func ratios(samples, baseline []sample) []float64 {
	return compare(samples, baseline, func(wall, base float64) float64 { return wall / base })
}

// differences are those of the wall times of each round that both took part in, in nanoseconds.
func differences(samples, baseline []sample) []float64 {
	return compare(samples, baseline, func(wall, base float64) float64 { return wall - base })
}

// compare compares within each round, because what slowed one sample down in a round probably slowed the other one too.
func compare(samples, baseline []sample, by func(wall, base float64) float64) []float64 {
	walls := map[int]time.Duration{}
	for _, b := range baseline {
		walls[b.round] = b.wall
	}
	var all []float64
	for _, s := range samples {
		if wall, ok := walls[s.round]; ok {
			all = append(all, by(float64(s.wall), float64(wall)))
		}
	}
	return all
}

func summarize(results []result) []row {
	byID := map[id]result{}
	for _, r := range results {
		byID[r.id] = r
	}
	slower := awsLogin
	if medianWall(byID[gcpLogin]) > medianWall(byID[awsLogin]) {
		slower = gcpLogin
	}

	rows := make([]row, 0, len(results))
	for _, r := range results {
		if r.baseline == slowerLogin {
			r.baseline = slower
		}
		line := row{subject: r.subject, n: len(r.samples)}
		if line.n > 0 {
			line.wall = spreadOf(column(r.samples, func(s sample) float64 { return float64(s.wall) }))
			line.cpu = time.Duration(spreadOf(column(r.samples, func(s sample) float64 { return float64(s.cpu) })).median)
			line.sent = r.samples[line.n-1].requests
		}
		if len(r.peaks) > 0 {
			line.peak = int64(spreadOf(column(r.peaks, func(p int64) float64 { return float64(p) })).median)
		}
		if compared := ratios(r.samples, byID[r.baseline].samples); len(compared) > 0 {
			line.ratio, line.compared = spreadOf(compared), len(compared)
			line.more = spreadOf(differences(r.samples, byID[r.baseline].samples))
			line.against = byID[r.baseline].label
			if r.baseline == slower && r.id == bothLogin {
				line.against = map[id]string{awsLogin: "AWS alone", gcpLogin: "Google alone"}[slower]
			}
		}
		rows = append(rows, line)
	}
	return rows
}

func medianWall(r result) float64 {
	return spreadOf(column(r.samples, func(s sample) float64 { return float64(s.wall) })).median
}

func column[T any](list []T, value func(T) float64) []float64 {
	values := make([]float64, len(list))
	for i, item := range list {
		values[i] = value(item)
	}
	return values
}
