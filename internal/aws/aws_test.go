package aws

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	sdkconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"

	"bitbucket-oidc/internal/federation"
	"bitbucket-oidc/internal/hint/hinttest"
	"bitbucket-oidc/internal/oidc"
	"bitbucket-oidc/internal/secret"
)

var role = ARN{"aws", "123456789012", "team/deploy"}

var claims = oidc.Claims{
	Issuer:   "https://api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc",
	Audience: []string{"ari:cloud:bitbucket::workspace/7baee083-4f25-4a97-8a9a-0fde1b623b45"},
	Subject:  "{2e9e429c-7b8b-404f-8648-8c40c27c9ebd}:{c4b1a2f0-1f8b-4b65-8e0b-3c5d9d1a7e55}",
	IssuedAt: time.Unix(1000, 0).UTC(), Expires: time.Unix(4600, 0).UTC(),
}

func backend(t *testing.T, status int, body string) (*Backend, *atomic.Int32) {
	t.Helper()
	var requests atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		w.Header().Set("Content-Type", "text/xml")
		w.Header().Set("Retry-After", "0")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(server.Close)
	return New(Config{
		Roles: []Role{{Profile: "default", ARN: role}}, Region: "eu-west-1", Endpoint: server.URL, SessionName: "bitbucket-shop-42", Duration: 2 * time.Hour,
	}), &requests
}

func refused(code, message string) string {
	return fmt.Sprintf(
		`<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error>`+
			`<RequestId>c6104cbe-af31-11e0-8154-cbc7ccf896c7</RequestId></ErrorResponse>`,
		code, message,
	)
}

// TestMeanings has a row for each error that STS documents, and for what other servers may say in its place.
func TestMeanings(t *testing.T) {
	for _, c := range []struct {
		status        int
		code, message string
		says          string
		hints         []string
		requests      int32
	}{
		{
			status: 403, code: "AccessDenied", message: "Not authorized to perform sts:AssumeRoleWithWebIdentity",
			says: "AccessDenied: the role does not exist, or its trust policy",
			hints: []string{
				`"Federated": "arn:aws:iam::123456789012:oidc-provider/api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc"`,
				`identity/oidc:sub": "{2e9e429c-7b8b-404f-8648-8c40c27c9ebd}:*"`,
				`identity/oidc:aud": "ari:cloud:bitbucket::workspace/7baee083-4f25-4a97-8a9a-0fde1b623b45"`,
				"subject {2e9e429c-7b8b-404f-8648-8c40c27c9ebd}:{c4b1a2f0-1f8b-4b65-8e0b-3c5d9d1a7e55}", "braces",
				"aws:SourceIp", "another account",
			},
			requests: 1,
		},
		{
			status: 400, code: "InvalidIdentityToken",
			message: "No OpenIDConnect provider found in your account for https://canary",
			says:    "no OIDC provider for the token's issuer",
			hints: []string{
				"aws iam create-open-id-connect-provider --url " +
					"https://api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc --client-id-list ari:",
			},
			requests: 1,
		},
		{
			status: 400, code: "InvalidIdentityToken", message: "Incorrect token audience",
			says: "does not list the token's audience", hints: []string{"add-client-id-to-open-id-connect-provider"},
			requests: 1,
		},
		{
			status: 400, code: "InvalidIdentityToken",
			message: "Couldn't retrieve verification key from your identity provider, please reference canary",
			says:    "could not fetch Bitbucket's keys", hints: []string{"run the step again"}, requests: 5,
		},
		{
			status: 400, code: "InvalidIdentityToken", message: "The ID Token provided is not a valid JWT. canary",
			says: "cannot verify the token", hints: []string{"thumbprint"}, requests: 1,
		},
		{
			status: 400, code: "ExpiredTokenException", message: "Token expired: canary", says: "the token has expired",
			hints: []string{"expired at 1970-01-01T01:16:40Z"}, requests: 1,
		},
		{
			status: 400, code: "IDPCommunicationError", message: "canary", says: "could not reach Bitbucket",
			hints: []string{"run the step again"}, requests: 5,
		},
		{
			status: 403, code: "IDPRejectedClaim", message: "canary", says: "rejected the token",
			hints: []string{"run the step again"}, requests: 1,
		},
		{
			status: 400, code: "MalformedPolicyDocument", message: "canary", says: "does not accept the session policy",
			hints: []string{"AWS_SESSION_POLICY"}, requests: 1,
		},
		{
			status: 400, code: "PackedPolicyTooLarge", message: "Packed size consumes 142% of allotted space. canary",
			says: "too large once packed", hints: []string{"142% of the room"}, requests: 1,
		},
		{
			status: 403, code: "RegionDisabledException", message: "canary", says: "switched off in this region",
			hints: []string{"AWS_REGION"}, requests: 1,
		},
		{
			status: 400, code: "ValidationError",
			message: "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
			says:    "sessions as long as asked for",
			hints:   []string{"aws iam update-role --role-name deploy --max-session-duration 7200"}, requests: 1,
		},
		{
			status: 400, code: "ValidationError", message: "canary", says: "does not accept a parameter",
			hints: []string{"AWS_SESSION_NAME"}, requests: 1,
		},
		{
			status: 400, code: "Throttling", message: "Rate exceeded canary", says: "throttles the requests",
			hints: []string{"TIMEOUT"}, requests: 5,
		},
		{
			status: 400, code: "SomethingNew", message: "canary", says: "SomethingNew (status 400)",
			hints: []string{"AWS STS API Reference"}, requests: 1,
		},
		{
			status: 400, code: "canary code", message: "canary", says: "the response is not from AWS STS (status 400)",
			hints: []string{"AWS_ENDPOINT_URL_STS"}, requests: 1,
		},
		{status: 503, says: "status 503", hints: []string{"health.aws.amazon.com"}, requests: 5},
	} {
		t.Run(c.code+" "+c.says, func(t *testing.T) {
			t.Parallel()
			b, requests := backend(t, c.status, refused(c.code, c.message))
			_, err := b.Exchange(t.Context(), tokenOf(claims))
			hinttest.Check(t, err, "aws default: assuming arn:aws:iam::123456789012:role/team/deploy: ", c.says, c.hints...)
			if requests.Load() != c.requests {
				t.Errorf("%d requests, want %d", requests.Load(), c.requests)
			}
		})
	}
}

