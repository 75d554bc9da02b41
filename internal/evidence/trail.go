package evidence

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// A trail is the exchanges that CloudTrail knows of.
type trail struct {
	sources []source
	calls   []call
	by      map[string][]int // by request id, access key id, and session ARN
	seen    map[string]bool  // ids of events: several trails, and files that overlap, have copies
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
	ID        string    `json:"eventID"`
	Time      time.Time `json:"eventTime"`
	Name      string    `json:"eventName"`
	Source    string    `json:"eventSource"`
	RequestID string    `json:"requestID"`
	ErrorCode string    `json:"errorCode"`
	Identity  struct {
		Provider string `json:"identityProvider"`
		UserName string `json:"userName"`
	} `json:"userIdentity"`
	Parameters unfolded[struct {
		Role string `json:"roleArn"`
	}] `json:"requestParameters"`
	Response unfolded[struct {
		Credentials struct {
			Key string `json:"accessKeyId"`
		} `json:"credentials"`
		User struct {
			ARN string `json:"arn"`
		} `json:"assumedRoleUser"`
		Subject string `json:"subjectFromWebIdentityToken"`
	}] `json:"responseElements"`
}

// unfolded is a part of an event that may be JSON inside a text, as the table that AWS documents for Athena has it.
type unfolded[T any] struct{ it T }

func (u *unfolded[T]) UnmarshalJSON(data []byte) error {
	var text string
	if json.Unmarshal(data, &text) == nil {
		_ = json.Unmarshal([]byte(text), &u.it) // another text has nothing to join by
		return nil
	}
	return json.Unmarshal(data, &u.it)
}

// A carrier is a value of a file: an event, or what events come in.
type carrier struct {
	event
	logged
	Records []event  `json:"Records"` // of a log file
	Events  []logged `json:"Events"`  // of lookup-events, and of filter-log-events of CloudWatch Logs
	Detail  *event   `json:"detail"`  // of EventBridge
}

// logged has an event as a text.
type logged struct {
	Event   string `json:"CloudTrailEvent"`
	Message string `json:"message"`
}

var errNoTrail = errors.New("not the JSON of CloudTrail") // another file would make every login an exception

// readTrail reads log files as CloudTrail puts them into a bucket, the answer of lookup-events, and events one after the other or in a
// list. Files are read side by side: a year has many.
func readTrail(ctx context.Context, files []file, stdin io.Reader) (*trail, error) {
	read := make([]struct {
		source source
		events []event
		err    error
	}, len(files))
	var reading sync.WaitGroup
	turns := make(chan struct{}, runtime.GOMAXPROCS(0))
	for i, f := range files {
		turns <- struct{}{}
		reading.Go(func() {
			r := &read[i]
			r.source, r.events, r.err = readEvents(ctx, f, stdin)
			<-turns
		})
	}
	reading.Wait()
	t := &trail{by: map[string][]int{}, seen: map[string]bool{}}
	var errs []error
	for _, r := range read {
		t.sources = append(t.sources, r.source)
		errs = append(errs, r.err)
		for _, e := range r.events {
			t.add(e)
		}
	}
	return t, errors.Join(errs...)
}

// readEvents reads the events of one file that are about exchanges.
func readEvents(ctx context.Context, f file, stdin io.Reader) (source, []event, error) {
	in, err := open(f, stdin)
	if err != nil {
		return source{}, nil, err
	}
	events, err := in.events(ctx)
	if err := errors.Join(err, in.close()); err != nil {
		return source{}, nil, unreadable(f.name, err)
	}
	return in.source, events, nil
}

