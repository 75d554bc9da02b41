package evidence

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// Lines are cut where they end, wherever blocks end, and one that is too long is one line.
func TestLines(t *testing.T) {
	long := func(n int) string { return strings.Repeat("x", n) }
	tests := []struct {
		name  string
		lines []string
	}{
		{"a blank one", []string{""}},
		{"one", []string{"a"}},
		{"blank ones", []string{"", "a", "", "", "b"}},
		{"many", slices.Repeat([]string{long(700), "b"}, 3000)},
		{"as long as a block", []string{"a", long(blockSize), "b", long(blockSize - 1), "c", long(blockSize - 2), "d"}},
		{"longer than a block", []string{long(3*blockSize + 1), "b", long(2 * blockSize)}},
		{"as long as may be", []string{"a", long(maxLine), "b"}},
		{"too long", []string{"a", long(maxLine + 1), "b"}},
		{"much too long", []string{"a", long(9 * maxLine), "b", long(4 * maxLine)}},
	}
	for _, test := range tests {
		for _, end := range []string{"", "\n"} {
			t.Run(test.name+fmt.Sprintf(" %q", end), func(t *testing.T) {
				var want []string
				for i, line := range test.lines {
					if len(line) > maxLine {
						line = "too long"
					}
					if i < len(test.lines)-1 || line != "" || end != "" {
						want = append(want, fmt.Sprintf("%d %d %s", i+1, len(line), line[:min(len(line), 8)]))
					}
				}
				in := &input{Reader: strings.NewReader(strings.Join(test.lines, "\n") + end)}
				var got []string
				err := in.blocks(func() []byte { return nil }, func(b block) bool {
					number := b.first
					for line := range b.lines {
						got = append(got, fmt.Sprintf("%d %d %s", number, len(line), line[:min(len(line), 8)]))
						number++
					}
					return true
				})
				if err != nil || !slices.Equal(got, want) {
					t.Errorf("%v: %d lines, want %d\n%.300q\n%.300q", err, len(got), len(want), got, want)
				}
			})
		}
	}
}

// What reads many lines fast reads each as the standard library does.
func TestParsesAsTheStandardLibrary(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for _, text := range []string{
		record("a", 1, 1, ""), record("a", 1, 1, "") + record("b", 1, 2, ""), record("a", 1, 1, "") + "0", record("a", 1, 1, "") + " ",
		record("a", 1, 1, `,"unmapped":{"guard.x":"fail","command.uid":"c\u00e9\\\"\n"}`), `{"class_uid":3002,"CLASS_UID":1}`,
		`{"class_uid":3002.0}`, `{"class_uid":"3002"}`, `{"class_uid":3002} x`, `{"class_uid":3002}{}`, "{\"status\":\"a\xffb\"}", `{"status":"\ud800"}`,
		`{"status":"\ud83d\ude00"}`, "{\"status\":\"a\tb\"}", `{"status":null,"unmapped":null}`, `{"unmapped":{"a":1}}`, `{"unmapped":{"a":null}}`,
		`null`, `[]`, `{"status":"a","status":"b"}`, `{"metadata":{"uid":"a"},"metadata":{"event_code":"b"}}`, `{"x":01}`, `{"x":1e999}`, `{"x":"\x"}`,
		`{"x":tru}`, `{"time":1e3}`, `{"time":9223372036854775808}`, `{"a":1,}`, "\xef\xbb\xbf{}", `{"x":-}`, "{\"x\":\"a\x01b\"}", `{"x":nan}`,
		`{"status":5}`, `{"x":[1,]}`, `{"x" 1}`, `{"x":1 "y":2}`, `{"x":"\u12"}`, `{"x":` + deep(900) + `}`, `{"x":` + deep(5000) + `}`, `{"x":` + deep(20_000) + `}`,
	} {
		var want line
		wrong := json.Unmarshal([]byte(text), &want) != nil || want.ClassUID != 3002 || want.Metadata.UID == "" || want.Time <= 0
		got := line{Unmapped: map[string]string{"of": "the line before"}}
		if is := got.parse([]byte(text)); is == wrong {
			t.Errorf("%.200q: a record: %t, as the standard library has it: %t", text, is, !wrong)
		} else if len(want.Unmapped) == 0 {
			got.Unmapped, want.Unmapped = nil, nil
		}
		if !wrong && !reflect.DeepEqual(got, want) {
			t.Errorf("%.200q:\n%+v\n%+v", text, got, want)
		}
	}
}

// A line that is made to take memory takes little.
func TestDeepLine(t *testing.T) {
	deep := []byte(`{"class_uid":3002,"x":` + strings.Repeat("[", maxLine-100))
	wide := []byte("[" + strings.Repeat("0,", maxLine/2-2) + "0]")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var l line
	if l.parse(deep) {
		t.Error("it is a record")
	}
	if n := len(carried(wide)); n != 1 {
		t.Errorf("a list of nothing has %d values", n)
	}
	runtime.ReadMemStats(&after)
	if taken := after.TotalAlloc - before.TotalAlloc; taken > 8*maxLine {
		t.Errorf("it took %d KiB", taken>>10)
	}
}

// Rows are read back whole, in the order of the records or in another one.
func TestSpool(t *testing.T) {
	out, err := create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.close()
	s, err := out.spool()
	if err != nil {
		t.Fatal(err)
	}
	type place struct {
		at   int64
		text string
	}
	var places []place
	for i := range 5000 {
		text := strings.Repeat(fmt.Sprint(i, " "), 1+i%90)
		at, err := s.append([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		places = append(places, place{at, text})
	}
	if err := s.flush(); err != nil {
		t.Fatal(err)
	}
	check := func(p place) {
		t.Helper()
		if got, err := s.read(p.at, len(p.text)); err != nil || string(got) != p.text {
			t.Fatalf("at %d: %v, %.40q, want %.40q", p.at, err, got, p.text)
		}
	}
	for _, p := range places {
		check(p)
	}
	for i := range places {
		check(places[i*7919%len(places)])
	}
	slices.Reverse(places)
	for _, p := range places {
		check(p)
	}
}

// What is read side by side is noted in its order, and an end in between leaves nothing behind.
func TestManySources(t *testing.T) {
	dir := t.TempDir()
	var names []string
	for s := range 3 {
		var lines []string
		for i := range 3000 {
			lines = append(lines, record(fmt.Sprintf("%d-%d", s, i), 1+i%28, 1, `,"unmapped":{"x":"`+strings.Repeat("y", 300)+`"}`))
			if i%1000 == 500 {
				lines = append(lines, "torn {")
			}
		}
		name := filepath.Join(dir, fmt.Sprint(s))
		if err := os.WriteFile(name, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	c := Config{
		Records: names, Out: filepath.Join(dir, "out"), Sample: 3,
		From: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), To: time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC),
	}
	summary, err := Write(t.Context(), c)
	if err != nil || summary.Rows != 9000 || summary.Malformed != 9 {
		t.Errorf("%+v, %v", summary, err)
	}
	text, err := os.ReadFile(filepath.Join(c.Out, "ipe.json"))
	if err != nil || !strings.Contains(string(text), "\"1:502\"") || !strings.Contains(string(text), "\"1:1503\"") {
		t.Errorf("malformed lines have other numbers: %v", err)
	}
	c.Records = append(c.Records, filepath.Join(dir, "missing"))
	if _, err := Write(t.Context(), c); err == nil {
		t.Error("a source that is missing counts for nothing")
	}
}
