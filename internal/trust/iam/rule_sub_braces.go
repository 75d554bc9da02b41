package iam

import (
	"slices"
	"strings"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/finding"
)

func subBraces() finding.Rule {
	return finding.Rule{
		Name: "aws-sub-braces", Severity: finding.Error,
		Finds: "a UUID without its braces in `:sub`",
		Why:   "The UUIDs in Bitbucket's subject stand in braces, which are part of the value. A value without them never matches. Only the UUID in the audience has none.",
		Fix:   "Put the UUID in braces: `{2e9e429c-…}`. In Terraform `{` needs no escape, `${` does.",
	}
}

func (j *roleJudgement) findSubBraces() {
	j.findSubject(finding.Error, "aws-sub-braces", "has a UUID without its braces, and Bitbucket's subject has every UUID in braces", subjectValue.lacksBraces)
}

// lacksBraces reports whether the value has a UUID that does not stand in exactly one pair of braces. A wildcard next to the UUID can
// match its brace.
func (v subjectValue) lacksBraces() bool {
	return slices.ContainsFunc(bitbucket.UUIDs(v.text), func(u bitbucket.Span) bool {
		before, after := v.text[:u.Start], v.text[u.End:]
		opens := strings.HasSuffix(before, "{") && !strings.HasSuffix(before, "{{") && !strings.HasSuffix(before, "${")
		closes := strings.HasPrefix(after, "}") && !strings.HasPrefix(after, "}}")
		return !opens && !endsWild(before) || !closes && !beginsWild(after)
	})
}

func endsWild(s string) bool { return s != "" && strings.ContainsRune("*?", rune(s[len(s)-1])) }

func beginsWild(s string) bool { return s != "" && strings.ContainsRune("*?", rune(s[0])) }
