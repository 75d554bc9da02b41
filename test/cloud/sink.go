package cloud

import (
	"bytes"
	"compress/gzip"
	"crypto/md5" //nolint:gosec // S3 wants it
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	common "go.opentelemetry.io/proto/otlp/common/v1"
	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// A Sink takes records in every form: a collector's /v1/logs, Splunk's /services/collector/event, CloudEvents and JSON Lines at
// /events, and objects of S3 below any other path.
type Sink struct {
	// Authorization is what the header must be for /services and /events.
	Authorization string

	aws *AWS

	mu      sync.Mutex
	records []json.RawMessage
	keys    []string // of objects
	seen    bytes.Buffer
}

// NewSink makes a sink whose S3 knows the sessions of an AWS.
func NewSink(aws *AWS) *Sink { return &Sink{Authorization: "Splunk " + rand.Text(), aws: aws} }

// Secrets are what only the sink and who sends to it may know.
func (s *Sink) Secrets() []Secret {
	_, token, _ := strings.Cut(s.Authorization, " ")
	return []Secret{{SinkKey, token}}
}

// Records are those that were taken, one a line.
func (s *Sink) Records() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	var lines []byte
	for _, r := range s.records {
		lines = append(append(lines, r...), '\n')
	}
	return lines
}

// CheckSeen fails if an address or a body that came, unpacked, holds a secret that a record may not hold. Headers are what keys belong
// in.
func (s *Sink) CheckSeen(secrets []Secret) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := CheckText(s.seen.String(), slices.DeleteFunc(slices.Clone(secrets), func(one Secret) bool {
		return slices.Contains(one.Kind.MayHold(), "build/records.jsonl")
	}))
	if err != nil {
		err = fmt.Errorf("records sent: %w", err)
	}
	return err
}

