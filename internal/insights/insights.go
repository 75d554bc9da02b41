// Package insights publishes a report with annotations on a commit: Bitbucket's Code Insights. Its requests go through the proxy that
// Bitbucket runs beside every step. The proxy adds the credential: there is none here.
package insights

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"

	"bitbucket-oidc/internal/transport"
)

// host is asked over plain http: the proxy takes it from there.
const host = "api.bitbucket.org"

// Limits of Bitbucket. Its errors name the limits of annotations and of summaries; the others are limits of Bitbucket Data Center, and not
// confirmed.
const (
	MostAnnotations = 1000
	batch           = 100
	summaryRunes    = 450
	detailsRunes    = 2000
)

// Config says where to publish.
type Config struct {
	Workspace, Repository, Commit string

	// InPipe reports whether the program runs in the container of a pipe, from where the proxy has another address than from a
	// step's own container.
	InPipe bool

	Trace func(line string) // see [transport.Config]
}

// A Report is shown above the annotations.
type Report struct {
	ID      string // of the report on the commit, such as bitbucket-oidc-audit
	Title   string
	Details string
	Passed  bool
	Data    []Datum // at most ten
}

// A Datum is a number in a report.
type Datum struct {
	Title string
	Value int
}

// An Annotation is a finding.
type Annotation struct {
	ID       string // unique in the report
	Path     string // in the repository; empty for none
	Line     int    // 0 for none
	Summary  string
	Details  string
	Severity string // CRITICAL, HIGH, MEDIUM or LOW
	Ignored  bool   // accepted
	Link     string
}

// Publish replaces the report of the same id: annotations of an earlier run would stay, and count. Bitbucket's own message is part of
// the error where there is one.
func Publish(ctx context.Context, c Config, r Report, annotations []Annotation) error {
	return newPublisher(c, r.ID, c.proxy()).publish(ctx, r, annotations)
}

// proxy is Bitbucket's proxy as it is reached from here.
func (c Config) proxy() *url.URL {
	if c.InPipe {
		return &url.URL{Scheme: "http", Host: "host.docker.internal:29418"}
	}
	return &url.URL{Scheme: "http", Host: "localhost:29418"}
}

type publisher struct {
	client *http.Client
	base   string // the report's URL
}

func newPublisher(c Config, report string, proxy *url.URL) publisher {
	return publisher{
		client: transport.Through(transport.Config{Trace: c.Trace}, proxy, host),
		base: "http://" + host + "/2.0/repositories/" + url.PathEscape(c.Workspace) + "/" + url.PathEscape(c.Repository) +
			"/commit/" + url.PathEscape(c.Commit) + "/reports/" + url.PathEscape(report),
	}
}

func (p publisher) publish(ctx context.Context, r Report, annotations []Annotation) error {
	if err := p.send(ctx, http.MethodDelete, "", nil); err != nil {
		return err
	}
	if err := p.send(ctx, http.MethodPut, "", wireReport(r)); err != nil {
		return err
	}
	for some := range slices.Chunk(annotations[:min(len(annotations), MostAnnotations)], batch) {
		var all []map[string]any
		for _, a := range some {
			all = append(all, wireAnnotation(a))
		}
		if err := p.send(ctx, http.MethodPost, "/annotations", all); err != nil {
			return err
		}
	}
	return nil
}

func wireReport(r Report) map[string]any {
	result := map[bool]string{true: "PASSED", false: "FAILED"}[r.Passed]
	data := []map[string]any{}
	for _, d := range r.Data {
		data = append(data, map[string]any{"title": d.Title, "type": "NUMBER", "value": d.Value})
	}
	return map[string]any{
		"external_id": r.ID, "title": cut(r.Title, summaryRunes), "details": cut(r.Details, detailsRunes), "reporter": "bitbucket-oidc",
		"report_type": "SECURITY", "result": result, "data": data,
	}
}

func wireAnnotation(a Annotation) map[string]any {
	one := map[string]any{
		"external_id": a.ID, "annotation_type": "VULNERABILITY", "summary": cut(a.Summary, summaryRunes), "severity": a.Severity,
		"result": map[bool]string{true: "IGNORED", false: "FAILED"}[a.Ignored],
	}
	if a.Link != "" {
		one["link"] = a.Link
	}
	if a.Details != "" {
		one["details"] = cut(a.Details, detailsRunes)
	}
	if a.Path != "" {
		one["path"] = a.Path
		if a.Line > 0 {
			one["line"] = a.Line
		}
	}
	return one
}

// cut is a text of at most so many characters.
func cut(text string, most int) string {
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return text
}

// send makes one request. Bitbucket answers 204 to a DELETE also where there was no report.
func (p publisher) send(ctx context.Context, method, path string, body any) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	var content io.Reader
	if body != nil {
		content = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, p.base+path, content)
	if err != nil {
		return errors.New("the workspace, the repository or the commit is no part of a URL")
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := p.client.Do(req)
	if err != nil {
		if unreachable := transport.Unreachable(ctx, p.base, err); unreachable != nil {
			return fmt.Errorf("%s %s: %w", method, what(path), unreachable)
		}
		return fmt.Errorf("%s %s: no answer", method, what(path))
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(resp.Body) // capped by transport
	if resp.StatusCode/100 == 2 || method == http.MethodDelete && resp.StatusCode == http.StatusNotFound {
		return nil
	}
	return fmt.Errorf("%s %s: status %d%s", method, what(path), resp.StatusCode, message(answer))
}

func what(path string) string {
	if path == "" {
		return "report"
	}
	return "annotations"
}

// message is what Bitbucket says about an error, which it has in two forms. It is a public text about the request, which holds no secret.
func message(answer []byte) string {
	var said struct {
		Message string `json:"message"`
		Error   struct {
			Message string `json:"message"`
		} `json:"error"`
	}
	if json.Unmarshal(answer, &said) != nil {
		return ""
	}
	if said.Message == "" {
		said.Message = said.Error.Message
	}
	said.Message = strings.TrimFunc(said.Message, unicode.IsSpace)
	if said.Message == "" {
		return ""
	}
	const most = 300
	return ": " + cut(said.Message, most)
}
