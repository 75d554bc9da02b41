package record

import (
	"errors"
	"strings"
	"testing"
	"time"

	"bitbucket-oidc/internal/federation"
	"bitbucket-oidc/internal/oidc"
	"bitbucket-oidc/internal/oidc/oidctest"
	"bitbucket-oidc/internal/record/ocsftest"
	"bitbucket-oidc/internal/secret"
	"bitbucket-oidc/internal/transport"
)

const (
	deploy  = "arn:aws:iam::123456789012:role/deploy"
	audit   = "arn:aws:iam::210987654321:role/audit"
	session = "arn:aws:sts::123456789012:assumed-role/deploy/bitbucket-shop-42"
)

func token(t *testing.T) oidc.Token {
	t.Helper()
	return oidctest.Token(t, `{
		"iss":"https://api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc",
		"aud":"ari:cloud:bitbucket::workspace/7baee083","sub":"{repo}:{env}:{step}","iat":1790000000,"exp":1790003600,
		"repositoryUuid":"{repo}","workspaceUuid":"{workspace}","pipelineUuid":"{pipeline}","stepUuid":"{step}",
		"deploymentEnvironmentUuid":"{env}","branchName":"main"}`)
}

func facts(t *testing.T) Facts {
	return Facts{
		Command: "login", Version: "1.0.0", Token: token(t),
		Step: Step{
			Workspace: "acme", Repository: "acme/shop", Branch: "main", Commit: "3f1c2ab", BuildNumber: "42",
			Environment: "production", Triggerer: "{someone}",
		},
		Guard: Guard{
			Files: []GuardFile{{Name: "guard.yaml", SHA256: "ab12"}},
			Rules: []Verdict{
				{Backend: "aws", Name: "default", Rule: "no-admin", Outcome: "pass", SHA256: "ab12"},
				{Backend: "aws", Name: "audit", Rule: "no-admin", Outcome: "fail", Message: "No.", Refuses: true, SHA256: "ab12"},
			},
		},
	}
}

func target(name, role string, via ...string) federation.Target {
	return federation.Target{
		Backend: "aws", Name: name, Identity: role, Via: via, Account: "123456789012", Region: "eu-west-1", SessionName: "bitbucket-shop-42",
		Endpoint: "sts.eu-west-1.amazonaws.com", Lifetime: time.Hour, Narrowed: true, Policies: []string{"arn:aws:iam::aws:policy/ReadOnlyAccess"},
	}
}

func call(id, principal string) federation.Call {
	return federation.Call{
		Operation: "AssumeRoleWithWebIdentity", RequestID: id, Principal: principal, Account: "123456789012",
		CredentialID: secret.New("ASIA" + id), SessionID: "AROA" + id + ":bitbucket-shop-42", Expires: time.Unix(1790003000, 0),
	}
}

// sample is one record of each kind.
func sample(t *testing.T) []Event {
	t.Helper()
	began := time.Unix(1790000000, 0)
	j := Begin(facts(t))
	took := func(o federation.Outcome) federation.Outcome {
		o.Started, o.Ended = began, began.Add(120*time.Millisecond)
		return o
	}
	j.Exchanged([]federation.Outcome{
		took(federation.Outcome{Target: target("default", deploy), Call: call("1", session)}),
		took(federation.Outcome{
			Target: federation.Target{Backend: "gcp", Name: "default", Identity: "deploy@p.iam.gserviceaccount.com", Project: "p", Endpoint: "sts.googleapis.com"},
			Call:   federation.Call{Operation: "GenerateAccessToken", Principal: "deploy@p.iam.gserviceaccount.com"},
		}),
		took(federation.Outcome{
			Target: federation.Target{Backend: "vault", Name: "default", Identity: "deploy", Endpoint: "vault.acme.example:8200"},
			Call:   federation.Call{Operation: "login", Principal: "deploy", RequestID: "v-1"},
		}),
		took(federation.Outcome{
			Target: target("audit", audit), Call: federation.Call{Operation: "AssumeRoleWithWebIdentity", RequestID: "2"},
			Err: errors.New("aws audit: denied"), Status: 403, Code: "AccessDenied",
		}),
	}, false)
	j.Denied([]federation.Target{target("default", deploy), target("audit", audit)})
	j.LoggedOut([]Ending{
		{Backend: "aws", Name: "default", Principal: session, Expires: began},
		{Backend: "vault", Name: "default", Principal: "deploy", Revoked: true},
		{Backend: "vault", Name: "default", Principal: "deploy", Err: errors.New("vault default: not revoked")},
	})
	return j.events
}

