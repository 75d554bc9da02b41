package aws

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"bitbucket-oidc/internal/clock"
	"bitbucket-oidc/internal/oidc"
	"bitbucket-oidc/internal/refusal"
	"bitbucket-oidc/internal/setup"
	"bitbucket-oidc/internal/shell"
)

// The actions that AWS may name as refused.
const (
	assumeRole                = "sts:AssumeRole"
	assumeRoleWithWebIdentity = "sts:AssumeRoleWithWebIdentity"
	tagSession                = "sts:TagSession"
	setSourceIdentity         = "sts:SetSourceIdentity"
	getAuthorizationToken     = "ecr:GetAuthorizationToken"
)

// Refusals are the messages of all tables, from the code on.
func Refusals() []string {
	all := slices.Concat(sessionRefusals(false).Said(), sessionRefusals(true).Said(), registryRefusals().Said())
	slices.Sort(all)
	return slices.Compact(all)
}

// Meanings are the rows of each table by the call that it is about, for a step with these claims and with placeholders for the role
// and its account.
func Meanings(c oidc.Claims) map[string][]refusal.Meaning {
	role := ARN{"aws", setup.AccountID, setup.RoleName}
	of := func(r refusal.Row[request]) request {
		about := request{claims: c, role: role, duration: time.Hour}
		for _, text := range r.Texts {
			if action, ok := strings.CutPrefix(text, "to perform: "); ok {
				about.action = action
			}
		}
		return about
	}
	chained := func(r refusal.Row[request]) request {
		about := of(r)
		about.from = &ARN{"aws", setup.AccountID, "FIRST_ROLE_NAME"}
		return about
	}
	registry := func(r refusal.Row[request]) request {
		about := of(r)
		about.principal = role.String()
		return about
	}
	return map[string][]refusal.Meaning{
		"aws": sessionRefusals(false).Meanings(of), "aws-chain": sessionRefusals(true).Meanings(chained), "aws-registry": registryRefusals().Meanings(registry),
	}
}

// sessionRefusals are the answers of STS, to the first call or to a chained one. The codes are those of STS's model; meanings and
// causes are from the IAM user guide, its page "Troubleshoot access denied error messages" for the phrases, and from AWS's
// knowledge center.
func sessionRefusals(chained bool) refusal.Table[request] {
	const denied = "AccessDenied"
	first := refusal.Table[request]{
		{Code: denied, Texts: []string{"to perform: " + tagSession}, Means: "the trust policy does not allow sts:TagSession", Do: request.actionMissing},
		{Code: denied, Texts: []string{"to perform: " + setSourceIdentity}, Means: "the trust policy does not allow sts:SetSourceIdentity", Do: request.actionMissing},
		{Code: denied, Means: "the role does not exist, or its trust policy does not let this step in", Do: request.trustPolicy},
	}
	if chained {
		first = refusal.Table[request]{
			{Code: denied, Texts: []string{"to perform: " + tagSession}, Means: "sts:TagSession is missing in a policy of this role or of the role before it", Do: request.actionMissing},
			{Code: denied, Texts: []string{"to perform: " + setSourceIdentity}, Means: "sts:SetSourceIdentity is missing in a policy of this role or of the role before it", Do: request.actionMissing},
			{Code: denied, Texts: []string{"no identity-based policy allows"}, Means: "the role before it has no policy that allows this", Do: request.ownPolicy},
			{Code: denied, Means: "the role does not exist, or its trust policy does not let the role before it in", Do: request.chainPolicy},
		}
	}
	return slices.Concat(policyRefusals(denied), first, tokenRefusals(), signatureRefusals(), refusal.Table[request]{
		{Code: "MalformedPolicyDocument", Means: "AWS does not accept the session policy", Do: advise(
			"put AWS_SESSION_POLICY into a file and check it: aws accessanalyzer validate-policy --policy-type IDENTITY_POLICY --policy-document file://policy.json")},
		{Code: "PackedPolicyTooLarge", Means: "the session policies and tags are too large once packed", Do: request.tooLarge},
		{Code: "RegionDisabledException", Means: "STS is switched off in this region for the account", Do: advise(
			"set AWS_REGION to a region that is switched on, or switch the region on in the account's settings")},
		{Code: "ValidationError", Texts: []string{"MaxSessionDuration"}, Means: "the role does not allow sessions as long as asked for", Do: request.tooLong},
		{Code: "ValidationError", Means: "AWS does not accept a parameter", Do: advise(
			"look at AWS_SESSION_NAME, AWS_SESSION_DURATION, AWS_SESSION_POLICY and AWS_SESSION_POLICY_ARNS")},
	})
}