// tokenOf is a token that has these claims; the servers here do not read it.
func tokenOf(c oidc.Claims) oidc.Token { return oidc.Token{Claims: c} }

func answered(id, key, token, arn, expiration string) string {
	return fmt.Sprintf(
		`<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult>`+
			`<Credentials><AccessKeyId>%s</AccessKeyId><SecretAccessKey>%s</SecretAccessKey><SessionToken>%s</SessionToken><Expiration>%s</Expiration></Credentials>`+
			`<AssumedRoleUser><Arn>%s</Arn><AssumedRoleId>x</AssumedRoleId></AssumedRoleUser></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`,
		id, key, token, expiration, arn,
	)
}

const (
	goodID  = "ASIAQWERTYUIOPASDFGH"
	goodKey = "canary/secret+key=" // as base64 has it
	goodARN = "arn:aws:sts::123456789012:assumed-role/deploy/bitbucket-shop-42"
	goodEnd = "2030-01-01T00:00:00Z"
)

func TestUnusableAnswers(t *testing.T) {
	for name, body := range map[string]string{
		"HTML":                   "<html><body>canary</body></html>",
		"nothing":                "",
		"half of it":             answered(goodID, goodKey, goodKey, goodARN, goodEnd)[:300],
		"no key id":              answered("", goodKey, goodKey, goodARN, goodEnd),
		"a key id of two lines":  answered("ASIAQWERTYUIOPASDFGH\n[evil]", goodKey, goodKey, goodARN, goodEnd),
		"a key of two lines":     answered(goodID, "canary\naws_session_token = x", goodKey, goodARN, goodEnd),
		"a token with a comment": answered(goodID, goodKey, "canary # comment", goodARN, goodEnd),
		"a token in quotes":      answered(goodID, goodKey, "&quot;canary&quot;", goodARN, goodEnd),
		"no token":               answered(goodID, goodKey, "", goodARN, goodEnd),
		"no ARN":                 answered(goodID, goodKey, goodKey, "", goodEnd),
		"an ARN of two lines":    answered(goodID, goodKey, goodKey, goodARN+"\n✔ canary", goodEnd),
		"no expiration":          answered(goodID, goodKey, goodKey, goodARN, ""),
		"another account":        answered(goodID, goodKey, goodKey, strings.Replace(goodARN, "123456789012", "210987654321", 1), goodEnd),
		"another role":           answered(goodID, goodKey, goodKey, strings.Replace(goodARN, "/deploy/", "/admin/", 1), goodEnd),
		"a longer role":          answered(goodID, goodKey, goodKey, strings.Replace(goodARN, "/deploy/", "/deploy-all/", 1), goodEnd),
		"a role with its path":   answered(goodID, goodKey, goodKey, strings.Replace(goodARN, "/deploy/", "/team/deploy/", 1), goodEnd),
		"another partition":      answered(goodID, goodKey, goodKey, strings.Replace(goodARN, "arn:aws:", "arn:aws-cn:", 1), goodEnd),
		"nonsense as expiration": answered(goodID, goodKey, goodKey, goodARN, "canary"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, requests := backend(t, 200, body)
			_, err := b.Exchange(t.Context(), tokenOf(claims))
			hinttest.Check(t, err, "aws default: ", "")
			if requests.Load() != 1 {
				t.Errorf("%d requests, want 1", requests.Load())
			}
		})
	}
}

