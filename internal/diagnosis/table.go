package diagnosis

import (
	_ "embed"
	"encoding/json"
	"slices"

	"bitbucket-oidc/internal/refusal"
)

// A Table is a service's refusals. Rows are in the order in which they are tried; several rows say the same.
type Table struct {
	Rows []Row    `json:"rows"`
	Says []Saying `json:"says"`
}

// A Row is what an answer must have, as in [refusal.Row], and the index of its saying in the table.
type Row struct {
	Status int      `json:"status,omitempty"`
	Code   string   `json:"code,omitempty"`
	Reason string   `json:"reason,omitempty"`
	Texts  []string `json:"texts,omitempty"`
	Says   int      `json:"says"`
}

// A Saying is a cause, and what to do about it in a step without a deployment. Deployed is for a step with a deployment, where that
// differs.
type Saying struct {
	Means    string   `json:"means"`
	Advice   []string `json:"advice"`
	Deployed []string `json:"deployed,omitempty"`
}

// Add adds a row with what it says.
func (t *Table) Add(r Row, s Saying) {
	r.Says = slices.IndexFunc(t.Says, func(other Saying) bool {
		return other.Means == s.Means && slices.Equal(other.Advice, s.Advice) && slices.Equal(other.Deployed, s.Deployed)
	})
	if r.Says < 0 {
		r.Says = len(t.Says)
		t.Says = append(t.Says, s)
	}
	t.Rows = append(t.Rows, r)
}

// said is the row's message as login prints it, from the code on.
func (t Table) said(r Row) string {
	return refusal.Row[struct{}]{Status: r.Status, Code: r.Code, Reason: r.Reason, Means: t.Says[r.Says].Means}.Said()
}

// data are the tables of the backends of pipe, which bitbucket-oidc does not link. `make docs` writes them.
//
//go:embed refusals.json
var data []byte

// tables are the services' tables, by their names.
func tables() (map[string]Table, error) {
	var all map[string]Table
	return all, json.Unmarshal(data, &all)
}