func TestRecordsFitTheSchema(t *testing.T) {
	events := append(sample(t), Begin(Facts{Command: "logout"}).with(Ending{Backend: "okta", Name: "default", Principal: "team"})...)
	for i, e := range events {
		for _, problem := range ocsftest.Problems(e.Line()) {
			t.Errorf("record %d, %s: %s", i, e.Metadata.EventCode, problem)
		}
	}
}

func (j *Journal) with(e Ending) []Event { j.LoggedOut([]Ending{e}); return j.events }

func TestOutcomes(t *testing.T) {
	denied := errors.New("denied")
	at := time.Unix(1790000000, 0)
	tests := map[string]struct {
		outcomes []federation.Outcome
		want     []string // code, disposition, status code, user, session
	}{
		"granted": {
			[]federation.Outcome{{Target: target("default", deploy), Call: call("1", session)}},
			[]string{"aws.login.granted Allowed  " + deploy + " " + session},
		},
		"a chain": {
			[]federation.Outcome{{Target: target("default", deploy, audit), Way: []federation.Call{call("1", session)}, Call: call("2", audit+"/s")}},
			[]string{"aws.login.granted Allowed  " + audit + " " + audit + "/s"},
		},
		"a chain whose end is refused": {
			[]federation.Outcome{{
				Target: target("default", deploy, audit), Way: []federation.Call{call("1", session)},
				Call: federation.Call{Operation: "AssumeRole", RequestID: "2"}, Err: denied, Status: 403, Code: "AccessDenied",
			}},
			[]string{
				"aws.login.granted Allowed  " + deploy + " " + session,
				"aws.login.refused Unauthorized AccessDenied " + audit + " ",
			},
		},
		"two roles that begin with one call": {
			[]federation.Outcome{
				{
					Target: target("far", deploy, audit), Way: []federation.Call{call("1", session)},
					Call: federation.Call{Operation: "AssumeRole"}, Err: denied, Status: 403, Code: "AccessDenied",
				},
				{Target: target("default", deploy), Call: call("1", session)},
			},
			[]string{
				"aws.login.granted Allowed  " + deploy + " " + session,
				"aws.login.refused Unauthorized AccessDenied " + audit + " ",
			},
		},
		"handed out and not used": {
			[]federation.Outcome{{Target: target("default", deploy), Call: call("1", session), Err: denied}},
			[]string{
				"aws.login.granted Allowed  " + deploy + " " + session,
				"aws.login.refused Blocked refused-here " + deploy + " ",
			},
		},
		"not asked": {
			[]federation.Outcome{{Target: target("default", deploy), Err: federation.ErrNotAsked}},
			nil,
		},
		"refused before asking": {
			[]federation.Outcome{{Target: target("default", deploy), Err: denied}},
			[]string{"aws.login.refused Blocked refused-here " + deploy + " "},
		},
		"no answer": {
			[]federation.Outcome{{
				Target: target("default", deploy), Call: federation.Call{Operation: "AssumeRoleWithWebIdentity"},
				Err: &transport.Error{Host: "sts.eu-west-1.amazonaws.com", Reason: "connection refused"},
			}},
			[]string{"aws.login.refused Error unreachable " + deploy + " "},
		},
		"throttled": {
			[]federation.Outcome{{
				Target: target("default", deploy), Call: federation.Call{Operation: "AssumeRoleWithWebIdentity"}, Err: denied, Status: 429,
			}},
			[]string{"aws.login.refused Error 429 " + deploy + " "},
		},
		"an answer that cannot be used": {
			[]federation.Outcome{{
				Target: target("default", deploy), Call: federation.Call{Operation: "AssumeRoleWithWebIdentity"}, Err: denied,
			}},
			[]string{"aws.login.refused Error unusable-answer " + deploy + " "},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			j := Begin(facts(t))
			j.now = func() time.Time { return at }
			j.Exchanged(test.outcomes, false)
			var got []string
			for i, e := range j.events {
				uid := ""
				if e.Session != nil {
					uid = e.Session.UID
				}
				got = append(got, strings.Join([]string{e.Metadata.EventCode, e.Disposition, e.StatusCode, e.User.UID, uid}, " "))
				if e.Metadata.Sequence != i+1 {
					t.Errorf("record %d has the sequence %d", i, e.Metadata.Sequence)
				}
				for _, problem := range ocsftest.Problems(e.Line()) {
					t.Error(problem)
				}
			}
			if strings.Join(got, "\n") != strings.Join(test.want, "\n") {
				t.Errorf("records:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(test.want, "\n"))
			}
		})
	}
}

