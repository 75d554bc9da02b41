package backends

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	sdk "github.com/aws/aws-sdk-go-v2/aws"

	"bitbucket-oidc/internal/aws"
	"bitbucket-oidc/internal/config"
	"bitbucket-oidc/internal/federation"
	"bitbucket-oidc/internal/hint"
	"bitbucket-oidc/internal/oidc"
)

const expectedRole = "a role's ARN such as arn:aws:iam::123456789012:role/deploy"

func configureAWS(v *config.Vars, token oidc.Token) maker {
	tags, refreshable := v.Boolean("AWS_CHAIN_TAGS"), v.Boolean("AWS_REFRESHABLE")
	if !v.IsSet("AWS_OIDC_ROLE_ARN") && !v.IsSet("AWS_OIDC_ROLES") {
		v.HalfConfigured("AWS_OIDC_ROLE_ARN", chainVariables(tags)...)
		names := []string{"AWS_SESSION_NAME", "AWS_SESSION_DURATION", "AWS_SESSION_POLICY", "AWS_SESSION_POLICY_ARNS", "AWS_ALLOWED_ACCOUNTS", "AWS_ECR_REGISTRIES"}
		if refreshable {
			names = append(names, "AWS_REFRESHABLE")
		}
		if v.Boolean("AWS_EXPORT_KEYS") {
			names = append(names, "AWS_EXPORT_KEYS")
		}
		v.HalfConfigured("AWS_OIDC_ROLE_ARN", names...)
		return nil
	}
	c := aws.Config{
		Roles:       awsRoles(v),
		SessionName: aws.SessionName(v.Text("AWS_SESSION_NAME"), v.RepositorySlug, v.BuildNumber),
		Duration:    v.Seconds("AWS_SESSION_DURATION", aws.ShortestSession, aws.LongestSession),
		Refreshable: refreshable,
	}
	if len(c.SessionName) < 2 {
		v.Wrong("AWS_SESSION_NAME", c.SessionName, "2 to 64 characters")
	}
	sessionPolicies(v, &c)
	chain(v, &c, tags)
	if tags {
		c.Tags = sessionTags(v, token)
	}
	if c.ExportKeys = v.Boolean("AWS_EXPORT_KEYS"); c.ExportKeys && refreshable {
		v.Add(hint.New("AWS_EXPORT_KEYS: set together with AWS_REFRESHABLE",
			"remove one of the two: SDKs do not renew keys that they have as variables"))
	}
	if refreshable {
		refuseRefreshable(v, c, tags)
	}
	for _, host := range config.Unique(v.List("AWS_ECR_REGISTRIES")) {
		registry, err := aws.ParseRegistry(host)
		if err != nil {
			v.Reason("AWS_ECR_REGISTRIES", err, "hosts such as 123456789012.dkr.ecr.eu-west-1.amazonaws.com, without a repository")
		}
		if host == aws.PublicRegistry && len(c.Roles) > 0 && c.Roles[0].ARN.Partition != "aws" {
			v.Add(hint.New("AWS_ECR_REGISTRIES: "+host+": roles of partition "+c.Roles[0].ARN.Partition+" cannot log in there",
				"remove it, or log in with a role of partition aws"))
		}
		c.Registries = append(c.Registries, registry)
	}
	everywhere := v.Endpoint("AWS_ENDPOINT_URL")
	c.Endpoint = cmp.Or(v.Endpoint("AWS_ENDPOINT_URL_STS"), everywhere)
	c.ECREndpoint = cmp.Or(v.Endpoint("AWS_ENDPOINT_URL_ECR"), everywhere)
	c.ECRPublicEndpoint = cmp.Or(v.Endpoint("AWS_ENDPOINT_URL_ECR_PUBLIC"), everywhere)
	region(v, &c)
	ownEndpoints(v, &c)
	return func(path func(string) string, trace func(string)) federation.Backend {
		c.Path, c.Trace = path, trace
		return aws.New(c)
	}
}

