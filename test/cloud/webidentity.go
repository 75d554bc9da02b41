package cloud

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	actionWebIdentity = "sts:AssumeRoleWithWebIdentity"
	actionAssumeRole  = "sts:AssumeRole"
	actionTagSession  = "sts:TagSession"
	actionSetSource   = "sts:SetSourceIdentity"

	clockSkew = 5 * time.Minute // [IAM User Guide, Create an OIDC provider]: granted after exp; before iat it is ours

	// plainPolicyLimit bounds the inline policy and the ARNs of managed policies together.
	// [AWS STS API Reference, AssumeRoleWithWebIdentity, Policy]
	plainPolicyLimit = 2048
	maxPolicyARNs    = 10
)

// Limits of the parameters that both actions have. [AWS STS API Reference, AssumeRoleWithWebIdentity and AssumeRole]
var (
	limitRoleARN = limit{
		min: 20, max: 2048,
		pattern: regexp.MustCompile(`^[\t\n\r\x{20}-\x{7E}\x{85}\x{A0}-\x{D7FF}\x{E000}-\x{FFFD}\x{10000}-\x{10FFFF}]+$`),
		words:   `[\u0009\u000A\u000D\u0020-\u007E\u0085\u00A0-\uD7FF\uE000-\uFFFD\u10000-\u10FFFF]+`,
	}
	limitSessionName = limit{min: 2, max: 64, pattern: regexp.MustCompile(`^[\w+=,.@-]*$`), words: `[\w+=,.@-]*`}
	limitPolicy      = limit{min: 1, max: 2048, pattern: regexp.MustCompile(`^[\t\n\r\x{20}-\x{FF}]+$`), words: `[\u0009\u000A\u000D\u0020-\u00FF]+`}
	limitToken       = limit{min: 4, max: 20000, secret: true}
)

var policyARNPattern = regexp.MustCompile(`^arn:aws[a-z-]*:iam::([0-9]{12}|aws):policy/[\w+=,.@/-]+$`)

