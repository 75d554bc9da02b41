package trust

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
	env, err := celEnvironment("assertion")
	if err != nil {
		t.Fatal(err)
	}
	assertion := map[string]any{
		"sub": "{r}:{s}", "exp": 1790000000.0, "aud": []any{"a", "b"}, "long": strings.Repeat("a", 4000),
	}
	tens := "[1,2,3,4,5,6,7,8,9,10]"
	for _, c := range []struct {
		source  string
		outcome celOutcome
		want    any
	}{
		{"assertion.sub", celKnown, "{r}:{s}"},
		{"assertion['sub']", celKnown, "{r}:{s}"},
		{"assertion.sub.split(':')[0]", celKnown, "{r}"},
		{"assertion.sub.extract('{repository}:')", celKnown, "{r}"},
		{"['a', 'b'].join('-')", celKnown, "a-b"},
		{"size(assertion.aud) == 2 && 'b' in assertion.aud", celKnown, true},
		{"assertion.sub.matches('^{r}:') && assertion.sub.startsWith('{r}') && assertion.sub.endsWith('}')", celKnown, true},
		{"assertion.exp > 1700000000 && assertion.exp == 1790000000", celKnown, true},
		{"has(assertion.no) ? assertion.no : 'none'", celKnown, "none"},
		{"'no' in assertion ? assertion.no : 'none'", celKnown, "none"},
		{"assertion.no == 'x' || true", celKnown, true}, // CEL: an error that does not decide is absorbed
		{"assertion.no", celAbsent, nil},
		{"assertion['no']", celAbsent, nil},
		{"assertion.sub.split(':')[2]", celFailed, nil},
		{"assertion.exp.startsWith('1')", celFailed, nil},
		{"assertion.sub + 1", celFailed, nil},
		{"assertion.sub.extract('{{a}}')", celUnknown, nil},
		{"assertion.sub.extract('{{a}}') == 'x' && false", celKnown, false},
		{"assertion.hidden == 'x'", celUnknown, nil},
		{"assertion.hidden == 'x' || true", celKnown, true},
		{tens + ".map(a," + tens + ".map(b," + tens + ".map(c," + tens + ".map(d," + tens + ".map(e," + tens + ")))))", celUnknown, nil},
		{"assertion.long.replace('a', assertion.long).replace('a', assertion.long)", celUnknown, nil},
	} {
		expression, err := celCompile(env, c.source)
		if err != nil {
			t.Errorf("%s: %v", c.source, err)
			continue
		}
		var unknown [][]string
		if strings.Contains(c.source, "hidden") {
			unknown = [][]string{{"assertion", "hidden"}}
		}
		got := expression.eval(map[string]any{"assertion": assertion}, unknown...)
		if got.outcome != c.outcome || c.outcome == celKnown && got.value.Value() != c.want {
			t.Errorf("%.60s: %v %v (%s), want %v %v", c.source, got.outcome, got.value, got.detail, c.outcome, c.want)
		}
	}
	for _, source := range []string{"", "assertion.", "nobody.sub", "assertion.sub.nothing()", "(((", strings.Repeat("(", 2000), "a\nb"} {
		if _, err := celCompile(env, source); err == nil || strings.ContainsAny(err.Error(), "\n") {
			t.Errorf("%.60q: %v, want an error of one line", source, err)
		}
	}
}

func TestCELReadsAndFunctions(t *testing.T) {
	env, err := celEnvironment("assertion", "attribute", "google")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ source, reads, functions string }{
		{"assertion.sub == 'x' && assertion['aud'] != google.subject", "assertion.aud assertion.sub google.subject", ""},
		{"has(assertion.sub)", "", "has"},
		{"'sub' in assertion", "assertion", ""},
		{"'x' in [attribute.a] ? -1 : 2", "attribute.a", ""},
		{"assertion.aud.exists_one(a, a.lowerAscii() == 'x')", "a assertion.aud", "exists_one lowerAscii"},
		{"string(assertion.exp).replace('1', strings.quote('2'))", "assertion.exp", "replace string strings.quote"},
	} {
		expression, err := celCompile(env, c.source)
		if err != nil {
			t.Fatalf("%s: %v", c.source, err)
		}
		reads := slices.DeleteFunc(expression.reads(), func(s string) bool { return strings.HasPrefix(s, "@") })
		if got := strings.Join(reads, " "); got != c.reads {
			t.Errorf("%s reads %q, want %q", c.source, got, c.reads)
		}
		if got := strings.Join(expression.functions(), " "); got != c.functions {
			t.Errorf("%s calls %q, want %q", c.source, got, c.functions)
		}
	}
}
