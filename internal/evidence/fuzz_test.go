package evidence

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"
)

// FuzzLine: whatever stands in a line, the fast decoder reads what the standard library's reads, and neither panics.
func FuzzLine(f *testing.F) {
	f.Add([]byte(record("a", 1, 1, `,"unmapped":{"guard.x":"fail","token.branch":"\u00e9\\\"\n"},"policy":{"name":"p","is_applied":true}`)))
	f.Add([]byte(`{"class_uid":3002,"time":1e3,"metadata":{"uid":"\ud800"},"metadata":null}`))
	f.Add([]byte("{\"class_uid\":3002,\"x\":[[{}]],\"user\":{\"name\":\"\xff\"}}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var want line
		wrong := json.Unmarshal(data, &want) != nil || want.ClassUID != 3002 || want.Metadata.UID == "" || want.Time <= 0
		var got line
		is := got.read(data, bytes.Count(data, []byte{'{'})+bytes.Count(data, []byte{'['})) == nil && got.isRecord()
		if !want.ours() {
			wrong = true
		}
		if is == wrong {
			t.Fatalf("%q: a record: %t, as the standard library has it: %t", data, is, !wrong)
		}
		var nested line
		if nested.parse(data) {
			_ = nested.row(nil)
		}
		if is {
			_ = got.row(nil)
			if len(want.Unmapped) == 0 {
				got.Unmapped, want.Unmapped = nil, nil
			}
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("%q:\n%+v\n%+v", data, got, want)
			}
		}
	})
}
