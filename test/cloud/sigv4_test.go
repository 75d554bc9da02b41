package cloud

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// The example in [IAM User Guide, Create a signed AWS API request].
func TestSignatureVector(t *testing.T) {
	r, err := http.NewRequest(http.MethodGet, "https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	r.Header.Set("X-Amz-Date", "20150830T123600Z")
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, "+
		"SignedHeaders=content-type;host;x-amz-date, Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7")
	s, failure := parseSignature(r)
	if failure != nil {
		t.Fatal(failure)
	}
	now := time.Date(2015, 8, 30, 12, 40, 0, 0, time.UTC)
	if failure := s.verify(r, nil, "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "iam", now); failure != nil {
		t.Error(failure)
	}
}

// signed signs a request with a session's credentials, as a client would.
func signed(c credentialsXML, service string, body string, headers ...string) func(*http.Request) {
	return func(r *http.Request) {
		now := time.Now().UTC()
		names := append([]string{"content-type", "host", "x-amz-date", "x-amz-security-token"}, headers...)
		s := signature{accessKeyID: c.AccessKeyID, date: now.Format("20060102"), region: "eu-west-1", service: service, headers: names}
		r.Header.Set("X-Amz-Date", now.Format(sigTimeFormat))
		r.Header.Set("X-Amz-Security-Token", c.SessionToken)
		r.Host = r.URL.Host
		r.Header.Set("Authorization", fmt.Sprintf(
			"AWS4-HMAC-SHA256 Credential=%s/%s/%s/%s/aws4_request, SignedHeaders=%s, Signature=%s", s.accessKeyID, s.date,
			s.region, s.service, strings.Join(names, ";"), s.compute(r, []byte(body), c.SecretAccessKey, r.Header.Get("X-Amz-Date"))))
	}
}

func TestSignatureIsChecked(t *testing.T) {
	world := testWorld(t)
	c := askSTS(t, world.STS, webIdentity(stepToken(world.Issuer, nil)), nil).Web.Credentials
	form := url.Values{"Action": {"GetCallerIdentity"}, "Version": {stsVersion}}
	if answer := askSTS(t, world.STS, form, signed(c, "sts", form.Encode())); answer.status != http.StatusOK {
		t.Fatal(answer)
	}

	wrongSecret, wrongToken, wrongID := c, c, c
	wrongSecret.SecretAccessKey = newSecretKey()
	wrongToken.SessionToken = newSessionToken()
	wrongID.AccessKeyID = newAccessKeyID()
	both := func(edits ...func(*http.Request)) func(*http.Request) {
		return func(r *http.Request) {
			for _, edit := range edits {
				edit(r)
			}
		}
	}
	tests := map[string]struct {
		edit func(*http.Request)
		code string
	}{
		"unsigned": {code: "MissingAuthenticationToken"},
		"not version 4": {
			edit: func(r *http.Request) { r.Header.Set("Authorization", "AWS x:y") }, code: "IncompleteSignature",
		},
		"wrong secret":  {edit: signed(wrongSecret, "sts", form.Encode()), code: "SignatureDoesNotMatch"},
		"wrong token":   {edit: signed(wrongToken, "sts", form.Encode()), code: "InvalidClientTokenId"},
		"wrong key id":  {edit: signed(wrongID, "sts", form.Encode()), code: "InvalidClientTokenId"},
		"wrong service": {edit: signed(c, "ecr", form.Encode()), code: "SignatureDoesNotMatch"},
		"another body":  {edit: signed(c, "sts", form.Encode()+"&x=y"), code: "SignatureDoesNotMatch"},
		"another host": {
			edit: both(signed(c, "sts", form.Encode()), func(r *http.Request) { r.Host = "sts.amazonaws.com" }),
			code: "SignatureDoesNotMatch",
		},
		"another date": {
			edit: both(
				signed(c, "sts", form.Encode()), func(r *http.Request) { r.Header.Set("X-Amz-Date", "20200101T000000Z") },
			),
			code: "IncompleteSignature",
		},
		"token not signed": {
			edit: both(signed(c, "sts", form.Encode()), unsign("x-amz-security-token")), code: "SignatureDoesNotMatch",
		},
		"host not signed": {edit: both(signed(c, "sts", form.Encode()), unsign("host")), code: "SignatureDoesNotMatch"},
		"session token gone": {
			edit: both(signed(c, "sts", form.Encode()), func(r *http.Request) { r.Header.Del("X-Amz-Security-Token") }),
			code: "InvalidClientTokenId",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if answer := askSTS(t, world.STS, form, test.edit); answer.Code != test.code {
				t.Errorf("%v, want %s", answer, test.code)
			}
		})
	}

	world.AWS.Configure(func(config *AWSConfig) { config.Now = func() time.Time { return time.Now().Add(14 * time.Minute) } })
	if answer := askSTS(t, world.STS, form, signed(c, "sts", form.Encode())); answer.status != http.StatusOK {
		t.Errorf("14 minutes of skew: %v", answer)
	}
	world.AWS.Configure(func(config *AWSConfig) { config.Now = func() time.Time { return time.Now().Add(16 * time.Minute) } })
	if answer := askSTS(t, world.STS, form, signed(c, "sts", form.Encode())); answer.Code != "SignatureDoesNotMatch" {
		t.Errorf("16 minutes of skew: %v", answer)
	}
}

// unsign takes a header's name out of the list of those signed.
func unsign(name string) func(*http.Request) {
	return func(r *http.Request) {
		header := strings.Replace(r.Header.Get("Authorization"), ";"+name, "", 1)
		r.Header.Set("Authorization", header)
	}
}