func (in *input) events(ctx context.Context) ([]event, error) {
	var all []event
	found := false
	for dec := json.NewDecoder(in); ; {
		var value json.RawMessage
		err := dec.Decode(&value)
		switch {
		case errors.Is(err, io.EOF) && found:
			return all, nil
		case err != nil:
			return nil, errNoTrail
		case ctx.Err() != nil:
			return nil, ctx.Err()
		}
		found = true
		list := []carrier{{}}
		if value[0] == '[' {
			err = json.Unmarshal(value, &list)
		} else {
			err = json.Unmarshal(value, &list[0])
		}
		if err != nil {
			return nil, errNoTrail
		}
		for _, c := range list {
			events, err := c.unload()
			if err != nil {
				return nil, err
			}
			in.source.Lines += len(events)
			for _, e := range events {
				if !e.Time.IsZero() {
					in.source.saw(e.Time.UnixMilli())
				}
				if e.exchanges() {
					all = append(all, e)
				}
			}
		}
	}
}

// unload returns the events that a carrier has, of which there may be none.
func (c carrier) unload() ([]event, error) {
	events := c.Records
	for _, l := range append(c.Events, c.logged) {
		text := cmp.Or(l.Event, l.Message)
		if text == "" {
			continue
		}
		var e event
		if json.Unmarshal([]byte(text), &e) != nil || e.Name == "" {
			return nil, errNoTrail
		}
		events = append(events, e)
	}
	if c.Detail != nil {
		events = append(events, *c.Detail)
	}
	if c.Name != "" {
		events = append(events, c.event)
	}
	if len(events) == 0 && c.Records == nil && c.Events == nil {
		return nil, errNoTrail
	}
	return events, nil
}

// exchanges reports whether an event is about credentials for a role.
func (e event) exchanges() bool {
	sts := e.Source == "" || strings.HasPrefix(e.Source, "sts.amazonaws.com")
	return sts && (e.Name == "AssumeRoleWithWebIdentity" || e.Name == "AssumeRole")
}

func (t *trail) add(e event) {
	if id := cmp.Or(e.ID, e.RequestID); id != "" {
		if t.seen[id] {
			return
		}
		t.seen[id] = true
	}
	response := e.Response.it
	c := call{
		at: e.Time, name: e.Name, request: e.RequestID, key: response.Credentials.Key, session: response.User.ARN,
		user: cmp.Or(e.Identity.UserName, response.Subject), role: e.Parameters.it.Role, code: e.ErrorCode,
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
	granted bool
	exact   []string
	session string
	millis  int64
}

// trace outlives the line.
func (l *line) trace() trace {
	if l.Cloud.Provider != "AWS" || l.ActivityID != 1 {
		return trace{}
	}
	t := trace{asked: true, granted: l.StatusID == 1, session: strings.Clone(l.Session.UID), millis: l.Time}
	for _, id := range append(strings.Fields(l.Unmapped["aws.way_request_uids"]), l.API.Request.UID, l.Session.Credential) {
		if id != "" {
			t.exact = append(t.exact, strings.Clone(id))
		}
	}
	return t
}

// join marks the events that have an id of a record, and reports whether there is one.
func (t *trail) join(r trace) bool {
	found := false
	for _, id := range r.exact {
		for _, i := range t.by[id] {
			t.calls[i].matched, found = true, true
		}
	}
	return found
}

// near is how far apart a record and an event of one session may be, in time. A session's name may come again later.
const near = time.Hour

// joinSession marks the event of a record's session that is nearest in time and that no other record has, and reports whether there
// is one.
func (t *trail) joinSession(session string, at time.Time) bool {
	best := -1
	for _, i := range t.by[session] {
		c := t.calls[i]
		if c.session == session && !c.matched && c.at.Sub(at).Abs() <= near && (best < 0 || c.at.Sub(at).Abs() < t.calls[best].at.Sub(at).Abs()) {
			best = i
		}
	}
	if best >= 0 {
		t.calls[best].matched = true
	}
	return best >= 0
}

// rest are the exchanges of Bitbucket tokens in the period of which there is no record, in the order of time.
func (t *trail) rest(from, end time.Time) []call {
	var all []call
	for _, c := range t.calls {
		if c.own && !c.matched && !c.at.Before(from) && c.at.Before(end) {
			all = append(all, c)
		}
	}
	slices.SortStableFunc(all, func(a, b call) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.request, b.request)) })
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
