package chaos

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestAtOnce starts several commands in one build directory. Each does its work, and the files are of one login.
func TestAtOnce(t *testing.T) {
	k := newKit(t)
	times := rounds(5, 50)
	for _, names := range [][]string{
		{"login", "login"},
		slices.Repeat([]string{"login"}, 8),
		{"login", "logout"},
		{"login", "logout", "login", "logout"},
	} {
		t.Run(strings.Join(names, " "), func(t *testing.T) {
			t.Parallel()
			h, err := k.host(*seed)
			if err != nil {
				t.Fatal(err)
			}
			defer h.end()
			var count tally
			for range times {
				failures := make([]error, len(names))
				lives := make([]life, len(names))
				var all sync.WaitGroup
				for i, name := range names {
					wait := time.Duration(h.random.IntN(5_000)) * time.Microsecond
					all.Go(func() {
						time.Sleep(wait)
						lives[i].from = time.Now()
						failures[i] = h.must(name)
						lives[i].to = time.Now()
					})
				}
				all.Wait()
				if err := errors.Join(append(failures, h.whole(), h.checkSecrets(run{}))...); err != nil {
					t.Fatal(err)
				}
				count.done += len(names)
				count.hit += overlapping(lives)
				if err := h.must("login"); err != nil {
					t.Fatal(err)
				}
			}
			found.note(t, count)
		})
	}
}

// A life is when a process ran.
type life struct{ from, to time.Time }

// overlapping counts those that ran beside another one.
func overlapping(lives []life) int {
	n := 0
	for i, a := range lives {
		for j, b := range lives {
			if i != j && a.from.Before(b.to) && b.from.Before(a.to) {
				n++
				break
			}
		}
	}
	return n
}
