package audit_test

import (
	"fmt"
	"testing"

	"bitbucket-oidc/internal/audit"
)

// TestSharedLines: a rule has one finding for a line, with all the steps that have the line through an anchor or the options.
func TestSharedLines(t *testing.T) {
	const anchor = `image: node:22.1.0
x: &s
  oidc: {audiences: ["", a]}
  odic: true
  script:
    - echo $BITBUCKET_STEP_OIDC_TOKEN AKIAIOSFODNN7ABCDEFG
    - aws sts assume-role --role-arn r
pipelines:
  default:
    - step: *s
    - step: {<<: *s, name: Second}
  custom:
    x:
      - parallel: {steps: [{step: *s}]}
`
	const first, second, third = "pipelines.default[0].step", "pipelines.default[1].step", `pipelines.custom["x"][0].parallel.steps[0]`
	for rule, line := range map[string]int{
		"audience-limit": 3, "audiences-shared": 3, "step-key-unknown": 4, "token-printed": 6, "keys-in-file": 6, "credentials-printed": 7,
	} {
		var got []string
		for _, f := range audit.File("x", []byte(anchor), audit.Options{}).Findings {
			if f.Rule == rule {
				got = append(got, fmt.Sprint(f.Line, f.Steps))
			}
		}
		if want := fmt.Sprint([]string{fmt.Sprint(line, []string{first, second, third})}); fmt.Sprint(got) != want {
			t.Errorf("%s: got %v; want %s", rule, got, want)
		}
	}
}
