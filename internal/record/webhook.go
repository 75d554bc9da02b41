package record

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"bitbucket-oidc/internal/hint"
	"bitbucket-oidc/internal/secret"
	"bitbucket-oidc/internal/transport"
)

// Webhook takes all records of a command by one POST.
type Webhook struct {
	URL           string
	Format        string      // cloudevents, splunk or ocsf
	Authorization secret.Text // of the header; empty for none
}

func (w *Webhook) take(ctx context.Context, b batch) error {
	var body []byte
	contentType := "application/x-ndjson"
	switch w.Format {
	case "splunk":
		body, contentType = b.splunk(), "application/json"
	case "cloudevents":
		body, contentType = b.cloudEvents()
	default:
		body = b.lines()
	}
	header := http.Header{"Content-Type": {contentType}}
	if token := w.Authorization.Reveal(); token != "" {
		header.Set("Authorization", token)
	}
	client := transport.New(transport.Config{Trace: b.trace})
	status, answer, err := send(ctx, client, http.MethodPost, w.URL, header, body)
	if err != nil {
		return err
	}
	if err := refusedBy(w.URL, status, answer, "RECORD_URL and RECORD_AUTHORIZATION"); err != nil {
		return err
	}
	// HEC says so in the body as well; without it something else has answered.
	var said struct {
		Code *int `json:"code"`
	}
	if w.Format == "splunk" && (json.Unmarshal(answer, &said) != nil || said.Code == nil || *said.Code != 0) {
		return hint.New(hostOf(w.URL)+": the answer is not the Success of an HTTP Event Collector",
			"look at RECORD_URL: it ends in /services/collector/event")
	}
	return nil
}

// A cloudEvent is an envelope of CloudEvents 1.0 (https://github.com/cloudevents/spec, JSON event format).
type cloudEvent struct {
	SpecVersion     string `json:"specversion"`
	ID              string `json:"id"`
	Source          string `json:"source"`
	Type            string `json:"type"`
	Subject         string `json:"subject,omitempty"`
	Time            string `json:"time"`
	DataContentType string `json:"datacontenttype"`
	DataSchema      string `json:"dataschema"`
	Data            Event  `json:"data"`
}

// cloudEvents is one event in structured mode, or a batch of several.
func (b batch) cloudEvents() (body []byte, contentType string) {
	source := "https://bitbucket.org/"
	if u, err := url.Parse(source + b.facts.Step.Repository); err == nil {
		source = u.String() // a URI reference
	}
	var all []cloudEvent
	for _, e := range b.events {
		all = append(all, cloudEvent{
			SpecVersion: "1.0", ID: e.Metadata.UID, Source: source, Type: "org.bitbucket-oidc.audit.v1", Subject: e.User.UID,
			Time: time.UnixMilli(e.Time).UTC().Format("2006-01-02T15:04:05.000Z"), DataContentType: "application/json",
			DataSchema: "https://schema.ocsf.io/" + schemaVersion + "/classes/authentication", Data: e,
		})
	}
	if len(all) == 1 {
		body, _ = json.Marshal(all[0]) // cannot fail, like Line
		return body, "application/cloudevents+json"
	}
	body, _ = json.Marshal(all)
	return body, "application/cloudevents-batch+json"
}

// splunk is what Splunk's HTTP Event Collector takes: objects one after the other, without a list around them.
func (b batch) splunk() []byte {
	var body bytes.Buffer
	for _, e := range b.events {
		one, _ := json.Marshal(struct {
			Time       json.Number `json:"time"` // seconds
			Host       string      `json:"host"`
			Source     string      `json:"source"`
			SourceType string      `json:"sourcetype"`
			Event      Event       `json:"event"`
		}{json.Number(fmt.Sprintf("%d.%03d", e.Time/1000, e.Time%1000)), "bitbucket-pipelines", programName, "ocsf:json", e})
		body.Write(append(one, '\n'))
	}
	return body.Bytes()
}

// send makes one request. The transport has read and capped the answer.
func send(ctx context.Context, client *http.Client, method, address string, header http.Header, body []byte) (int, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return 0, nil, hint.New("the address cannot be used", "look at the address")
	}
	req.Header = header
	req.Header.Set("User-Agent", programName)
	return do(ctx, client, req)
}

func do(ctx context.Context, client *http.Client, req *http.Request) (int, []byte, error) {
	resp, err := client.Do(req)
	if err != nil {
		return 0, nil, unreachable(ctx, req.URL.String(), err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, nil, unreachable(ctx, req.URL.String(), err)
	}
	return resp.StatusCode, answer, nil
}

// refusedBy is the error of a status other than success, and of a success that is a page for people: a proxy or a page to sign in on
// has answered in place of the service, and nothing was recorded.
func refusedBy(address string, status int, answer []byte, variables string) error {
	if status >= 200 && status < 300 {
		if strings.HasPrefix(http.DetectContentType(answer), "text/html") {
			return hint.New(hostOf(address)+": the answer is a page of HTML", "look at "+variables+" and at the proxy: something else answers there")
		}
		return nil
	}
	return hint.New(fmt.Sprintf("%s: status %d", hostOf(address), status), "look at "+variables+" and at the log of that service")
}

func hostOf(address string) string {
	if u, err := url.Parse(address); err == nil && u.Host != "" {
		return u.Host
	}
	return "the address"
}
