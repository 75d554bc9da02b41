package evidence

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
)

// carried are the values that a line may carry records in: those of a list, and what the envelopes of CloudEvents, of Splunk's collector
// and of OpenTelemetry hold, as this program sends them. Of another line it is the line.
func carried(data []byte) [][]byte {
	const mostCarried = maxLine / 100 // no record is as short as that
	if data[0] != '[' {
		return unwrapped(data)
	}
	list := elements(data, mostCarried)
	if len(list) == 0 {
		return [][]byte{data}
	}
	var all [][]byte
	for _, value := range list {
		all = append(all, unwrapped(value)...)
	}
	return all
}

// elements are the values of a list. There are none if it has more than most, or is not JSON.
func elements(data []byte, most int) []json.RawMessage {
	dec := json.NewDecoder(bytes.NewReader(data))
	if _, err := dec.Token(); err != nil {
		return nil
	}
	var list []json.RawMessage
	for dec.More() {
		var value json.RawMessage
		if len(list) == most || dec.Decode(&value) != nil {
			return nil
		}
		list = append(list, value)
	}
	if _, err := dec.Token(); err != nil { // the bracket that closes it
		return nil
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil
	}
	return list
}

// unwrapped are the records in an envelope, or the value itself.
func unwrapped(value json.RawMessage) [][]byte {
	var envelope struct {
		SpecVersion  string          `json:"specversion"` // of CloudEvents
		Data         json.RawMessage `json:"data"`
		SourceType   string          `json:"sourcetype"` // of Splunk
		Event        json.RawMessage `json:"event"`
		ResourceLogs []struct {      // of OpenTelemetry
			ScopeLogs []struct {
				LogRecords []struct {
					Body telemetry `json:"body"`
				} `json:"logRecords"`
			} `json:"scopeLogs"`
		} `json:"resourceLogs"`
	}
	if json.Unmarshal(value, &envelope) != nil {
		return [][]byte{value}
	}
	var all [][]byte
	for _, r := range envelope.ResourceLogs {
		for _, s := range r.ScopeLogs {
			for _, l := range s.LogRecords {
				all = append(all, l.Body.record())
			}
		}
	}
	switch {
	case len(all) > 0:
		return all
	case envelope.SpecVersion != "" && envelope.Data != nil:
		return [][]byte{envelope.Data}
	case envelope.SourceType != "" && envelope.Event != nil:
		return [][]byte{envelope.Event}
	}
	return [][]byte{value}
}

// telemetry is a value of OpenTelemetry, in the JSON of its protocol.
type telemetry struct {
	Text *string         `json:"stringValue"`
	Bool *bool           `json:"boolValue"`
	Int  json.RawMessage `json:"intValue"` // a number, or one in quotes
	List *struct {
		Values []telemetry `json:"values"`
	} `json:"arrayValue"`
	Members *struct {
		Values []struct {
			Key   string    `json:"key"`
			Value telemetry `json:"value"`
		} `json:"values"`
	} `json:"kvlistValue"`
}

// record is the record that a body holds as a tree, or as a text.
func (t telemetry) record() []byte {
	if t.Text != nil {
		return []byte(*t.Text)
	}
	data, err := json.Marshal(t.plain())
	if err != nil { // a number that is none
		return nil
	}
	return data
}

func (t telemetry) plain() any {
	switch {
	case t.Text != nil:
		return *t.Text
	case t.Bool != nil:
		return *t.Bool
	case t.Int != nil:
		return json.Number(strings.Trim(string(t.Int), `"`))
	case t.List != nil:
		all := []any{}
		for _, v := range t.List.Values {
			all = append(all, v.plain())
		}
		return all
	case t.Members != nil:
		all := map[string]any{}
		for _, m := range t.Members.Values {
			all[m.Key] = m.Value.plain()
		}
		return all
	}
	return nil
}