func (s *Sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err == nil && r.Header.Get("Content-Encoding") == "gzip" {
		var zip *gzip.Reader
		if zip, err = gzip.NewReader(bytes.NewReader(body)); err == nil {
			body, err = io.ReadAll(zip)
		}
	}
	if err != nil {
		http.Error(w, "cannot be read", http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen.WriteString(r.URL.String() + "\n")
	s.seen.Write(body)
	switch {
	case r.Method == http.MethodPut:
		s.putObject(w, r, body)
	case r.Method != http.MethodPost:
		http.Error(w, "POST", http.StatusMethodNotAllowed)
	case r.URL.Path == "/v1/logs":
		s.takeLogs(w, r, body)
	case r.Header.Get("Authorization") != s.Authorization:
		http.Error(w, `{"text":"Invalid token","code":4}`, http.StatusForbidden)
	case r.URL.Path == "/services/collector/event":
		s.takeHEC(w, body)
	case r.URL.Path == "/events":
		s.takeEvents(w, r, body)
	default:
		http.NotFound(w, r)
	}
}

// takeLogs is an OTLP receiver. [OpenTelemetry Protocol Specification, OTLP/HTTP]
func (s *Sink) takeLogs(w http.ResponseWriter, r *http.Request, body []byte) {
	var data logs.LogsData
	var err error
	contentType := r.Header.Get("Content-Type")
	switch contentType {
	case "application/x-protobuf":
		err = proto.Unmarshal(body, &data)
	case "application/json":
		err = protojson.Unmarshal(body, &data)
	default:
		http.Error(w, "415", http.StatusUnsupportedMediaType)
		return
	}
	if err != nil {
		http.Error(w, `{"code":3,"message":"cannot be decoded"}`, http.StatusBadRequest)
		return
	}
	for _, resource := range data.ResourceLogs {
		for _, scope := range resource.ScopeLogs {
			for _, record := range scope.LogRecords {
				line, _ := json.Marshal(plainValue(record.Body))
				s.records = append(s.records, line)
			}
		}
	}
	w.Header().Set("Content-Type", contentType)
	if contentType == "application/json" {
		_, _ = io.WriteString(w, `{"partialSuccess":{}}`)
	}
}

func plainValue(v *common.AnyValue) any {
	switch v := v.GetValue().(type) {
	case *common.AnyValue_KvlistValue:
		object := map[string]any{}
		for _, pair := range v.KvlistValue.Values {
			object[pair.Key] = plainValue(pair.Value)
		}
		return object
	case *common.AnyValue_ArrayValue:
		list := []any{}
		for _, item := range v.ArrayValue.Values {
			list = append(list, plainValue(item))
		}
		return list
	case *common.AnyValue_BoolValue:
		return v.BoolValue
	case *common.AnyValue_IntValue:
		return v.IntValue
	case *common.AnyValue_StringValue:
		return v.StringValue
	}
	return nil
}

// takeHEC is Splunk's HTTP Event Collector: objects one after the other. [Splunk, Format events for HTTP Event Collector]
func (s *Sink) takeHEC(w http.ResponseWriter, body []byte) {
	for dec := json.NewDecoder(bytes.NewReader(body)); ; {
		var envelope struct {
			Time  json.Number     `json:"time"`
			Event json.RawMessage `json:"event"`
		}
		err := dec.Decode(&envelope)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil || len(envelope.Event) == 0 {
			http.Error(w, `{"text":"Invalid data format","code":6}`, http.StatusBadRequest)
			return
		}
		s.records = append(s.records, envelope.Event)
	}
	_, _ = io.WriteString(w, `{"text":"Success","code":0}`)
}

// takeEvents is a receiver of CloudEvents in structured mode, single or in a batch, and of JSON Lines. [CloudEvents, HTTP Protocol
// Binding, 3.2 and 3.3]
func (s *Sink) takeEvents(w http.ResponseWriter, r *http.Request, body []byte) {
	type cloudEvent struct {
		SpecVersion, ID, Source, Type string
		Data                          json.RawMessage
	}
	var events []cloudEvent
	var err error
	switch r.Header.Get("Content-Type") {
	case "application/cloudevents+json":
		var one cloudEvent
		err = json.Unmarshal(body, &one)
		events = append(events, one)
	case "application/cloudevents-batch+json":
		err = json.Unmarshal(body, &events)
	case "application/x-ndjson":
		for _, line := range bytes.Split(bytes.TrimSpace(body), []byte("\n")) {
			s.records = append(s.records, line)
		}
	default:
		http.Error(w, "415", http.StatusUnsupportedMediaType)
		return
	}
	for _, e := range events {
		if e.SpecVersion != "1.0" || e.ID == "" || e.Source == "" || e.Type == "" {
			err = errors.New("a required attribute is missing")
		}
		s.records = append(s.records, e.Data)
	}
	if err != nil {
		http.Error(w, "400", http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusAccepted)
}

// putObject is S3's PutObject into a bucket with Object Lock. [Amazon S3 API Reference, PutObject]
func (s *Sink) putObject(w http.ResponseWriter, r *http.Request, body []byte) {
	fail := func(status int, code string) {
		w.WriteHeader(status)
		_ = xml.NewEncoder(w).Encode(struct {
			XMLName xml.Name `xml:"Error"`
			Code    string
		}{Code: code})
	}
	signature, failure := parseSignature(r)
	if failure != nil {
		fail(http.StatusForbidden, "AccessDenied")
		return
	}
	session, ok := s.aws.Session(signature.accessKeyID)
	if !ok || r.Header.Get("X-Amz-Security-Token") != session.token {
		fail(http.StatusForbidden, "InvalidAccessKeyId")
		return
	}
	if failure := signature.verify(r, body, session.secretKey, "s3", time.Now()); failure != nil {
		fail(http.StatusForbidden, "SignatureDoesNotMatch")
		return
	}
	noteCaller(r, session.Principal())
	sum, md5Sum := sha256.Sum256(body), md5.Sum(body) //nolint:gosec // see above
	locked := r.Header.Get("X-Amz-Object-Lock-Mode") != ""
	until, err := time.Parse(time.RFC3339, r.Header.Get("X-Amz-Object-Lock-Retain-Until-Date"))
	switch {
	case r.Header.Get("X-Amz-Content-Sha256") != hashHex(body):
		fail(http.StatusBadRequest, "XAmzContentSHA256Mismatch")
	case r.Header.Get("X-Amz-Checksum-Sha256") != base64.StdEncoding.EncodeToString(sum[:]):
		fail(http.StatusBadRequest, "BadDigest")
	case locked && r.Header.Get("Content-Md5") != base64.StdEncoding.EncodeToString(md5Sum[:]):
		fail(http.StatusBadRequest, "InvalidRequest")
	case locked && (err != nil || !until.After(time.Now())):
		fail(http.StatusBadRequest, "InvalidArgument")
	case r.Header.Get("If-None-Match") == "*" && slices.Contains(s.keys, r.URL.Path):
		fail(http.StatusPreconditionFailed, "PreconditionFailed")
	default:
		s.keys = append(s.keys, r.URL.Path)
		for _, line := range strings.Split(strings.TrimSpace(string(body)), "\n") {
			s.records = append(s.records, json.RawMessage(line))
		}
	}
}
