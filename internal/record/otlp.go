package record

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"bitbucket-oidc/internal/hint"
	"bitbucket-oidc/internal/secret"
	"bitbucket-oidc/internal/transport"

	common "go.opentelemetry.io/proto/otlp/common/v1"
	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// OTLP is an OpenTelemetry collector, asked over HTTP.
//
// Source: OpenTelemetry Protocol Specification, OTLP/HTTP, and OpenTelemetry Protocol Exporter for the variables.
type OTLP struct {
	URL     string // of the logs, /v1/logs included
	JSON    bool   // http/json in place of http/protobuf
	Gzip    bool
	Headers []Header

	// ServiceName is bitbucket-oidc if it is empty. Attributes are added to the resource.
	ServiceName string
	Attributes  map[string]string

	Client transport.Config
}

// A Header of a request.
type Header struct {
	Name  string
	Value secret.Text
}

func (o *OTLP) take(ctx context.Context, b batch) error {
	body, contentType, err := o.encode(o.export(b))
	if err != nil {
		return err
	}
	header := http.Header{}
	for _, h := range o.Headers {
		header.Set(h.Name, h.Value.Reveal())
	}
	header.Set("Content-Type", contentType)
	if o.Gzip {
		header.Set("Content-Encoding", "gzip")
	}
	config := o.Client
	config.Trace = b.trace
	status, answer, err := send(ctx, transport.New(config), http.MethodPost, o.URL, header, body)
	if err == nil {
		err = refusedBy(o.URL, status, answer, "RECORD_OTLP and OTEL_EXPORTER_OTLP_…")
	}
	if err != nil {
		return err
	}
	rejected, ok := rejectedIn(answer, contentType)
	switch {
	case !ok:
		return hint.New(hostOf(o.URL)+": the answer is not a collector's", "look at RECORD_OTLP: something other than a collector answers there")
	case rejected != 0: // less than none is no number that a collector means
		return hint.New(fmt.Sprintf("%s: rejected %d of %d records", hostOf(o.URL), rejected, len(b.events)), "look at the collector's log")
	}
	return nil
}

// export is what goes to the collector. It is the same on the wire as an ExportLogsServiceRequest, whose package would link gRPC.
func (o *OTLP) export(b batch) *logs.LogsData {
	f := b.facts
	branch, kind := f.Step.Branch, "branch"
	if branch == "" {
		branch, kind = f.Step.Tag, "tag"
	}
	owner, name, _ := strings.Cut(f.Step.Repository, "/")
	address := ""
	if name != "" {
		address = "https://bitbucket.org/" + f.Step.Repository
	} else {
		kind = ""
	}
	if branch == "" {
		kind = ""
	}
	run := ""
	if address != "" && f.Step.BuildNumber != "" {
		run = address + "/pipelines/results/" + f.Step.BuildNumber
	}
	attributes := map[string]string{ // names of OpenTelemetry's semantic conventions
		"service.name":                programName,
		"service.version":             f.Version,
		"vcs.provider.name":           "bitbucket",
		"vcs.owner.name":              owner,
		"vcs.repository.name":         name,
		"vcs.repository.url.full":     address,
		"vcs.ref.head.name":           branch,
		"vcs.ref.head.type":           kind,
		"vcs.ref.head.revision":       f.Step.Commit,
		"cicd.pipeline.run.id":        cmp.Or(f.Token.Claims.PipelineUUID, f.Step.PipelineUUID),
		"cicd.pipeline.run.url.full":  run,
		"cicd.pipeline.task.run.id":   f.stepUUID(),
		"deployment.environment.name": f.Step.Environment,
	}
	maps.Copy(attributes, o.Attributes)
	attributes["service.name"] = cmp.Or(o.ServiceName, attributes["service.name"]) // the variable of its own wins
	var records []*logs.LogRecord
	for _, e := range b.events {
		records = append(records, logRecord(e))
	}
	return &logs.LogsData{ResourceLogs: []*logs.ResourceLogs{{
		Resource: &resource.Resource{Attributes: texts(attributes)},
		ScopeLogs: []*logs.ScopeLogs{{
			Scope:      &common.InstrumentationScope{Name: programName, Version: f.Version},
			LogRecords: records,
		}},
	}}}
}

func logRecord(e Event) *logs.LogRecord {
	// The log data model's numbers for OCSF's severities.
	severity := map[int]logs.SeverityNumber{
		1: logs.SeverityNumber_SEVERITY_NUMBER_INFO,
		3: logs.SeverityNumber_SEVERITY_NUMBER_WARN,
		4: logs.SeverityNumber_SEVERITY_NUMBER_ERROR,
	}[e.SeverityID]
	attributes := texts(map[string]string{
		"log.record.uid": e.Metadata.UID, "ocsf.status": e.Status, "error.type": e.StatusCode,
	})
	attributes = append(attributes, &common.KeyValue{
		Key: "ocsf.class_uid", Value: &common.AnyValue{Value: &common.AnyValue_IntValue{IntValue: class}},
	})
	return &logs.LogRecord{
		TimeUnixNano:         uint64(e.Time) * uint64(time.Millisecond),
		ObservedTimeUnixNano: uint64(e.Metadata.LoggedTime) * uint64(time.Millisecond),
		SeverityNumber:       severity,
		SeverityText:         e.Severity,
		EventName:            "bitbucket_oidc." + e.Metadata.EventCode,
		Body:                 tree(e),
		Attributes:           attributes,
	}
}

