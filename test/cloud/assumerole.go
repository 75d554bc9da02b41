package cloud

import (
	"encoding/xml"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

const maxTags = 50

// Limits of AssumeRole's own parameters. [AWS STS API Reference, AssumeRole]
var (
	limitExternalID     = limit{min: 2, max: 1224, pattern: regexp.MustCompile(`^[\w+=,.@:/-]*$`), words: `[\w+=,.@:\/-]*`}
	limitSourceIdentity = limit{min: 2, max: 64, pattern: regexp.MustCompile(`^[\w+=,.@-]*$`), words: `[\w+=,.@-]*`}
	limitTagKey         = limit{min: 1, max: 128, pattern: regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]+$`), words: `[\p{L}\p{Z}\p{N}_.:/=+\-@]+`}
	limitTagValue       = limit{min: 0, max: 256, pattern: regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$`), words: `[\p{L}\p{Z}\p{N}_.:/=+\-@]*`}
)

// assumeRole trades a session for one of another role: role chaining. [AWS STS API Reference, AssumeRole]
func (a *AWS) assumeRole(r *http.Request, body []byte, p *parameters) (any, *awsError) {
	caller, failure := a.authenticate(r, body, "sts")
	if failure != nil {
		return nil, failure
	}
	noteCaller(r, caller.Principal())
	want := p.assumption()
	externalID := p.optional("ExternalId", limitExternalID)
	source := p.optional("SourceIdentity", limitSourceIdentity)
	tags := p.tags()
	transitive := p.transitiveTagKeys()
	if _, failure := p.target(want); failure != nil {
		return nil, failure
	}
	inherited, failure := caller.inherit(tags, transitive)
	if failure != nil {
		return nil, failure
	}
	if source == "" {
		source = caller.SourceID
	}
	role, _ := a.role(want.arn)
	need := []string{actionAssumeRole}
	if len(tags) > 0 || len(inherited) > 0 {
		need = append(need, actionTagSession)
	}
	if source != "" {
		need = append(need, actionSetSource)
	}
	if failure := mayAssume(role, want.arn, caller, externalID, source, need); failure != nil {
		return nil, failure
	}
	if want.duration > chainedSession {
		return nil, invalid("The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.")
	}
	if want.duration > role.MaxSession {
		return nil, invalid("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
	}
	maps.Copy(tags, inherited)
	packed, failure := a.pack(want.policies, tags)
	if failure != nil {
		return nil, failure
	}

	session := a.start(Session{
		Role: want.arn, Name: want.name, Policy: want.policies.inline, PolicyARNs: want.policies.arns, Tags: tags, SourceID: source,
		Transitive: append(slices.Clone(caller.Transitive), transitive...),
	}, want.duration)

	type result struct {
		AssumedRoleUser  userXML
		Credentials      credentialsXML
		PackedPolicySize int    `xml:",omitempty"`
		SourceIdentity   string `xml:",omitempty"`
	}
	return struct {
		XMLName  xml.Name    `xml:"https://sts.amazonaws.com/doc/2011-06-15/ AssumeRoleResponse"`
		Result   result      `xml:"AssumeRoleResult"`
		Metadata metadataXML `xml:"ResponseMetadata"`
	}{
		Result: result{
			AssumedRoleUser:  session.user(),
			Credentials:      session.credentials(),
			PackedPolicySize: packed,
			SourceIdentity:   source,
		},
		Metadata: metadataXML{newRequestID()},
	}, nil
}

// mayAssume holds the caller to the role's trust policy: every permission that the request needs must come from a statement that admits the
// caller, and a source identity that was set once stays for the whole chain.
func mayAssume(role Role, arn string, caller *Session, externalID, source string, need []string) *awsError {
	refuse := func(action string) *awsError {
		return &awsError{http.StatusForbidden, "AccessDenied", fmt.Sprintf(
			"User: %s is not authorized to perform: %s on resource: %s", caller.Principal(), action, arn)}
	}
	for _, action := range need {
		if !slices.ContainsFunc(role.Trust, func(t Trust) bool { return t.admitsRole(action, caller.Role, externalID) }) {
			return refuse(action)
		}
	}
	if caller.SourceID != "" && source != caller.SourceID {
		return refuse(actionSetSource)
	}
	return nil
}

// admitsRole is the trust statement's verdict on a caller that is a role.
func (t Trust) admitsRole(action, role, externalID string) bool {
	return t.allows(action) && t.Role == role && (t.ExternalID == "" || t.ExternalID == externalID)
}

// tags reads `Tags.member.N.Key` and `.Value`.
func (p *parameters) tags() map[string]string {
	tags := map[string]string{}
	folded := map[string]bool{}
	for _, item := range p.list("Tags", maxTags, "Key", "Value") {
		key, ok := item["Key"]
		value, ok2 := item["Value"]
		if !ok || !ok2 {
			p.problem("Value null at 'tags' failed to satisfy constraint: Member must not be null")
			continue
		}
		p.check("Tags", key, limitTagKey)
		p.check("Tags", value, limitTagValue)
		if strings.HasPrefix(strings.ToLower(key), "aws:") {
			p.problem("Tag keys must not begin with aws:")
		}
		if lower := strings.ToLower(key); folded[lower] {
			p.problem("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
		} else {
			folded[lower] = true
		}
		tags[key] = value
	}
	return tags
}

func (p *parameters) transitiveTagKeys() []string {
	var keys []string
	for _, item := range p.list("TransitiveTagKeys", maxTags) {
		p.check("TransitiveTagKeys", item[""], limitTagKey)
		keys = append(keys, item[""])
	}
	return keys
}

// inherit is the transitive tags that the caller passes on, whether it wants or not.
func (s *Session) inherit(tags map[string]string, transitive []string) (map[string]string, *awsError) {
	refuse := func(message string) (map[string]string, *awsError) {
		return nil, &awsError{http.StatusBadRequest, "InvalidParameterValue", message}
	}
	has := func(keys []string, key string) bool {
		return slices.ContainsFunc(keys, func(k string) bool { return strings.EqualFold(k, key) })
	}
	sent := slices.Collect(maps.Keys(tags))
	for _, key := range transitive {
		if !has(sent, key) {
			return refuse("The specified transitive tag key must be included in the requested tags.")
		}
	}
	inherited := map[string]string{}
	for key, value := range s.Tags {
		if !has(s.Transitive, key) {
			continue
		}
		if has(sent, key) {
			return refuse("One of the specified tag keys conflicts with a transitive tag key from the calling session.")
		}
		inherited[key] = value
	}
	return inherited, nil
}

// pack is how full, in percent, the session's policies and tags make it. AWS's packed form is binary and secret; bytes of
// plain text against a limit are ours.
func (a *AWS) pack(policies sessionPolicies, tags map[string]string) (int, *awsError) {
	size := policies.size()
	for key, value := range tags {
		size += utf8.RuneCountInString(key) + utf8.RuneCountInString(value)
	}
	percent := 100 * size / a.packedLimit()
	if percent > 100 {
		return 0, &awsError{http.StatusBadRequest, "PackedPolicyTooLarge",
			fmt.Sprintf("Packed size of session tags consumes %d%% of allotted space.", percent)}
	}
	return percent, nil
}

// getCallerIdentity is there for real clients that prove their credentials with it; the program does not need it.
func (a *AWS) getCallerIdentity(r *http.Request, body []byte, p *parameters) (any, *awsError) {
	caller, failure := a.authenticate(r, body, "sts")
	if failure != nil {
		return nil, failure
	}
	if failure := p.failure(); failure != nil {
		return nil, failure
	}
	noteCaller(r, caller.Principal())
	role, _ := parseRoleARN(caller.Role)
	type result struct {
		Arn     string
		UserID  string `xml:"UserId"`
		Account string
	}
	return struct {
		XMLName  xml.Name    `xml:"https://sts.amazonaws.com/doc/2011-06-15/ GetCallerIdentityResponse"`
		Result   result      `xml:"GetCallerIdentityResult"`
		Metadata metadataXML `xml:"ResponseMetadata"`
	}{
		Result:   result{Arn: caller.Principal(), UserID: caller.user().AssumedRoleID, Account: role.account},
		Metadata: metadataXML{newRequestID()},
	}, nil
}

// authenticate finds the session that signed the request.
func (a *AWS) authenticate(r *http.Request, body []byte, service string) (*Session, *awsError) {
	signature, failure := parseSignature(r)
	if failure != nil {
		return nil, failure
	}
	session, ok := a.sessions[signature.accessKeyID]
	if !ok || r.Header.Get("X-Amz-Security-Token") != session.token {
		return nil, &awsError{http.StatusForbidden, "InvalidClientTokenId",
			"The security token included in the request is invalid."}
	}
	now := a.now()
	if failure := signature.verify(r, body, session.secretKey, service, now); failure != nil {
		return nil, failure
	}
	if !now.Before(session.Expires) {
		return nil, &awsError{http.StatusForbidden, "ExpiredToken", "The security token included in the request is expired"}
	}
	return session, nil
}
