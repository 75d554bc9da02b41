// Package hinttest checks how a failure is told. Only tests import it.
package hinttest

import (
	"fmt"
	"strings"
	"testing"

	"bitbucket-oidc/internal/hint"
)

// Check fails the test unless err begins with prefix, contains says, and has a hint: at least one, and one with each of hints.
// In tests, what a server says has the word canary. Neither this word nor a token of Bitbucket or Google may be repeated.
func Check(t *testing.T, err error, prefix, says string, hints ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	if !strings.HasPrefix(err.Error(), prefix) || !strings.Contains(err.Error(), says) {
		t.Errorf("error %q, want one that says %q after %q", err, says, prefix)
	}
	all := hint.All(err)
	text := strings.Join(all, "\n")
	if len(all) == 0 {
		t.Errorf("%q has no hint", err)
	}
	for _, want := range hints {
		if !strings.Contains(text, want) {
			t.Errorf("no hint with %q in:\n%s", want, text)
		}
	}
	for _, secret := range []string{"canary", "eyJ", "ya29."} {
		if strings.Contains(fmt.Sprintf("%v %+v", err, err)+text, secret) {
			t.Errorf("what a server said, or a token, is repeated: %v\n%s", err, text)
		}
	}
}
