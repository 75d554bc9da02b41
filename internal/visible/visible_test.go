package visible

import "testing"

func TestText(t *testing.T) {
	for text, want := range map[string]string{
		"{a}: ü ✔ …":         "{a}: ü ✔ …",
		"\x1b[2J":            `\u001b[2J`,
		"a\nb\tc":            `a\u000ab\u0009c`,
		"\u202e\u00a0\u2028": `\u202e\u00a0\u2028`,
		"\U000e0001":         `\udb40\udc01`,
		"\x7f\u0085":         `\u007f\u0085`,
		"a\x9b2J\xff":        "a\uFFFD2J\uFFFD",
	} {
		if got := Text(text); got != want {
			t.Errorf("%q is shown as %q, not %q", text, got, want)
		}
	}
}
