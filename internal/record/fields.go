package record

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"bitbucket-oidc/internal/federation"
	"bitbucket-oidc/internal/transport"
)

const (
	programName = "bitbucket-oidc"
	serviceUser = 4 // user.type_id "Service"

	// Of class 3002.
	category = 3
	class    = 3002
)

// An activity is the schema's number of what happens.
type activity int

const (
	logon   activity = 1
	logoff  activity = 2
	preauth activity = 6 // judged before anything is asked for
)

func (a activity) caption() string {
	return map[activity]string{logon: "Logon", logoff: "Logoff", preauth: "Preauth"}[a]
}

// A disposition is the schema's number of how a decision came about.
type disposition int

const (
	allowed      disposition = 1
	blocked      disposition = 2  // by this program
	unauthorized disposition = 26 // by the cloud
	broke        disposition = 27 // nobody decided: no answer, or none that can be used
)

func (d disposition) caption() string {
	return map[disposition]string{allowed: "Allowed", blocked: "Blocked", unauthorized: "Unauthorized", broke: "Error"}[d]
}

// event begins a record with what all records of the command have.
func (j *Journal) event(a activity, t federation.Target, at time.Time) Event {
	f := j.facts
	e := Event{
		ActivityID: int(a), ActivityName: a.caption(),
		CategoryUID: category, CategoryName: "Identity & Access Management",
		ClassUID: class, ClassName: "Authentication",
		TypeUID: class*100 + int(a), TypeName: "Authentication: " + a.caption(),
		Time: millis(at),
		Metadata: Metadata{
			Version: schemaVersion, LogName: programName + ".audit", LogProvider: programName,
			CorrelationUID: f.stepUUID(), TenantUID: cmp.Or(f.Token.Claims.WorkspaceUUID, f.Step.WorkspaceUUID),
			LoggedTime: millis(j.now()), Profiles: []string{"security_control"},
			Product: Product{Name: programName, VendorName: programName, UID: programName, Version: f.Version, Feature: Named{f.Command}},
		},
		Actor:          f.actor(),
		AuthProtocolID: 4, AuthProtocol: "OpenID",
		LogonTypeID: 3, LogonType: "Network",
		IsRemote: true,
		Unmapped: f.unmapped(t),
	}
	if claims := f.Token.Claims; claims.Subject != "" {
		e.Token = AuthenticationToken{
			TypeID: 3, Type: "Identity Token",
			CreatedTime: millis(claims.IssuedAt), ExpirationTime: millis(claims.Expires),
		}
	}
	if host, port := endpoint(t.Endpoint); host != "" {
		e.DstEndpoint = &Endpoint{host, port}
	}
	for _, file := range f.Guard.Files {
		policy := Policy{Name: file.Name, UID: policyUID(file.SHA256), IsApplied: !file.Audit}
		if !path.IsAbs(file.Name) {
			policy.Version = f.Step.Commit
		}
		if e.Policy == nil {
			e.Policy = &policy
		}
		e.Authorizations = append(e.Authorizations, Authorization{f.Guard.decision(file, t), policy})
	}
	return e
}

// decision is what a file of guardrails itself says of a target, whatever other files and the cloud say. One in audit mode refuses nothing.
func (g Guard) decision(file GuardFile, t federation.Target) string {
	if slices.ContainsFunc(g.Rules, func(v Verdict) bool { return v.Refuses && v.SHA256 == file.SHA256 && v.of(t) }) {
		return "Denied"
	}
	return "Allowed"
}

// stepUUID is the token's, or else Bitbucket's variable.
func (f Facts) stepUUID() string {
	claims := f.Token.Claims
	return cmp.Or(claims.StepUUID, claims.Subject[strings.LastIndexByte(claims.Subject, ':')+1:], f.Step.StepUUID)
}

// actor is the step.
func (f Facts) actor() Actor {
	claims := f.Token.Claims
	repository := cmp.Or(claims.Repository(), f.Step.RepositoryUUID)
	a := Actor{
		AppName: "bitbucket-pipelines",
		AppUID:  cmp.Or(claims.PipelineUUID, f.Step.PipelineUUID),
		User:    &User{TypeID: serviceUser, Type: "Service", Name: f.Step.Repository, UID: claims.Subject, UIDAlt: repository},
		Session: &Session{UID: f.stepUUID(), Issuer: claims.Issuer, CreatedTime: millis(claims.IssuedAt), IsRemote: true},
	}
	if org := (Organization{f.Step.Workspace, cmp.Or(claims.WorkspaceUUID, f.Step.WorkspaceUUID)}); org != (Organization{}) {
		a.User.Org = &org
	}
	if a.User.Name == "" && a.User.UID == "" {
		a.User = nil // the schema wants one of them
	}
	if claims.Issuer != "" {
		a.IDP = &IDP{Name: "Bitbucket Pipelines", UID: claims.Issuer, Issuer: claims.Issuer, ProtocolName: "OpenID Connect"}
	}
	return a
}

