package mcp

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"bitbucket-oidc/internal/explain"
	"bitbucket-oidc/internal/hint"
)

type explainIdentity struct {
	Identity *identity `json:"identity,omitempty" jsonschema:"the identity to let in"`
	Target   string    `json:"target,omitempty" jsonschema:"only for this service: aws, gcp, vault, okta, azure or terraform; without it, all but terraform"`
}

// An explained identity is what its token says and what to configure. Text can be pasted.
type explained struct {
	Issuer    string         `json:"issuer"`
	Audience  []string       `json:"audience"`
	Subject   string         `json:"subject"`
	MadeUp    bool           `json:"made_up" jsonschema:"whether step and pipeline are placeholders: no step had this identity"`
	Claims    map[string]any `json:"claims"`
	Documents []configured   `json:"documents"`
	More      int            `json:"more,omitempty" jsonschema:"documents left out to keep the answer short"`
}

type configured struct {
	Target string `json:"target"`
	Title  string `json:"title"`
	Text   string `json:"text"`
}

func (a *explained) parts() int { return len(a.Documents) }
func (a *explained) keep(n int) { a.More += len(a.Documents) - n; a.Documents = a.Documents[:n] }

func (s server) addExplainIdentity() {
	add(s, "explain_identity", "What to configure for a step",
		"What the token of a Bitbucket Pipelines step says, and the trust configuration that lets in exactly this identity: AWS, Google Cloud, Vault, Okta, or Terraform.",
		s.explainIdentity)
}

func (s server) explainIdentity(_ context.Context, in explainIdentity) (explained, error) {
	id, err := in.Identity.read(time.Now())
	if err != nil {
		return explained{}, err
	}
	sections, err := explain.Sections(id)
	if err != nil {
		return explained{}, hint.With(err, "nothing that lets in exactly this identity can be made of it: see where the claims come from")
	}
	out := explained{
		Issuer: id.Claims.Issuer, Audience: id.Claims.Audience, Subject: id.Claims.Subject, MadeUp: id.MadeUp(), Claims: id.All, Documents: []configured{},
	}
	var targets []string
	for _, section := range sections {
		if !slices.Contains(targets, section.Target) {
			targets = append(targets, section.Target)
		}
		if section.Target == in.Target || in.Target == "" && section.Target != "terraform" {
			out.Documents = append(out.Documents, configured{section.Target, section.Title, section.Body})
		}
	}
	if len(out.Documents) == 0 {
		return explained{}, hint.New("no such target", fmt.Sprintf("target is one of %s", strings.Join(targets, ", ")))
	}
	return out, nil
}
