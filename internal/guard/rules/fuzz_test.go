package rules

import (
	"testing"
	"time"

	"bitbucket-oidc/internal/guard"
)

// A file that is read is judged without a crash, in bounded time, and says of each rule what became of it.
func FuzzRead(f *testing.F) {
	f.Add("version: 1\nrules: [{name: a, message: m, require: \"claims.branchName == 'main'\"}]\n")
	f.Add(
		"version: 1\nconstants: {a: [1]}\nvariables: [{name: v, expression: \"size(constants.a)\"}]\nrules: [{name: a, " +
			"message: m, when: \"v > 0\", require: \"request.chain.all(r, r != '')\"}]\n",
	)
	f.Add("version: 1\nrules: [{name: a, message: m, require: \"now.getHours('Asia/Kolkata') > 8\", until: 2027-01-01}]\n")
	f.Fuzz(func(t *testing.T, text string) {
		file, err := Read("guard.yaml", []byte(text))
		if err != nil {
			return
		}
		in := guard.Input{Now: time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC), Request: guard.Request{Chain: []string{"a", "b"}}}
		for _, d := range file.Judge(t.Context(), in) {
			if d.Outcome == "" || (d.Outcome == Fail || d.Outcome == Broken) && d.Detail == "" {
				t.Errorf("rule %q has outcome %q and detail %q", d.Rule.Name, d.Outcome, d.Detail)
			}
		}
	})
}
