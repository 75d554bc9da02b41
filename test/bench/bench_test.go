package main

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestQuantile(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   spread
	}{
		{[]float64{7}, spread{7, 7, 7, 7, 7}},
		{[]float64{3, 1}, spread{1, 1.5, 2, 2.5, 2.8}},
		{[]float64{50, 10, 40, 20, 30}, spread{10, 20, 30, 40, 46}},
	} {
		if got := spreadOf(c.values); got != c.want {
			t.Errorf("spreadOf(%v) = %v, want %v", c.values, got, c.want)
		}
	}
	if got := spreadOf(nil).median; !math.IsNaN(got) {
		t.Errorf("the median of nothing is %v", got)
	}
}

// The ratio of the medians would be 1.5: the machine's slow round took both.
func TestRatiosPairRounds(t *testing.T) {
	got := ratios(
		[]sample{{round: 0, wall: 20}, {round: 1, wall: 30}, {round: 3, wall: 200}},
		[]sample{{round: 0, wall: 10}, {round: 1, wall: 20}, {round: 2, wall: 1}, {round: 3, wall: 100}},
	)
	if want := []float64{2, 1.5, 2}; !slices.Equal(got, want) {
		t.Errorf("ratios = %v, want %v", got, want)
	}
}

// The difference of the medians would be 11.5: the machine's slow rounds took both.
func TestDifferencesPairRounds(t *testing.T) {
	got := differences(
		[]sample{{round: 0, wall: 50}, {round: 1, wall: 11}, {round: 3, wall: 31}},
		[]sample{{round: 0, wall: 49}, {round: 1, wall: 10}, {round: 2, wall: 1}, {round: 3, wall: 29}},
	)
	if want := []float64{1, 1, 2}; !slices.Equal(got, want) {
		t.Errorf("differences = %v, want %v", got, want)
	}
}

func TestSlowSubjectsTakeTheirRounds(t *testing.T) {
	for _, p := range []plan{
		{warmUps: 3, rounds: 60, slowRounds: 7},
		{warmUps: 1, rounds: 7, slowRounds: 7},
		{warmUps: 1, rounds: 3},
	} {
		taken, warm := 0, 0
		for round := -p.warmUps; round < p.rounds; round++ {
			if p.due(round) && round < 0 {
				warm++
			} else if p.due(round) {
				taken++
			}
		}
		if taken != p.slowRounds || warm != 1 {
			t.Errorf("%+v: %d rounds and %d to warm up, want %d and 1", p, taken, warm, p.slowRounds)
		}
	}
}

