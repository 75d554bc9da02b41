// Package record writes down the result of every exchange: one line of OCSF's class 3002, Authentication, for each credential,
// refusal, denial and logout. It delivers the lines to files and services side by side.
//
// A record holds no token and no key. It has what joins it with the cloud's own log: the request's id, the session, the access
// key's id, and the token's SHA-256.
package record

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"bitbucket-oidc/internal/federation"
	"bitbucket-oidc/internal/oidc"

	"github.com/google/uuid"
)

// Facts are what all records of one command have in common.
type Facts struct {
	Command string // login or logout
	Version string // of this program
	Token   oidc.Token
	Step    Step
	Guard   Guard

	// Input is what guardrails would see of an outcome, as JSON, so that other guardrails can be tried on past logins; or nil.
	Input func(federation.Outcome) string
}

// Step is what Bitbucket's variables say of a step. Its author can overwrite them: what the token states stands in its own fields.
type Step struct {
	Workspace, WorkspaceUUID   string
	Repository, RepositoryUUID string // Repository is WORKSPACE/SLUG
	PipelineUUID, StepUUID     string
	Branch, Tag, PullRequest   string
	Commit, BuildNumber        string
	Environment                string // the deployment environment's name, which the token does not have
	Triggerer                  string // the UUID of who started the step
}

// Guard is what the guardrails said about a login.
type Guard struct {
	Files []GuardFile
	Rules []Verdict
}

// A GuardFile is a file of guardrails that counted.
type GuardFile struct {
	Name   string
	SHA256 string // of its bytes, in hexadecimal
	Audit  bool   // its rules refuse nothing
}

// A Verdict is what one guardrail said about one target.
type Verdict struct {
	Backend, Name string // of the target
	Rule          string // the guardrail's name
	Outcome       string // pass, skip, fail or error
	Message       string // of a guardrail that refused
	Refuses       bool   // whether it ends the login
	SHA256        string // of the file that has the guardrail; empty for one that a variable sets up
}

// A Journal collects the records of one command, in the order in which things happened. A nil Journal is for a command without a place
// for records: it collects none, at no cost.
type Journal struct {
	facts  Facts
	now    func() time.Time
	events []Event
}

// Begin opens the journal of a command.
func Begin(f Facts) *Journal {
	return &Journal{facts: f, now: time.Now}
}

// Judged adds what the guardrails said. It counts for the records that follow.
func (j *Journal) Judged(g Guard) {
	if j == nil {
		return
	}
	j.facts.Guard.Files = append(j.facts.Guard.Files, g.Files...)
	j.facts.Guard.Rules = append(j.facts.Guard.Rules, g.Rules...)
}

// Exchanged records the outcome of each target: what was handed out, whether or not something refused the target afterwards, and
// what was refused. A target that was not asked for leaves no record. A chain that reached its last role has one record; a chain
// that did not has one for each credential on the way, because it is valid. refused says that the login is refused after the exchange:
// the records of what was handed out then say so.
func (j *Journal) Exchanged(outcomes []federation.Outcome, refused bool) {
	if j == nil {
		return
	}
	recorded := map[string]bool{} // roles that begin alike share a call
	for _, o := range outcomes {
		if o.Principal != "" {
			recorded[key(o.Call)] = true
			j.granted(o, refused)
		}
	}
	for _, o := range outcomes {
		if o.Err == nil || errors.Is(o.Err, federation.ErrNotAsked) {
			continue
		}
		for i, call := range o.Way {
			if call.Principal != "" && !recorded[key(call)] {
				recorded[key(call)] = true
				way := o
				way.Call, way.Way = call, o.Way[:i]
				j.granted(way, refused)
			}
		}
		j.refused(o)
	}
}

// key is the same for the same call.
func key(c federation.Call) string {
	return strings.Join([]string{c.Operation, c.RequestID, c.Principal, c.CredentialID.Reveal()}, "\n")
}

func (j *Journal) granted(o federation.Outcome, refused bool) {
	e := j.event(logon, o.Target, ended(o))
	e.decide(allowed, "", "")
	e.Metadata.EventCode = o.Target.Backend + ".login.granted"
	e.Message = o.Target.Backend + " " + o.Target.Name + ": handed out " + o.Principal
	e.IsNewLogon = true
	if refused {
		e.Unmapped["login.refused"] = "true"
	}
	e.took(o)
	e.become(o)
	e.called(o)
	j.seen(e, o)
	j.add(e)
}

// seen adds what guardrails would see.
func (j *Journal) seen(e Event, o federation.Outcome) {
	if j.facts.Input != nil {
		e.Unmapped["guard.input"] = j.facts.Input(o)
	}
}

func (j *Journal) refused(o federation.Outcome) {
	e := j.event(logon, o.Target, ended(o))
	by := dispositionOf(o)
	e.decide(by, codeOf(o), o.Err.Error())
	e.Metadata.EventCode = o.Target.Backend + ".login.refused"
	e.Message = o.Err.Error()
	e.took(o)
	o.Call = federation.Call{Operation: o.Operation, RequestID: o.RequestID} // what was handed out has a record of its own
	e.become(o)
	e.Service = Named{serviceOf(o)}
	if by == blocked {
		e.Service = Named{programName}
	} else {
		e.called(o)
	}
	j.seen(e, o)
	j.add(e)
}

