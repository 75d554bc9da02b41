package advisor

import (
	"strings"
	"testing"
)

func TestDifference(t *testing.T) {
	for _, c := range []struct {
		want, has string
		wild      bool
		marked    string
	}{
		{"{a}:*", "{b}:{c}", true, "b"},
		{"{a}", "{b}", true, "b"},
		{"{a}:{x}:*", "{a}:{y}:{c}", true, "y"},
		{"a:*", "{a}:{c}", true, "{a"},
		{"abc", "abcdef", true, "def"},
		{"abcdef", "abc", true, ""},
		{"A", "a", true, "a"},
		{"*", "", true, ""},
		{"*", "x", true, ""},
		{"ü*", "üx", true, ""},
		{"{a}:*:{x}", "{a}:{b}:{y}", true, ""},
		{"a*b", "a*c", true, ""},
		{"é?", "xy", true, "x"},
		{"{a}:*", "{a}:{b}", false, "{b}"},
	} {
		from, to := difference(c.want, c.has, c.wild)
		if got := string([]rune(c.has)[from:to]); got != c.marked {
			t.Errorf("%q in place of %q: %q is marked, not %q", c.has, c.want, got, c.marked)
		}
	}
}

// Whatever the values are, both stay in the line and the mark below them.
func FuzzWindow(f *testing.F) {
	f.Add("{a}:{b}:*", "{a}:{c}:{d}", true)
	f.Add(strings.Repeat("x:", 100), strings.Repeat("x:", 80)+"ü"+strings.Repeat("y", 90), false)
	f.Fuzz(func(t *testing.T, want, has string, wild bool) {
		from, to := difference(want, has, wild)
		w, h, from, to := window(want, has, from, to)
		if len([]rune(w)) > room || len([]rune(h)) > room || from < 0 || to < from || to > room {
			t.Errorf("%q, %q: %q, %q, %d to %d", want, has, w, h, from, to)
		}
	})
}
