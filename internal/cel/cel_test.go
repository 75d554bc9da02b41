package cel

import (
	"slices"
	"strings"
	"testing"
)

// The examples of Google Cloud's "Attribute reference for IAM Conditions", and the rest of what its table says.
func TestExtract(t *testing.T) {
	const object = "projects/_/buckets/acme-orders-aaa/objects/data_lake/orders/order_date=2019-11-03/aef87g87ae0876"
	for _, c := range []struct{ text, template, want string }{
		{object, "/order_date={date}/", "2019-11-03"},
		{object, "buckets/{name}/", "acme-orders-aaa"},
		{object, "/orders/{empty}order_date", ""},
		{object, "{start}/objects/data_lake", "projects/_/buckets/acme-orders-aaa"},
		{object, "orders/{end}", "order_date=2019-11-03/aef87g87ae0876"},
		{object, "{all}", object},
		{object, "/orders/{none}/order_date=", ""},
		{object, "/orders/order_date=2019-11-03/{id}/data_lake", ""}, // the suffix stands before the prefix only
		{"a:b:c", "{first}:", "a"},                                   // up to the first occurrence of the suffix
		{"a:b:c", ":{rest}", "b:c"},                                  // after the first occurrence of the prefix
		{"a.b+c", "a.{x}+", "b"},                                     // no regular expression
		{"", "{all}", ""},
	} {
		if got, described := extract(c.text, c.template); got != c.want || !described {
			t.Errorf("extract(%q, %q) = %q, %v, want %q", c.text, c.template, got, described, c.want)
		}
	}
	for _, template := range []string{"", "none", "{", "}", "{}", "{a-b}", "{a}{b}", "{{a}}", "}{", "{a}}"} {
		if _, described := extract("{a}", template); described {
			t.Errorf("%q: the documentation does not say what this means", template)
		}
	}
}

func TestCELEvaluates(t *testing.T) {
	env, err := NewEnvironment("assertion")
	if err != nil {
		t.Fatal(err)
	}
	assertion := map[string]any{
		"sub": "{r}:{s}", "exp": 1790000000.0, "aud": []any{"a", "b"}, "long": strings.Repeat("a", 4000),
	}
	tens := "[1,2,3,4,5,6,7,8,9,10]"
	for _, c := range []struct {
		source  string
		outcome Outcome
		want    any
	}{
		{"assertion.sub", Known, "{r}:{s}"},
		{"assertion['sub']", Known, "{r}:{s}"},
		{"assertion.sub.split(':')[0]", Known, "{r}"},
		{"assertion.sub.extract('{repository}:')", Known, "{r}"},
		{"['a', 'b'].join('-')", Known, "a-b"},
		{"size(assertion.aud) == 2 && 'b' in assertion.aud", Known, true},
		{"assertion.sub.matches('^{r}:') && assertion.sub.startsWith('{r}') && assertion.sub.endsWith('}')", Known, true},
		{"assertion.exp > 1700000000 && assertion.exp == 1790000000", Known, true},
		{"has(assertion.no) ? assertion.no : 'none'", Known, "none"},
		{"'no' in assertion ? assertion.no : 'none'", Known, "none"},
		{"assertion.no == 'x' || true", Known, true}, // CEL: an error that does not decide is absorbed
		{"assertion.no", Absent, nil},
		{"assertion['no']", Absent, nil},
		{"assertion.sub.split(':')[2]", Failed, nil},
		{"assertion.exp.startsWith('1')", Failed, nil},
		{"assertion.sub + 1", Failed, nil},
		{"assertion.sub.extract('{{a}}')", Unknown, nil},
		{"assertion.sub.extract('{{a}}') == 'x' && false", Known, false},
		{"assertion.hidden == 'x'", Unknown, nil},
		{"'sub' in assertion && assertion.hidden != 'x' || 'no' in assertion", Unknown, nil},
		{"'sub' in assertion || assertion.hidden == 'x'", Known, true},
		{"'no' in assertion ? assertion.hidden : 'none'", Known, "none"},
		{"'hidden' in assertion ? 'some' : 'none'", Unknown, nil},
		{"assertion.hidden == 'x' || true", Known, true},
		{tens + ".map(a," + tens + ".map(b," + tens + ".map(c," + tens + ".map(d," + tens + ".map(e," + tens + ")))))", Unknown, nil},
		{"assertion.long.replace('a', assertion.long).replace('a', assertion.long)", Unknown, nil},
	} {
		expression, err := env.Compile(c.source)
		if err != nil {
			t.Errorf("%s: %v", c.source, err)
			continue
		}
		var unknown [][]string
		if strings.Contains(c.source, "hidden") {
			unknown = [][]string{{"assertion", "hidden"}}
		}
		got := expression.Eval(map[string]any{"assertion": assertion}, unknown...)
		if got.Outcome != c.outcome || c.outcome == Known && got.Value.Value() != c.want {
			t.Errorf("%.60s: %v %v (%s), want %v %v", c.source, got.Outcome, got.Value, got.Detail, c.outcome, c.want)
		}
	}
	for _, source := range []string{"", "assertion.", "nobody.sub", "assertion.sub.nothing()", "(((", strings.Repeat("(", 2000), "a\nb"} {
		if _, err := env.Compile(source); err == nil || strings.ContainsAny(err.Error(), "\n") {
			t.Errorf("%.60q: %v, want an error of one line", source, err)
		}
	}
}

