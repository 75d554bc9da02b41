package iam

import (
	"strings"
	"testing"
)

func TestPatternMatches(t *testing.T) {
	for _, test := range []struct {
		pattern, text string
		want          bool
	}{
		{"", "", true},
		{"", "a", false},
		{"*", "", true},
		{"*", "a:b/c", true},
		{"**", "", true},
		{"?", "", false},
		{"?", "é", true}, // one character of two bytes
		{"??", "é", false},
		{"a*", "a", true},
		{"a*", "ba", false},
		{"*a", "ba", true},
		{"*a", "ab", false},
		{"a*b*c", "a-b-b-c", true},
		{"a*b*c", "a-c-b", false},
		{"*ab", "aab", true}, // the first a is not the one
		{"*?b", "b", false},
		{"a?c*", "abc", true},
		{"A", "a", false},
		{"{a}", "{a}", true},
		{"[a]", "a", false},
		{"\uFFFF*", "\uFFFFx", true},
	} {
		if got := wildcards(test.pattern).matches(test.text); got != test.want {
			t.Errorf("%q on %q: %t", test.pattern, test.text, got)
		}
	}
	for _, test := range []struct {
		pattern, text string
		want          bool
	}{
		{"a*É", "AbcÉ", true},
		{"a*b", "AbcÉ", false},
		{"K", "k", true},
		{"k", "\u212a", false}, // the Kelvin sign, which only Unicode folds into a k
		{"Æ", "æ", false},
	} {
		if got := wildcards(test.pattern).matchesAnyCase(test.text); got != test.want {
			t.Errorf("%q on %q in any case: %t", test.pattern, test.text, got)
		}
	}
	if literal("*").matches("a") || !literal("*").matches("*") || literal("*").wild() || !wildcards("a?").wild() {
		t.Error("a literal has no wildcards")
	}
}

// Matching never goes back further than the last star.
func TestPatternIsFast(t *testing.T) {
	start := processorTime(t)
	if wildcards(strings.Repeat("*a", 2000) + "b").matches(strings.Repeat("a", 4000)) {
		t.Error("there is no b")
	}
	if took := processorTime(t) - start; took > patience() {
		t.Errorf("took %s", took)
	}
}

// The matcher agrees with the definition: a star is an empty text, or one character and the star again.
func FuzzPatternMatches(f *testing.F) {
	f.Add("*a?b*", "xaxb")
	f.Add("**?", "")
	f.Fuzz(func(t *testing.T, pattern, text string) {
		if len(pattern) > 12 || len(text) > 12 {
			t.Skip("too long for the exponential matcher that this one is compared with")
		}
		if got, want := wildcards(pattern).matches(text), byDefinition(wildcards(pattern), []rune(text)); got != want {
			t.Errorf("%q on %q: %t", pattern, text, got)
		}
	})
}

func byDefinition(p pattern, text []rune) bool {
	switch {
	case len(p) == 0:
		return len(text) == 0
	case p[0] == many:
		return byDefinition(p[1:], text) || len(text) > 0 && byDefinition(p, text[1:])
	}
	return len(text) > 0 && (p[0] == one || p[0] == text[0]) && byDefinition(p[1:], text[1:])
}