// texts are the pairs that have a value, in the order of their names.
func texts(pairs map[string]string) []*common.KeyValue {
	var list []*common.KeyValue
	for _, key := range slices.Sorted(maps.Keys(pairs)) {
		if value := pairs[key]; value != "" {
			list = append(list, &common.KeyValue{Key: key, Value: text(value)})
		}
	}
	return list
}

func text(s string) *common.AnyValue {
	return &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: strings.ToValidUTF8(s, "\ufffd")}}
}

// tree is an event as lists of pairs, so that a collector's processors see its fields and not a text.
func tree(e Event) *common.AnyValue {
	dec := json.NewDecoder(bytes.NewReader(e.Line()))
	dec.UseNumber()
	var value any
	_ = dec.Decode(&value) // what Line has written
	return anyValue(value)
}

func anyValue(value any) *common.AnyValue {
	switch v := value.(type) {
	case map[string]any:
		list := &common.KeyValueList{}
		for _, key := range slices.Sorted(maps.Keys(v)) {
			list.Values = append(list.Values, &common.KeyValue{Key: key, Value: anyValue(v[key])})
		}
		return &common.AnyValue{Value: &common.AnyValue_KvlistValue{KvlistValue: list}}
	case []any:
		list := &common.ArrayValue{}
		for _, item := range v {
			list.Values = append(list.Values, anyValue(item))
		}
		return &common.AnyValue{Value: &common.AnyValue_ArrayValue{ArrayValue: list}}
	case bool:
		return &common.AnyValue{Value: &common.AnyValue_BoolValue{BoolValue: v}}
	case json.Number:
		n, _ := v.Int64() // all numbers of a record are whole
		return &common.AnyValue{Value: &common.AnyValue_IntValue{IntValue: n}}
	}
	s, _ := value.(string)
	return text(s)
}

func (o *OTLP) encode(data *logs.LogsData) (body []byte, contentType string, err error) {
	contentType = "application/x-protobuf"
	if o.JSON {
		contentType = "application/json"
		// Numbers for enumerations, as OTLP/JSON has them. A trace's or span's id would need more: records have none.
		body, err = protojson.MarshalOptions{UseEnumNumbers: true}.Marshal(data)
	} else {
		body, err = proto.Marshal(data)
	}
	if err != nil {
		return nil, "", hint.New("the records cannot be encoded", "report this as a bug")
	}
	if !o.Gzip {
		return body, contentType, nil
	}
	var small bytes.Buffer
	zip := gzip.NewWriter(&small)
	_, _ = zip.Write(body) // into memory
	_ = zip.Close()
	return small.Bytes(), contentType, nil
}

// rejectedIn is the number of rejected records in an ExportLogsServiceResponse, and whether the answer is one. The number is field 1,
// rejected_log_records, of field 1, partial_success.
func rejectedIn(answer []byte, contentType string) (int64, bool) {
	if contentType == "application/json" {
		var said struct {
			PartialSuccess struct {
				Rejected json.Number `json:"rejectedLogRecords"` // int64 is a text in protobuf's JSON
			} `json:"partialSuccess"`
		}
		if len(bytes.TrimSpace(answer)) == 0 {
			return 0, true
		}
		if err := json.Unmarshal(answer, &said); err != nil || said.PartialSuccess.Rejected == "" {
			return 0, err == nil
		}
		n, err := said.PartialSuccess.Rejected.Int64()
		return n, err == nil
	}
	partial, ok := field1(answer, protowire.BytesType)
	if !ok || partial == nil {
		return 0, ok
	}
	value, ok := field1(partial, protowire.VarintType)
	if !ok || value == nil {
		return 0, ok
	}
	n, _ := protowire.ConsumeVarint(value)
	return int64(n), true //nolint:gosec // what does not fit is not none either
}

// field1 finds field 1 of a message, or nil, and reports whether the message is one.
func field1(message []byte, kind protowire.Type) (found []byte, ok bool) {
	for len(message) > 0 {
		number, wireType, n := protowire.ConsumeTag(message)
		if n < 0 {
			return nil, false
		}
		message = message[n:]
		size := protowire.ConsumeFieldValue(number, wireType, message)
		if size < 0 {
			return nil, false
		}
		if number == 1 && wireType == kind {
			found = message[:size]
			if kind == protowire.BytesType {
				found, _ = protowire.ConsumeBytes(message)
			}
		}
		message = message[size:]
	}
	return found, true
}
