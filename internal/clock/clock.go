// Package clock compares the runner's clock with a cloud's. Every answer carries the cloud's time in its Date header (RFC 9110,
// section 6.6.1); the first answer counts.
package clock

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

// tolerance is how far the two clocks may differ before it is reported. Clouds accept a few minutes.
const tolerance = 2 * time.Minute

// A Cause says which error of the runner's clock can cause a failure.
type Cause int

// The causes. A denial is never the clock's fault.
const (
	Never  Cause = iota
	Ahead        // the runner's clock is later than the cloud's
	Behind       // it is earlier
	Either       // any difference, as with a signature
)

// An Observed is what one backend's answers showed. Its methods may be called side by side, and on nil.
type Observed struct {
	mu    sync.Mutex
	seen  bool
	host  string
	ahead time.Duration
}

type key struct{}

// Watch returns a context whose requests report to the [Observed].
func Watch(ctx context.Context) (context.Context, *Observed) {
	o := &Observed{}
	return context.WithValue(ctx, key{}, o), o
}

// Observe notes the Date header of an answer that host gave at the local time now. A header that is not a date is
// ignored.
func Observe(ctx context.Context, host, date string, now time.Time) {
	o, _ := ctx.Value(key{}).(*Observed)
	theirs, err := http.ParseTime(date)
	if o == nil || err != nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.seen {
		o.seen, o.host, o.ahead = true, host, now.Sub(theirs)
	}
}

// Now is the cloud's time at the local time now. It reports false if no answer had a date.
func (o *Observed) Now(now time.Time) (time.Time, bool) {
	if o == nil {
		return time.Time{}, false
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return now.Add(-o.ahead), o.seen
}

// Advice is what to do about the runner's clock. It is empty if the clock is right, or off in a direction that does not explain the
// failure.
func (o *Observed) Advice(cause Cause) string {
	if o == nil {
		return ""
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.ahead > tolerance && (cause == Ahead || cause == Either):
		return o.text(o.ahead, "ahead of")
	case o.ahead < -tolerance && (cause == Behind || cause == Either):
		return o.text(-o.ahead, "behind")
	}
	return ""
}

func (o *Observed) text(by time.Duration, where string) string {
	return fmt.Sprintf("the runner's clock is %s %s the clock of %s: set the runner's clock, for example by NTP, and run the step again",
		minutes(by), where, o.host)
}

// minutes is a difference such as 7m, 2h or 2h7m: the header has whole seconds, and the answer needed some time to arrive.
func minutes(d time.Duration) string {
	text := strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
	if hours, whole := strings.CutSuffix(text, "h0m"); whole {
		return hours + "h"
	}
	return text
}
