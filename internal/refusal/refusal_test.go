package refusal

import (
	"errors"
	"slices"
	"testing"

	"bitbucket-oidc/internal/clock"
	"bitbucket-oidc/internal/hint"
)

func table() Table[string] {
	return Table[string]{
		{Code: "Denied", Texts: []string{"explicit deny in a service control policy"}, Means: "a service control policy forbids it"},
		{Code: "Denied", Texts: []string{"to perform: sts:TagSession"}, Means: "tags", Do: func(role string) []string { return []string{"allow it on " + role} }},
		{Code: "PERMISSION", Reason: "SERVICE_DISABLED", Means: "the API is off"},
		{Code: "Denied", Means: "something else"},
		{Code: "Expired", Means: "too old", Clock: clock.Behind},
		{Status: 404, Means: "nothing is there"},
	}
}

func TestFind(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer Answer
		want   string // what the row says, or empty for no row
	}{
		{
			name: "a phrase",
			answer: Answer{
				Code: "Denied",
				Text: "User: arn:aws:sts::1:assumed-role/x is not authorized to perform: sts:TagSession on resource: y",
			},
			want: "tags",
		},
		{
			name: "a phrase at the end", answer: Answer{Code: "Denied", Text: "not authorized to perform: sts:TagSession"},
			want: "tags",
		},
		{
			name:   "in another case and with line breaks",
			answer: Answer{Code: "Denied", Text: "Not Authorized\n to  perform: sts:tagsession."}, want: "tags",
		},
		{
			name:   "the first row counts",
			answer: Answer{Code: "Denied", Text: "to perform: sts:TagSession with an explicit deny in a service control policy"},
			want:   "a service control policy forbids it",
		},
		{
			name: "part of a longer word", answer: Answer{Code: "Denied", Text: "to perform: sts:TagSessionsOfOthers"},
			want: "something else",
		},
		{
			name:   "a whole word after a part",
			answer: Answer{Code: "Denied", Text: "to perform: sts:TagSessions, to perform: sts:TagSession"}, want: "tags",
		},
		{
			name:   "a name that has the words with hyphens",
			answer: Answer{Code: "Denied", Text: "role explicit-deny-in-a-service-control-policy"}, want: "something else",
		},
		{name: "another code", answer: Answer{Code: "Other", Text: "to perform: sts:TagSession"}},
		{name: "a reason", answer: Answer{Code: "PERMISSION", Reason: "SERVICE_DISABLED"}, want: "the API is off"},
		{name: "without its reason", answer: Answer{Code: "PERMISSION", Text: "SERVICE_DISABLED"}},
		{name: "a status", answer: Answer{Status: 404, Code: "NoSuch"}, want: "nothing is there"},
		{name: "nothing", answer: Answer{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			row, ok := table().Find(c.answer)
			if ok != (c.want != "") || row.Means != c.want {
				t.Errorf("%q (%t), want %q", row.Means, ok, c.want)
			}
		})
	}
}

func TestErr(t *testing.T) {
	answer := Answer{Status: 403, Code: "Denied", Text: "hunter2: to perform: sts:TagSession"}
	row, _ := table().Find(answer)
	err := row.Err("assuming a role", answer, "deploy")
	if err.Error() != "assuming a role: Denied: tags" || !slices.Equal(hint.All(err), []string{"allow it on deploy"}) {
		t.Errorf("%v, hints %q", err, hint.All(err))
	}
	var e *Error
	if !errors.As(err, &e) || e.Status != 403 || e.Code != "Denied" {
		t.Errorf("%+v", e)
	}
}

func TestSaid(t *testing.T) {
	want := []string{
		"Denied: a service control policy forbids it", "Denied: tags", "PERMISSION: SERVICE_DISABLED: the API is off", "Denied: something else",
		"Expired: too old", "status 404: nothing is there",
	}
	if got := table().Said(); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}
