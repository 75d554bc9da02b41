package guard

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"bitbucket-oidc/internal/hint"
)

// maxAnswer bounds what is read of an answer: 200 rules for 100 targets.
const maxAnswer = 16 << 20

// A Question is asked of bitbucket-oidc on its standard input. It holds no token.
type Question struct {
	Nonce  string  `json:"nonce"` // random: the answer must name it
	Clone  string  `json:"clone"` // the build directory, in which File and Map are
	File   string  `json:"file"`  // full paths; empty for none
	Map    string  `json:"map"`
	Baked  string  `json:"baked"` // the file in an image of one's own; empty for none
	Inputs []Input `json:"inputs"`
}

// An Answer is what the guardrails say. It counts only if it is whole and names its question.
type Answer struct {
	Nonce     string     `json:"nonce"`
	Mistakes  []string   `json:"mistakes"` // of the files: nothing was judged
	Sources   []Source   `json:"sources"`
	Decisions []Decision `json:"decisions"`
	After     bool       `json:"after"`  // some rules wait for the credential
	Advisory  []string   `json:"advice"` // names of rules that rest on what the step says of itself
	Judged    int        `json:"judged"` // how many inputs were judged: all of them, or the answer does not count
}

// A Source is a file that was read.
type Source struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`
	Audit  bool   `json:"audit"` // it refuses nothing
}

// A Decision is what a rule says of an input.
type Decision struct {
	Source  int    `json:"source"` // in Sources
	Input   int    `json:"input"`  // in the question's Inputs
	Rule    string `json:"rule"`
	Outcome string `json:"outcome"` // pass, skip, fail, error
	Action  string `json:"action"`  // deny, warn, audit
	Refuses bool   `json:"refuses"` // under a file that enforces
	Message string `json:"message"`
	Detail  string `json:"detail"`
	Fix     string `json:"fix"`
	Link    string `json:"link"`
}

// Config names the guardrails of a login.
type Config struct {
	Clone, File, Map, Baked string // as in [Question]

	// Run runs `bitbucket-oidc guard decide` with this standard input, without the step's token in its environment, and returns at
	// most so many bytes of its standard output. An exit status other than 0 is an error.
	Run func(ctx context.Context, input []byte, most int) ([]byte, error)
}

// On reports whether there are any guardrails.
func (c Config) On() bool { return c.File != "" || c.Map != "" || c.Baked != "" }

// ErrMistakes is wrapped by the error for files that cannot be used: the configuration is wrong, and nothing was judged.
var ErrMistakes = errors.New("the guardrails cannot be read")

// Ask asks about inputs and returns the answer. An error means that there is no answer that counts, so the login is refused.
func Ask(ctx context.Context, c Config, inputs []Input) (Answer, error) {
	q := Question{Nonce: rand.Text(), Clone: c.Clone, File: c.File, Map: c.Map, Baked: c.Baked, Inputs: inputs}
	data, err := json.Marshal(q)
	if err != nil {
		return Answer{}, fmt.Errorf("guard: asking: %w", err)
	}
	out, err := c.Run(ctx, data, maxAnswer)
	if err != nil {
		return Answer{}, noAnswer(err)
	}
	var a Answer
	switch err := strict(out, &a); {
	case err != nil:
		return Answer{}, noAnswer(errors.New("it is not whole or not an answer"))
	case a.Nonce != q.Nonce:
		return Answer{}, noAnswer(errors.New("it is the answer to another question"))
	}
	if len(a.Mistakes) > 0 {
		var errs []error
		for _, m := range a.Mistakes {
			errs = append(errs, hint.With(fmt.Errorf("guard: %w", mistake(m)),
				"mend the file: no login passes a guardrail that cannot be read; see bitbucket-oidc guard test"))
		}
		return Answer{}, errors.Join(errs...)
	}
	if a.Judged != len(inputs) || slices.ContainsFunc(a.Decisions, func(d Decision) bool {
		return d.Input < 0 || d.Input >= len(inputs) || d.Source < 0 || d.Source >= len(a.Sources)
	}) {
		return Answer{}, noAnswer(errors.New("it does not judge what was asked"))
	}
	return a, nil
}

// AskAgain asks about the rules that wait for the credential, and for nothing that was judged before. The files must be those of the
// first answer: what refuses a login must not change while it runs.
func AskAgain(ctx context.Context, c Config, inputs []Input, first Answer) (Answer, error) {
	c.Map = ""
	a, err := Ask(ctx, c, inputs)
	switch {
	case errors.Is(err, ErrMistakes): // also a file that the runner cannot open any more
		return Answer{}, changed(": " + strings.TrimPrefix(hint.Failures(err)[0].Error(), "guard: "))
	case err == nil && !slices.Equal(a.Sources, first.Sources[:min(len(a.Sources), len(first.Sources))]):
		return Answer{}, changed("")
	case err != nil:
		return Answer{}, err
	}
	a.Advisory = nil // the first answer had it
	return a, nil
}

func changed(how string) error {
	return hint.New("guard: the guardrails changed while the login ran"+how, "let nothing write to the file while the pipe runs; nothing was written")
}

// A mistake is the text of an error that is [ErrMistakes].
type mistake string

func (m mistake) Error() string        { return string(m) }
func (m mistake) Is(target error) bool { return target == ErrMistakes }

func noAnswer(err error) error {
	return hint.New("guard: no answer from bitbucket-oidc: "+err.Error(),
		"the login is refused because guardrails are configured and could not be judged: use the image as it is published, which has both programs")
}

// Refusals joins an error for each rule that refuses, with the targets that break the rule. It is nil if none refuses.
func (a Answer) Refusals(inputs []Input) error {
	var errs []error
	for _, d := range a.grouped(func(d Decision) bool { return d.Refuses && !a.Sources[d.Source].Audit }) {
		errs = append(errs, hint.New("guard "+d.text(inputs), d.advice()...))
	}
	return errors.Join(errs...)
}

// Warnings are lines for the rules that warn, those that a file in audit mode would refuse by, and once for those that rest on what the
// step says of itself.
func (a Answer) Warnings(inputs []Input) []string {
	var all []string
	for _, d := range a.grouped(func(d Decision) bool { return d.Refuses && a.Sources[d.Source].Audit }) {
		all = append(all, "guard (audit) "+d.text(inputs))
	}
	for _, d := range a.grouped(func(d Decision) bool { return !d.Refuses && d.Outcome == "fail" && d.Action == "warn" }) {
		all = append(all, "guard "+d.text(inputs))
	}
	if len(a.Advisory) > 0 {
		all = append(all, "guard: "+strings.Join(a.Advisory, ", ")+": advisory, because whoever writes the pipeline can change what these rules read")
	}
	return all
}

// A group is one rule's decisions with one detail.
type group struct {
	Decision
	inputs []int
}

func (a Answer) grouped(wanted func(Decision) bool) []group {
	var all []group
	for _, d := range a.Decisions {
		if !wanted(d) {
			continue
		}
		i := slices.IndexFunc(all, func(g group) bool { return g.Source == d.Source && g.Rule == d.Rule && g.Detail == d.Detail })
		if i < 0 {
			all = append(all, group{d, nil})
			i = len(all) - 1
		}
		all[i].inputs = append(all[i].inputs, d.Input)
	}
	return all
}

// text is the rule, its message, the targets and why.
func (g group) text(inputs []Input) string {
	var targets []string
	for _, i := range g.inputs {
		r := inputs[i].Request
		targets = append(targets, r.Backend+" "+r.Name+" ("+r.Target+")")
	}
	return g.Rule + ": " + g.Message + " " + strings.Join(targets, ", ") + ": " + g.Detail
}

func (g group) advice() []string {
	var all []string
	if g.Fix != "" {
		all = append(all, g.Fix)
	}
	if g.Link != "" {
		all = append(all, "see "+g.Link)
	}
	if len(all) == 0 {
		all = append(all, "ask whoever keeps the guardrails; nothing was written")
	}
	return all
}

// Outcomes are what each rule said of an input, for records: the rule's name and pass, skip, fail or error.
func (a Answer) Outcomes(input int) map[string]string {
	all := map[string]string{}
	for _, d := range a.Decisions {
		if d.Input == input {
			all[d.Rule] = d.Outcome
		}
	}
	return all
}
