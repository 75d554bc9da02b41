package transport

import (
	"context"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// attempts is how often a request is sent at most.
	attempts = 5

	// The pause before attempt n+1 is drawn evenly from zero to firstPause doubled n-1 times: full jitter, which clears a
	// crowd of clients fastest (AWS Architecture Blog, "Exponential Backoff And Jitter").
	firstPause = 500 * time.Millisecond

	// A throttled client is one of many, and has few attempts. After the first such answer the pause is up to firstThrottled, so
	// that a client that is alone waits for a second. After the second answer there are more clients than the server takes: the
	// pause is up to nextThrottled, and doubles with each further answer. That spreads the clients over the time that they have,
	// because no pause is longer than two thirds of it. docs/evidence/herd.md shows the effect.
	firstThrottled = 2 * time.Second
	nextThrottled  = 60 * time.Second

	// maxAsked caps what Retry-After can ask for: it is past every deadline, and sums with it do not overflow.
	maxAsked = 1000 * time.Hour

	// notAsked stands for the pause of a server that sends no Retry-After.
	notAsked time.Duration = -1

	// forever is the time that a request without a deadline has. Twice as much does not overflow.
	forever time.Duration = math.MaxInt64 / 4
)

// A Fault is the kind of a failure: whether another attempt may succeed.
type Fault int

// The faults. The one that is most likely to be temporary is last.
const (
	Lasts     Fault = iota // another attempt would get the same answer: any status that is not named below
	Passes                 // 408, 425 and 5xx
	Throttled              // 429: too many ask at once
)

// A schedule decides after each attempt of one request whether there is another one, and when.
type schedule struct {
	draw      func(longest time.Duration) time.Duration // evenly, from zero to below longest
	attempt   int                                       // how many attempts were made
	throttled int                                       // how many of them were throttled
}

// next counts an attempt that ended with a fault, and returns the pause before the next attempt; ok is false if there is none. asked is
// the pause that the server asks for, or [notAsked], and left is the time until the deadline.
//
// A third of the time left is kept for the attempt. The drawn pause is added to what the server asks for: clients that get the same
// Retry-After must not return at once.
func (s *schedule) next(f Fault, asked, left time.Duration) (pause time.Duration, ok bool) {
	s.attempt++
	longest := firstPause << (s.attempt - 1)
	if f == Throttled {
		s.throttled++
		longest = longestThrottled(s.throttled)
	}
	switch {
	case f == Lasts, s.attempt == attempts, left <= 0:
		return 0, false
	case asked == 0:
		return 0, true
	}
	asked = max(asked, 0)
	longest = min(longest, (left-asked)*2/3)
	if longest <= 0 {
		return 0, false
	}
	return asked + s.draw(longest), true
}

// longestThrottled is the longest pause after so many answers that throttled the request.
func longestThrottled(answers int) time.Duration {
	if answers == 1 {
		return firstThrottled
	}
	return nextThrottled << (answers - 2)
}

// left is the time until the deadline of ctx, and nothing once ctx has ended.
func left(ctx context.Context) time.Duration {
	if ctx.Err() != nil {
		return 0
	}
	if end, ok := ctx.Deadline(); ok {
		return time.Until(end)
	}
	return forever
}

// asked is the pause that an answer asks for in its Retry-After header, which has seconds or a date (RFC 9110, section 10.2.3). A date is
// one of the server's clock, which the answer's own date shows. One in the past asks for no pause.
func asked(resp *http.Response, now time.Time) time.Duration {
	if resp == nil {
		return notAsked
	}
	value := strings.TrimSpace(resp.Header.Get("Retry-After"))
	seconds, err := strconv.ParseUint(value, 10, 31)
	switch {
	case err == nil:
		return min(time.Duration(seconds)*time.Second, maxAsked)
	case errors.Is(err, strconv.ErrRange): // digits, and more than any deadline allows
		return maxAsked
	}
	if answered, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		now = answered
	}
	if date, err := http.ParseTime(value); err == nil && date.After(now) {
		return min(date.Sub(now), maxAsked)
	}
	return notAsked
}
