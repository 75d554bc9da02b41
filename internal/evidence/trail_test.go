package evidence

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// exchange is an event as CloudTrail writes it, of a token of Bitbucket's, at a time of the third day.
func exchange(id, clock, request, session string) string {
	return fmt.Sprintf(`{"eventID":%q,"eventTime":"2026-11-03T%sZ","eventName":"AssumeRoleWithWebIdentity","eventSource":"sts.amazonaws.com","requestID":%q,
		"userIdentity":{"identityProvider":"arn:aws:iam::1:oidc-provider/api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc"},
		"requestParameters":{"roleArn":"arn:aws:iam::1:role/deploy"},"responseElements":{"assumedRoleUser":{"arn":%q}}}`, id, clock, request, session)
}

// granted is a record of AWS, at ten o'clock on the third day.
func granted(uid, request, session string) string {
	more := `,"cloud":{"provider":"AWS"}`
	if request != "" {
		more += fmt.Sprintf(`,"api":{"request":{"uid":%q}}`, request)
	}
	return record(uid, 3, 0, more+fmt.Sprintf(`,"session":{"uid":%q}`, session))
}

// judged are the exceptions of records beside a trail: ids of records, and ids of requests for what only CloudTrail has.
func judged(t *testing.T, trail string, records ...string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "trail.json")
	if err := os.WriteFile(name, []byte(trail), 0o600); err != nil {
		t.Fatal(err)
	}
	got, _ := pack(t, Config{CloudTrail: []string{name, name}}, records...)
	var all []string
	for _, row := range table(t, got["exceptions.csv"]) {
		all = append(all, row[1]+" "+row[0]+row[len(row)-8])
	}
	return strings.Join(all, ", ")
}

// The same events are there, each once, in every form of a file.
func TestTrailForms(t *testing.T) {
	events := []string{exchange("1", "10:00:00", "a", ""), exchange("2", "11:00:00", "b", ""), `{"eventName":"ListRoles","eventSource":"iam.amazonaws.com"}`}
	text := func(event string) string {
		quoted, err := json.Marshal(event)
		if err != nil {
			t.Fatal(err)
		}
		return string(quoted)
	}
	each := func(form string) (all []string) {
		for _, e := range events {
			if strings.Contains(form, "TEXT") {
				e = strings.ReplaceAll(form, "TEXT", text(e))
			} else {
				e = strings.ReplaceAll(form, "EVENT", e)
			}
			all = append(all, e)
		}
		return all
	}
	comma := func(form string) string { return strings.Join(each(form), ",") }
	lower := strings.NewReplacer("eventID", "eventid", "eventTime", "eventtime", "eventName", "eventname", "eventSource", "eventsource", "requestID", "requestid",
		`{"roleArn":"arn:aws:iam::1:role/deploy"}`, `"{\"roleArn\":\"arn:aws:iam::1:role/deploy\"}"`, `{"assumedRoleUser":{"arn":""}}`, `"null"`)
	for name, trail := range map[string]string{
		"a log file":                          `{"Records":[` + comma("EVENT") + `]}`,
		"log files one after the other":       strings.Join(each(`{"Records":[EVENT]}`), ""),
		"one event a line":                    strings.Join(each("EVENT"), "\n"),
		"a list":                              "\ufeff [" + comma("EVENT") + "]",
		"lookup-events":                       `{"Events":[` + comma(`{"EventId":"x","EventTime":1.5,"CloudTrailEvent":TEXT}`) + `]}`,
		"lookup-events, the list alone":       "[" + comma(`{"CloudTrailEvent":TEXT}`) + "]",
		"EventBridge":                         strings.Join(each(`{"version":"0","detail-type":"AWS API Call via CloudTrail","detail":EVENT}`), "\n"),
		"filter-log-events":                   `{"events":[` + comma(`{"timestamp":1,"message":TEXT}`) + `],"searchedLogStreams":[]}`,
		"what Athena unloads":                 lower.Replace(strings.Join(each("EVENT"), "\n")),
		"several trails with the same events": `{"Records":[` + comma("EVENT") + "," + comma("EVENT") + `]}`,
	} {
		t.Run(name, func(t *testing.T) {
			if got, want := judged(t, trail, granted("r", "a", "")), "only-in-cloudtrail b"; got != want {
				t.Errorf("exceptions are %q, want %q", got, want)
			}
		})
	}
}

// A record and an event are one by an id, or else by their session, of which each has one at most.
func TestTrailSessions(t *testing.T) {
	tests := []struct {
		name, trail string
		records     []string
		want        string
	}{
		{name: "by request", trail: exchange("1", "10:00:00", "a", "s"), records: []string{granted("r", "a", "s")}},
		{name: "by session", trail: exchange("1", "10:00:02", "", "s"), records: []string{granted("r", "", "s")}},
		{name: "by session, though another request is named", trail: exchange("1", "10:00:02", "b", "s"), records: []string{granted("r", "a", "s")}},
		{
			name: "the request comes before the session", trail: exchange("1", "10:00:00", "a", "s") + exchange("2", "10:00:01", "b", "s"),
			records: []string{granted("r", "", "s"), granted("q", "a", "s")},
		},
		{
			name: "two records of one session, one event", trail: exchange("1", "10:00:00", "", "s"),
			records: []string{granted("r", "", "s"), granted("q", "", "s")}, want: "not-in-cloudtrail q",
		},
		{
			name: "two events of one session, one record", trail: exchange("1", "10:30:00", "far", "s") + exchange("2", "10:01:00", "near", "s"),
			records: []string{granted("r", "", "s")}, want: "only-in-cloudtrail far",
		},
		{
			name: "the same name on another occasion", trail: exchange("1", "12:00:00", "a", "s"), records: []string{granted("r", "", "s")},
			want: "not-in-cloudtrail r, only-in-cloudtrail a",
		},
		{name: "a copy takes no event", trail: exchange("1", "10:00:00", "", "s"), records: []string{granted("r", "", "s"), granted("r", "", "s")}},
		{name: "nothing to join by", trail: `{"Records":[]}`, records: []string{granted("r", "", "")}, want: "not-in-cloudtrail r"},
		{
			name: "a refusal without an answer", trail: `{"Records":[]}`,
			records: []string{strings.Replace(granted("r", "", ""), `"status_id":1`, `"status_id":2`, 1)}, want: "refused r",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := judged(t, tt.trail, tt.records...); got != tt.want {
				t.Errorf("exceptions are %q, want %q", got, tt.want)
			}
		})
	}
}
