package guard

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

// Everything but a clear yes is a refusal.
func TestAskFailsClosed(t *testing.T) {
	good := func(q Question) Answer {
		return Answer{Nonce: q.Nonce, Judged: len(q.Inputs), Sources: []Source{{Name: "guard.yaml"}}}
	}
	tests := []struct {
		name string
		run  func(q Question) ([]byte, error)
		want string
	}{
		{"no answer", func(Question) ([]byte, error) { return nil, errors.New("it ended with exit status 1") }, "exit status 1"},
		{"nothing", func(Question) ([]byte, error) { return nil, nil }, "not whole"},
		{"cut", func(q Question) ([]byte, error) { data, _ := json.Marshal(good(q)); return data[:len(data)-2], nil }, "not whole"},
		{"more behind it", func(q Question) ([]byte, error) { data, _ := json.Marshal(good(q)); return append(data, "{}"...), nil }, "not whole"},
		{"another question", func(q Question) ([]byte, error) { q.Nonce = "x"; data, _ := json.Marshal(good(q)); return data, nil }, "another question"},
		{"not all judged", func(q Question) ([]byte, error) {
			a := good(q)
			a.Judged = 0
			data, _ := json.Marshal(a)
			return data, nil
		}, "does not judge"},
		{"of an input that was not asked about", func(q Question) ([]byte, error) {
			a := good(q)
			a.Decisions = []Decision{{Input: 7}}
			data, _ := json.Marshal(a)
			return data, nil
		}, "does not judge"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := Config{File: "guard.yaml", Run: func(_ context.Context, input []byte, _ int) ([]byte, error) {
				var q Question
				if err := json.Unmarshal(input, &q); err != nil {
					t.Fatal(err)
				}
				return tt.run(q)
			}}
			if _, err := Ask(t.Context(), c, make([]Input, 1)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// What refuses a login must not change while it runs.
func TestAskAgainWantsTheSameFiles(t *testing.T) {
	first := Answer{Sources: []Source{{Name: "guard.yaml", SHA256: "ab12"}, {Name: "access.yaml", SHA256: "ef56"}}}
	tests := []struct {
		name    string
		sources []Source
		mistake string
		want    string // of the error; empty for none
	}{
		{"the same; the map was judged before", first.Sources[:1], "", ""},
		{"another content", []Source{{Name: "guard.yaml", SHA256: "cd34"}}, "", "changed while the login ran"},
		{"another mode", []Source{{Name: "guard.yaml", SHA256: "ab12", Audit: true}}, "", "changed while the login ran"},
		{"a mistake now", nil, "guard.yaml:1:1: expected a map", "guard: the guardrails changed while the login ran: guard.yaml:1:1: expected a map"},
		{"one more", []Source{first.Sources[0], first.Sources[1], first.Sources[1]}, "", "changed while the login ran"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := Config{File: "guard.yaml", Map: "access.yaml", Run: func(_ context.Context, input []byte, _ int) ([]byte, error) {
				var q Question
				if err := json.Unmarshal(input, &q); err != nil || q.Map != "" {
					t.Errorf("the map is asked about again: %q, %v", q.Map, err)
				}
				a := Answer{Nonce: q.Nonce, Judged: len(q.Inputs), Sources: tt.sources, Advisory: []string{"said-before"}}
				if tt.mistake != "" {
					a.Mistakes = []string{tt.mistake}
				}
				return json.Marshal(a)
			}}
			a, err := AskAgain(t.Context(), c, make([]Input, 1), first)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if errors.Is(err, ErrMistakes) || len(a.Advisory) > 0 {
				t.Errorf("%v, %v: a file that changed is no mistake of the configuration, and what was said is not said again", err, a.Advisory)
			}
		})
	}
}

// An input that was written is read back, and one field too many is refused.
func TestInputIsAPromise(t *testing.T) {
	data, err := json.Marshal(Input{Request: Request{Target: "a", Duration: 90 * 60e9}})
	if err != nil || !strings.Contains(string(data), `"duration":"1h30m0s"`) {
		t.Fatalf("%s, %v", data, err)
	}
	back, err := ParseInput(data)
	if err != nil || back.Request.Duration != 90*60e9 || back.Request.Target != "a" {
		t.Errorf("read back %+v, %v", back.Request, err)
	}
	for _, wrong := range []string{`{"requst":{}}`, `{"request":{"acount":""}}`, `{} {}`} {
		if _, err := ParseInput([]byte(wrong)); err == nil {
			t.Errorf("%s was read", wrong)
		}
	}
}