func allowedAccounts(v *config.Vars) []string {
	g := v.Group()
	accounts := g.List("AWS_ALLOWED_ACCOUNTS")
	if v.Given("AWS_ALLOWED_ACCOUNTS") && len(accounts) == 0 && !g.Failed() {
		v.Add(hint.New("AWS_ALLOWED_ACCOUNTS: an empty list", "name the accounts, or remove the variable to allow any"))
	}
	for _, account := range accounts {
		if !aws.IsAccount(account) {
			v.Wrong("AWS_ALLOWED_ACCOUNTS", account, "account ids of 12 digits each, in quotes")
		}
	}
	return accounts
}

func awsRoles(v *config.Vars) []aws.Role {
	var roles []aws.Role
	add := func(variable, profile string, chain ...string) {
		arns := parseRoles(v, variable, chain)
		if len(arns) < len(chain) {
			return
		}
		if slices.ContainsFunc(roles, func(r aws.Role) bool { return r.Profile == profile }) {
			v.Add(hint.New(fmt.Sprintf("%s: profile %s twice", variable, profile),
				"give each role a profile of its own; AWS_OIDC_ROLE_ARN is the profile default"))
			return
		}
		roles = append(roles, aws.Role{Profile: profile, ARN: arns[0], Chain: arns[1:]})
	}
	if v.IsSet("AWS_OIDC_ROLE_ARN") {
		add("AWS_OIDC_ROLE_ARN", "default", v.Text("AWS_OIDC_ROLE_ARN"))
	}
	g := v.Group()
	items := g.List("AWS_OIDC_ROLES")
	for _, item := range items {
		profile, arn, ok := strings.Cut(item, "=")
		profile, arn = strings.TrimSpace(profile), strings.TrimSpace(arn)
		switch {
		case !ok || !aws.IsProfile(profile):
			v.Wrong("AWS_OIDC_ROLES", item, "profile=role-arn or profile=role-arn > role-arn, the profile of letters, digits, dots, dashes and underscores")
		default:
			add("AWS_OIDC_ROLES", profile, strings.Split(arn, ">")...)
		}
	}
	if !v.IsSet("AWS_OIDC_ROLE_ARN") && len(items) == 0 && !g.Failed() {
		v.Add(hint.New("AWS_OIDC_ROLES: an empty list", "name at least one profile=role-arn, or set AWS_OIDC_ROLE_ARN"))
	}
	slices.SortStableFunc(roles, func(a, b aws.Role) int { return cmp.Compare(rank(a), rank(b)) })
	return roles
}

// parseRoles reads the ARNs of roles that are assumed one after the other.
func parseRoles(v *config.Vars, variable string, texts []string) []aws.ARN {
	var arns []aws.ARN
	for _, text := range texts {
		text = strings.TrimSpace(text)
		if variable == "AWS_OIDC_ROLES" && v.SplitBySpaces(variable, text) {
			continue
		}
		v.Meant(variable, text)
		arn, err := aws.ParseARN(text)
		if err != nil {
			v.Reason(variable, err, expectedRole)
			continue
		}
		arns = append(arns, arn)
	}
	return arns
}

// rank is 0 for the profile default, which is selected wherever it stands in the list.
func rank(r aws.Role) int {
	if r.Profile == "default" {
		return 0
	}
	return 1
}

// chainVariables are those that mean nothing without a chain; the first one makes it.
func chainVariables(tags bool) []string {
	names := []string{"AWS_CHAIN_ROLE_ARNS", "AWS_CHAIN_EXTERNAL_ID", "AWS_CHAIN_SOURCE_IDENTITY"}
	if tags {
		names = append(names, "AWS_CHAIN_TAGS")
	}
	return names
}

