package aws

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"

	"bitbucket-oidc/internal/charset"
	"bitbucket-oidc/internal/hint"
	"bitbucket-oidc/internal/oidc"
	"bitbucket-oidc/internal/transport"
	"bitbucket-oidc/internal/trust"
)

// A refusal is what is known when STS says no.
type refusal struct {
	claims   oidc.Claims
	role     ARN
	duration time.Duration

	// For a role that another one asks for.
	from           *ARN
	externalID     string
	sourceIdentity string
	tagged         bool

	// packed is how full STS found the session, such as 142%, where it said so.
	packed string
}

// A meaning is what an error code stands for. The codes are those of STS's model; meanings and causes are from the IAM
// user guide and from AWS's knowledge center.
type meaning struct {
	code string
	text string // a part of the message that tells this meaning from others of the same code, or empty
	says string
	do   func(refusal) []string
}

// meanings is searched from the top: the first row whose code and text fit is the one.
func meanings() []meaning {
	return []meaning{
		{"AccessDenied", "", "the role does not exist, or its trust policy does not let this step in", refusal.trustPolicy},
		{"InvalidIdentityToken", "No OpenIDConnect provider found", "the role's account has no OIDC provider for the token's issuer", refusal.createProvider},
		{"InvalidIdentityToken", "Incorrect token audience", "the OIDC provider does not list the token's audience", refusal.addAudience},
		{"InvalidIdentityToken", verificationKey, "AWS could not fetch Bitbucket's keys in time", func(refusal) []string {
			return []string{"this passes: run the step again; AWS waits 5 seconds for https://api.bitbucket.org to answer"}
		}},
		{"InvalidIdentityToken", "", "AWS cannot verify the token", func(r refusal) []string {
			return []string{r.claims.Identity(), "the OIDC provider in account " + r.account() + " must have exactly the token's issuer as its URL, without a slash at the end; remove an outdated thumbprint"}
		}},
		{"ExpiredTokenException", "", "the token has expired", refusal.expired},
		{"IDPCommunicationError", "", "AWS could not reach Bitbucket's identity provider", func(refusal) []string {
			return []string{"this passes: run the step again; https://bitbucket.status.atlassian.com tells of outages"}
		}},
		{"IDPRejectedClaim", "", "the identity provider rejected the token", func(r refusal) []string {
			return []string{r.claims.Identity(), "run the step again for a new token"}
		}},
		{"MalformedPolicyDocument", "", "AWS does not accept the session policy", func(refusal) []string {
			return []string{"check AWS_SESSION_POLICY with `aws accessanalyzer validate-policy --policy-type IDENTITY_POLICY`"}
		}},
		{"PackedPolicyTooLarge", "", "the session policies and tags are too large once packed", refusal.tooLarge},
		{"RegionDisabledException", "", "STS is switched off in this region for the account", func(refusal) []string {
			return []string{"set AWS_REGION to a region that is switched on, or switch the region on in the account's settings"}
		}},
		{"ValidationError", "MaxSessionDuration", "the role does not allow sessions as long as asked for", func(r refusal) []string {
			return []string{
				fmt.Sprintf("lower AWS_SESSION_DURATION (now %s), or raise the role's maximum: aws iam update-role --role-name %s --max-session-duration %d",
					r.duration, trust.ShellWord(r.roleName()), int(r.duration/time.Second)),
			}
		}},
		{"ValidationError", "", "AWS does not accept a parameter", func(refusal) []string {
			return []string{"look at AWS_SESSION_NAME, AWS_SESSION_DURATION, AWS_SESSION_POLICY and AWS_SESSION_POLICY_ARNS"}
		}},
	}
}

// verificationKey is the part of InvalidIdentityToken's message that makes it a passing fault. The code alone is
// permanent, whatever the SDK's own provider takes it for.
const verificationKey = "retrieve verification key"

// explain words an error of the SDK. Nothing that the server wrote goes into it, except a code that is in a table or looks
// like one, and a percentage.
func (r refusal) explain(ctx context.Context, doing, host string, err error) error {
	if err := unreachable(ctx, doing, host, err); err != nil {
		return err
	}
	status, code, text := answer(err)
	r.packed = regexp.MustCompile(`\b[0-9]{1,5}%`).FindString(text)
	for _, m := range meanings() {
		if m.code == code && strings.Contains(text, m.text) {
			return hint.With(fmt.Errorf("%s: %s: %s", doing, m.code, m.says), m.do(r)...)
		}
	}
	switch {
	case throttled(code) || status == 429:
		return hint.New(fmt.Sprintf("%s: AWS throttles the requests (status %d)", doing, status),
			"raise TIMEOUT, or start fewer steps at once: every attempt was refused")
	case status >= 500:
		return hint.New(fmt.Sprintf("%s: STS answered with status %d", doing, status),
			"this passes as a rule: run the step again, or raise TIMEOUT; https://health.aws.amazon.com tells of outages")
	case code != "":
		return hint.New(fmt.Sprintf("%s: %s (status %d)", doing, code, status),
			"the code is explained in the AWS STS API Reference, AssumeRoleWithWebIdentity, and its common errors")
	}
	return hint.New(fmt.Sprintf("%s: an answer that is not STS's (status %d)", doing, status), otherServer)
}

