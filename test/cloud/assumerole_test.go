package cloud

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

func assumeRole(role string) url.Values {
	return url.Values{
		"Action": {"AssumeRole"}, "Version": {stsVersion}, "RoleArn": {role}, "RoleSessionName": {"bitbucket-shop-42"},
	}
}

func TestAssumeRole(t *testing.T) {
	const second, third = "arn:aws:iam::210987654321:role/second", "arn:aws:iam::210987654321:role/third"
	world := testWorld(t)
	all := []string{actionAssumeRole, actionTagSession, actionSetSource}
	world.AWS.SetRole(Role{ARN: second, MaxSession: 12 * time.Hour, Trust: []Trust{{Actions: all, Role: RoleARN, ExternalID: "secret-ish"}}})
	world.AWS.SetRole(Role{ARN: third, Trust: []Trust{{Actions: all, Role: second}}})
	plain := "arn:aws:iam::210987654321:role/plain"
	world.AWS.SetRole(Role{ARN: plain, Trust: []Trust{{Actions: []string{actionAssumeRole}, Role: RoleARN}}})
	world.AWS.Configure(func(c *AWSConfig) { c.PackedLimit = 300 })

	first := askSTS(t, world.STS, webIdentity(stepToken(world.Issuer, nil)), nil).Web.Credentials
	ask := func(t *testing.T, c credentialsXML, form url.Values) stsAnswer {
		t.Helper()
		return askSTS(t, world.STS, form, signed(c, "sts", form.Encode()))
	}
	good := func() url.Values { return with(assumeRole(second), "ExternalId=secret-ish") }
	tagged := func(tags ...string) url.Values {
		form := good()
		for i, tag := range tags {
			key, value, _ := strings.Cut(tag, "=")
			form.Set(fmt.Sprintf("Tags.member.%d.Key", i+1), key)
			form.Set(fmt.Sprintf("Tags.member.%d.Value", i+1), value)
		}
		return form
	}
	many := make([]string, 51)
	for i := range many {
		many[i] = fmt.Sprintf("k%d=", i)
	}

	refused := []struct {
		name string
		form url.Values
		code string
		text string
	}{
		{"no external id", assumeRole(second), "AccessDenied", "is not authorized to perform: sts:AssumeRole on resource: " + second},
		{"wrong external id", with(good(), "ExternalId=other"), "AccessDenied", "sts:AssumeRole"},
		{"short external id", with(good(), "ExternalId=x"), "ValidationError", "externalId"},
		{"not trusted", assumeRole(third), "AccessDenied", "sts:AssumeRole"},
		{"no such role", assumeRole(second + "x"), "AccessDenied", "sts:AssumeRole"},
		{"over an hour", with(good(), "DurationSeconds=3601"), "ValidationError", "exceeds the 1 hour session limit for roles assumed by role chaining."},
		{"tags without permission", with(assumeRole(plain), "Tags.member.1.Key=a", "Tags.member.1.Value=b"), "AccessDenied", "sts:TagSession"},
		{"source without permission", with(assumeRole(plain), "SourceIdentity=someone"), "AccessDenied", "sts:SetSourceIdentity"},
		{"keys that differ by case", tagged("Branch=a", "branch=b"), "ValidationError", "Duplicate tag keys"},
		{"key with strange characters", tagged("a{b}=c"), "ValidationError", "pattern"},
		{"value with strange characters", tagged("a=feature#1"), "ValidationError", "pattern"},
		{"long value", tagged("a=" + strings.Repeat("x", 257)), "ValidationError", "256"},
		{"long key", tagged(strings.Repeat("x", 129) + "="), "ValidationError", "128"},
		{"reserved key", tagged("AWS:x=y"), "ValidationError", "aws:"},
		{"51 tags", tagged(many...), "ValidationError", "50"},
		{"key without value", with(good(), "Tags.member.1.Key=a"), "ValidationError", "null"},
		{"transitive key of no tag", with(tagged("a=b"), "TransitiveTagKeys.member.1=c"), "InvalidParameterValue", "transitive"},
		{"too much", tagged("a="+strings.Repeat("x", 200), "b="+strings.Repeat("x", 200)), "PackedPolicyTooLarge", "134%"},
		{"a token", with(good(), "WebIdentityToken=eyJ"), "ValidationError", "WebIdentityToken"},
	}
	for _, test := range refused {
		t.Run(test.name, func(t *testing.T) {
			answer := ask(t, first, test.form)
			if answer.status < 400 || answer.Code != test.code || !strings.Contains(answer.Message, test.text) {
				t.Errorf("%v, want %s with %q", answer, test.code, test.text)
			}
		})
	}

	answer := ask(t, first, with(tagged("Repository=shop", "Branch=main"), "TransitiveTagKeys.member.1=Repository", "SourceIdentity=bitbucket"))
	if answer.status != http.StatusOK {
		t.Fatal(answer)
	}
	next := answer.Chain.Credentials
	if answer := ask(t, next, with(assumeRole(third), "Tags.member.1.Key=repository", "Tags.member.1.Value=x")); answer.Code != "InvalidParameterValue" {
		t.Errorf("a transitive tag set again: %v", answer)
	}
	if answer := ask(t, next, with(assumeRole(third), "SourceIdentity=someone-else")); answer.Code != "AccessDenied" {
		t.Errorf("another source identity: %v", answer)
	}
	answer = ask(t, next, assumeRole(third))
	if answer.status != http.StatusOK {
		t.Fatal(answer)
	}
	session, _ := world.AWS.Session(answer.Chain.Credentials.AccessKeyID)
	if len(session.Tags) != 1 || session.Tags["Repository"] != "shop" || session.SourceID != "bitbucket" {
		t.Errorf("session = %v %q, want the transitive tag and the source identity", session.Tags, session.SourceID)
	}
}
