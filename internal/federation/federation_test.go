package federation_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"bitbucket-oidc/internal/federation"
	"bitbucket-oidc/internal/hint/hinttest"
	"bitbucket-oidc/internal/oidc"
)

// backend waits for the others before it answers: it gets nowhere unless all run at once.
type backend struct {
	name     string
	variable string
	expires  time.Time
	err      error
	all      *sync.WaitGroup
}

func (b backend) Name() string { return b.name }

func (b backend) Targets() []federation.Target {
	return []federation.Target{{Backend: b.name, Name: "default"}}
}

func (b backend) Exchange(context.Context, oidc.Token) (federation.Grant, error) {
	b.all.Done()
	b.all.Wait()
	way := federation.Begin(b.Targets()[0])
	way.Called(federation.Call{Operation: "ask"})
	return federation.Grant{
		Backend: b.name, Credentials: []federation.Credential{{Name: "default", Expires: b.expires}}, Env: []federation.Var{{Name: b.variable}},
		Outcomes: []federation.Outcome{way.End(b.err)},
	}, b.err
}

func exchange(t *testing.T, errs ...error) ([]federation.Grant, []federation.Outcome, error) {
	t.Helper()
	var all sync.WaitGroup
	var backends []federation.Backend
	for i, err := range errs {
		all.Add(1)
		name := string(rune('a' + i))
		backends = append(backends, backend{name: name, variable: "TOKEN_" + name, err: err, all: &all})
	}
	return federation.Exchange(t.Context(), oidc.Token{}, backends)
}

func TestExchangeRunsSideBySideAndKeepsTheOrder(t *testing.T) {
	grants, _, err := exchange(t, nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	for _, g := range grants {
		order = append(order, g.Backend)
	}
	if got := strings.Join(order, ""); got != "abc" {
		t.Errorf("grants of %q, want abc", got)
	}
}

func TestExchangeIsAllOrNothing(t *testing.T) {
	first, second := errors.New("a: no"), errors.New("c: no")
	grants, outcomes, err := exchange(t, first, nil, second)
	if grants != nil {
		t.Errorf("grants beside an error: %v", grants)
	}
	var ended []string
	for _, o := range outcomes {
		ended = append(ended, fmt.Sprint(o.Target.Backend, " ", o.Operation, " ", o.Err))
	}
	if got, want := strings.Join(ended, "; "), "a ask a: no; b ask <nil>; c ask c: no"; got != want {
		t.Errorf("outcomes %q, want %q", got, want)
	}
	if !errors.Is(err, first) || !errors.Is(err, second) {
		t.Errorf("error %v, want both failures", err)
	}
}

func TestExchangeRefusesAVariableOfTwo(t *testing.T) {
	var all sync.WaitGroup
	all.Add(2)
	grants, _, err := federation.Exchange(t.Context(), oidc.Token{}, []federation.Backend{
		backend{name: "a", variable: "TOKEN", all: &all}, backend{name: "b", variable: "TOKEN", all: &all},
	})
	if grants != nil {
		t.Errorf("grants beside an error: %v", grants)
	}
	hinttest.Check(t, err, "b: ", "TOKEN belongs to a")
}

func TestExchangeRefusesWhatDoesNotEnd(t *testing.T) {
	const years = 365 * 24 * time.Hour
	for _, c := range []struct {
		name    string
		expires time.Time
		says    string // empty for no error
	}{
		{"nobody says", time.Time{}, ""},
		{"nine years", time.Now().Add(9 * years), ""},
		{"in the past, of which no answer says the date", time.Now().Add(-2 * time.Hour), ""},
		{"eleven years", time.Now().Add(11 * years), "a default: the expiry date is more than ten years away"},
		{"five digits", time.Date(12000, 1, 1, 0, 0, 0, 0, time.UTC), "a default: the expiry date is out of range"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var all sync.WaitGroup
			all.Add(1)
			grants, outcomes, err := federation.Exchange(t.Context(), oidc.Token{}, []federation.Backend{backend{name: "a", expires: c.expires, all: &all}})
			if len(outcomes) != 1 || outcomes[0].Err != nil {
				t.Errorf("outcomes %+v, want one that was granted", outcomes)
			}
			if c.says == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if grants != nil {
				t.Errorf("grants beside an error: %v", grants)
			}
			hinttest.Check(t, err, c.says, "")
		})
	}
}