// unmapped is what the schema has no field for, and the outcome of each guardrail for the target: an auditor also asks why a guardrail
// did not apply.
func (f Facts) unmapped(t federation.Target) map[string]string {
	claims := f.Token.Claims
	all := map[string]string{
		"bitbucket.branch":                  f.Step.Branch,
		"bitbucket.tag":                     f.Step.Tag,
		"bitbucket.commit":                  f.Step.Commit,
		"bitbucket.build_number":            f.Step.BuildNumber,
		"bitbucket.pull_request":            f.Step.PullRequest,
		"bitbucket.deployment_environment":  f.Step.Environment,
		"bitbucket.step_triggerer_uuid":     f.Step.Triggerer,
		"token.branch":                      claims.BranchName,
		"token.deployment_environment_uuid": claims.Environment(),
		"token.audience":                    strings.Join(claims.Audience, " "),
		"requested.target":                  t.Identity,
		"gcp.provider":                      t.Provider,
		"requested.audience":                t.Audience,
		"requested.scopes":                  joined(t.Scopes, " "),
		"target":                            t.Backend + " " + t.Name,
	}
	if claims.Subject != "" {
		header := f.Token.Header()
		all["token.sha256"], all["token.alg"], all["token.kid"] = f.Token.SHA256(), header.Algorithm, header.KeyID
	}
	if t.Lifetime > 0 {
		all["requested.duration"] = strconv.FormatInt(int64(t.Lifetime/time.Second), 10)
	}
	if t.Narrowed {
		all["requested.narrowed"] = "true"
	}
	var managed []string
	for _, p := range t.Policies {
		if strings.HasPrefix(p, "arn:") {
			managed = append(managed, p)
			continue
		}
		sum := sha256.Sum256([]byte(p)) // the policy itself may be long
		all["requested.session_policy_sha256"] = hex.EncodeToString(sum[:])
	}
	all["requested.session_policies"] = strings.Join(managed, " ")
	if len(t.Via) > 0 && t.Backend == "aws" {
		all["aws.chain"] = strings.Join(append([]string{t.Identity}, t.Via...), " > ")
	} else if len(t.Via) > 0 {
		all[t.Backend+".delegates"] = strings.Join(t.Via, " > ")
	}
	for _, v := range f.Guard.Rules {
		if name := "guard." + v.Rule; v.of(t) && graver(v.Outcome, all[name]) {
			all[name] = v.Outcome
		}
	}
	return all
}

// policyUID names a file of guardrails.
func policyUID(sha256 string) string { return "sha256:" + sha256 }

// graver reports whether an outcome matters more than another one: guardrails of two files may have one name, and a failure must not
// be lost.
func graver(outcome, than string) bool {
	order := []string{"", "skip", "pass", "fail", "error"}
	return slices.Index(order, outcome) > slices.Index(order, than)
}

// decide sets the disposition, the code and the text of the event.
func (e *Event) decide(d disposition, code, detail string) {
	e.DispositionID, e.Disposition = int(d), d.caption()
	e.StatusID, e.Status, e.ActionID, e.Action = 1, "Success", 1, "Allowed"
	e.SeverityID, e.Severity = 1, "Informational"
	if d != allowed {
		e.StatusID, e.Status, e.ActionID, e.Action = 2, "Failure", 2, "Denied"
		e.SeverityID, e.Severity = 3, "Medium"
		if strings.EqualFold(e.Unmapped["bitbucket.deployment_environment"], "production") {
			e.SeverityID, e.Severity = 4, "High"
		}
	}
	e.StatusCode, e.StatusDetail = code, detail
}

// took notes how long the exchange took.
func (e *Event) took(o federation.Outcome) {
	if o.Started.IsZero() || o.Ended.Before(o.Started) {
		return
	}
	duration := o.Ended.Sub(o.Started).Milliseconds()
	e.Duration = &duration
}

// become says who the step became, or would have become. The fields are those in which OCSF's mapping of CloudTrail has the same
// facts.
func (e *Event) become(o federation.Outcome) {
	t, identity := o.Target, became(o)
	e.User = User{TypeID: serviceUser, Type: "Service", Name: identity, UID: cmp.Or(o.Principal, identity, t.Backend)}
	if o.Principal != "" {
		e.Session = &Session{
			UID: o.Principal, UIDAlt: o.SessionID, CredentialUID: o.CredentialID.Reveal(), Issuer: identity,
			CreatedTime: e.Time, ExpirationTime: millis(o.Expires), IsRemote: true,
		}
	}
	account := cmp.Or(o.Account, t.Account)
	switch t.Backend {
	case "aws":
		e.User.UID, e.User.Name = identity, t.SessionName
		if o.Principal != "" {
			e.User.Name = lastPart(o.Principal)
		}
		if account != "" {
			e.User.Account = &Account{account, 10, "AWS Account"}
		}
	case "gcp":
		e.User.UID = identity
		if strings.Contains(identity, "@") {
			e.User.EmailAddr = identity
		}
		switch {
		case identity != t.Identity: // project and lifetime are those of the target, and the exchange on the way to it takes no lifetime
			delete(e.Unmapped, "requested.duration")
		case t.Project != "":
			e.User.Account = &Account{t.Project, 11, "GCP Project"}
		}
	}
}

