package config

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	sdk "github.com/aws/aws-sdk-go-v2/aws"

	"bitbucket-oidc/internal/aws"
	"bitbucket-oidc/internal/charset"
	"bitbucket-oidc/internal/hint"
)

const (
	expectedRole = "a role's ARN such as arn:aws:iam::123456789012:role/deploy"

	// maxPolicies is AWS's limit of managed session policies, maxPolicyText that of all session policies together as plain
	// text (STS API Reference, AssumeRoleWithWebIdentity).
	maxPolicies   = 10
	maxPolicyText = 2048

	// ShortestSession and LongestSession bound a session (STS API Reference, AssumeRoleWithWebIdentity).
	ShortestSession = 15 * time.Minute
	LongestSession  = 12 * time.Hour
)

// isProfile tells whether s can be a profile's name: without spaces and quotes, which the AWS SDK for JavaScript cannot
// read.
func isProfile(s string) bool { return charset.Only(s, charset.Word+".-", 1, 64) }

// isPolicyARN tells whether s names a managed policy, of AWS or of an account.
func isPolicyARN(s string) bool {
	parts := strings.SplitN(s, ":", 6)
	return len(parts) == 6 && parts[0] == "arn" && charset.Only(parts[1], charset.LowerName, 2, 32) && parts[2] == "iam" && parts[3] == "" &&
		(parts[4] == "aws" || aws.IsAccount(parts[4])) && strings.HasPrefix(parts[5], "policy/") && charset.Only(parts[5], charset.Visible, 8, 640)
}

func (p *problems) aws(env environment) *aws.Config {
	v := env.AWS
	before := len(*p)
	tags, refreshable := p.boolean("AWS_CHAIN_TAGS", v.ChainTags), p.boolean("AWS_REFRESHABLE", v.Refreshable)
	if v.RoleARN == "" {
		p.halfConfigured("AWS_OIDC_ROLE_ARN", chainVariables(tags)...)
	}
	if v.RoleARN == "" && !isSet("AWS_OIDC_ROLES") {
		names := []string{"AWS_SESSION_NAME", "AWS_SESSION_DURATION", "AWS_SESSION_POLICY", "AWS_SESSION_POLICY_ARNS", "AWS_ALLOWED_ACCOUNTS", "AWS_ECR_REGISTRIES"}
		if refreshable {
			names = append(names, "AWS_REFRESHABLE")
		}
		p.halfConfigured("AWS_OIDC_ROLE_ARN", names...)
		return nil
	}
	c := &aws.Config{
		Roles:       p.awsRoles(v),
		SessionName: sessionName(v.SessionName, env.RepositorySlug, env.BuildNumber),
		Duration:    p.seconds("AWS_SESSION_DURATION", v.SessionDuration, ShortestSession, LongestSession),
		Policy:      v.SessionPolicy,
		PolicyARNs:  p.list("AWS_SESSION_POLICY_ARNS", v.PolicyARNs),
	}
	listed := len(*p)
	c.AllowedAccounts = p.list("AWS_ALLOWED_ACCOUNTS", v.AllowedAccounts)
	if given("AWS_ALLOWED_ACCOUNTS") && len(c.AllowedAccounts) == 0 && len(*p) == listed {
		p.add(hint.New("AWS_ALLOWED_ACCOUNTS: an empty list", "name the accounts, or remove the variable to allow any"))
	}
	for _, account := range c.AllowedAccounts {
		if !aws.IsAccount(account) {
			p.value("AWS_ALLOWED_ACCOUNTS", account, "account ids of 12 digits each, in quotes")
		}
	}
	if len(c.SessionName) < 2 {
		p.value("AWS_SESSION_NAME", c.SessionName, "2 to 64 characters")
	}
	p.sessionPolicies(c)
	p.chain(c, env, tags)
	if tags {
		c.Tags = sessionTags(env)
	}
	if c.Refreshable = refreshable; refreshable {
		p.refreshable(c, tags)
	}
	for _, host := range unique(p.list("AWS_ECR_REGISTRIES", v.Registries)) {
		registry, err := aws.ParseRegistry(host)
		if err != nil {
			p.reason("AWS_ECR_REGISTRIES", err, "hosts such as 123456789012.dkr.ecr.eu-west-1.amazonaws.com, without a repository")
		}
		c.Registries = append(c.Registries, registry)
	}
	c.Endpoint = p.endpoint("AWS_ENDPOINT_URL", v.Endpoint)
	c.ECREndpoint = c.Endpoint
	if v.EndpointSTS != "" {
		c.Endpoint = p.endpoint("AWS_ENDPOINT_URL_STS", v.EndpointSTS)
	}
	if v.EndpointECR != "" {
		c.ECREndpoint = p.endpoint("AWS_ENDPOINT_URL_ECR", v.EndpointECR)
	}
	p.awsRegion(c, v)
	p.awsSDK(c, v, env.CloneDir)
	if len(*p) > before {
		return nil
	}
	return c
}