// chain adds the chain to the default role, which stands first.
func chain(v *config.Vars, c *aws.Config, tags bool) {
	g := v.Group()
	arns := parseRoles(g, "AWS_CHAIN_ROLE_ARNS", g.List("AWS_CHAIN_ROLE_ARNS"))
	if len(c.Roles) > 0 && v.IsSet("AWS_OIDC_ROLE_ARN") {
		c.Roles[0].Chain = append(c.Roles[0].Chain, arns...)
	}
	chained := slices.ContainsFunc(c.Roles, func(r aws.Role) bool { return len(r.Chain) > 0 })
	switch {
	case g.Failed():
	case !v.IsSet("AWS_OIDC_ROLE_ARN") && chained:
		v.HalfConfigured("AWS_OIDC_ROLE_ARN", "AWS_CHAIN_ROLE_ARNS")
	case !v.IsSet("AWS_OIDC_ROLE_ARN"):
		v.HalfConfigured("AWS_OIDC_ROLE_ARN", chainVariables(tags)...)
	case !chained:
		v.HalfConfigured("AWS_CHAIN_ROLE_ARNS", chainVariables(tags)[1:]...)
	}
	c.ExternalID, c.SourceIdentity = v.Text("AWS_CHAIN_EXTERNAL_ID"), v.Text("AWS_CHAIN_SOURCE_IDENTITY")
	if c.ExternalID != "" && !aws.IsExternalID(c.ExternalID) {
		v.Wrong("AWS_CHAIN_EXTERNAL_ID", c.ExternalID, "2 to 1224 letters, digits and _+=,.@:/-")
	}
	if c.SourceIdentity != "" && !aws.IsSourceIdentity(c.SourceIdentity) {
		v.Wrong("AWS_CHAIN_SOURCE_IDENTITY", c.SourceIdentity, "2 to 64 letters, digits and _+=,.@-")
	}
}

// sessionTags are the tags of chained sessions: what the token says of the step, and else what the step says of itself.
func sessionTags(v *config.Vars, token oidc.Token) []aws.Tag {
	environment := v.Environment
	if token.Claims.Environment() == "" {
		environment = ""
	}
	return aws.SessionTags(
		aws.Tag{Key: "Repository", Value: cmp.Or(v.Repository, v.RepositorySlug)},
		aws.Tag{Key: "Branch", Value: cmp.Or(token.Claims.BranchName, v.Branch)},
		aws.Tag{Key: "Commit", Value: v.Commit},
		aws.Tag{Key: "BuildNumber", Value: v.BuildNumber},
		aws.Tag{Key: "Environment", Value: environment},
	)
}

// refuseRefreshable refuses what a profile with a token file cannot carry: what SDKs renew would be wider than what was asked for.
func refuseRefreshable(v *config.Vars, c aws.Config, tags bool) {
	for _, other := range []struct {
		set  bool
		name string
	}{
		{c.Policy != "", "AWS_SESSION_POLICY"},
		{len(c.PolicyARNs) > 0, "AWS_SESSION_POLICY_ARNS"},
		{c.Duration != time.Hour, "AWS_SESSION_DURATION other than 1h"},
		{tags, "AWS_CHAIN_TAGS"},
		{c.SourceIdentity != "", "AWS_CHAIN_SOURCE_IDENTITY"},
	} {
		if other.set {
			v.Add(hint.New("AWS_REFRESHABLE: set together with "+other.name, "remove one of the two: a profile that SDKs renew by themselves cannot carry it"))
		}
	}
	for _, role := range c.Roles {
		if slices.ContainsFunc(c.Roles, func(r aws.Role) bool { return len(r.Chain) > 0 && strings.HasPrefix(role.Profile, r.Profile+"-chain-") }) {
			v.Add(hint.New("AWS_OIDC_ROLES: profile "+role.Profile+" is a name that the chain uses", "give the role another profile"))
		}
	}
}

// region fills in the region, and holds it against the partition of the roles, which is one.
func region(v *config.Vars, c *aws.Config) {
	g := v.Group()
	variable, asked := "", ""
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION"} {
		text := g.Text(name)
		if text != "" && !aws.IsRegion(text) {
			g.Wrong(name, text, "a region such as eu-west-1")
		}
		if asked == "" {
			variable, asked = name, text
		}
	}
	roles := allRoles(v, c)
	if len(roles) == 0 {
		return
	}
	first := roles[0]
	for _, r := range roles[1:] {
		if r.arn.Partition != first.arn.Partition {
			g.Add(hint.New(fmt.Sprintf("%s: role %s is of partition %s, role %s of partition %s", r.variable, r.arn.Role, r.arn.Partition,
				first.arn.Role, first.arn.Partition), "roles of several partitions need a call of the pipe each"))
		}
	}
	if g.Failed() {
		return
	}
	if _, known := aws.HomeRegion(first.arn.Partition); !known && c.Endpoint == "" {
		v.Add(hint.New(fmt.Sprintf("%s: partition %s is not one of AWS and needs AWS_ENDPOINT_URL_STS", first.variable, first.arn.Partition),
			"correct the ARN, or name the server in AWS_ENDPOINT_URL_STS"))
		return
	}
	var err error
	c.Region, err = aws.RegionOf(first.arn, asked, variable)
	c.RegionGuessed = asked == ""
	v.Add(err)
}