// unreachable words the error of a request without an answer; it is nil if there was one.
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

// answer is what a server said. The code is empty if it is none that AWS could have; the text is only to be searched.
func answer(err error) (status int, code, text string) {
	var response *awshttp.ResponseError
	if errors.As(err, &response) {
		status = response.HTTPStatusCode()
	}
	var api smithy.APIError
	if errors.As(err, &api) && charset.Only(api.ErrorCode(), "A-Za-z", 3, 64) && api.ErrorCode() != unknownError {
		code, text = api.ErrorCode(), api.ErrorMessage()
	}
	return status, code, text
}

// unknownError is what the SDK makes of an answer without a code.
const unknownError = "UnknownError"

// judge is the judgement of answers for the transport: the code tells what the status does not.
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
	unverified := answer.Code == "InvalidIdentityToken" && strings.Contains(answer.Message, verificationKey)
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

func (r refusal) account() string {
	if r.role.Account == "" {
		return trust.AccountID
	}
	return r.role.Account
}

func (r refusal) roleName() string { return r.role.Role[strings.LastIndex(r.role.Role, "/")+1:] }

func (r refusal) providerARN() string {
	return fmt.Sprintf("arn:%s:iam::%s:oidc-provider/%s", r.role.Partition, r.account(), trust.AWSProviderPath(r.claims))
}

func (r refusal) trustPolicy() []string {
	if r.from != nil {
		return r.chainPolicy()
	}
	scope := "this repository"
	if r.claims.Environment() != "" {
		scope = "this deployment environment of this repository"
	}
	return []string{
		r.claims.Identity(),
		fmt.Sprintf("the trust policy of role %s lets in %s with this statement:\n%s", r.roleName(), scope,
			trust.AWSStatement(r.claims, r.role.Partition, r.account())),
		"usual causes: a UUID without its braces in :sub; a :sub of another shape than {repository}:{step}, or {repository}:{environment}:{step} on a deployment; " +
			"an :aud that is not the token's; the OIDC provider in another account than the role; an aws:SourceIp condition that the runner's address does not meet; " +
			"a role or policy changed minutes ago",
	}
}

// chainPolicy is the advice for a role that another one may not assume.
func (r refusal) chainPolicy() []string {
	actions := []string{"sts:AssumeRole"}
	if r.tagged {
		actions = append(actions, "sts:TagSession")
	}
	if r.sourceIdentity != "" {
		actions = append(actions, "sts:SetSourceIdentity")
	}
	return []string{
		fmt.Sprintf("the trust policy of role %s lets in %s with this statement:\n%s", r.roleName(), r.from.Role,
			trust.AWSChainStatement(r.from.String(), r.externalID, actions...)),
		fmt.Sprintf("%s itself needs a policy that allows %s on %s", r.from, strings.Join(actions, ", "), r.role),
		"usual causes: an external id that is missing or another one (AWS_CHAIN_EXTERNAL_ID); sts:TagSession missing in one of the chain's roles (AWS_CHAIN_TAGS); " +
			"a service control policy; a role or policy changed minutes ago",
	}
}

func (r refusal) tooLarge() []string {
	full := "both share one limit"
	if r.packed != "" {
		full = "together they take " + r.packed + " of the room that there is"
	}
	drop := "shorten AWS_SESSION_POLICY or name fewer AWS_SESSION_POLICY_ARNS"
	if r.tagged {
		drop = "set AWS_CHAIN_TAGS to false, or shorten AWS_SESSION_POLICY"
	}
	return []string{drop + ": " + full}
}

func (r refusal) createProvider() []string {
	return []string{
		r.claims.Identity(),
		fmt.Sprintf("create the provider in account %s, the role's own, with exactly this URL:\n%s", r.account(), trust.AWSCreateProvider(r.claims)),
	}
}

func (r refusal) addAudience() []string {
	return []string{
		r.claims.Identity(),
		"add the audience to the provider:\n" + trust.AWSAddAudience(r.providerARN(), r.claims),
	}
}

func (r refusal) expired() []string {
	return []string{r.claims.Age(time.Now())}
}
