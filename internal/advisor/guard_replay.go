package advisor

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"bitbucket-oidc/internal/cli"
	"bitbucket-oidc/internal/document"
	"bitbucket-oidc/internal/guard"
	"bitbucket-oidc/internal/guard/rules"
	"bitbucket-oidc/internal/hint"
)

// maxRecord bounds a line of records: about four kilobytes are usual.
const maxRecord = 1 << 20

// A recorded login is what replay needs of a record.
type recorded struct {
	Activity int `json:"activity_id"`
	Metadata struct {
		UID string `json:"uid"`
	} `json:"metadata"`
	Unmapped map[string]string `json:"unmapped"`
}

// A replayed login is one that a file would have refused, or warned of.
type replayed struct {
	Record string   `json:"record"` // metadata.uid
	Target string   `json:"target"`
	Refuse []string `json:"refuse"`
	Warn   []string `json:"warn"`
	Detail []string `json:"detail"`
}

// A replay is what a file would have decided about recorded logins.
type replay struct {
	Version  int        `json:"version"`
	File     string     `json:"file"`
	Judged   int        `json:"judged"`
	Unjudged int        `json:"unjudged"` // lines without the input of a login: they count as neither passed nor refused
	Refused  int        `json:"refused"`
	Logins   []replayed `json:"logins"` // refused, or warned of

	seen map[string]bool // ids of records: files may overlap
}

// guardReplay judges recorded logins.
func guardReplay(ctx context.Context, c *cli.Console, a *cli.Arguments) int {
	f := guardFile(ctx, a)
	if len(a.Texts("records")) == 0 {
		a.Add(hint.New("no records", "give a file of records with --records, such as the one that RECORD_FILE names"))
	}
	var files [][]byte
	for _, name := range a.Texts("records") {
		data, err := cli.ReadFile(ctx, name)
		a.Add(err)
		files = append(files, data)
	}
	if err := a.Err(); err != nil {
		return c.Fail(err, cli.Misused)
	}
	r := replay{Version: 1, File: f.Name, Logins: []replayed{}, seen: map[string]bool{}}
	for _, data := range files {
		r.records(ctx, f, data)
	}
	if r.Judged == 0 && r.Unjudged > 0 {
		return c.Fail(hint.New("no line of the records is a login that can be judged",
			"give the file that RECORD_FILE names, or what a place for records exports as OCSF, one record a line"), cli.Misused)
	}
	if a.Text("format") == "json" {
		c.Lines(document.Indented(r))
	} else {
		c.Lines(r.text())
	}
	if r.Refused > 0 && !a.Given("no-exit-code") {
		return cli.Failed
	}
	return cli.Done
}

// records judges the logins of a file of records.
func (r *replay) records(ctx context.Context, f *rules.File, data []byte) {
	for line := range bytes.Lines(data) {
		in, uid, ok := recordedInput(line)
		switch {
		case !ok:
			r.Unjudged++
		case in != nil && !r.seen[uid]: // else it is a logout, or a copy
			r.seen[uid] = uid != ""
			r.login(judged(ctx, f, *in, uid))
		}
	}
}

// login adds a login that was judged.
func (r *replay) login(one replayed) {
	r.Judged++
	if len(one.Refuse) > 0 {
		r.Refused++
	}
	if len(one.Refuse)+len(one.Warn) > 0 {
		r.Logins = append(r.Logins, one)
	}
}

// recordedInput is what the rules would have seen of a recorded login; nil for a record that is about no login. It reports whether
// the line can be judged.
func recordedInput(line []byte) (in *guard.Input, uid string, ok bool) {
	const logoff = 2
	var r recorded
	if len(bytes.TrimSpace(line)) == 0 {
		return nil, "", true
	}
	if len(line) > maxRecord || json.Unmarshal(line, &r) != nil {
		return nil, "", false
	}
	if r.Activity == logoff {
		return nil, r.Metadata.UID, true
	}
	read, err := guard.ParseInput([]byte(r.Unmapped[guard.RecordKey]))
	if err != nil {
		return nil, r.Metadata.UID, false
	}
	return &read, r.Metadata.UID, true
}

// judged is what a file would have decided about a login, before the exchange and after it.
func judged(ctx context.Context, f *rules.File, in guard.Input, uid string) replayed {
	r := replayed{Record: uid, Target: in.Request.Target, Refuse: []string{}, Warn: []string{}, Detail: []string{}}
	before := in
	before.Credential = nil
	decisions := f.Judge(ctx, before)
	if in.Credential != nil {
		decisions = append(decisions, f.Judge(ctx, in)...)
	}
	for _, d := range decisions {
		switch {
		case d.Refuses():
			r.Refuse = append(r.Refuse, d.Rule.Name)
		case d.Warns():
			r.Warn = append(r.Warn, d.Rule.Name)
		default:
			continue
		}
		said := d.Rule.Name + ": " + d.Detail
		if !d.Refuses() {
			said = "warns: " + said
		}
		r.Detail = append(r.Detail, said)
	}
	return r
}

func (r *replay) text() string {
	lines := []string{fmt.Sprintf("%s would have refused %d of %d recorded logins", r.File, r.Refused, r.Judged)}
	if r.Unjudged > 0 {
		lines = append(lines, fmt.Sprintf("%d lines could not be judged: they are no records, or have no inputs of guardrails", r.Unjudged))
	}
	for _, one := range r.Logins {
		mark := "✖"
		if len(one.Refuse) == 0 {
			mark = "⚠"
		}
		lines = append(lines, mark+" "+one.Record+" "+one.Target)
		for _, d := range one.Detail {
			lines = append(lines, "  "+d)
		}
	}
	return strings.Join(lines, "\n")
}
