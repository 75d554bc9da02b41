package secret_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"bitbucket-oidc/internal/secret"
)

const canary = "hunter2-canary"

type exported struct{ Token secret.Text }

type hidden struct{ token secret.Text }

type nested struct {
	inner   hidden
	pointer *exported
	list    []secret.Text
	table   map[string]secret.Text
}

func TestTextNeverPrints(t *testing.T) {
	s := secret.New(canary)
	values := []any{
		s, &s, exported{s}, &exported{s}, hidden{s}, &hidden{s},
		nested{hidden{s}, &exported{s}, []secret.Text{s}, map[string]secret.Text{"k": s}},
		[]any{s}, map[string]any{"k": s}, errors.Join(fmt.Errorf("wrapped: %v", s)),
	}
	for _, v := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T"} {
			if got := fmt.Sprintf(verb, v); strings.Contains(got, canary) || strings.Contains(got, fmt.Sprintf("%x", canary)) {
				t.Errorf("%s of %T prints the secret", verb, v)
			}
		}
		if got, err := json.Marshal(v); err == nil && bytes.Contains(got, []byte(canary)) {
			t.Errorf("JSON of %T holds the secret", v)
		}
		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, nil)).Info("x", "v", v)
		slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "v", v)
		if strings.Contains(log.String(), canary) {
			t.Errorf("slog of %T prints the secret", v)
		}
	}
}

func TestReveal(t *testing.T) {
	if got := secret.New(canary).Reveal(); got != canary {
		t.Errorf("Reveal() = %q, want the value", got)
	}
	if got := (secret.Text{}).Reveal(); got != "" {
		t.Errorf("Reveal() of the zero Text = %q, want nothing", got)
	}
}
