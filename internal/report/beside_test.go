package report

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestDifference(t *testing.T) {
	for _, c := range []struct {
		want, has string
		wild      bool
		marked    string
	}{
		{want: "{a}:*", has: "{b}:{c}", wild: true, marked: "b"},
		{want: "{a}", has: "{b}", wild: true, marked: "b"},
		{want: "{a}:{x}:*", has: "{a}:{y}:{c}", wild: true, marked: "y"},
		{want: "a:*", has: "{a}:{c}", wild: true, marked: "{a"},
		{want: "abc", has: "abcdef", wild: true, marked: "def"},
		{want: "abcdef", has: "abc", wild: true},
		{want: "A", has: "a", wild: true, marked: "a"},
		{want: "*", wild: true},
		{want: "*", has: "x", wild: true},
		{want: "ü*", has: "üx", wild: true},
		{want: "{a}:*:{x}", has: "{a}:{b}:{y}", wild: true},
		{want: "a*b", has: "a*c", wild: true},
		{want: "é?", has: "xy", wild: true, marked: "x"},
		{want: "{a}:*", has: "{a}:{b}", marked: "{b}"},
	} {
		p := align([]string{c.want}, []string{c.has}, c.wild)
		if got := string(p.has[p.from:p.to]); got != c.marked {
			t.Errorf("%q where %q is wanted: %q is marked, not %q", c.has, c.want, got, c.marked)
		}
	}
}

func TestBeside(t *testing.T) {
	long := strings.Repeat("x", BesideWidth)
	for _, c := range []struct {
		name            string
		wanted, there   []string
		want, has, mark string
	}{
		{name: "the closest pair", wanted: []string{"b:1", "a:1"}, there: []string{"c", "a:2"}, want: "a:1", has: "a:2", mark: "  ^"},
		{name: "control characters", wanted: []string{"a\n"}, there: []string{"a\r"}, want: `a\u000a`, has: `a\u000d`, mark: "      ^"},
		{
			name: "too long", wanted: []string{"same:" + long}, there: []string{"same:y"},
			want: "…:" + long[:BesideWidth-3] + "…", has: "…:y", mark: "  ^",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			want, has, mark := Beside(c.wanted, c.there, false)
			if want != c.want || has != c.has || mark != c.mark {
				t.Errorf("%q\n%q\n%q\nwant\n%q\n%q\n%q", want, has, mark, c.want, c.has, c.mark)
			}
		})
	}
}

// FuzzBeside: whatever the values are, both stay in the line, and so does the mark below them.
func FuzzBeside(f *testing.F) {
	f.Add("{a}:{b}:*", "{a}:{c}:{d}", true)
	f.Add(strings.Repeat("x:", 100), strings.Repeat("x:", 80)+"ü"+strings.Repeat("y", 90), false)
	f.Fuzz(func(t *testing.T, wanted, there string, wild bool) {
		want, has, mark := Beside([]string{wanted}, []string{there}, wild)
		for _, line := range []string{want, has, mark} {
			if utf8.RuneCountInString(line) > BesideWidth {
				t.Errorf("%q, %q: %q is too long", wanted, there, line)
			}
		}
	})
}
