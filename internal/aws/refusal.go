package aws

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"

	"bitbucket-oidc/internal/charset"
	"bitbucket-oidc/internal/hint"
	"bitbucket-oidc/internal/oidc"
	"bitbucket-oidc/internal/refusal"
	"bitbucket-oidc/internal/transport"
)

// A request is what is known about a request that AWS refused.
type request struct {
	claims   oidc.Claims
	role     ARN
	duration time.Duration

	// For a role that another role asks for.
	from           *ARN
	externalID     string
	sourceIdentity string
	tagged         bool

	// For a registry's login: the caller.
	principal string
	public    bool // of Amazon ECR Public

	// action is the action that AWS names as refused, or empty.
	action string

	// packed is how full STS found the session, such as 142%, where it said so.
	packed string

	// alike are the roles that the same login could not assume for the same reason, this role included. One hint names them all.
	alike []ARN
}

// A rejected is a role or registry that a row of the table explains. Its hints are added when it is known who else was refused:
// see [together].
type rejected struct {
	error
	row   refusal.Row[request]
	about request
}

func (r *rejected) Unwrap() error { return r.error }

// together adds the hints to errors of requests that were made side by side. Those that differ in the role alone get the same
// hints, which name all the roles.
func together(errs []error) error {
	type kind struct{ code, means, from string }
	of := func(r *rejected) kind {
		k := kind{code: r.row.Code, means: r.row.Means}
		if r.about.from != nil {
			k.from = r.about.from.String()
		}
		return k
	}
	alike := map[kind][]ARN{}
	for _, err := range errs {
		var r *rejected
		if errors.As(err, &r) && !slices.Contains(alike[of(r)], r.about.role) {
			alike[of(r)] = append(alike[of(r)], r.about.role)
		}
	}
	for i, err := range errs {
		var r *rejected
		if errors.As(err, &r) && r.row.Do != nil {
			r.about.alike = alike[of(r)]
			errs[i] = hint.With(err, r.row.Do(r.about)...)
		}
	}
	return errors.Join(errs...)
}

// verificationKey is the part of InvalidIdentityToken's message that makes it a temporary failure. The code alone stands for a
// permanent failure, although the SDK's own provider does not take it for one.
const verificationKey = "retrieve verification key"

// explain turns an error of the SDK into a message. Nothing that the server wrote goes into it, except a code that is in a
// table or looks like one, and a percentage.
func (r request) explain(ctx context.Context, doing, host string, err error) error {
	if err := unreachable(ctx, doing, host, err); err != nil {
		return err
	}
	said := answer(err)
	if e := r.lookUp(sessionRefusals(r.from != nil), doing, said); e != nil {
		return e
	}
	switch {
	case throttled(said.Code) || said.Status == 429:
		return hint.New(fmt.Sprintf("%s: AWS throttles the requests (status %d)", doing, said.Status),
			"raise TIMEOUT, or start fewer steps at once: every attempt was refused")
	case said.Status >= 500:
		return hint.New(fmt.Sprintf("%s: STS answered with status %d", doing, said.Status),
			"this is usually temporary: run the step again, or raise TIMEOUT; https://health.aws.amazon.com lists outages")
	case said.Code != "":
		return hint.New(fmt.Sprintf("%s: %s (status %d)", doing, said.Code, said.Status),
			"the code is explained in the AWS STS API Reference, AssumeRoleWithWebIdentity, and its common errors")
	}
	return hint.New(fmt.Sprintf("%s: the response is not from AWS STS (status %d)", doing, said.Status), otherServer)
}

// lookUp finds an answer in a table; it is nil if the table does not have it.
func (r request) lookUp(table refusal.Table[request], doing string, said refusal.Answer) error {
	row, ok := table.Find(said)
	if !ok {
		return nil
	}
	r.packed = regexp.MustCompile(`\b[0-9]{1,5}%`).FindString(said.Text)
	for _, action := range []string{assumeRole, tagSession, setSourceIdentity, assumeRoleWithWebIdentity} {
		if regexp.MustCompile(`(?i)\bto\s+perform:?\s+` + action + `\b`).MatchString(said.Text) {
			r.action = action
		}
	}
	return &rejected{row.Bare(doing, said), row, r}
}

// unreachable is the error of a request without an answer; it is nil if there was one.
func unreachable(ctx context.Context, doing, host string, err error) error {
	e := transport.Unreachable(ctx, host, err)
	if e == nil {
		return nil
	}
	advice := e.Advice
	if advice == "" {
		advice = "the runner must reach AWS: look at AWS_REGION, the endpoint variables and the proxy"
	}
	return hint.With(fmt.Errorf("%s: %w", doing, e), advice)
}

// answer is what a server said. The code is empty if it is none that AWS could have.
func answer(err error) refusal.Answer {
	var a refusal.Answer
	var response *awshttp.ResponseError
	if errors.As(err, &response) {
		a.Status = response.HTTPStatusCode()
	}
	var api smithy.APIError
	if errors.As(err, &api) && charset.Only(api.ErrorCode(), "A-Za-z", 3, 64) && api.ErrorCode() != unknownError {
		a.Code, a.Text = api.ErrorCode(), api.ErrorMessage()
	}
	return a
}

// unknownError is what the SDK makes of an answer without a code.
const unknownError = "UnknownError"

// judge is the judgement of answers for the transport: the code says what the status does not.
func judge(_ int, body []byte) transport.Fault {
	var answer struct {
		Code    string `xml:"Error>Code"`
		Message string `xml:"Error>Message"`
		Type    string `json:"__type"` // ECR speaks JSON: PREFIX#CODE
	}
	if xml.Unmarshal(body, &answer) != nil {
		if json.Unmarshal(body, &answer) != nil {
			return transport.Lasts
		}
		answer.Code = answer.Type[strings.LastIndex(answer.Type, "#")+1:]
	}
	_, timeout := retry.DefaultRetryableErrorCodes[answer.Code]
	unverified := answer.Code == "InvalidIdentityToken" && refusal.Says(answer.Message, verificationKey)
	switch {
	case throttled(answer.Code):
		return transport.Throttled
	case timeout, unverified, answer.Code == "IDPCommunicationError":
		return transport.Passes
	}
	return transport.Lasts
}

func throttled(code string) bool {
	_, ok := retry.DefaultThrottleErrorCodes[code]
	return ok
}