func (p *problems) awsRoles(v awsEnvironment) []aws.Role {
	var roles []aws.Role
	add := func(variable, profile, text string) {
		arn, err := aws.ParseARN(text)
		if err != nil {
			p.reason(variable, err, expectedRole)
			return
		}
		for _, r := range roles {
			if r.Profile == profile {
				p.add(hint.New(fmt.Sprintf("%s: profile %s twice", variable, profile),
					"give each role a profile of its own; AWS_OIDC_ROLE_ARN is the profile default"))
				return
			}
		}
		roles = append(roles, aws.Role{Profile: profile, ARN: arn})
	}
	if v.RoleARN != "" {
		add("AWS_OIDC_ROLE_ARN", "default", v.RoleARN)
	}
	before := len(*p)
	items := p.list("AWS_OIDC_ROLES", v.Roles)
	for _, item := range items {
		profile, arn, ok := strings.Cut(item, "=")
		profile, arn = strings.TrimSpace(profile), strings.TrimSpace(arn)
		if !ok || !isProfile(profile) {
			p.value("AWS_OIDC_ROLES", item, "profile=role-arn, the profile of letters, digits, dots, dashes and underscores")
			continue
		}
		add("AWS_OIDC_ROLES", profile, arn)
	}
	if v.RoleARN == "" && len(items) == 0 && len(*p) == before {
		p.add(hint.New("AWS_OIDC_ROLES: an empty list", "name at least one profile=role-arn, or set AWS_OIDC_ROLE_ARN"))
	}
	slices.SortStableFunc(roles, func(a, b aws.Role) int { return cmp.Compare(rank(a), rank(b)) })
	return roles
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
func (p *problems) chain(c *aws.Config, env environment, tags bool) {
	before := len(*p)
	chain := p.list("AWS_CHAIN_ROLE_ARNS", env.AWS.Chain)
	if len(chain) == 0 && len(*p) == before && env.AWS.RoleARN != "" {
		p.halfConfigured("AWS_CHAIN_ROLE_ARNS", chainVariables(tags)[1:]...)
	}
	for _, text := range chain {
		arn, err := aws.ParseARN(text)
		if err != nil {
			p.reason("AWS_CHAIN_ROLE_ARNS", err, expectedRole)
		} else if len(c.Roles) > 0 {
			c.Roles[0].Chain = append(c.Roles[0].Chain, arn)
		}
	}
	// The limits are STS's (API Reference, AssumeRole).
	c.ExternalID, c.SourceIdentity = env.AWS.ExternalID, env.AWS.SourceIdentity
	if c.ExternalID != "" && !charset.Only(c.ExternalID, charset.Word+"+=,.@:/-", 2, 1224) {
		p.value("AWS_CHAIN_EXTERNAL_ID", c.ExternalID, "2 to 1224 letters, digits and _+=,.@:/-")
	}
	if c.SourceIdentity != "" && !charset.Only(c.SourceIdentity, charset.Word+"+=,.@-", 2, 64) {
		p.value("AWS_CHAIN_SOURCE_IDENTITY", c.SourceIdentity, "2 to 64 letters, digits and _+=,.@-")
	}
}

// maxTagValue is AWS's limit of a session tag's value, in characters (STS API Reference, Tag).
const maxTagValue = 256

// sessionTags are the tags of chained sessions. A value that the step does not have is no tag.
func sessionTags(env environment) []aws.Tag {
	var tags []aws.Tag
	for _, t := range []aws.Tag{
		{Key: "Repository", Value: cmp.Or(env.Repository, env.RepositorySlug)}, {Key: "Branch", Value: env.Branch}, {Key: "Commit", Value: env.Commit},
		{Key: "BuildNumber", Value: env.BuildNumber}, {Key: "Environment", Value: env.Environment},
	} {
		value := []rune(strings.Map(func(r rune) rune {
			if unicode.In(r, unicode.L, unicode.Z, unicode.N) || strings.ContainsRune("_.:/=+-@", r) {
				return r
			}
			return '_'
		}, t.Value))
		if len(value) > 0 {
			tags = append(tags, aws.Tag{Key: t.Key, Value: string(value[:min(len(value), maxTagValue)])})
		}
	}
	return tags
}

// refreshable refuses what a profile with a token file cannot carry: what SDKs renew would be wider than what was asked for.
func (p *problems) refreshable(c *aws.Config, tags bool) {
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
			p.add(hint.New("AWS_REFRESHABLE: set beside "+other.name, "remove one of the two: a profile that SDKs renew by themselves cannot carry it"))
		}
	}
	for _, role := range c.Roles[min(1, len(c.Roles)):] {
		if len(c.Roles[0].Chain) > 0 && strings.HasPrefix(role.Profile, c.Roles[0].Profile+"-chain-") {
			p.add(hint.New("AWS_OIDC_ROLES: profile "+role.Profile+" is a name that the chain uses", "give the role another profile"))
		}
	}
}

