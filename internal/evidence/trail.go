package evidence

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"time"
)

// A trail is the exchanges that CloudTrail knows of.
type trail struct {
	sources []source
	calls   []call
	by      map[string][]int // by request id, access key id, and session ARN
}

// A call is an event of CloudTrail's that AWS STS wrote.
type call struct {
	at                          time.Time
	name, request, key, session string
	user                        string // the token's subject
	role                        string
	code                        string
	own                         bool // of a Bitbucket token
	matched                     bool
}

// An event is one of CloudTrail's, as far as it is needed ("CloudTrail record contents").
type event struct {
	Time      time.Time `json:"eventTime"`
	Name      string    `json:"eventName"`
	Source    string    `json:"eventSource"`
	RequestID string    `json:"requestID"`
	ErrorCode string    `json:"errorCode"`
	Identity  struct {
		Type     string `json:"type"`
		Provider string `json:"identityProvider"`
		UserName string `json:"userName"`
	} `json:"userIdentity"`
	Parameters struct {
		Role string `json:"roleArn"`
	} `json:"requestParameters"`
	Response struct {
		Credentials struct {
			Key string `json:"accessKeyId"`
		} `json:"credentials"`
		User struct {
			ARN string `json:"arn"`
		} `json:"assumedRoleUser"`
		Subject string `json:"subjectFromWebIdentityToken"`
	} `json:"responseElements"`
}

// readTrail reads log files as CloudTrail puts them into a bucket, compressed or not, the answer of lookup-events, and events one
// after the other.
func readTrail(ctx context.Context, names []string) (*trail, error) {
	t := &trail{by: map[string][]int{}}
	for _, name := range names {
		in, err := open(name)
		if err != nil {
			return nil, err
		}
		err = t.readFile(ctx, in)
		closeErr := in.close()
		if err := errors.Join(err, closeErr); err != nil {
			return nil, unreadable(name, err)
		}
		t.sources = append(t.sources, in.source)
	}
	return t, nil
}

func (t *trail) readFile(ctx context.Context, in *input) error {
	found := false
	for dec := json.NewDecoder(in); ; {
		var value struct {
			event
			Records []event `json:"Records"`
			Events  []struct {
				Text string `json:"CloudTrailEvent"`
			} `json:"Events"`
		}
		err := dec.Decode(&value)
		switch {
		case errors.Is(err, io.EOF) && found:
			return nil
		case err != nil:
			return errors.New("not the JSON of CloudTrail")
		case ctx.Err() != nil:
			return ctx.Err()
		case value.Records == nil && value.Events == nil && value.Name == "":
			return errors.New("not the JSON of CloudTrail") // another file would make every login an exception
		}
		found = true
		for _, e := range value.Records {
			t.add(e)
		}
		for _, text := range value.Events {
			var e event
			if json.Unmarshal([]byte(text.Text), &e) != nil {
				return errors.New("not the JSON of CloudTrail")
			}
			t.add(e)
		}
		if value.Name != "" {
			t.add(value.event)
			in.source.Lines++
		}
		in.source.Lines += len(value.Records) + len(value.Events)
	}
}

func (t *trail) add(e event) {
	if e.Source != "sts.amazonaws.com" || e.Name != "AssumeRoleWithWebIdentity" && e.Name != "AssumeRole" {
		return
	}
	c := call{
		at: e.Time, name: e.Name, request: e.RequestID, key: e.Response.Credentials.Key, session: e.Response.User.ARN,
		user: e.Identity.UserName, role: e.Parameters.Role, code: e.ErrorCode,
	}
	if c.user == "" {
		c.user = e.Response.Subject
	}
	provider := e.Identity.Provider
	c.own = e.Name == "AssumeRoleWithWebIdentity" && (provider == "" || strings.Contains(provider, "api.bitbucket.org"))
	for _, id := range []string{c.request, c.key, c.session} {
		if id != "" {
			t.by[id] = append(t.by[id], len(t.calls))
		}
	}
	t.calls = append(t.calls, c)
}

// A trace is what a record and CloudTrail's events can be joined by.
type trace struct {
	asked   bool // AWS was asked for a credential
	request bool // the id of the request is known
	exact   []string
	session string
	at      time.Time
}

// trace outlives the line.
func (l *line) trace() trace {
	if l.Cloud.Provider != "AWS" || l.ActivityID != 1 {
		return trace{}
	}
	t := trace{asked: true, request: l.API.Request.UID != "", session: strings.Clone(l.Session.UID), at: time.UnixMilli(l.Time)}
	for _, id := range append(strings.Fields(l.Unmapped["aws.way_request_uids"]), l.API.Request.UID, l.Session.Credential) {
		if id != "" {
			t.exact = append(t.exact, strings.Clone(id))
		}
	}
	return t
}

// join marks the events that a record is about. It returns false where the record says that AWS was asked and CloudTrail knows
// nothing of it.
func (t *trail) join(r trace) bool {
	if !r.asked {
		return true
	}
	found := false
	for _, id := range r.exact {
		for _, i := range t.by[id] {
			t.calls[i].matched, found = true, true
		}
	}
	if found || r.request {
		return found
	}
	// A session's name may occur again, so it counts only if nothing exact is there.
	const near = 5 * time.Minute
	for _, i := range t.by[r.session] {
		if d := t.calls[i].at.Sub(r.at); r.session != "" && d < near && d > -near {
			t.calls[i].matched, found = true, true
		}
	}
	return found || r.session == "" && len(r.exact) == 0 // nothing came back that the two could be joined by
}

// rest are the exchanges of Bitbucket tokens in the period for which there is no record, in the order of time.
func (t *trail) rest(from, end time.Time) []call {
	var all []call
	for _, c := range t.calls {
		if c.own && !c.matched && !c.at.Before(from) && c.at.Before(end) {
			all = append(all, c)
		}
	}
	return all
}

// row is an event as a row of exceptions.csv.
func (c call) row() []string {
	row := make([]string, len(columns()))
	set := func(name, value string) {
		for i, column := range columns() {
			if column == name {
				row[i] = value
			}
		}
	}
	set("time", stamp(c.at.UnixMilli()))
	set("event", "cloudtrail."+c.name)
	set("status_code", c.code)
	set("subject", c.user)
	set("became_uid", c.role)
	set("provider", "AWS")
	set("session", c.session)
	set("credential_id", c.key)
	set("operation", c.name)
	set("request_id", c.request)
	return row
}