func TestDenied(t *testing.T) {
	j := Begin(facts(t))
	j.Denied([]federation.Target{target("default", deploy), target("audit", audit)})
	events := j.events
	if len(events) != 1 {
		t.Fatalf("%d records, want one: only one target is denied", len(events))
	}
	e := events[0]
	got := []string{e.ActivityName, e.TypeName, e.StatusCode, e.FirewallRule.Name, e.FirewallRule.UID, e.Unmapped["guard.no-admin"], e.Authorizations[0].Decision}
	want := []string{"Preauth", "Authentication: Preauth", "guardrail.no-admin", "no-admin", "sha256:ab12", "fail", "Denied"}
	if strings.Join(got, "|") != strings.Join(want, "|") || !e.IsAlert || e.API != nil || e.Session != nil {
		t.Errorf("record: %s", e.Line())
	}
}

// Two files may have a rule of one name: the one that refuses is named, and its outcome is the one that stands.
func TestDeniedByOneOfSeveralFiles(t *testing.T) {
	tests := []struct {
		name       string
		by         Verdict
		policy     string
		uid, stays string
	}{
		{"the second file", Verdict{Rule: "no-admin", SHA256: "cd34"}, "ci/guard.yaml", "sha256:cd34", "fail"},
		{"the first file", Verdict{Rule: "no-admin", SHA256: "ab12"}, "guard.yaml", "sha256:ab12", "fail"},
		{"a variable", Verdict{Rule: "minimum-lifetime"}, "guard.yaml", "", "pass"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := facts(t)
			test.by.Backend, test.by.Name, test.by.Outcome, test.by.Refuses = "aws", "default", "fail", true
			f.Guard = Guard{
				Files: []GuardFile{{Name: "guard.yaml", SHA256: "ab12"}, {Name: "ci/guard.yaml", SHA256: "cd34"}},
				Rules: []Verdict{
					{Backend: "aws", Name: "default", Rule: "no-admin", Outcome: "skip", SHA256: "ab12"},
					test.by,
					{Backend: "aws", Name: "default", Rule: "no-admin", Outcome: "pass", SHA256: "cd34"},
				},
			}
			j := Begin(f)
			j.Denied([]federation.Target{target("default", deploy)})
			e := j.events[0]
			if e.Policy.Name != test.policy || e.FirewallRule.UID != test.uid || e.Unmapped["guard.no-admin"] != test.stays {
				t.Errorf("policy %s, rule %+v, guard.no-admin %s", e.Policy.Name, *e.FirewallRule, e.Unmapped["guard.no-admin"])
			}
			for _, problem := range ocsftest.Problems(e.Line()) {
				t.Error(problem)
			}
		})
	}
}

// A command without records pays nothing for them.
func TestNoJournal(t *testing.T) {
	var j *Journal
	targets := []federation.Target{target("default", deploy)}
	outcomes := []federation.Outcome{{Target: targets[0], Call: federation.Call{Principal: deploy}}}
	said := Guard{Rules: []Verdict{{Backend: "aws", Name: "default", Outcome: "fail", Refuses: true}}}
	if n := testing.AllocsPerRun(10, func() {
		j.Judged(said)
		j.Exchanged(outcomes, true)
		j.Denied(targets)
		j.LoggedOut([]Ending{{Backend: "aws"}})
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
