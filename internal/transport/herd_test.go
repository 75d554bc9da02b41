package transport

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var write = flag.String("write", "", "the file to write the herd's page to, instead of comparing it with docs/evidence/herd.md")

// A herd is many logins that start at once, as steps do that run side by side or on one schedule. Time is that of a
// synctest bubble.
const (
	herdSize   = 500
	herdAnswer = 50 * time.Millisecond // until an answer is here
	herdSeeds  = 5                     // 1 to 5: each is a herd with other random numbers
	aloneSeeds = 101
)

const (
	throttling   = "<ErrorResponse><Error><Code>Throttling</Code><Message>Rate exceeded</Message></Error></ErrorResponse>"
	accessDenied = "<ErrorResponse><Error><Code>AccessDenied</Code><Message>Not authorized</Message></Error></ErrorResponse>"
)

// herdJudge knows the one code that the simulated STS throttles with.
func herdJudge(_ int, body []byte) Fault {
	if string(body) == throttling {
		return Throttled
	}
	return Lasts
}

// A scene is a herd and what the STS lets through: its bucket of tokens holds burst and gains rate a second.
type scene struct {
	burst, rate int64
	timeout     time.Duration // TIMEOUT; its default is 60 s
	spread      time.Duration // the logins start evenly within it
	retryAfter  string        // what the STS says as it throttles, if anything
	all         bool          // the page claims that all logins succeed
}

// row begins the scene's row of the page.
func (s scene) row(ours cell) string {
	mark := ""
	if s.all {
		mark = "**"
	}
	return fmt.Sprintf("| %d | %d | %.0f s | %.0f s | %s%s%s |",
		s.burst, s.rate, s.timeout.Seconds(), s.spread.Seconds(), mark, ours, mark)
}

func scenes() []scene {
	return []scene{
		{burst: 1, rate: 50, timeout: time.Minute},
		{burst: 10, rate: 5, timeout: time.Minute},
		{burst: 10, rate: 5, timeout: 5 * time.Minute},
		{burst: 10, rate: 10, timeout: time.Minute},
		{burst: 10, rate: 10, timeout: 3 * time.Minute, all: true},
		{burst: 10, rate: 15, timeout: time.Minute, all: true},
		{burst: 10, rate: 20, timeout: time.Minute, all: true},
		{burst: 10, rate: 20, timeout: time.Minute, spread: 30 * time.Second, all: true},
		{burst: 10, rate: 50, timeout: time.Minute, all: true},
		{burst: 50, rate: 20, timeout: time.Minute, all: true},
		{burst: 50, rate: 50, timeout: time.Minute, all: true},
		{burst: 100, rate: 20, timeout: time.Minute, all: true},
		{burst: 100, rate: 100, timeout: time.Minute, all: true},
	}
}

// A throttlingSTS answers after herdAnswer.
type throttlingSTS struct {
	scene
	refuses bool // every request, for good

	mu       sync.Mutex
	level    int64 // of the bucket, in tokens times nanoseconds a second: whole numbers are alike on every machine
	filled   time.Time
	requests int
}

const oneToken = int64(time.Second)

func (s *throttlingSTS) RoundTrip(req *http.Request) (*http.Response, error) {
	status, body := s.judge()
	if err := sleep(req.Context(), herdAnswer); err != nil {
		return nil, err
	}
	header := http.Header{}
	if body == throttling && s.retryAfter != "" {
		header.Set("Retry-After", s.retryAfter)
	}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body)), Request: req}, nil
}

func (s *throttlingSTS) judge() (int, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	if s.refuses {
		return http.StatusForbidden, accessDenied
	}
	now := time.Now()
	if s.filled.IsZero() {
		s.level = s.burst * oneToken
	} else {
		s.level = min(s.burst*oneToken, s.level+int64(now.Sub(s.filled))*s.rate)
	}
	s.filled = now
	if s.level < oneToken {
		return http.StatusBadRequest, throttling
	}
	s.level -= oneToken
	return http.StatusOK, ""
}

var (
	errThrottled = errors.New("throttled")
	errRefused   = errors.New("refused")
)

// A strategy is how one login asks.
type strategy struct {
	name  string
	login func(ctx context.Context, sts http.RoundTripper, draw func(time.Duration) time.Duration) error
}

const own = "`pipe login`"

func strategies() []strategy {
	return []strategy{{own, ours}, {"12-fold", twelvefold}, {"one attempt", ask}}
}

// ours asks through the real retrier.
func ours(ctx context.Context, sts http.RoundTripper, draw func(time.Duration) time.Duration) error {
	return ask(ctx, &retrier{Config: Config{Judge: herdJudge}, base: sts, draw: draw, allowed: checkScheme}, draw)
}