func TestParseARN(t *testing.T) {
	for text, ok := range map[string]bool{
		"arn:aws:iam::123456789012:role/deploy":                     true,
		"arn:aws-cn:iam::123456789012:role/a/b/deploy":              true,
		"arn:aws:iam::123456789012:role/a.b-c_d+e=f,g@h":            true,
		"arn:minio:iam:::role/dmlvH2NGmv8":                          true,
		"arn:aws:iam:::role/deploy":                                 false,
		"arn:aws:iam::12345678901:role/deploy":                      false,
		"arn:aws:iam::123456789012:user/deploy":                     false,
		"arn:aws:iam::123456789012:role/":                           false,
		"arn:aws:iam::123456789012:role":                            false,
		"arn:aws:iam::123456789012:role/de ploy":                    false,
		"arn:aws:iam::123456789012:role/deploy\n":                   false,
		"arn:aws:iam:eu-west-1:123456789012:role/deploy":            false,
		"arn:aws:sts::123456789012:assumed-role/deploy/x":           false,
		"arn:aws:iam::123456789012:role/" + strings.Repeat("x", 65): false,
		"arn:AWS:iam::123456789012:role/deploy":                     false,
		"deploy":                                                    false,
		"":                                                          false,
	} {
		arn, err := ParseARN(text)
		if (err == nil) != ok {
			t.Errorf("ParseARN(%q) = %v, want ok: %v", text, err, ok)
		}
		if ok && arn.String() != text {
			t.Errorf("ParseARN(%q) gives back %q", text, arn)
		}
	}
}

func TestIsRegion(t *testing.T) {
	for region, ok := range map[string]bool{
		"eu-west-1": true, "us-gov-west-1": true, "eusc-de-east-1": true, "us-isob-east-1": true, "ap-southeast-10": true,
		"": false, "eu-west": false, "EU-WEST-1": false, "eu-west-1.evil.example": false, "eu-west-1/": false, "evil.example#eu-west-1": false, "eu-west-1\n": false,
	} {
		if IsRegion(region) != ok {
			t.Errorf("IsRegion(%q) = %v", region, !ok)
		}
	}
}

// FuzzFiles writes whatever STS could answer and is taken, and reads it back with the AWS SDK.
func FuzzFiles(f *testing.F) {
	f.Add(goodID, goodKey, "token//+==")
	f.Add("A B", "#", ";")
	f.Add(goodID, "=[x]", "a # b")
	f.Add(goodID, "\"q\"", "'q'")
	f.Add(goodID, "a\rb", "%(x)s")
	f.Fuzz(func(t *testing.T, id, key, token string) {
		end := time.Unix(1893456000, 0)
		s, err := (&Backend{}).read(&federation.Call{}, role, &types.Credentials{AccessKeyId: &id, SecretAccessKey: &key, SessionToken: &token, Expiration: &end},
			&types.AssumedRoleUser{Arn: sdk.String(goodARN)})
		if err != nil {
			return
		}
		s.role = Role{Profile: "default", ARN: role}
		dir := t.TempDir()
		other := session{role: Role{Profile: "other", ARN: role}, accessKeyID: goodID, secretKey: secret.New("other"), sessionToken: secret.New("other")}
		var paths []string
		for _, file := range New(Config{Region: "eu-west-1"}).files(oidc.Token{}, []session{s, other}) {
			path := filepath.Join(dir, filepath.Base(file.Path))
			if err := os.WriteFile(path, []byte(file.Data.Reveal()), 0o600); err != nil {
				t.Fatal(err)
			}
			paths = append(paths, path)
		}
		for profile, want := range map[string][3]string{"default": {id, key, token}, "other": {goodID, "other", "other"}} {
			got, err := sdkconfig.LoadSharedConfigProfile(t.Context(), profile, func(o *sdkconfig.LoadSharedConfigOptions) {
				o.CredentialsFiles, o.ConfigFiles = paths[:1], paths[1:]
			})
			if err != nil {
				t.Fatal(err)
			}
			c := got.Credentials
			if read := [3]string{c.AccessKeyID, c.SecretAccessKey, c.SessionToken}; read != want || got.Region != "eu-west-1" {
				t.Errorf("the SDK reads %q in %s from profile %s, want %q", read, got.Region, profile, want)
			}
		}
	})
}