func TestBuildLine(t *testing.T) {
	dockerfile, err := os.ReadFile(filepath.Join("..", "..", "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	variables, flags, err := buildLine(string(dockerfile))
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"CGO_ENABLED=0"}; !slices.Equal(variables, want) {
		t.Errorf("variables = %q, want %q", variables, want)
	}
	if !slices.Contains(flags, "-trimpath") || !slices.ContainsFunc(flags, func(f string) bool {
		return strings.HasPrefix(f, "-s -w ") && strings.HasSuffix(f, "main.version=bench")
	}) {
		t.Errorf("flags = %q", flags)
	}

	for _, bad := range []string{"", "RUN go build ./pipe\n", "RUN X=1 go build -tags $TAGS -o /pipe ./pipe\n"} {
		if _, _, err := buildLine(bad); err == nil {
			t.Errorf("no error for %q", bad)
		}
	}
}

func TestWeigh(t *testing.T) {
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := weigh(path)
	if err != nil {
		t.Fatal(err)
	}
	if got.program != 1<<20 || got.compressed < 100 || got.compressed > 10_000 {
		t.Errorf("a megabyte of zeros weighs %+v", got)
	}
}

// fixed has a target that is met, some that are missed, a client that is not there, and a label that needs escaping.
func fixed() report {
	ms := time.Millisecond
	samples := func(walls ...time.Duration) []sample {
		var list []sample
		for round, wall := range walls {
			list = append(list, sample{round: round, wall: wall, cpu: wall / 2, requests: 1})
		}
		return list
	}
	return report{
		plan:      plan{seed: 42, warmUps: 1, rounds: 3, slowRounds: 1, memory: 3, slowMemory: 1},
		machine:   machine{cpu: "A & B", cores: 2, memory: 4 << 30, kernel: "Linux 6", load: "0.10", date: time.Unix(0, 0).UTC()},
		toolchain: "go1.26.0",
		sizes:     sizes{program: 24_000_000, compressed: 9_900_000},
		rows: summarize([]result{
			{subject: subject{id: pipeVersion, group: groupStart, label: "pipe --version"}, samples: samples(4*ms, 5*ms, 6*ms)},
			{subject: subject{id: pipeBefore, group: groupStart, label: "before", baseline: pipeVersion}, samples: samples(8*ms, 10*ms, 12*ms)},
			{subject: subject{id: awsCurl, group: groupAWS, label: "curl"}, samples: samples(8*ms, 10*ms, 12*ms)},
			{
				subject: subject{id: awsLogin, group: groupAWS, label: "pipe login", baseline: awsCurl},
				samples: samples(16*ms, 20*ms, 24*ms), peaks: []int64{20 << 20, 22 << 20, 30 << 20},
			},
			{
				subject: subject{id: awsCLI, group: groupAWS, label: "<aws>", baseline: awsLogin, slow: true, version: "aws 1"},
				samples: samples(400 * ms),
			},
			{subject: subject{id: gcpLogin, group: groupGCP, label: "pipe login"}, samples: samples(25*ms, 26*ms, 27*ms)},
			{subject: subject{id: gcpGcloud, group: groupGCP, label: "gcloud", missing: "not installed"}},
			{
				subject: subject{id: bothLogin, group: groupSeveral, label: "pipe login, both", baseline: slowerLogin},
				samples: samples(25*ms, 26*ms, 27*ms),
			},
		}),
	}
}

func TestPage(t *testing.T) {
	page := fixed().markdown()
	for _, want := range []string{
		"| A login with AWS takes at most 1.25 times as long as curl, in plain HTTP | 2.00 | **missed** by 0.75 (60 %)",
		"| A login with AWS takes at most 20 MiB of memory | 22.0 MiB | **missed** by 2.0 MiB (10 %)",
		"| A login with both clouds takes at most 1.3 times as long as with the slower one alone | 1.00 | met |",
		"| 20 roles take at most 1.5 times as long as one, where AWS answers after 50 ms | – | not measured |",
		"| The image of both programs has at most 14,000,000 bytes, compressed | 9,900,000 bytes | met |",
		"| `pipe --version` takes at most 0.8 of what it took as one program, at commit 1bf6491 | 0.50 | met |",
		"| **pipe login** | 20.0 ms | 16.0 ms to 23.2 ms | 10.0 ms | 22.0 MiB | 1 | 2.00 × curl (2.00 to 2.00) | 3 |",
		"| <aws> | 400 ms | 400 ms to 400 ms | 200 ms | – | 1 | 25.0 × pipe login (25.0 to 25.0) | 1 |",
		"| gcloud | not measured: not installed |",
		"| **pipe login, both** | 26.0 ms | 25.0 ms to 26.8 ms | 13.0 ms | – | 1 | 1.00 × Google alone (1.00 to 1.00) | 3 |",
		"seed 42", "| Memory | 4.0 GiB |", "| Date | 1970-01-01 |", "| <aws> | aws 1 |",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	columns := 0
	for line := range strings.Lines(page) {
		pipes := strings.Count(line, "|")
		if columns > 0 && pipes > 0 && pipes != columns {
			t.Errorf("a row of another table: %q", line)
		}
		columns = pipes
	}
}

// A reader of the plot must find the same numbers in it.
func TestPlotSaysWhatWasMeasured(t *testing.T) {
	r := fixed()
	s := scaleOf(r.rows)
	if s != (scale{1, 1000}) {
		t.Errorf("the axis is %+v", s)
	}
	var dots []float64 // milliseconds
	var words []string
	decoder := xml.NewDecoder(strings.NewReader(r.svg()))
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		switch token := token.(type) {
		case xml.CharData:
			words = append(words, string(token))
		case xml.StartElement:
			for _, a := range token.Attr {
				if token.Name.Local == "circle" && a.Name.Local == "cx" {
					x, err := strconv.ParseFloat(a.Value, 64)
					if err != nil {
						t.Fatal(err)
					}
					dots = append(dots, s.low*math.Pow(s.high/s.low, (x-plotLeft)/(plotRight-plotLeft)))
				}
			}
		}
	}
	want := []float64{5, 10, 10, 20, 400, 26, 26}
	if !slices.EqualFunc(dots, want, func(a, b float64) bool { return math.Abs(a/b-1) < 0.01 }) {
		t.Errorf("dots stand at %v ms, want %v", dots, want)
	}
	for _, text := range []string{"pipe --version", "<aws>", "400 ms", "gcloud", "not measured", groupSeveral} {
		if !slices.Contains(words, text) {
			t.Errorf("the plot lacks %q", text)
		}
	}
}

func TestCurlOptionsQuote(t *testing.T) {
	if got, want := curlOptions("data", `{"a":"\"}`), "data = \"{\\\"a\\\":\\\"\\\\\\\"}\"\n"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// Every reason belongs to a target, or nobody would read it.
func TestReasonsHaveTargets(t *testing.T) {
	for key := range reasons() {
		if !slices.ContainsFunc(fixed().targets(), func(t target) bool { return t.key == key }) {
			t.Errorf("no target has the key %q", key)
		}
	}
}