func TestCELReadsAndFunctions(t *testing.T) {
	env, err := NewEnvironment("assertion", "attribute", "google")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ source, reads, functions string }{
		{"assertion.sub == 'x' && assertion['aud'] != google.subject", "assertion.aud assertion.sub google.subject", ""},
		{"has(assertion.sub)", "", "has"},
		{"'sub' in assertion", "", ""},
		{"'a' in attribute || assertion.aud.exists(b, b in assertion)", "assertion assertion.aud b", "exists"},
		{"'x' in [attribute.a] ? -1 : 2", "attribute.a", ""},
		{"assertion.aud.exists_one(a, a.lowerAscii() == 'x')", "a assertion.aud", "exists_one lowerAscii"},
		{"string(assertion.exp).replace('1', strings.quote('2'))", "assertion.exp", "replace string strings.quote"},
	} {
		expression, err := env.Compile(c.source)
		if err != nil {
			t.Fatalf("%s: %v", c.source, err)
		}
		reads := slices.DeleteFunc(expression.Reads(), func(s string) bool { return strings.HasPrefix(s, "@") })
		if got := strings.Join(reads, " "); got != c.reads {
			t.Errorf("%s reads %q, want %q", c.source, got, c.reads)
		}
		if got := strings.Join(expression.Functions(), " "); got != c.functions {
			t.Errorf("%s calls %q, want %q", c.source, got, c.functions)
		}
	}
}

