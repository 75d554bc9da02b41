package evidence

import (
	"bufio"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// record is a line as package record writes it, as far as this package looks at it.
func record(uid string, day, sequence int, more string) string {
	at := time.Date(2026, 11, day, 10, 0, 0, 0, time.UTC).UnixMilli()
	return fmt.Sprintf(`{"class_uid":3002,"activity_id":1,"activity_name":"Logon","time":%d,"status_id":1,"status":"Success",`+
		`"metadata":{"uid":%q,"event_code":"aws.login.granted","correlation_uid":"{step %d}","sequence":%d,"product":{"feature":{"name":"login"}}}%s}`,
		at, uid, day, sequence, more)
}

func pack(t *testing.T, c Config, lines ...string) (map[string]string, Summary) {
	t.Helper()
	dir := t.TempDir()
	name := filepath.Join(dir, "records.jsonl")
	if err := os.WriteFile(name, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.Records, c.Out = []string{name}, filepath.Join(dir, "out")
	if c.From.IsZero() {
		c.From, c.To = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)
	}
	if c.Sample == 0 {
		c.Sample = 2
	}
	summary, err := Write(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	entries, err := os.ReadDir(c.Out)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(c.Out, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all[e.Name()] = strings.ReplaceAll(string(data), dir, "DIR")
	}
	return all, summary
}

func table(t *testing.T, text string) [][]string {
	t.Helper()
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return rows[1:]
}

func column(rows [][]string, n int) string {
	var all []string
	for _, row := range rows {
		all = append(all, row[n])
	}
	return strings.Join(all, " ")
}

func TestPackage(t *testing.T) {
	refusal := strings.NewReplacer(`"status_id":1`, `"status_id":2`, "granted", "refused").Replace(record("c", 3, 3, ""))
	got, summary := pack(t, Config{},
		record("b", 2, 1, ""), record("a", 1, 1, ""), record("a", 1, 1, ""), record("d", 4, 1, ""), "not JSON", "", `{"class_uid":4001}`, refusal,
		record("c1", 3, 1, ""), strings.Replace(record("d", 4, 1, ""), "Success", "Other", 1),
		strings.Replace(record("old", 5, 1, ""), "1793872800000", "1000", 1),
	)
	if got := column(table(t, got["population.csv"]), 0); got != "a b c1 c d" && got != "a b c c1 d" {
		t.Errorf("population %s", got)
	}
	exceptions := table(t, got["exceptions.csv"])
	if got := column(exceptions, 0) + " " + column(exceptions, 1); got != "c d refused conflicting-copies" {
		t.Errorf("exceptions %s", got)
	}
	var ipe ipe
	if err := json.Unmarshal([]byte(got["ipe.json"]), &ipe); err != nil {
		t.Fatal(err)
	}
	counts := []int{ipe.RowsIn, ipe.RowsOut, ipe.Duplicates, ipe.Malformed, ipe.Outside}
	if fmt.Sprint(counts) != "[10 5 2 2 1]" || ipe.RowsIn != ipe.RowsOut+ipe.Duplicates+ipe.Malformed+ipe.Outside {
		t.Errorf("counts %v", counts)
	}
	if len(ipe.Gaps) != 1 || ipe.Gaps[0].Step != "{step 3}" || fmt.Sprint(ipe.Gaps[0].Missing) != "[2]" {
		t.Errorf("gaps %v", ipe.Gaps)
	}
	if summary != (Summary{Rows: 5, Exceptions: 2, Malformed: 2, Outside: 1, Gaps: 1}) {
		t.Errorf("summary %+v", summary)
	}
	for row := range strings.Lines(got[manifest]) {
		digest, name, _ := strings.Cut(strings.TrimSpace(row), "  ")
		if name == "ipe.json" || name == "report.html" || name == "oscal.json" {
			continue // hold the path, which the test has replaced
		}
		sum := sha256.Sum256([]byte(got[name]))
		if hex.EncodeToString(sum[:]) != digest {
			t.Errorf("%s is not what the manifest says", name)
		}
	}
	if strings.Count(got[manifest], "\n") != len(files())-1 {
		t.Errorf("manifest %s", got[manifest])
	}
}

func TestSameBytes(t *testing.T) {
	var lines []string
	for i := range 2000 {
		lines = append(lines, record(fmt.Sprint("uid ", i), 1+i%28, 1, ""))
	}
	first, _ := pack(t, Config{Sample: 25, Seed: "audit"}, lines...)
	second, _ := pack(t, Config{Sample: 25, Seed: "audit"}, lines...)
	for _, name := range files() {
		if name != "ipe.json" && name != manifest && name != "oscal.json" && first[name] != second[name] {
			t.Errorf("%s differs", name)
		}
	}
	other, _ := pack(t, Config{Sample: 25, Seed: "another"}, lines...)
	if first["samples.csv"] == other["samples.csv"] || len(table(t, first["samples.csv"])) != 25 {
		t.Error("the seed does not count")
	}
}

func TestHostileCells(t *testing.T) {
	got, _ := pack(t, Config{},
		record(`=cmd|'/c calc'!A1`, 1, 1, `,"user":{"name":"\u0009@SUM(1)","uid":"+1"},"status_detail":"<script>alert(1)</script>\n\u202ex"`))
	row := table(t, got["population.csv"])[0]
	for _, cell := range row {
		if strings.ContainsAny(cell[:min(1, len(cell))], "=+-@\t\r") || strings.ContainsAny(cell, "\n\u202e") {
			t.Errorf("cell %q", cell)
		}
	}
	if row[0] != `'=cmd|'/c calc'!A1` {
		t.Errorf("the id is %q", row[0])
	}
	if strings.Contains(got["report.html"], "<script") {
		t.Error("the page runs what a record says")
	}
}

func TestCloudTrail(t *testing.T) {
	dir := t.TempDir()
	trail := filepath.Join(dir, "trail.json")
	event := func(request, key, arn, provider string) string {
		return fmt.Sprintf(`{"eventTime":"2026-11-03T10:00:00Z","eventName":"AssumeRoleWithWebIdentity","eventSource":"sts.amazonaws.com","requestID":%q,
			"userIdentity":{"identityProvider":%q,"userName":"{r}:{s}"},"responseElements":{"credentials":{"accessKeyId":%q},"assumedRoleUser":{"arn":%q}}}`,
			request, provider, key, arn)
	}
	const ours = "arn:aws:iam::1:oidc-provider/api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc"
	text := `{"Records":[` + strings.Join([]string{
		event("r1", "", "", ours), event("", "ASIA2", "", ours), event("", "", "arn:3", ours), event("r9", "", "", ours),
		event("r8", "", "", "arn:aws:iam::1:oidc-provider/token.actions.githubusercontent.com"), `{"eventName":"ConsoleLogin"}`,
	}, ",") + `]}`
	if err := os.WriteFile(trail, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	aws := func(more string) string { return `,"cloud":{"provider":"AWS"},` + more }
	got, _ := pack(t, Config{CloudTrail: []string{trail}},
		record("by request", 3, 1, aws(`"api":{"request":{"uid":"r1"}}`)),
		record("by key", 3, 2, aws(`"session":{"credential_uid":"ASIA2"}`)),
		record("by session", 3, 3, aws(`"session":{"uid":"arn:3"}`)),
		record("unknown", 3, 4, aws(`"api":{"request":{"uid":"r7"}},"session":{"uid":"arn:3"}`)),
		record("elsewhere", 3, 5, `,"cloud":{"provider":"GCP"},"api":{"request":{"uid":"r7"}}`),
	)
	rows := table(t, got["exceptions.csv"])
	if got := column(rows, 0) + "|" + column(rows, 1); got != "unknown |not-in-cloudtrail only-in-cloudtrail" {
		t.Errorf("exceptions %s", got)
	}
	if !strings.Contains(got["ipe.json"], `"lines": 6,
      "first": "2026-11-03T10:00:00.000Z",`) {
		t.Errorf("the time that the trail is of is not told: %s", got["ipe.json"])
	}
	if !strings.Contains(got["exceptions.csv"], "r9") {
		t.Error("the exchange without a record is not named")
	}
}

func TestExceptionsOfARecord(t *testing.T) {
	const lasts = `"unmapped":{"requested.duration":"900"},"session":{"created_time":1000000,"expiration_time":`
	tests := []struct{ name, from, to, want string }{
		{"granted", "", "", ""},
		{"refused", `"status_id":1`, `"status_id":2`, "refused"},
		{"without a status", `"status_id":1,`, "", "refused"},
		{"denied", "aws.login.granted", "guardrail.denied", "guardrail-denied"},
		{"logged out", `"activity_id":1`, `"activity_id":2`, ""},
		{"not logged out", `"metadata"`, `"activity_id":2,"status_id":2,"metadata"`, "logout-failed"}, // the last of two members counts
		{"a guardrail that warned", `"metadata"`, `"unmapped":{"guard.main-only":"fail"},"metadata"`, "guardrail-not-enforced"},
		{"a guardrail that refused another", `"metadata"`, `"unmapped":{"guard.main-only":"fail","login.refused":"true"},"metadata"`, ""},
		{"audit mode", `"metadata"`, `"policy":{"name":"guard.yaml","is_applied":false},"metadata"`, "policy-not-applied"},
		{"longer", `"metadata"`, lasts + `1961000},"metadata"`, "longer-than-asked"},
		{"a minute longer", `"metadata"`, lasts + `1960000},"metadata"`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text := strings.Replace(record("a", 3, 1, ""), tt.from, tt.to, 1)
			if !strings.Contains(record("a", 3, 1, ""), tt.from) {
				t.Fatalf("%s is not in the record", tt.from)
			}
			got, _ := pack(t, Config{}, text)
			if got := column(table(t, got["exceptions.csv"]), 1); got != tt.want {
				t.Errorf("exceptions are %q, want %q", got, tt.want)
			}
		})
	}
}

func TestGaps(t *testing.T) {
	for name, test := range map[string]struct {
		numbers []int
		want    string
	}{
		"whole":                   {[]int{1, 2, 3}, "[]"},
		"one is missing":          {[]int{1, 3}, "[2]"},
		"the first is missing":    {[]int{2, 3}, "[1]"},
		"two commands":            {[]int{1, 2, 1, 2}, "[]"},
		"two commands, one lacks": {[]int{1, 2, 3, 1, 3}, "[2]"},
		"no numbers":              {[]int{0, 0}, "[]"},
	} {
		t.Run(name, func(t *testing.T) {
			var entries []entry
			var order []int32
			for i, n := range test.numbers {
				entries, order = append(entries, entry{number: int32(n)}), append(order, int32(i))
			}
			if got := fmt.Sprint(missingOf(order, func(i int32) *entry { return &entries[i] })); got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}

func TestRefusesAFolderOfOthers(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "own.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Write(t.Context(), Config{Out: dir}); err == nil {
		t.Error("written into it")
	}
}

// BenchmarkMillion reads as many records as a large organisation has in a year: run it with -benchtime 1x.
func BenchmarkMillion(b *testing.B) {
	dir := b.TempDir()
	name := filepath.Join(dir, "records.jsonl")
	f, err := os.Create(name)
	if err != nil {
		b.Fatal(err)
	}
	w := bufio.NewWriterSize(f, 1<<20)
	filler := `,"unmapped":{"bitbucket.branch":"main","token.sha256":"` + strings.Repeat("a", 64) + `","x":"` + strings.Repeat("y", 2200) + `"}`
	for i := range 1_000_000 {
		_, _ = w.WriteString(record(fmt.Sprintf("0193-%d", i), 1+i%28, 1, filler) + "\n")
	}
	if err := w.Flush(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		_, err := Write(b.Context(), Config{
			Records: []string{name}, Out: filepath.Join(dir, "out"), Sample: 25,
			From: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), To: time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC),
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	b.ReportMetric(float64(m.Sys)/(1<<20), "MiB")
}