func ask(ctx context.Context, through http.RoundTripper, _ func(time.Duration) time.Duration) error {
	form := strings.NewReader("Action=AssumeRoleWithWebIdentity")
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://sts.example.com/", form)
	if err != nil {
		return err
	}
	resp, err := through.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
		return nil
	case http.StatusForbidden:
		return errRefused
	}
	return errThrottled
}

// twelvefold tries again whatever the error, 12 times in all, as aws-actions/configure-aws-credentials does in
// retryAndBackoff (src/helpers.ts, 6.2.3): pauses of up to 50 ms doubled each time, the last one before it gives up. Each
// try is one of the AWS SDK for JavaScript, which makes 3 attempts of a request that is throttled, with pauses of up to
// 500 ms doubled each time (StandardRetryStrategy).
func twelvefold(ctx context.Context, sts http.RoundTripper, draw func(time.Duration) time.Duration) error {
	var err error
	for try := range 12 {
		for attempt := range 3 {
			if err = ask(ctx, sts, draw); err == nil {
				return nil
			}
			if !errors.Is(err, errThrottled) || attempt == 2 {
				break
			}
			if err := sleep(ctx, draw(500*time.Millisecond<<attempt)); err != nil {
				return err
			}
		}
		if err := sleep(ctx, draw(50*time.Millisecond<<try)); err != nil {
			return err
		}
	}
	return err
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// An outcome is how a herd fared.
type outcome struct {
	succeeded int
	last      time.Duration // until the last success
	extra     int           // requests beyond one for each login
}

// stampede starts a herd. A seed gives the same outcome each time: every client has random numbers of its own, and an
// offset below the millisecond that its pauses keep, so that no two requests arrive at the same instant.
func stampede(t *testing.T, s strategy, c scene, seed uint64) outcome {
	t.Helper()
	var result outcome
	synctest.Test(t, func(t *testing.T) {
		sts := &throttlingSTS{scene: c}
		began := time.Now()
		took := make([]time.Duration, herdSize) // 0: failed
		var all sync.WaitGroup
		for i := range herdSize {
			all.Go(func() {
				start := (c.spread * time.Duration(i) / herdSize).Truncate(time.Millisecond)
				time.Sleep(start + time.Duration(i)*time.Microsecond)
				ctx, cancel := context.WithTimeout(t.Context(), c.timeout)
				defer cancel()
				if s.login(ctx, sts, drawing(seed, uint64(i))) == nil {
					took[i] = time.Since(began)
				}
			})
		}
		all.Wait()
		for _, d := range took {
			if d > 0 {
				result.succeeded++
			}
		}
		result.last = slices.Max(took)
		result.extra = sts.requests - herdSize
	})
	return result
}

// drawing draws whole milliseconds.
func drawing(seed, client uint64) func(time.Duration) time.Duration {
	random := rand.New(rand.NewPCG(seed, client))
	return func(longest time.Duration) time.Duration {
		return time.Duration(random.Int64N(int64(longest))).Truncate(time.Millisecond)
	}
}

// alone is how many requests a single login makes, and how long it takes, at the median of many seeds.
func alone(t *testing.T, s strategy, sts func() *throttlingSTS) (requests int, took time.Duration) {
	t.Helper()
	var counts []int
	var times []time.Duration
	for seed := range uint64(aloneSeeds) {
		synctest.Test(t, func(t *testing.T) {
			server := sts()
			began := time.Now()
			_ = s.login(t.Context(), server, drawing(1+seed, 0))
			counts = append(counts, server.requests)
			times = append(times, time.Since(began))
		})
	}
	return median(counts), median(times)
}

func median[T int | time.Duration](values []T) T {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

// A cell is what became of a scene with one strategy, for each seed.
type cell []outcome

// String is the cell of the page: medians, and the worst seed where it differs.
func (c cell) String() string {
	var succeeded []int
	var last []time.Duration
	for _, o := range c {
		succeeded, last = append(succeeded, o.succeeded), append(last, o.last)
	}
	text := strconv.Itoa(median(succeeded))
	if worst := slices.Min(succeeded); worst != median(succeeded) {
		text += fmt.Sprintf(" (%d)", worst)
	}
	return fmt.Sprintf("%s, %.1f s, %d", text, median(last).Seconds(), c.extra())
}

func (c cell) extra() int {
	var all []int
	for _, o := range c {
		all = append(all, o.extra)
	}
	return median(all)
}

// TestHerd holds docs/evidence/herd.md to what the retry code does. With -write it also runs the other strategies, which take longer,
// and writes the page.
func TestHerd(t *testing.T) {
	t.Parallel()
	var page string
	compared := strategies()
	if *write == "" {
		have, err := os.ReadFile("../../docs/evidence/herd.md")
		if err != nil {
			t.Fatal(err)
		}
		page, compared = string(have), compared[:1]
	}
	table := make([]map[string]cell, len(scenes()))
	for i, c := range scenes() {
		table[i] = map[string]cell{}
		for _, s := range compared {
			for seed := range uint64(herdSeeds) {
				table[i][s.name] = append(table[i][s.name], stampede(t, s, c, 1+seed))
			}
		}
		for seed, o := range table[i][own] {
			if c.all && o.succeeded != herdSize {
				t.Errorf("%s, seed %d: %d of %d logins succeed, want all", c.row(table[i][own]), 1+seed, o.succeeded, herdSize)
			}
		}
		if row := c.row(table[i][own]); *write == "" && !strings.Contains(page, row) {
			t.Errorf("docs/evidence/herd.md lacks %s: go test ./internal/transport -run TestHerd -write ../../docs/evidence/herd.md", row)
		}
	}
	if *write != "" {
		if err := os.WriteFile(*write, []byte(herdPage(t, table)), 0o644); err != nil {
			t.Error(err)
		}
	}
}

func herdPage(t *testing.T, table []map[string]cell) string {
	t.Helper()
	var page strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&page, format+"\n", args...) }

	p("# A herd of logins")
	p("")
	p("What becomes of %d logins that start at once, at an STS that throttles: a simulation with the real retry code", herdSize)
	p("and a virtual clock. The STS has a bucket of tokens that holds a burst and gains so many a second. It answers after")
	p("%d ms, and throttles with status 400 and the code Throttling, without a Retry-After. The capacities are examples:",
		herdAnswer.Milliseconds())
	p("they are not AWS's.")
	p("")
	p("| Burst | A second | TIMEOUT | Start within | `pipe login` | 12-fold | One attempt |")
	p("|---:|---:|---:|---:|---|---|---|")
	var ratios []float64 // of requests over the minimum, 12-fold to ours
	for i, c := range scenes() {
		if extra := table[i][own].extra(); extra > 0 {
			ratios = append(ratios, float64(table[i]["12-fold"].extra())/float64(extra))
		}
		p("%s %s | %s |", c.row(table[i][own]), table[i]["12-fold"], table[i]["one attempt"])
	}
	p("")
	p("Each cell: how many of %d succeed, after how long the last one does, and how many requests were sent beyond one", herdSize)
	p("for each login. Medians of %d herds (seeds 1 to %d); in brackets the worst herd's successes, if fewer. Bold: a test",
		herdSeeds, herdSeeds)
	p("fails unless all %d succeed in each of these herds.", herdSize)
	p("")
	p("A login that is refused for good (AccessDenied), alone and without a TIMEOUT, medians of %d:", aloneSeeds)
	p("")
	p("| | Requests | Time |")
	p("|---|---:|---:|")
	for _, s := range strategies() {
		requests, took := alone(t, s, func() *throttlingSTS { return &throttlingSTS{refuses: true} })
		p("| %s | %d | %.2f s |", s.name, requests, took.Seconds())
	}
	p("")
	_, once := alone(t, strategies()[0], func() *throttlingSTS {
		return &throttlingSTS{scene: scene{burst: 1, rate: 1000}, filled: time.Now()} // empty at first, soon full
	})
	p("- *12-fold* is what aws-actions/configure-aws-credentials does: every error is tried again, 12 tries with pauses of up")
	p("  to 50 ms doubled each time, each of up to 3 attempts of the AWS SDK. Here it ends with TIMEOUT, which it does not have.")
	p("- It sends %.0f to %.0f times as many requests over the minimum, and each of them can cost another login its turn.",
		slices.Min(ratios), slices.Max(ratios))
	p("  The more the STS takes, the sooner it is done. The pauses of `pipe login` stay as wide: 5 attempts have to be.")
	p("- `pipe login` pauses up to 2 s when it is first throttled, then up to two thirds of the time left, at most 60 s,")
	p("  120 s and 240 s. A login that is throttled once and then let in takes %.1f s.", once.Seconds())
	p("- More than the burst and what comes within TIMEOUT cannot succeed: 310 logins at a burst of 10, 5 a second and 60 s.")
	p("- 5 attempts do not use the last bit of capacity, and a bucket of 1 loses what comes while nobody asks: a few fail.")
	p("- If logins are throttled, let steps start one after the other, as slowly as the STS takes them: then none is.")
	p("- If they must start at once, raise TIMEOUT: the pauses use the time.")
	p("")
	p("Written by `go test ./internal/transport -run TestHerd -write ../../docs/evidence/herd.md`. Without `-write` the test compares")
	p("the column of `pipe login`.")
	return page.String()
}

// Clients that get the same Retry-After do not come back at the same time.
func TestHerdIsToldToWait(t *testing.T) {
	t.Parallel()
	told := scene{burst: 10, rate: 20, timeout: time.Minute, retryAfter: "1"}
	if o := stampede(t, strategies()[0], told, 1); o.succeeded != herdSize {
		t.Errorf("%d of %d logins succeed, want all", o.succeeded, herdSize)
	}
}
