package iam

import (
	"fmt"
	"strconv"
	"time"

	"bitbucket-oidc/internal/finding"
)

func sessionTooLong() finding.Rule {
	return finding.Rule{
		Name: "aws-session-too-long", Severity: finding.Warning,
		Finds: "a requested duration above the role's MaxSessionDuration",
		Why:   "AWS refuses the call when AWS_SESSION_DURATION is longer than the role allows. The default of a role is one hour.",
		Fix:   "Raise it with `aws iam update-role --max-session-duration`, or ask for less.",
	}
}

func (j *roleJudgement) findSessionTooLong() {
	limit, err := strconv.Atoi(j.role.maxSession)
	if err != nil || j.o.Duration <= time.Duration(limit)*time.Second {
		return
	}
	j.Find(finding.Warning, "aws-session-too-long", "MaxSessionDuration",
		fmt.Sprintf("A session of %s is longer than the %d seconds that the role allows.", j.o.Duration, limit),
		finding.Fix{Kind: finding.YAML, Text: fmt.Sprintf("AWS_SESSION_DURATION: %q", strconv.Itoa(limit))})
}
