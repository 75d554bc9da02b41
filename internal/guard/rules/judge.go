package rules

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // rules name time zones, and the image has no files of them

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"bitbucket-oidc/internal/guard"
)

// An Outcome is the result of a rule for one input.
type Outcome string

// The outcomes.
const (
	Pass   Outcome = "pass"
	Skip   Outcome = "skip" // its when is false
	Fail   Outcome = "fail"
	Broken Outcome = "error" // it could not be evaluated
)

// A Decision is what a rule says of one input.
type Decision struct {
	Rule    Rule
	Outcome Outcome
	Action  Action // what the outcome leads to: the rule's action at the time of the input
	Detail  string // of a rule that does not hold: its expression with the values that it read
}

// Refuses reports whether the decision ends a login under a file that enforces. A rule that cannot be evaluated refuses, whatever
// its action: what it would have said is not known.
func (d Decision) Refuses() bool {
	return d.Outcome == Broken || d.Outcome == Fail && d.Action == Deny
}

// Warns reports whether the decision is printed and refuses nothing.
func (d Decision) Warns() bool { return d.Outcome == Fail && d.Action == Warn }

// Judge judges the rules that read the credential if the input has one, and all other rules if it has none.
func (f *File) Judge(ctx context.Context, in guard.Input) []Decision {
	known := f.activation(ctx, in)
	var all []Decision
	for _, r := range f.Rules {
		if r.After() == (in.Credential != nil) {
			all = append(all, f.judge(ctx, r, in, known))
		}
	}
	return all
}

func (f *File) judge(ctx context.Context, r Rule, in guard.Input, known map[string]any) Decision {
	d := Decision{Rule: r, Action: r.ActionAt(in.Now)}
	if r.when != nil {
		switch holds, err := r.when.holds(ctx, known); {
		case err != nil:
			d.Outcome, d.Detail = Broken, "when: "+r.when.text()+" cannot be evaluated: "+err.Error()
			return d
		case !holds:
			d.Outcome = Skip
			return d
		}
	}
	switch holds, err := r.require.holds(ctx, known); {
	case err != nil:
		d.Outcome, d.Detail = Broken, r.require.text()+" cannot be evaluated: "+err.Error()
	case holds:
		d.Outcome = Pass
	default:
		d.Outcome, d.Detail = Fail, r.require.text()+" is false"
		if values := f.values(r.require, in, known); len(values) > 0 {
			d.Detail += ": " + strings.Join(values, ", ")
		}
	}
	return d
}

// activation has the input's values, and the file's variables, which are evaluated when a rule reads them.
func (f *File) activation(ctx context.Context, in guard.Input) map[string]any {
	known := map[string]any{
		"claims": in.Claims, "request": in.Request, "env": in.Env, "pipeline": in.Pipeline, "now": in.Now, "constants": f.constants,
	}
	if in.Credential != nil {
		known["credential"] = *in.Credential
	}
	for _, v := range f.variables {
		known[v.name] = func() any {
			value, _, err := v.program.ContextEval(ctx, known)
			if err != nil {
				return types.NewErr("%s: %s", v.name, err)
			}
			return value
		}
	}
	return known
}

func (e *expression) holds(ctx context.Context, known map[string]any) (bool, error) {
	value, _, err := e.program.ContextEval(ctx, known)
	if err != nil {
		return false, fmt.Errorf("%s", strings.Join(strings.Fields(err.Error()), " "))
	}
	holds, ok := value.(types.Bool)
	if !ok {
		return false, fmt.Errorf("it is of type %s, and must be bool", value.Type().TypeName())
	}
	return bool(holds), nil
}

// text is the expression in one line of a fair length.
func (e *expression) text() string { return short(strings.Join(strings.Fields(e.source), " "), 200) }

func short(text string, most int) string {
	if r := []rune(text); len(r) > most {
		return string(r[:most]) + "…"
	}
	return text
}

// values says what an expression read, each once: of inputs and of the file's variables. Constants stand in the file.
func (f *File) values(e *expression, in guard.Input, known map[string]any) []string {
	data, _ := json.Marshal(in) // texts, times and lists of texts: it cannot fail
	var tree map[string]any
	_ = json.Unmarshal(data, &tree)
	var all []string
	seen := map[string]bool{}
	say := func(name, value string) {
		if !seen[name] {
			seen[name] = true
			all = append(all, name+" is "+short(value, 120))
		}
	}
	var visit func(path []string)
	visit = func(path []string) {
		if i := slices.IndexFunc(f.variables, func(v variable) bool { return v.name == path[0] }); i >= 0 && !seen[path[0]] {
			if value, ok := valueOf(path[0], known); ok {
				if text, err := json.Marshal(value); err == nil {
					say(path[0], string(text))
				}
			}
			walk(f.variables[i].tree, visit) // and what the variable read
			return
		}
		if path[0] == "now" {
			say("now", in.Now.UTC().Format(time.RFC3339))
			return
		}
		if group, ok := tree[path[0]].(map[string]any); ok && len(path) > 1 {
			if text, err := json.Marshal(group[path[1]]); err == nil {
				say(path[0]+"."+path[1], string(text))
			}
		}
	}
	walk(e.tree, visit)
	return all
}

// valueOf is the value of a variable, if it has one. The language keeps it once it was read.
func valueOf(name string, known map[string]any) (any, bool) {
	value := known[name]
	if lazy, ok := value.(func() any); ok {
		value = lazy()
	}
	if value, ok := value.(ref.Val); ok && !types.IsError(value) {
		return value.Value(), true
	}
	return nil, false
}
