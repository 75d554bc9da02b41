package aws

import (
	"testing"

	"bitbucket-oidc/internal/transport"
)

func TestJudge(t *testing.T) {
	query := func(code, message string) string {
		return `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>` + code +
			`</Code><Message>` + message + `</Message></Error><RequestId>1</RequestId></ErrorResponse>`
	}
	for _, c := range []struct {
		body string
		want transport.Fault
	}{
		{query("Throttling", "Rate exceeded"), transport.Throttled},
		{query("ThrottlingException", "Rate exceeded"), transport.Throttled},
		{query("RequestLimitExceeded", ""), transport.Throttled},
		{`{"__type":"com.amazonaws.ecr#ThrottlingException","message":"Rate exceeded"}`, transport.Throttled},
		{`{"__type":"ThrottlingException"}`, transport.Throttled},
		{query("RequestTimeout", ""), transport.Passes},
		{query("IDPCommunicationError", ""), transport.Passes},
		{query("InvalidIdentityToken", "Couldn't retrieve verification key from your identity provider"), transport.Passes},
		{query("InvalidIdentityToken", "Could not  RETRIEVE\nverification key"), transport.Passes},
		{query("InvalidIdentityToken", "Incorrect token audience"), transport.Lasts},
		{query("AccessDenied", "Throttling"), transport.Lasts},
		{`{"__type":"AccessDeniedException"}`, transport.Lasts},
		{"<html>Throttling", transport.Lasts},
		{"", transport.Lasts},
	} {
		if got := judge(400, []byte(c.body)); got != c.want {
			t.Errorf("judge(%q) = %d, want %d", c.body, got, c.want)
		}
	}
}