// tokenRefusals are about the step's token.
func tokenRefusals() refusal.Table[request] {
	const invalid = "InvalidIdentityToken"
	return refusal.Table[request]{
		{Code: invalid, Texts: []string{"No OpenIDConnect provider found"}, Means: "the role's account has no OIDC provider for the token's issuer", Do: request.createProvider},
		{Code: invalid, Texts: []string{"Incorrect token audience"}, Means: "the OIDC provider does not list the token's audience", Do: request.addAudience},
		{Code: invalid, Texts: []string{verificationKey}, Means: "AWS could not fetch Bitbucket's keys in time", Do: advise(
			"this is usually temporary: run the step again; AWS waits 5 seconds for https://api.bitbucket.org to answer")},
		{Code: invalid, Texts: refusal.TooNew(), Means: "the token is not valid yet", Clock: clock.Ahead, Do: request.tooNew},
		{Code: invalid, Means: "AWS cannot verify the token", Do: request.unverified},
		{Code: "ExpiredTokenException", Means: "the token has expired", Clock: clock.Behind, Do: request.expired},
		{Code: "IDPCommunicationError", Means: "AWS could not reach Bitbucket's identity provider", Do: advise(
			"this is usually temporary: run the step again; https://bitbucket.status.atlassian.com lists outages")},
		{Code: "IDPRejectedClaim", Means: "the identity provider rejected the token", Do: func(r request) []string {
			return []string{r.claims.Identity(), "run the step again for a new token"}
		}},
	}
}

// policyRefusals are about policies that refuse even if the trust policy allows, and that AWS names.
func policyRefusals(code string) refusal.Table[request] {
	names := func(kind string) []string { return []string{"explicit deny in a " + kind, "no " + kind + " allows"} }
	return refusal.Table[request]{
		{Code: code, Texts: names("service control policy"), Means: "a service control policy forbids it", Do: request.organization},
		{Code: code, Texts: names("resource control policy"), Means: "a resource control policy forbids it", Do: request.organization},
		{Code: code, Texts: names("VPC endpoint policy"), Means: "the policy of a VPC endpoint forbids it", Do: request.vpcEndpoint},
		{Code: code, Texts: names("permissions boundary"), Means: "a permissions boundary forbids it", Do: request.boundary},
		{Code: code, Texts: names("session policy"), Means: "a session policy forbids it", Do: request.sessionPolicy},
		{Code: code, Texts: []string{"explicit deny in an identity-based policy"}, Means: "an identity-based policy forbids it", Do: request.ownDeny},
		{Code: code, Texts: []string{"explicit deny in a role trust policy", "explicit deny in a resource-based policy"},
			Means: "the trust policy forbids it", Do: request.trustDeny},
	}
}

// signatureRefusals are about the signature of a chained call or of a registry's, which holds the time. Source: AWS, "Troubleshoot
// Signature Version 4 signing for AWS API requests", and the common errors of EC2.
func signatureRefusals() refusal.Table[request] {
	row := func(code, means string) refusal.Row[request] {
		return refusal.Row[request]{Code: code, Means: means, Clock: clock.Either, Do: advise(
			"a proxy that changes requests spoils their signature: let HTTPS_PROXY pass AWS's hosts unchanged, or name them in NO_PROXY",
			"a signature is good for about 5 minutes: a runner's clock that is off by more spoils it as well")}
	}
	const signature, late = "AWS does not accept the signature of the request", "the request is too old or too new for AWS"
	return refusal.Table[request]{
		row("SignatureDoesNotMatch", signature), row("InvalidSignatureException", signature), row("AuthFailure", signature),
		row("RequestExpired", late), row("RequestTimeTooSkewed", late),
		{Code: "ExpiredToken", Means: "AWS holds the session to be over", Clock: clock.Behind, Do: advise("run the step again")},
	}
}

