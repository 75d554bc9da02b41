package report

import (
	"strings"
	"testing"
)

func TestSayWraps(t *testing.T) {
	var r Text
	r.Say(2, strings.Repeat("word ", 60)+strings.Repeat("x", 150)+" end")
	for i, line := range r.lines {
		if len(line) > Width && !strings.Contains(line, "xxx") || i > 0 && !strings.HasPrefix(line, "    ") {
			t.Errorf("line %d: %q", i, line)
		}
	}
	if text := strings.Join(strings.Fields(strings.Join(r.lines, " ")), " "); text != strings.Repeat("word ", 60)+strings.Repeat("x", 150)+" end" {
		t.Errorf("the words are now %q", text)
	}
}