// assumeRoleWithWebIdentity trades a token for a session.
//
// The order of checks is documented nowhere; it follows from which error real STS gives when several things are wrong:
// parameters, provider, audience, signature, expiry, role and trust. [AWS STS API Reference, AssumeRoleWithWebIdentity]
func (a *AWS) assumeRoleWithWebIdentity(r *http.Request, p *parameters) (any, *awsError) {
	// The call needs no AWS credentials. A client that signs it has found some that it must not use.
	if r.Header.Get("Authorization") != "" || r.Header.Get("X-Amz-Security-Token") != "" {
		return nil, &awsError{http.StatusForbidden, "AccessDenied", "AssumeRoleWithWebIdentity takes no credentials."}
	}
	want := p.assumption()
	token := p.required("WebIdentityToken", limitToken)
	target, failure := p.target(want)
	if failure != nil {
		return nil, failure
	}
	identity, failure := a.identify(token, target.account)
	if failure != nil {
		return nil, failure
	}
	role, ok := a.role(want.arn)
	if !ok || !slices.ContainsFunc(role.Trust, func(t Trust) bool { return t.admits(identity) }) {
		return nil, &awsError{http.StatusForbidden, "AccessDenied", "Not authorized to perform " + actionWebIdentity}
	}
	if want.duration > role.MaxSession {
		return nil, invalid("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
	}
	packed := 100 * want.policies.size() / a.packedLimit()
	if packed > 100 {
		return nil, &awsError{http.StatusBadRequest, "PackedPolicyTooLarge",
			fmt.Sprintf("Packed policy consumes %d%% of allotted space, please use smaller policy.", packed)}
	}

	session := a.start(Session{Role: want.arn, Name: want.name, Policy: want.policies.inline, PolicyARNs: want.policies.arns}, want.duration)
	noteCaller(r, session.Principal())

	type result struct {
		SubjectFromWebIdentityToken string
		Audience                    string
		AssumedRoleUser             userXML
		Credentials                 credentialsXML
		Provider                    string
		PackedPolicySize            int `xml:",omitempty"`
	}
	return struct {
		XMLName  xml.Name    `xml:"https://sts.amazonaws.com/doc/2011-06-15/ AssumeRoleWithWebIdentityResponse"`
		Result   result      `xml:"AssumeRoleWithWebIdentityResult"`
		Metadata metadataXML `xml:"ResponseMetadata"`
	}{
		Result: result{
			SubjectFromWebIdentityToken: identity.text("sub"),
			Audience:                    identity.audience()[0],
			AssumedRoleUser:             session.user(),
			Credentials:                 session.credentials(),
			Provider:                    identity.text("iss"),
			PackedPolicySize:            packed,
		},
		Metadata: metadataXML{newRequestID()},
	}, nil
}

// An assumption is what both actions ask for.
type assumption struct {
	arn, name string
	duration  time.Duration
	policies  sessionPolicies
}

func (p *parameters) assumption() assumption {
	return assumption{
		arn: p.required("RoleArn", limitRoleARN), name: p.required("RoleSessionName", limitSessionName),
		duration: p.duration(), policies: p.sessionPolicies(),
	}
}

// target is the role that is asked for, once every parameter has been read and none is wrong.
func (p *parameters) target(want assumption) (roleARN, *awsError) {
	if failure := p.failure(); failure != nil {
		return roleARN{}, failure
	}
	target, ok := parseRoleARN(want.arn)
	if !ok {
		return roleARN{}, invalid("%s is invalid", want.arn)
	}
	return target, want.policies.failure(target.account)
}

// identify is what STS checks of a token before it looks at any role.
func (a *AWS) identify(token, account string) (assertion, *awsError) {
	refuse := func(message string) (assertion, *awsError) {
		return assertion{}, &awsError{http.StatusBadRequest, "InvalidIdentityToken", message}
	}
	identity, err := parseAssertion(token)
	if err != nil {
		return refuse("The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)")
	}
	issuer := identity.text("iss")
	i := slices.IndexFunc(a.config.Providers, func(p OIDCProvider) bool {
		return p.Account == account && p.Issuer.URL() == issuer
	})
	if i < 0 {
		return refuse("No OpenIDConnect provider found in your account for " + issuer)
	}
	provider := a.config.Providers[i]
	if !slices.ContainsFunc(identity.audience(), func(aud string) bool { return slices.Contains(provider.ClientIDs, aud) }) {
		return refuse("Incorrect token audience")
	}
	// The texts of the next four are not documented; the code is.
	switch err := identity.verify(provider.Issuer.key); {
	case errors.Is(err, errAlgorithm):
		return refuse("The algorithm of the token is not supported")
	case errors.Is(err, errKeyID):
		return refuse("The key id of the token is not among the provider's keys")
	case err != nil:
		return refuse("Invalid signature on the token")
	}
	issued, err1 := identity.timestamp("iat")
	expires, err2 := identity.timestamp("exp")
	if err1 != nil || err2 != nil || identity.text("sub") == "" {
		return refuse("Missing or malformed claim: sub, iat and exp are required")
	}
	now := a.now()
	if now.After(expires.Add(clockSkew)) {
		return assertion{}, &awsError{http.StatusBadRequest, "ExpiredTokenException", fmt.Sprintf(
			"Token expired: current date/time %d must be before the expiration date/time %d", now.Unix(), expires.Unix())}
	}
	if issued.After(now.Add(clockSkew)) {
		return refuse("The token was issued in the future")
	}
	return identity, nil
}

// admits is the trust statement's verdict on a token.
//
// A token with several audiences matches if one of them does: AWS does not say, and a test that depends on it proves
// nothing about AWS.
func (t Trust) admits(identity assertion) bool {
	return t.allows(actionWebIdentity) &&
		t.Issuer == identity.text("iss") &&
		(t.Audience == "" || slices.Contains(identity.audience(), t.Audience)) &&
		(t.Subject == "" || like(t.Subject, identity.text("sub")))
}

func (a *AWS) packedLimit() int {
	if a.config.PackedLimit > 0 {
		return a.config.PackedLimit
	}
	return defaultPackedLimit
}

func (p *parameters) duration() time.Duration {
	seconds := p.number("DurationSeconds", int(minSession.Seconds()), int(maxSession.Seconds()), int(defaultSession.Seconds()))
	return time.Duration(seconds) * time.Second
}

// sessionPolicies are what narrows a session below its role.
type sessionPolicies struct {
	inline string
	arns   []string
}

func (p *parameters) sessionPolicies() sessionPolicies {
	policies := sessionPolicies{inline: p.optional("Policy", limitPolicy)}
	for _, item := range p.list("PolicyArns", maxPolicyARNs, "arn") {
		policies.arns = append(policies.arns, item["arn"])
	}
	return policies
}

// failure is what only AWS's policy parser would find.
func (s sessionPolicies) failure(account string) *awsError {
	for _, arn := range s.arns {
		m := policyARNPattern.FindStringSubmatch(arn)
		if m == nil || len(arn) < 20 {
			return invalid("ARN %s is not valid.", arn)
		}
		if m[1] != "aws" && m[1] != account {
			return invalid("Managed policy %s is not in the account of the role.", arn)
		}
	}
	if s.inline != "" {
		var document struct {
			Version   string
			Statement json.RawMessage
		}
		if json.Unmarshal([]byte(s.inline), &document) != nil {
			return &awsError{http.StatusBadRequest, "MalformedPolicyDocument", "This policy contains invalid Json"}
		}
		statement := strings.TrimSpace(string(document.Statement))
		if statement == "" || !strings.ContainsAny(statement[:1], "[{") {
			return &awsError{http.StatusBadRequest, "MalformedPolicyDocument", "Syntax errors in policy."}
		}
	}
	if s.size() > plainPolicyLimit {
		return invalid("The combined length of the session policies exceeds %d characters.", plainPolicyLimit)
	}
	return nil
}

func (s sessionPolicies) size() int {
	n := utf8.RuneCountInString(s.inline)
	for _, arn := range s.arns {
		n += utf8.RuneCountInString(arn)
	}
	return n
}