// awsRegion fills in the region, and holds it against the partition of the roles, which is one.
func (p *problems) awsRegion(c *aws.Config, v awsEnvironment) {
	name := "AWS_REGION"
	c.Region = v.Region
	if v.Region == "" && v.DefaultRegion != "" {
		name, c.Region = "AWS_DEFAULT_REGION", v.DefaultRegion
	}
	before := len(*p)
	for _, asked := range []struct{ name, region string }{{"AWS_REGION", v.Region}, {"AWS_DEFAULT_REGION", v.DefaultRegion}} {
		if asked.region != "" && !aws.IsRegion(asked.region) {
			p.value(asked.name, asked.region, "a region such as eu-west-1")
		}
	}
	roles := allRoles(c, v)
	if len(roles) == 0 {
		return
	}
	first := roles[0]
	for _, r := range roles[1:] {
		if r.arn.Partition != first.arn.Partition {
			p.add(hint.New(fmt.Sprintf("%s: role %s is of partition %s, role %s of partition %s", r.variable, r.arn.Role, r.arn.Partition,
				first.arn.Role, first.arn.Partition), "roles of several partitions need a call of the pipe each"))
		}
	}
	if len(*p) > before {
		return
	}
	partition := first.arn.Partition
	home, known := aws.HomeRegion(partition)
	switch {
	case !known && c.Endpoint == "":
		p.add(hint.New(fmt.Sprintf("%s: partition %s is not one of AWS and needs AWS_ENDPOINT_URL_STS", first.variable, partition),
			"correct the ARN, or name the server in AWS_ENDPOINT_URL_STS"))
	case known && c.Region != "" && aws.PartitionOf(c.Region) != partition:
		p.add(hint.New(fmt.Sprintf("%s: %s is of partition %s, role %s of partition %s", name, c.Region, aws.PartitionOf(c.Region), first.arn.Role, partition),
			"set "+name+" to a region of the role's partition"))
	case known && c.Region == "" && home == "":
		p.add(hint.New("AWS_REGION: needed for a role of partition "+partition, "set AWS_REGION to a region of the role's partition"))
	case c.Region == "":
		c.Region = cmp.Or(home, "us-east-1")
	}
}

