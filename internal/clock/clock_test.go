package clock

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestAdvice(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name   string
		theirs time.Time // the zero time stands for an answer without a date
		cause  Cause
		want   string
	}{
		{"the same time", now, Either, ""},
		{"two minutes are not off", now.Add(-2 * time.Minute), Either, ""},
		{"ahead", now.Add(-2*time.Minute - time.Second), Ahead, "2m ahead of the clock of sts.example"},
		{"behind", now.Add(2*time.Hour + 7*time.Minute + time.Second), Behind, "2h7m behind the clock of sts.example"},
		{"a signature fails in both directions", now.Add(3 * time.Hour), Either, "is 3h behind"},
		{"a clock ahead does not age a token at the cloud", now.Add(-time.Hour), Behind, ""},
		{"a clock behind does not make a token too new", now.Add(time.Hour), Ahead, ""},
		{"a denial", now.Add(time.Hour), Never, ""},
		{"no date", time.Time{}, Either, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, observed := Watch(context.Background())
			date := ""
			if !c.theirs.IsZero() {
				date = c.theirs.Format(http.TimeFormat)
			}
			Observe(ctx, "sts.example", date, now)
			got := observed.Advice(c.cause)
			if c.want == "" && got != "" || !strings.Contains(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestNow(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	ctx, observed := Watch(context.Background())
	for _, o := range []*Observed{nil, observed} {
		if got, known := o.Now(now); known {
			t.Errorf("%v without an answer", got)
		}
	}
	Observe(ctx, "sts.example", now.Add(-time.Hour).Format(http.TimeFormat), now)
	if got, known := observed.Now(now.Add(time.Minute)); !known || !got.Equal(now.Add(-59*time.Minute)) {
		t.Errorf("%v, want an hour before the runner's", got)
	}
}

func TestTheFirstDateCounts(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	ctx, observed := Watch(context.Background())
	Observe(ctx, "a.example", "yesterday", now)
	Observe(ctx, "b.example", now.Add(-time.Hour).Format(http.TimeFormat), now)
	Observe(ctx, "c.example", now.Format(http.TimeFormat), now)
	if got := observed.Advice(Ahead); !strings.Contains(got, "is 1h ahead of the clock of b.example") {
		t.Error(got)
	}
	Observe(context.Background(), "d.example", now.Format(http.TimeFormat), now) // nobody watches
	if got := (*Observed)(nil).Advice(Either); got != "" {
		t.Error(got)
	}
}
