package mcp

import (
	"context"
	"fmt"
	"strings"
	"time"

	"bitbucket-oidc/internal/diagnosis"
	"bitbucket-oidc/internal/hint"
	"bitbucket-oidc/internal/oidc"
)

type explainRefusal struct {
	Text     string    `json:"text,omitempty" jsonschema:"the failed login's lines with ✖ and hint, or a cloud's error text; leave tokens out"`
	Identity *identity `json:"identity,omitempty" jsonschema:"the step's, so that the text to paste is about it; without it, the one that the text states"`
}

// An explained refusal is the first cause, and the others beside it.
type explainedRefusal struct {
	Known      bool     `json:"known" jsonschema:"whether a table of refusals has it"`
	Service    string   `json:"service"`
	Code       string   `json:"code"`
	Cause      string   `json:"cause"`
	Condition  string   `json:"condition" jsonschema:"what must hold, and may not"`
	Paste      string   `json:"paste" jsonschema:"text that makes the condition hold; words in capitals are placeholders for what is not known"`
	Advice     []string `json:"advice"`
	Confidence string   `json:"confidence" jsonschema:"certain: login printed the line; likely: the words are a cloud's; quoted: no table has it, and this is the text's own"`
	Others     []cause  `json:"others"`
	Unknown    int      `json:"unexplained" jsonschema:"lines with ✖ that no table has: they and their hints are quoted"`
	More       int      `json:"more,omitempty" jsonschema:"causes left out to keep the answer short"`
}

type cause struct {
	Service   string `json:"service"`
	Code      string `json:"code"`
	Cause     string `json:"cause"`
	Condition string `json:"condition"`
	Paste     string `json:"paste"`
}

func (a *explainedRefusal) parts() int { return len(a.Others) }
func (a *explainedRefusal) keep(n int) { a.More += len(a.Others) - n; a.Others = a.Others[:n] }

func (s server) addExplainRefusal() {
	add(s, "explain_refusal", "Why a login was refused",
		"Turns the text of a failed login, or a cloud's error text, into cause, condition and text to paste. It never repeats a token. Confirm the corrected document with check_trust.",
		s.explainRefusal)
}

func (s server) explainRefusal(_ context.Context, in explainRefusal) (explainedRefusal, error) {
	const ask = "give the lines of login that begin with ✖ and hint, or the cloud's whole error text with its code"
	switch {
	case len(in.Text) > mostContent:
		return explainedRefusal{}, hint.New(fmt.Sprintf("text: %d bytes: it has at most %d", len(in.Text), mostContent), ask)
	case strings.TrimSpace(in.Text) == "":
		return explainedRefusal{}, hint.New("no text", ask)
	}
	var claims *oidc.Claims
	if in.Identity.given() {
		id, err := in.Identity.read(time.Now())
		if err != nil {
			return explainedRefusal{}, err
		}
		claims = &id.Claims
	}
	causes, unexplained, err := diagnosis.Read(in.Text, claims)
	if err != nil {
		return explainedRefusal{}, fmt.Errorf("the tables of refusals: %w", err)
	}
	out := explainedRefusal{Advice: []string{}, Others: []cause{}, Unknown: unexplained}
	if len(causes) == 0 {
		return out, hint.New("nothing in the text is a refusal that the tables have", ask)
	}
	first := causes[0]
	out.Known, out.Service, out.Code, out.Cause = first.Grounds != diagnosis.Quoted, first.Service, short(first.Code, 100), short(first.Means, 300)
	out.Condition, out.Paste, out.Advice = short(first.Condition, mostOfMessage), short(first.Paste, mostOfFix), few(first.Advice)
	out.Confidence = map[diagnosis.Grounds]string{diagnosis.Certain: "certain", diagnosis.Likely: "likely", diagnosis.Quoted: "quoted"}[first.Grounds]
	for _, c := range causes[1:] {
		out.Others = append(out.Others, cause{c.Service, short(c.Code, 100), short(c.Means, 300), short(c.Condition, mostOfMessage), short(c.Paste, mostOfFix)})
	}
	return out, nil
}