// became is who the step became, or would have become: the target, or what comes before it on the way.
func became(o federation.Outcome) string {
	t := o.Target
	switch {
	case o.Principal == "":
	case t.Backend == "aws" && len(o.Way) < len(t.Via):
		return append([]string{t.Identity}, t.Via...)[len(o.Way)]
	case t.Backend == "gcp":
		return o.Principal
	}
	return lastOf(t)
}

// called says which call of the cloud's decided. It belongs to the profile cloud, which only AWS and Google have.
func (e *Event) called(o federation.Outcome) {
	e.Service = Named{serviceOf(o)}
	if o.Target.Backend != "aws" && o.Target.Backend != "gcp" {
		if o.RequestID != "" {
			e.Unmapped["request.uid"] = o.RequestID
		}
		return
	}
	e.Cloud = &Cloud{Provider: "GCP", Account: e.User.Account}
	if o.Target.Backend == "aws" {
		e.Cloud.Provider, e.Cloud.Region = "AWS", o.Target.Region
		if parts := strings.SplitN(lastOf(o.Target), ":", 3); len(parts) == 3 {
			e.Cloud.Partition = parts[1]
		}
	}
	e.API = &API{Operation: o.Operation, Version: versionOf(e.Service.Name), Service: e.Service, Response: &Response{Code: o.Status}}
	if o.RequestID != "" {
		e.API.Request = &Request{o.RequestID}
	}
	if o.Principal != "" {
		e.API.Response.Code = http.StatusOK
	} else {
		e.API.Response.Error, e.API.Response.ErrorMessage = e.StatusCode, e.StatusDetail
	}
	e.API.Response.Message = http.StatusText(e.API.Response.Code)
	var ids []string
	for _, call := range o.Way {
		ids = append(ids, call.RequestID)
	}
	e.Unmapped[o.Target.Backend+".way_request_uids"] = joined(ids, " ")
}

// serviceOf is the service that decided, by the name that the cloud's own log has.
func serviceOf(o federation.Outcome) string {
	switch {
	case o.Operation == "GetAuthorizationToken" && o.Target.Name == "public.ecr.aws":
		return "ecr-public.amazonaws.com"
	case o.Operation == "GetAuthorizationToken":
		return "ecr.amazonaws.com"
	case o.Target.Backend == "aws":
		return "sts.amazonaws.com"
	case o.Target.Backend == "gcp" && strings.HasPrefix(o.Operation, "Generate"):
		return "iamcredentials.googleapis.com"
	case o.Target.Backend == "gcp":
		return "sts.googleapis.com"
	}
	return o.Target.Backend
}

// versionOf is the version of a service's interface, as its requests name it.
func versionOf(service string) string {
	return map[string]string{
		"sts.amazonaws.com": "2011-06-15", "ecr.amazonaws.com": "2015-09-21", "ecr-public.amazonaws.com": "2020-10-30",
		"sts.googleapis.com": "v1", "iamcredentials.googleapis.com": "v1",
	}[service]
}

// dispositionOf reports who refused.
func dispositionOf(o federation.Outcome) disposition {
	switch {
	case o.Operation == "" || o.Principal != "":
		return blocked // before asking, or what was handed out
	case o.Status >= 400 && o.Status < 500 && o.Status != http.StatusTooManyRequests && o.Status != http.StatusRequestTimeout:
		return unauthorized
	}
	return broke
}

// codeOf is a stable code for machines: the service's own, or what kind of failure it is.
func codeOf(o federation.Outcome) string {
	var unreachable *transport.Error
	switch {
	case o.Code != "":
		return o.Code
	case o.Status >= 400:
		return strconv.Itoa(o.Status)
	case errors.As(o.Err, &unreachable):
		return "unreachable"
	case dispositionOf(o) == blocked:
		return "refused-here"
	}
	return "unusable-answer"
}

// endpoint is a host with its port.
func endpoint(address string) (host string, port int) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return address, 443
	}
	port, _ = strconv.Atoi(text)
	return host, cmp.Or(port, 443)
}

// millis is OCSF's timestamp_t; zero for a time that is not known.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}