// registryRefusals are the answers of Amazon ECR.
func registryRefusals() refusal.Table[request] {
	const denied = "AccessDeniedException"
	return slices.Concat(policyRefusals(denied), refusal.Table[request]{
		{Code: denied, Means: "the session may not ask for it", Do: func(r request) []string {
			if r.public { // Amazon ECR Public user guide, "Registry authentication"
				return []string{r.principal + " needs a policy that allows the actions ecr-public:GetAuthorizationToken and sts:GetServiceBearerToken on the resource \"*\""}
			}
			return []string{
				r.principal + " needs a policy that allows the action ecr:GetAuthorizationToken on the resource \"*\"",
				"a registry of another account needs, in its repositories' policies, this principal's account as well; or name a role of that account in AWS_OIDC_ROLES",
			}
		}},
		{Code: "UnrecognizedClientException", Means: "the registry's region does not know the session", Do: advise(
			"look at the registry's host: its region must be of the role's partition and switched on for the account")},
		{Code: "ExpiredTokenException", Means: "AWS holds the session to be over", Clock: clock.Behind, Do: advise("run the step again")},
	}, signatureRefusals())
}

// advise is advice that depends on nothing.
func advise(hints ...string) func(request) []string { return func(request) []string { return hints } }

func (r request) account() string {
	if r.role.Account == "" {
		return setup.AccountID
	}
	return r.role.Account
}

func (r request) roleName() string { return nameOf(r.role) }

func nameOf(role ARN) string { return role.Role[strings.LastIndex(role.Role, "/")+1:] }

func (r request) providerARN() string {
	return fmt.Sprintf("arn:%s:iam::%s:oidc-provider/%s", r.role.Partition, r.account(), setup.AWSProviderPath(r.claims))
}

// who names the caller that was refused.
func (r request) who() string {
	switch {
	case r.principal != "":
		return r.principal
	case r.from != nil:
		return r.from.String()
	}
	return "this step"
}

// what is the action that was refused, with its resource.
func (r request) what() string {
	switch {
	case r.principal != "":
		return getAuthorizationToken + " on *"
	case r.action != "":
		return r.action + " on " + r.role.String()
	case r.from != nil:
		return assumeRole + " on " + r.role.String()
	}
	return assumeRoleWithWebIdentity + " on " + r.role.String()
}

func (r request) organization() []string {
	return []string{
		fmt.Sprintf("a policy of the AWS organization refuses %s %s; neither a trust policy nor the permissions of a role can help", r.who(), r.what()),
		"whoever administers the organization must allow it, or say under which conditions it does (a region, an organization id, a network): the policies are attached to the account, to a unit above it, or to the root",
	}
}

func (r request) vpcEndpoint() []string {
	return []string{fmt.Sprintf("the runner reaches AWS by a VPC endpoint whose policy must allow %s %s", r.who(), r.what())}
}

func (r request) boundary() []string {
	return []string{fmt.Sprintf("the permissions boundary of %s must allow %s as well: a boundary limits what the role's policies allow", r.who(), r.what())}
}

func (r request) sessionPolicy() []string {
	return []string{fmt.Sprintf("the session of %s is narrowed by a session policy, which must allow %s; from this pipe that is AWS_SESSION_POLICY or AWS_SESSION_POLICY_ARNS", r.who(), r.what())}
}

func (r request) ownDeny() []string {
	return []string{fmt.Sprintf("a policy of %s has a Deny that refuses %s: take it out, or narrow it; an Allow elsewhere cannot outweigh it", r.who(), r.what())}
}

func (r request) trustDeny() []string {
	return []string{fmt.Sprintf("the trust policy of role %s has a Deny that refuses %s %s: take it out, or narrow it; an Allow elsewhere cannot outweigh it", r.roleName(), r.who(), r.what())}
}

// actionMissing is for the actions that go with an AssumeRole: both roles must allow them.
func (r request) actionMissing() []string {
	without := "set AWS_CHAIN_TAGS to false"
	if r.action == setSourceIdentity {
		without = "remove AWS_CHAIN_SOURCE_IDENTITY"
	}
	if r.from == nil {
		return []string{fmt.Sprintf("the trust policy of role %s must list %s beside %s", r.roleName(), r.action, assumeRoleWithWebIdentity), r.claims.Identity()}
	}
	return append([]string{fmt.Sprintf("allow %s in the trust policy of role %s and in a policy of %s on %s, or %s", r.action, r.roleName(), r.from, r.role, without)},
		r.chainPolicy()...)
}

