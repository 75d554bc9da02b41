package transport

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A script answers with one status after the other, and notes when it was asked. 429/3 asks for a wait of 3 seconds.
type script struct {
	answers []string
	asked   []time.Time
}

func (s *script) RoundTrip(req *http.Request) (*http.Response, error) {
	status, after, _ := strings.Cut(s.answers[len(s.asked)], "/")
	s.asked = append(s.asked, time.Now())
	code, err := strconv.Atoi(status)
	header := http.Header{"Retry-After": {after}}
	return &http.Response{StatusCode: code, Header: header, Body: http.NoBody, Request: req}, err
}

// Each attempt is made at the latest moment that there is.
func TestLongestPauses(t *testing.T) {
	for _, c := range []struct {
		name, answers string
		timeout       time.Duration
		want          string
	}{
		{"faults that pass", "503 500 408 425 200", time.Hour, "[500ms 1s 2s 4s]"},
		{"throttling", "429 429 429 429 200", time.Hour, "[2s 1m0s 2m0s 4m0s]"},
		{"throttling within a minute", "429 429 429 429 200", 62 * time.Second, "[2s 40s 13.333s 4.444s]"},
		{"throttling after another fault", "503 503 429 503 200", time.Hour, "[500ms 1s 2s 4s]"},
		{"little time", "503 503 200", 600 * time.Millisecond, "[400ms 133ms]"},
		{"the server's own wait", "429/3 503/3 200", time.Hour, "[5s 4s]"},
		{"the server's own wait, to the deadline", "429/3 200", 3600 * time.Millisecond, "[3.4s]"},
		{"the server's own wait, past the deadline", "429/3", 3 * time.Second, "[]"},
		{"no wait", "429/0 503/0 200", time.Hour, "[0s 0s]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), c.timeout)
				defer cancel()
				server := &script{answers: strings.Fields(c.answers)}
				_ = ask(ctx, &retrier{base: server, allowed: checkScheme, draw: func(longest time.Duration) time.Duration { return longest }}, nil)
				var pauses []time.Duration
				for i := 1; i < len(server.asked); i++ {
					pauses = append(pauses, server.asked[i].Sub(server.asked[i-1]).Truncate(time.Millisecond))
				}
				if got := fmt.Sprint(pauses); got != c.want {
					t.Errorf("pauses %s, want %s", got, c.want)
				}
			})
		})
	}
}

// TestNext: the cases of a schedule that no server is needed for.
func TestNext(t *testing.T) {
	for _, c := range []struct {
		name        string
		made        int // attempts before this one
		fault       Fault
		asked, left time.Duration
		want        time.Duration
		again       bool
	}{
		{name: "a success, or a fault that lasts", fault: Lasts, asked: notAsked, left: forever},
		{name: "the last attempt", made: attempts - 1, fault: Passes, asked: notAsked, left: forever},
		{name: "without a deadline", fault: Passes, asked: notAsked, left: forever, want: firstPause, again: true},
		{name: "as long as a server can ask for, without a deadline", fault: Throttled, asked: maxAsked, left: forever, want: maxAsked + firstThrottled, again: true},
		{name: "at once, though no time is left", fault: Passes, asked: 0, left: 0},
		{name: "as long as there is", fault: Passes, asked: time.Second, left: time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := schedule{attempt: c.made, draw: func(longest time.Duration) time.Duration { return longest }}
			if pause, again := s.next(c.fault, c.asked, c.left); pause != c.want || again != c.again {
				t.Errorf("%v, %t; want %v, %t", pause, again, c.want, c.again)
			}
		})
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, time.November, 22, 23, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"0": 0, " 7 ": 7 * time.Second, "4294967296": maxAsked,
		"99999999999999999999": maxAsked, "-1": notAsked, "soon": notAsked, "": notAsked, "2147483647": maxAsked,
		"Sun, 22 Nov 2026 23:00:07 GMT": 7 * time.Second,
		"Sun, 22 Nov 2026 22:59:53 GMT": notAsked, // this clock is ahead, or the answer was late: no wish to be asked at once
		"Fri, 31 Dec 9999 23:59:59 GMT": maxAsked,
	} {
		resp := &http.Response{Header: http.Header{"Retry-After": {value}}}
		if got := asked(resp, now); got != want {
			t.Errorf("%q: %v, want %v", value, got, want)
		}
	}
	// The runner's clock is an hour behind: the date is no wait of an hour.
	resp := &http.Response{Header: http.Header{"Retry-After": {"Mon, 23 Nov 2026 00:00:07 GMT"}, "Date": {"Mon, 23 Nov 2026 00:00:00 GMT"}}}
	if got := asked(resp, now); got != 7*time.Second {
		t.Errorf("with a date of the answer: %v, want 7s", got)
	}
}

// TestStoppedInAPause: who stops the command does not wait for the pause to end.
func TestStoppedInAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(100*time.Millisecond, cancel)
		server := &script{answers: []string{"503", "200"}}
		began := time.Now()
		err := ask(ctx, &retrier{base: server, allowed: checkScheme, draw: func(longest time.Duration) time.Duration { return longest }}, nil)
		if took := time.Since(began); took != 100*time.Millisecond || len(server.asked) != 1 {
			t.Errorf("it ended after %v and %d attempts, want 100 ms and one", took, len(server.asked))
		}
		if err == nil || !strings.HasSuffix(err.Error(), ": stopped") {
			t.Errorf("error %v, want one that says stopped", err)
		}
	})
}

// A silence answers the second attempt only.
type silence struct{ asked []time.Time }

func (s *silence) RoundTrip(req *http.Request) (*http.Response, error) {
	s.asked = append(s.asked, time.Now())
	if len(s.asked) == 1 {
		<-req.Context().Done()
		return nil, req.Context().Err()
	}
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: req}, nil
}

// TestSilence: an attempt that gets no answer leaves time for another.
func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &silence{}
		began := time.Now()
		if err := ask(t.Context(), &retrier{base: server, allowed: checkScheme, draw: func(time.Duration) time.Duration { return 0 }}, nil); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != attemptTimeout {
			t.Errorf("the second attempt came after %v, want %v", took, attemptTimeout)
		}
	})
}
