package strictyaml

import (
	"reflect"
	"strings"
	"testing"
)

func TestReadRefuses(t *testing.T) {
	tests := []struct{ name, data, want string }{
		{"tab", "a:\n\t- b", "line 2: not YAML"},
		{"no quotes", "a: 1\nb:\n  - c: d\n    e: ['x'].f(y)\n    g: h\n", "line 4: not YAML: did not find expected key; a text with"},
		{"a colon", "a: b\nc: only: d\n", "line 2: not YAML: mapping values are not allowed"},
		{"alias without an anchor", "a: *b", "an alias without an anchor"},
		{"not UTF-8", "a: \xff", "not UTF-8"},
		{"nothing", " \n", "empty"},
		{"large", strings.Repeat("# x\n", 1000), "larger than 1 KiB"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := Read([]byte(tt.data), 1<<10); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestProblemsOfValues(t *testing.T) {
	f, err := Read([]byte("a: {x: 1, x: 2}\nb: text\nc: 2027-02-30\nd: 1w\ne: [1]\n<<: {g: 1}\n"), 1<<10)
	if err != nil {
		t.Fatal(err)
	}
	field := f.Root.Fields("a", "b", "c", "d", "e")
	field("a").Entries()
	field("b").Items()
	field("c").Date()
	field("d").Duration()
	field("e").Text()
	var got []string
	for _, p := range f.Problems() {
		got = append(got, p.Error())
	}
	want := []string{
		`line 1, column 11: a: "x" stands twice`,
		"line 2, column 4: b: expected a list",
		"line 3, column 4: c: expected a date such as 2027-03-31",
		"line 4, column 4: d: expected a duration such as 45m or 1h30m",
		"line 5, column 4: e: expected a text",
		"line 6, column 1: expected a name: merges and nested keys are not allowed here",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestCommasInProse(t *testing.T) {
	tests := []struct{ name, data, why, wrong string }{
		{"no comma", "{id: a, why: removed}", "removed", ""},
		{"one", "{id: a, why: it is removed, SEC-88}", "it is removed, SEC-88", ""},
		{"several, and a member behind them", "{why: żółw, two words , 5, id: a}", "żółw, two words, 5", ""},
		{"a byte order mark before it", "\ufeff{why: a, b}", "a, b", ""},
		{"over two lines", "{why: a,\n  b,\n  id: a}", "a, b", ""},
		{"a colon makes it a member", "{why: removed, by: }", "removed", `unknown key "by"`},
		{"a value makes it a member", "{why: removed, by: me}", "removed", `unknown key "by"`},
		{"quotes end a text", `{why: "removed", SEC-88}`, "removed", `unknown key "SEC-88"`},
		{"behind something else", "{id: a, SEC-88, why: removed}", "removed", `unknown key "SEC-88"`},
		{"in a block", "why: removed\n? SEC-88\n", "removed", `unknown key "SEC-88"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, err := Read([]byte(tt.data), 1<<10)
			if err != nil {
				t.Fatal(err)
			}
			if got := f.Root.WithCommas("why").Fields("id", "why")("why").Text(); got != tt.why {
				t.Errorf("why is %q, want %q", got, tt.why)
			}
			wrong := ""
			for _, p := range f.Problems() {
				wrong += p.Text
			}
			if tt.wrong == "" && wrong != "" || !strings.Contains(wrong, tt.wrong) {
				t.Errorf("problems are %q, want %q", wrong, tt.wrong)
			}
		})
	}
}

func TestAnyIsBounded(t *testing.T) {
	bomb := "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
	for _, next := range "bcdefghi" {
		before := string(next - 1)
		bomb += string(next) + ": &" + string(next) + " [" + strings.TrimSuffix(strings.Repeat("*"+before+",", 10), ",") + "]\n"
	}
	f, err := Read([]byte(bomb), 1<<10)
	if err != nil {
		t.Fatal(err)
	}
	f.Root.Any()
	if problems := f.Problems(); len(problems) != 1 || problems[0].Text != "the file has too many values" {
		t.Errorf("problems are %v", problems)
	}
}
