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
		{"a phrase", Answer{Code: "Denied", Text: "User: arn:aws:sts::1:assumed-role/x is not authorized to perform: sts:TagSession on resource: y"}, "tags"},
		{"a phrase at the end", Answer{Code: "Denied", Text: "not authorized to perform: sts:TagSession"}, "tags"},
		{"in another case and with line breaks", Answer{Code: "Denied", Text: "Not Authorized\n to  perform: sts:tagsession."}, "tags"},
		{"the first row counts", Answer{Code: "Denied", Text: "to perform: sts:TagSession with an explicit deny in a service control policy"}, "a service control policy forbids it"},
		{"part of a longer word", Answer{Code: "Denied", Text: "to perform: sts:TagSessionsOfOthers"}, "something else"},
		{"a whole word after a part", Answer{Code: "Denied", Text: "to perform: sts:TagSessions, to perform: sts:TagSession"}, "tags"},
		{"a name that has the words with hyphens", Answer{Code: "Denied", Text: "role explicit-deny-in-a-service-control-policy"}, "something else"},
		{"another code", Answer{Code: "Other", Text: "to perform: sts:TagSession"}, ""},
		{"a reason", Answer{Code: "PERMISSION", Reason: "SERVICE_DISABLED"}, "the API is off"},
		{"without its reason", Answer{Code: "PERMISSION", Text: "SERVICE_DISABLED"}, ""},
		{"a status", Answer{Status: 404, Code: "NoSuch"}, "nothing is there"},
		{"nothing", Answer{}, ""},
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