// namedRole is a role and the variable that names it.
type namedRole struct {
	variable string
	arn      aws.ARN
}

// allRoles are all that will be assumed.
func allRoles(v *config.Vars, c *aws.Config) []namedRole {
	var all []namedRole
	for i, role := range c.Roles {
		variable := "AWS_OIDC_ROLES"
		if i == 0 && v.IsSet("AWS_OIDC_ROLE_ARN") {
			variable = "AWS_OIDC_ROLE_ARN"
		}
		all = append(all, namedRole{variable, role.ARN})
		if variable == "AWS_OIDC_ROLE_ARN" {
			variable = "AWS_CHAIN_ROLE_ARNS"
		}
		for _, arn := range role.Chain {
			all = append(all, namedRole{variable, arn})
		}
	}
	return all
}

// sessionPolicies checks what AWS would refuse, so that it is told together with everything else.
func sessionPolicies(v *config.Vars, c *aws.Config) {
	const inline, managed = "AWS_SESSION_POLICY", "AWS_SESSION_POLICY_ARNS"
	c.Policy, c.PolicyARNs = v.Text(inline), v.List(managed)
	size := utf8.RuneCountInString(c.Policy)
	if c.Policy != "" {
		switch {
		case !aws.IsPolicyText(c.Policy):
			v.Wrong(inline, c.Policy, "characters up to U+00FF only")
		case !isJSONObject(c.Policy):
			v.Wrong(inline, c.Policy, "a policy as a JSON object")
		}
	}
	if len(c.PolicyARNs) > aws.MaxPolicies {
		v.Add(hint.New(fmt.Sprintf("%s: %d policies: expected at most %d", managed, len(c.PolicyARNs), aws.MaxPolicies), "name fewer policies"))
	}
	for _, arn := range c.PolicyARNs {
		if !aws.IsPolicyARN(arn) {
			v.Wrong(managed, arn, "ARNs of managed policies such as arn:aws:iam::aws:policy/ReadOnlyAccess")
		}
		size += len(arn)
	}
	if size > aws.MaxPolicyText {
		v.Add(hint.New(fmt.Sprintf("%s: %d characters with %s: expected at most %d", inline, size, managed, aws.MaxPolicyText),
			"shorten the policy: drop white space, join statements, or put it into a managed policy"))
	}
}

func isJSONObject(s string) bool {
	var object map[string]any
	return json.Unmarshal([]byte(s), &object) == nil && object != nil
}

// ownEndpoints sets what the AWS SDK would read from the environment by itself. Only the way to STS counts: the SDK's files, profiles and
// credentials are never looked at.
func ownEndpoints(v *config.Vars, c *aws.Config) {
	if v.IsSet("AWS_USE_FIPS_ENDPOINT") {
		c.SDK.UseFIPSEndpoint = sdk.FIPSEndpointStateDisabled
		if v.Boolean("AWS_USE_FIPS_ENDPOINT") {
			c.SDK.UseFIPSEndpoint = sdk.FIPSEndpointStateEnabled
		}
	}
	if v.IsSet("AWS_USE_DUALSTACK_ENDPOINT") {
		c.SDK.UseDualStackEndpoint = sdk.DualStackEndpointStateDisabled
		if v.Boolean("AWS_USE_DUALSTACK_ENDPOINT") {
			c.SDK.UseDualStackEndpoint = sdk.DualStackEndpointStateEnabled
		}
	}
	c.RootCAs, _ = v.Authorities("AWS_CA_BUNDLE")
}