// namedRole is a role and the variable that names it.
type namedRole struct {
	variable string
	arn      aws.ARN
}

// allRoles are all that will be assumed.
func allRoles(c *aws.Config, v awsEnvironment) []namedRole {
	var all []namedRole
	for i, role := range c.Roles {
		variable := "AWS_OIDC_ROLES"
		if i == 0 && v.RoleARN != "" {
			variable = "AWS_OIDC_ROLE_ARN"
		}
		all = append(all, namedRole{variable, role.ARN})
		for _, arn := range role.Chain {
			all = append(all, namedRole{"AWS_CHAIN_ROLE_ARNS", arn})
		}
	}
	return all
}

// sessionName is a name that AWS takes: what was asked for, or the repository and the build.
func sessionName(asked, slug, build string) string {
	name := asked
	switch {
	case name != "":
	case slug == "" || build == "":
		name = "bitbucket-oidc"
	default:
		name = "bitbucket-" + slug + "-" + build
	}
	name = strings.Map(func(r rune) rune {
		if r < 0x80 && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_+=,.@-", r)) {
			return r
		}
		return '-'
	}, name)
	return name[:min(len(name), 64)]
}

// sessionPolicies checks what AWS would refuse, so that it is told together with everything else.
func (p *problems) sessionPolicies(c *aws.Config) {
	size := utf8.RuneCountInString(c.Policy)
	if c.Policy != "" {
		switch {
		case strings.ContainsFunc(c.Policy, func(r rune) bool {
			return r != '\t' && r != '\n' && r != '\r' && (r < 0x20 || r > 0xff)
		}):
			p.value("AWS_SESSION_POLICY", c.Policy, "characters up to U+00FF only")
		case !isJSONObject(c.Policy):
			p.value("AWS_SESSION_POLICY", c.Policy, "a policy as a JSON object")
		}
	}
	if len(c.PolicyARNs) > maxPolicies {
		p.add(hint.New(fmt.Sprintf("AWS_SESSION_POLICY_ARNS: %d policies: expected at most %d", len(c.PolicyARNs), maxPolicies), "name fewer policies"))
	}
	for _, arn := range c.PolicyARNs {
		if !isPolicyARN(arn) {
			p.value("AWS_SESSION_POLICY_ARNS", arn, "ARNs of managed policies such as arn:aws:iam::aws:policy/ReadOnlyAccess")
		}
		size += len(arn)
	}
	if size > maxPolicyText {
		p.add(hint.New(fmt.Sprintf("AWS_SESSION_POLICY: %d characters with AWS_SESSION_POLICY_ARNS: expected at most %d", size, maxPolicyText),
			"shorten the policy: drop white space, join statements, or put it into a managed policy"))
	}
}

func isJSONObject(s string) bool {
	var object map[string]any
	return json.Unmarshal([]byte(s), &object) == nil && object != nil
}

// awsSDK sets what the AWS SDK would read from the environment by itself. Only the way to STS counts: the SDK's files,
// profiles and credentials are never looked at.
func (p *problems) awsSDK(c *aws.Config, v awsEnvironment, buildDir string) {
	if v.FIPS != "" {
		c.SDK.UseFIPSEndpoint = sdk.FIPSEndpointStateDisabled
		if p.boolean("AWS_USE_FIPS_ENDPOINT", v.FIPS) {
			c.SDK.UseFIPSEndpoint = sdk.FIPSEndpointStateEnabled
		}
	}
	if v.DualStack != "" {
		c.SDK.UseDualStackEndpoint = sdk.DualStackEndpointStateDisabled
		if p.boolean("AWS_USE_DUALSTACK_ENDPOINT", v.DualStack) {
			c.SDK.UseDualStackEndpoint = sdk.DualStackEndpointStateEnabled
		}
	}
	c.RootCAs = p.authorities("AWS_CA_BUNDLE", inBuildDir(buildDir, v.CABundle))
}