// Denied records each target that a guardrail refuses.
func (j *Journal) Denied(targets []federation.Target) {
	if j == nil {
		return
	}
	for _, t := range targets {
		var broken []Verdict
		for _, v := range j.facts.Guard.Rules {
			if v.Refuses && v.of(t) {
				broken = append(broken, v)
			}
		}
		if len(broken) > 0 {
			j.denied(t, broken)
		}
	}
}

func (j *Journal) denied(t federation.Target, broken []Verdict) {
	first := broken[0]
	var said []string
	for _, v := range broken {
		said = append(said, v.Rule+": "+v.Message)
	}
	e := j.event(preauth, t, j.now())
	e.decide(blocked, "guardrail."+first.Rule, strings.Join(said, " "))
	e.Metadata.EventCode = "guardrail.denied"
	e.Message = t.Backend + " " + t.Name + ": guardrail " + strings.Join(said, " ")
	e.IsAlert = true
	e.become(federation.Outcome{Target: t})
	j.seen(e, federation.Outcome{Target: t})
	e.Service = Named{programName}
	e.FirewallRule = &Rule{Name: first.Rule}
	for _, a := range e.Authorizations {
		if a.Policy.UID == policyUID(first.SHA256) {
			e.Policy = &a.Policy // of several files the one that refused
			e.FirewallRule.UID, e.FirewallRule.Version = a.Policy.UID, a.Policy.Version
		}
	}
	j.add(e)
}

// An Ending is a credential that logout removed.
type Ending struct {
	Backend, Name, Principal string
	Expires                  time.Time // zero if it is not known
	Revoked                  bool      // the service was told; else the credential ends by itself
	Err                      error     // why it was not removed or not revoked, or nil
}

// LoggedOut records each credential that logout removed.
func (j *Journal) LoggedOut(endings []Ending) {
	if j == nil {
		return
	}
	for _, ending := range endings {
		t := federation.Target{Backend: ending.Backend, Name: ending.Name, Identity: ending.Principal}
		e := j.event(logoff, t, j.now())
		e.Metadata.EventCode = "logout"
		e.Service = Named{programName}
		e.DstEndpoint = nil
		e.User = User{TypeID: serviceUser, Type: "Service", Name: ending.Principal, UID: ending.Principal}
		if ending.Backend == "aws" {
			e.User.Name = lastPart(ending.Principal)
		}
		e.Session = &Session{UID: ending.Principal, ExpirationTime: millis(ending.Expires), IsRemote: true,
			ExpirationReason: "files removed; the session ends by itself"}
		if ending.Revoked {
			e.Session.ExpirationReason = "revoked"
		}
		e.Message = ending.Backend + " " + ending.Name + ": " + e.Session.ExpirationReason
		e.decide(allowed, "", "")
		if ending.Err != nil {
			e.decide(broke, "logout.failed", ending.Err.Error())
			e.Message, e.Session.ExpirationReason = ending.Err.Error(), ""
		}
		j.add(e)
	}
}

// add numbers a finished record.
func (j *Journal) add(e Event) {
	if e.User.Name != "" {
		e.Observables = append(e.Observables, Observable{Name: "user.name", TypeID: 4, Type: "User Name", Value: e.User.Name})
	}
	if e.User.UID != "" {
		e.Observables = append(e.Observables, Observable{Name: "user.uid", TypeID: 31, Type: "User Object: uid", Value: e.User.UID})
	}
	if e.Cloud != nil {
		e.Metadata.Profiles = []string{"cloud", "security_control"}
	}
	maps.DeleteFunc(e.Unmapped, func(_, value string) bool { return value == "" })
	e.Metadata.Sequence = len(j.events) + 1
	e.Metadata.UID = newUID()
	e.Unmapped["command.uid"] = e.Metadata.UID // tells commands of one step apart, which number their records alike
	if len(j.events) > 0 {
		e.Unmapped["command.uid"] = j.events[0].Metadata.UID
	}
	j.events = append(j.events, e)
}

// newUID is of version 7, so that records sort by time.
func newUID() string {
	id, err := uuid.NewV7()
	if err != nil {
		id = uuid.New() // the same source of chance, which does not fail (crypto/rand)
	}
	return id.String()
}

func ended(o federation.Outcome) time.Time {
	if o.Ended.IsZero() {
		return time.Now()
	}
	return o.Ended
}

func (v Verdict) of(t federation.Target) bool { return v.Backend == t.Backend && v.Name == t.Name }

// lastOf is who the step becomes in the end: the last role of a chain. Delegates come before the identity.
func lastOf(t federation.Target) string {
	if t.Backend == "aws" && len(t.Via) > 0 {
		return t.Via[len(t.Via)-1]
	}
	return t.Identity
}

func joined(values []string, separator string) string {
	return strings.Join(slices.DeleteFunc(slices.Clone(values), func(v string) bool { return v == "" }), separator)
}

func lastPart(name string) string { return name[strings.LastIndexByte(name, '/')+1:] }