// A function that can tell two UUIDs apart that no literal holds is named. Where none is named, one UUID is judged for all.
func TestCELLooksInside(t *testing.T) {
	env, err := NewEnvironment("assertion", "attribute", "google")
	if err != nil {
		t.Fatal(err)
	}
	const uuid = "2e9e429c-7b8b-404f-8648-8c40c27c9ebd"
	for _, c := range []struct{ source, function string }{
		{source: "assertion.repositoryUuid == '{" + uuid + "}'"},
		{source: "assertion.repositoryUuid in ['{" + uuid + "}']"},
		{source: "{'{" + uuid + "}': true}[assertion.repositoryUuid]"},
		{source: "assertion.sub.startsWith('{" + uuid + "}:')"},
		{source: "assertion.sub.startsWith('{')"},
		{source: "assertion.sub.contains('-') || assertion.sub.contains(':{')"}, // every subject has them
		{source: "assertion.sub.contains('" + uuid + "')"},
		{source: "assertion.sub.matches('^\\\\{" + uuid + "\\\\}:.*$')"},
		{source: "assertion.sub.matches('^\\\\{(" + uuid + "|" + uuid + ")\\\\}:')"},
		{source: "assertion.sub.split(':')[0] == '{" + uuid + "}'"},
		{source: "assertion.sub.extract('{repository}:') == '{" + uuid + "}'"},
		{source: "size(assertion.repositoryUuid) > 3"},
		{source: "assertion.branchName.startsWith('2e9e')"}, // no UUID

		{source: "assertion.repositoryUuid.startsWith('{2e9e')", function: "startsWith"},
		{source: "assertion.repositoryUuid.endsWith('9ebd}')", function: "endsWith"},
		{source: "assertion.repositoryUuid.contains('9e42')", function: "contains"},
		{source: "assertion.repositoryUuid.contains(assertion.branchName)", function: "contains"},
		{source: "assertion.branchName.contains(assertion.repositoryUuid)", function: "contains"},
		{source: "assertion.repositoryUuid.matches('[0-7]')", function: "matches"},
		{source: "assertion.repositoryUuid.matches('^\\\\{" + uuid + "?')", function: "matches"},
		{source: "assertion.repositoryUuid.split('-')[0] == 'x'", function: "split"},
		{source: "assertion.repositoryUuid.split('')[1] == '2'", function: "split"},
		{source: "assertion.repositoryUuid.extract('{2e9e{rest}') == 'x'", function: "extract"},
		{source: "assertion.repositoryUuid.extract('-{x}-') == 'x'", function: "extract"},
		{source: "assertion.repositoryUuid < '{3'", function: "<"},
		{source: "assertion.repositoryUuid.substring(1, 3) == '2e'", function: "substring"},
		{source: "assertion.repositoryUuid.replace('2', '3') == 'x'", function: "replace"},
		{source: "[assertion.repositoryUuid].exists(u, u.startsWith('{2e'))", function: "startsWith"},
		{source: "['2e'].exists(p, assertion.repositoryUuid.contains(p))", function: "contains"},
		{source: "assertion.exists(k, string(assertion[k]).contains('2e9e'))", function: "contains"},
		{source: "[assertion].exists(a, a.repositoryUuid.startsWith('{2e'))", function: "startsWith"},
		{source: "attribute.repository.startsWith('{2e')", function: "startsWith"},
	} {
		expression, err := env.Compile(c.source)
		if err != nil {
			t.Fatalf("%s: %v", c.source, err)
		}
		got := expression.LooksInside(func(field string) bool {
			return field == "assertion.repositoryUuid" || field == "assertion.sub" || field == "attribute.repository"
		})
		if got != c.function {
			t.Errorf("%s looks inside with %q, want %q", c.source, got, c.function)
		}
	}
}

func TestCELJoins(t *testing.T) {
	env, err := NewEnvironment("assertion")
	if err != nil {
		t.Fatal(err)
	}
	for source, want := range map[string]bool{
		"assertion.branchName":    true,
		"assertion['branchName']": true,
		"assertion.sub":           true, // without it
		"assertion.repositoryUuid + ':' + assertion.branchName":                                 true,
		"[assertion.repositoryUuid + assertion.branchName, 'x']":                                true,
		"has(assertion.x) ? assertion.branchName : 'none'":                                      true,
		"has(assertion.branchName) ? assertion.branchName : 'none'":                             true,
		"assertion.sub + (!('branchName' in assertion) ? '' : '/' + assertion.branchName)":      true,
		"has(assertion.branchName) && assertion.branchName != '' ? assertion.branchName : 'no'": false,
		"has(assertion.x) && has(assertion.branchName) ? assertion.branchName : ''":             true,
		"has(assertion.branchName.x) ? assertion.branchName : ''":                               false,
		"[has(assertion.branchName)]":                                                           false,
		"assertion.branchName == 'x' ? 'a' : 'b'":                                               false,
		"assertion.branchName.split('/')[0] + 'x'":                                              false,
		"['x'].map(x, x + assertion.branchName)[0]":                                             false,
		"{'a': assertion.branchName}['a']":                                                      false,
		"[assertion][0].branchName":                                                             false,
	} {
		expression, err := env.Compile(source)
		if err != nil {
			t.Fatalf("%s: %v", source, err)
		}
		if got := expression.Joins("assertion.branchName"); got != want {
			t.Errorf("%s: %t, want %t", source, got, want)
		}
	}
}