// ownPolicy is for a role that has no permission to assume the next one.
func (r request) ownPolicy() []string {
	hints := r.chainPolicy()
	return []string{hints[1], hints[0]} // the trust policy counts too, but it is not what AWS named
}

func (r request) trustPolicy() []string {
	scope := "this repository"
	if r.claims.Environment() != "" {
		scope = "this deployment environment of this repository"
	}
	roles, account := r.told()
	return []string{
		r.claims.Identity(),
		fmt.Sprintf("the trust policy of %s lets in %s with this statement%s:\n%s", roles, scope, placeholder(account),
			setup.AWSStatement(r.claims, r.role.Partition, account)),
		"usual causes: a UUID without its braces in :sub; a :sub of another shape than {repository}:{step}, or {repository}:{environment}:{step} on a deployment; " +
			"an :aud that is not the token's; the OIDC provider in another account than the role; an aws:SourceIp condition that the runner's address does not meet; " +
			"a role or policy changed minutes ago",
	}
}

// told names the roles that were refused for the same reason, and the account for the statement. The account is a placeholder if the
// roles belong to several accounts.
func (r request) told() (roles, account string) {
	if len(r.alike) < 2 {
		return "role " + r.roleName(), r.account()
	}
	account = r.account()
	var names []string
	for _, role := range r.alike {
		if role.Account != r.role.Account {
			account = setup.AccountID
		}
	}
	for _, role := range r.alike {
		name := "role " + nameOf(role)
		if account == setup.AccountID {
			name += " (" + role.Account + ")"
		}
		names = append(names, name)
	}
	return "each of " + strings.Join(names, ", "), account
}

func placeholder(account string) string {
	if account != setup.AccountID {
		return ""
	}
	return ", with the role's own account for " + setup.AccountID
}

// chainPolicy is the advice for a role that another role may not assume.
func (r request) chainPolicy() []string {
	actions := []string{assumeRole}
	if r.tagged {
		actions = append(actions, tagSession)
	}
	if r.sourceIdentity != "" {
		actions = append(actions, setSourceIdentity)
	}
	roles, _ := r.told()
	targets := []string{r.role.String()}
	if len(r.alike) > 1 {
		targets = nil
		for _, role := range r.alike {
			targets = append(targets, role.String())
		}
	}
	return []string{
		fmt.Sprintf("the trust policy of %s lets in %s with this statement:\n%s", roles, r.from.Role,
			setup.AWSChainStatement(r.from.String(), r.externalID, actions...)),
		fmt.Sprintf("%s itself needs a policy that allows %s on %s", r.from, strings.Join(actions, ", "), strings.Join(targets, ", ")),
		"usual causes: a missing or different external id (AWS_CHAIN_EXTERNAL_ID); sts:TagSession missing in one of the chain's roles (AWS_CHAIN_TAGS); " +
			"a service control policy; a role or policy changed minutes ago",
	}
}

func (r request) tooLarge() []string {
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

func (r request) tooLong() []string {
	return []string{
		fmt.Sprintf("lower AWS_SESSION_DURATION (now %s), or raise the role's maximum: aws iam update-role --role-name %s --max-session-duration %d",
			r.duration, shell.Word(r.roleName()), int(r.duration/time.Second)),
	}
}

func (r request) createProvider() []string {
	return []string{
		r.claims.Identity(),
		fmt.Sprintf("create the provider in account %s, the role's own, with exactly this URL:\n%s", r.account(), setup.AWSCreateProvider(r.claims)),
	}
}

func (r request) addAudience() []string {
	return []string{
		r.claims.Identity(),
		"add the audience to the provider:\n" + setup.AWSAddAudience(r.providerARN(), r.claims),
	}
}

func (r request) unverified() []string {
	return []string{
		r.claims.Identity(),
		"the OIDC provider in account " + r.account() + " must have exactly the token's issuer as its URL, without a slash at the end; remove an outdated thumbprint",
	}
}

func (r request) expired() []string { return []string{r.claims.Age(time.Now())} }

func (r request) tooNew() []string {
	return []string{"run the step again: a token is good from the moment at which Bitbucket made it", r.claims.Identity()}
}
