package evidence

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// A record is the same in every form of delivery.
func TestCarriers(t *testing.T) {
	a, b := record("a", 1, 1, ""), record("b", 2, 1, "")
	cloudEvent := func(data string) string {
		return `{"specversion":"1.0","id":"x","type":"org.bitbucket-oidc.audit.v1","data":` + data + `}`
	}
	collector := func(event string) string {
		return `{"time":1793527200.000,"source":"bitbucket-oidc","sourcetype":"ocsf:json","event":` + event + `}`
	}
	tests := []struct {
		name, text string
		want       string // population, and rows in, malformed
	}{
		{"lines", a + "\n" + b + "\n", "a b 2 0"},
		{"a byte order mark, line ends of Windows, no last one", "\ufeff" + a + "\r\n\r\n" + b, "a b 2 0"},
		{"CloudEvents", cloudEvent(a) + "\n" + cloudEvent(b), "a b 2 0"},
		{"a batch of CloudEvents", "[" + cloudEvent(a) + "," + cloudEvent(b) + "]", "a b 2 0"},
		{"what Splunk's collector takes", collector(a) + "\n" + collector(b), "a b 2 0"},
		{"what a collector of OpenTelemetry stores", telemetryOf(t, a, b) + "\n" + telemetryOf(t, record("c", 3, 1, "")), "a b c 3 0"},
		{"a body of OpenTelemetry that is a text", `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":` + quoted(t, a) + `}}]}]}]}`, "a 1 0"},
		{"OpenTelemetry of something else", `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"intValue":"x"}},{}]}]}]}`, " 2 2"},
		{"a list", "[" + a + "," + b + "]", "a b 2 0"},
		{"a list with something else in it", "[" + a + `,{"class_uid":4001},` + b + "]", "a b 3 1"},
		{"an empty list, and a torn one", "[]\n[" + a + "\n" + b, "b 3 2"},
		{"an envelope of something else", cloudEvent(`{"class_uid":4001}`) + "\n" + cloudEvent("null") + "\n" + `{"event":` + a + "}\n" + b, "b 4 3"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, summary := pack(t, Config{}, tt.text)
			read := column(table(t, got["population.csv"]), 0)
			in := strings.SplitN(strings.SplitN(got["ipe.json"], `"rows_in": `, 2)[1], ",", 2)[0]
			if got := fmt.Sprint(read, " ", in, " ", summary.Malformed); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func quoted(t *testing.T, text string) string {
	t.Helper()
	data, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// telemetryOf are records as the bodies of OpenTelemetry's log records, in the JSON of its protocol.
func telemetryOf(t *testing.T, records ...string) string {
	t.Helper()
	var value func(v any) string
	value = func(v any) string {
		switch v := v.(type) {
		case string:
			return `{"stringValue":` + quoted(t, v) + `}`
		case json.Number:
			return `{"intValue":"` + v.String() + `"}`
		}
		var members []string
		for name, v := range v.(map[string]any) {
			members = append(members, `{"key":`+quoted(t, name)+`,"value":`+value(v)+`}`)
		}
		return `{"kvlistValue":{"values":[` + strings.Join(members, ",") + `]}}`
	}
	var all []string
	for _, text := range records {
		dec := json.NewDecoder(strings.NewReader(text))
		dec.UseNumber()
		var record any
		if err := dec.Decode(&record); err != nil {
			t.Fatal(err)
		}
		all = append(all, `{"timeUnixNano":"1","body":`+value(record)+`}`)
	}
	return `{"resourceLogs":[{"resource":{},"scopeLogs":[{"scope":{},"logRecords":[` + strings.Join(all, ",") + `]}]}]}`
}

// november is a package of these files.
func november(t *testing.T, out string, c Config) error {
	t.Helper()
	c.From, c.To = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)
	c.Out = out
	_, err := Write(t.Context(), c)
	return err
}

func TestNamesOfFiles(t *testing.T) {
	tests := []struct{ name, given, want string }{
		{"one", "records.jsonl", "records.jsonl"},
		{"one elsewhere", "/var/log/../records.jsonl", "records.jsonl"},
		{"one above", "../../records.jsonl", "records.jsonl"},
		{"in the order of their names", "b.jsonl ./a.jsonl", "a.jsonl b.jsonl"},
		{"of two folders", "in/b/1.jsonl in/a/1.jsonl", "a/1.jsonl b/1.jsonl"},
		{"of two folders elsewhere", "/in/b/1.jsonl /in/a/1.jsonl", "a/1.jsonl b/1.jsonl"},
		{"of folders whose names begin alike", "in/ab/1.jsonl in/a/1.jsonl", "a/1.jsonl ab/1.jsonl"},
		{"with nothing in common", "/in/1.jsonl /other/1.jsonl", "/in/1.jsonl /other/1.jsonl"},
		{"here and elsewhere", "1.jsonl /in/1.jsonl", "/in/1.jsonl 1.jsonl"},
		{"standard input", "- in/1.jsonl", "- in/1.jsonl"},
		{"twice", "a a", "a a"},
		{"none", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, f := range named(strings.Fields(tt.given)) {
				got = append(got, f.shown)
			}
			if got := strings.Join(got, " "); got != tt.want {
				t.Errorf("called %s, want %s", got, tt.want)
			}
		})
	}
}

// The order and the place of the files make no difference, also if two copies of a record differ.
func TestOrderOfFiles(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, text := range map[string]string{
		"a.jsonl": record("a", 1, 1, "") + "\n" + record("c", 3, 1, ""),
		"b.jsonl": record("b", 2, 1, "") + "\n" + strings.Replace(record("c", 3, 1, ""), "Success", "Other", 1),
		"1.json":  exchange("1", "10:00:00", "x", ""), "2.json": exchange("2", "09:00:00", "y", ""),
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := november(t, "one", Config{Records: []string{"a.jsonl", "b.jsonl"}, CloudTrail: []string{"1.json", "2.json"}, Sample: 2}); err != nil {
		t.Fatal(err)
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	moved := Config{Records: []string{filepath.Join(here, "b.jsonl"), filepath.Join(here, "a.jsonl")}, CloudTrail: []string{"./2.json", "1.json"}, Sample: 2}
	if err := november(t, "two", moved); err != nil {
		t.Fatal(err)
	}
	for _, name := range files() {
		one, err := os.ReadFile(filepath.Join("one", name))
		if err != nil {
			t.Fatal(err)
		}
		if two, err := os.ReadFile(filepath.Join("two", name)); err != nil || !bytes.Equal(one, two) {
			t.Errorf("%s differs (%v)", name, err)
		}
	}
}

// An auditor with the population, the seed and sha256sum draws the same samples.
func TestDraw(t *testing.T) {
	var lines, ids []string
	for i := range 300 {
		ids = append(ids, fmt.Sprint("uid-", i))
		lines = append(lines, record(ids[i], 1+i%28, 1, ""))
	}
	slices.SortFunc(ids, func(a, b string) int {
		x, y := sha256.Sum256([]byte("2026/Q4"+a)), sha256.Sum256([]byte("2026/Q4"+b))
		return strings.Compare(hex.EncodeToString(x[:]), hex.EncodeToString(y[:]))
	})
	got, _ := pack(t, Config{Sample: 12, Seed: "2026/Q4"}, lines...)
	if got, want := column(table(t, got["samples.csv"]), 0), strings.Join(ids[:12], " "); got != want {
		t.Errorf("drew %s, want %s", got, want)
	}
}

// Standard input is one source more.
func TestStandardInput(t *testing.T) {
	t.Chdir(t.TempDir())
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := w.Write([]byte(record("a", 1, 1, "") + "\n")); err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	if err := november(t, "out", Config{Records: []string{"-"}, Stdin: &packed}); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile("out/ipe.json"); err != nil || !strings.Contains(string(text), `"path": "-"`) || !strings.Contains(string(text), `"rows_out": 1`) {
		t.Errorf("%s, %v", text, err)
	}
}

// Everything that is missing is named at once, and nothing is left behind.
func TestMissingInputs(t *testing.T) {
	t.Chdir(t.TempDir())
	err := november(t, "out", Config{Records: []string{"one", "two"}, CloudTrail: []string{"three"}})
	for _, name := range []string{"one", "two", "three"} {
		if err == nil || !strings.Contains(err.Error(), name+": cannot be read: no such file") {
			t.Errorf("%s is not named in %v", name, err)
		}
	}
	if _, err := os.Stat("out"); err == nil {
		t.Error("the folder is there")
	}
}

// A gap belongs to the period if a record of its command does.
func TestGapsOfThePeriod(t *testing.T) {
	at := func(uid string, moment time.Time, step string, sequence int) string {
		return fmt.Sprintf(`{"class_uid":3002,"activity_id":1,"time":%d,"status_id":1,"metadata":{"uid":%q,"correlation_uid":%q,"sequence":%d}}`,
			moment.UnixMilli(), uid, step, sequence)
	}
	first := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	got, summary := pack(t, Config{},
		at("a1", first.Add(-time.Millisecond), "a", 1), at("a3", first, "a", 3), // begins before the period, lacks 2
		at("b1", first.Add(-time.Hour), "b", 1), at("b3", first.Add(-time.Hour), "b", 3), // before it
		at("d", first, "d", 1<<32+3),                                            // no number of any command
		at("c2", first.Add(-time.Millisecond), "c", 1), at("c1", first, "c", 2), // whole
	)
	if summary.Gaps != 1 || !strings.Contains(got["ipe.json"], `"correlation_uid": "a"`) {
		t.Errorf("%+v %s", summary, got["ipe.json"])
	}
}

// Collectors make objects of names with dots, and numbers of texts.
func TestNestedRecord(t *testing.T) {
	const flat = `"requested.duration":"900","guard.main-only":"fail","aws.chain":"","bitbucket.branch":"main"`
	const nested = `"requested":{"duration":900},"guard":{"main-only":"fail"},"aws":null,"bitbucket":{"branch":"main"}`
	one, _ := pack(t, Config{}, record("a", 1, 1, `,"unmapped":{`+flat+`}`))
	two, _ := pack(t, Config{}, record("a", 1, 1, `,"unmapped":{`+nested+`}`))
	if one["population.csv"] != two["population.csv"] || one["exceptions.csv"] != two["exceptions.csv"] {
		t.Errorf("got\n%s, want\n%s", two["population.csv"], one["population.csv"])
	}
	_, summary := pack(t, Config{}, record("a", 1, 1, `,"unmapped":{`+flat+`}`), " "+record("a", 1, 1, `,"unmapped":{`+nested+`},"message":"x"`))
	if summary.Rows != 1 || summary.Exceptions != 1 { // the guardrail
		t.Errorf("%+v: copies that say the same do not conflict", summary)
	}
	if _, summary := pack(t, Config{}, record("a", 1, 1, `,"unmapped":{"a":1}`)+"{}", record("b", 1, 1, `,"unmapped":[1]`)); summary.Malformed != 2 {
		t.Errorf("%+v: neither is a record", summary)
	}
}

// Other programs write the class too. What does not say whose it is, counts.
func TestWhoseRecords(t *testing.T) {
	tests := []struct {
		name, metadata string
		ours           bool
	}{
		{"by the product's id", `"product":{"uid":"bitbucket-oidc","name":"Sign-in"}`, true},
		{"by the product's name", `"product":{"uid":"7f1c","name":"bitbucket-oidc"}`, true},
		{"by the log's name", `"log_name":"bitbucket-oidc.audit","product":{"name":"Pipelines"}`, true},
		{"of nobody", `"version":"1.6.0"`, true},
		{"of another product", `"product":{"uid":"okta","name":"Okta"}`, false},
		{"of another log", `"log_name":"auth.log"`, false},
		{"of another product without an id", `"product":{"name":"Okta"}`, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, summary := pack(t, Config{}, `{"class_uid":3002,"activity_id":1,"time":1793700000000,"status_id":1,"metadata":{"uid":"a",`+tt.metadata+`}}`)
			if got := summary.Rows == 1; got != tt.ours {
				t.Errorf("ours: %t, want %t", got, tt.ours)
			}
		})
	}
}

// A logout counts its records by itself, though nothing but the activity says that it is one.
func TestGapsOfLogout(t *testing.T) {
	var lines []string
	for _, r := range [][2]int{{1, 1}, {1, 3}, {2, 1}, {2, 2}} {
		lines = append(lines, fmt.Sprintf(`{"class_uid":3002,"activity_id":%d,"time":1793700000000,"status_id":1,`+
			`"metadata":{"uid":"%d-%d","correlation_uid":"s","sequence":%d}}`, r[0], r[0], r[1], r[1]))
	}
	if _, summary := pack(t, Config{}, lines...); summary.Gaps != 1 {
		t.Errorf("%d gaps, want 1", summary.Gaps)
	}
}

// Records of one moment are in the order of their numbers.
func TestOrderOfAMoment(t *testing.T) {
	var lines []string
	for _, n := range []int{4, 2, 5, 1, 3} {
		lines = append(lines, record(fmt.Sprint(n), 1, n, ""))
	}
	got, _ := pack(t, Config{}, lines...)
	if got := column(table(t, got["population.csv"]), 0); got != "1 2 3 4 5" {
		t.Errorf("population %s", got)
	}
}
