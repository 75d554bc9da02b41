package drift

import (
	"fmt"
	"time"

	"bitbucket-oidc/internal/access"
	"bitbucket-oidc/internal/finding"
)

func sessionRule() finding.Rule {
	return finding.Rule{
		Name: "drift-session", Severity: finding.Error, Milder: finding.Warning,
		Finds: "sessions that may last longer or shorter than the map says",
		Why:   "Shorter than the map says is an error, because the login is refused. Longer is a warning.",
		Fix:   "Set the session duration to what the map says.",
	}
}

// session compares how long a session of a target may last with what the map says.
func (c *comparison) session(t access.Target, is Deployed) {
	want := c.m.Session(t.Name)
	if want == 0 || is.Session == 0 || want == is.Session || t.Kind == access.AWSRole && want < time.Hour && is.Session == time.Hour {
		return // an hour is the least that AWS lets a role have
	}
	d := c.at(t.Name)
	d.Kind = Session
	d.Fix.Text = fmt.Sprintf("set the longest session to %s", want)
	if t.Kind == access.AWSRole {
		d.Fix = finding.Fix{Kind: finding.Shell, Text: fmt.Sprintf("aws iam update-role --role-name %s --max-session-duration %d", t.Role, int(max(want, time.Hour).Seconds()))}
	}
	if is.Session < want {
		d.Message = fmt.Sprintf("Sessions last %s at most, and the map grants %s: a login that asks for it is refused.", is.Session, want)
	} else {
		d.Severity = finding.Warning
		d.Message = fmt.Sprintf("Sessions may last %s, and the map grants %s.", is.Session, want)
	}
	c.add(d)
}
