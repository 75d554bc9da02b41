package hint_test

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"bitbucket-oidc/internal/hint"
)

func TestAll(t *testing.T) {
	inner := hint.With(io.EOF, "first", "second")
	outer := hint.With(fmt.Errorf("reading: %w", inner), "outer", "first")
	err := errors.Join(outer, hint.New("other", "third"))

	if got, want := hint.All(err), []string{"outer", "first", "second", "third"}; !slices.Equal(got, want) {
		t.Errorf("All() = %q, want %q", got, want)
	}
	if outer.Error() != "reading: EOF" {
		t.Errorf("With changed the text: %q", outer)
	}
	if !errors.Is(err, io.EOF) {
		t.Error("With hides its cause")
	}
	if hint.With(nil, "advice") != nil {
		t.Error("With(nil) is an error")
	}
}

func TestFailures(t *testing.T) {
	a, b, c := errors.New("a"), errors.New("b"), errors.New("c")
	got := hint.Failures(errors.Join(a, errors.Join(b, nil, c)))
	if want := []error{a, b, c}; !slices.Equal(got, want) {
		t.Errorf("Failures() = %v, want %v", got, want)
	}
	if hint.Failures(nil) != nil {
		t.Error("Failures(nil) is not empty")
	}
}
