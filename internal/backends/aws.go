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

func configureAWS(v *config.Vars, token oidc.Token) maker {
	on := readSwitches(v)
	if !v.IsSet("AWS_OIDC_ROLE_ARN") && !v.IsSet("AWS_OIDC_ROLES") {
		v.HalfConfigured("AWS_OIDC_ROLE_ARN", on.needRole()...)
		return nil
	}
	c := aws.Config{
		Roles:       awsRoles(v),
		SessionName: aws.SessionName(v.Text("AWS_SESSION_NAME"), v.RepositorySlug, v.BuildNumber),
		Duration:    v.Seconds("AWS_SESSION_DURATION", aws.ShortestSession, aws.LongestSession),
		Refreshable: on.refreshable,
		ExportKeys:  on.exportKeys,
	}
	if len(c.SessionName) < 2 {
		v.Wrong("AWS_SESSION_NAME", c.SessionName, "2 to 64 characters")
	}
	sessionPolicies(v, &c)
	chain(v, &c, on)
	if on.chainTags {
		c.Tags = sessionTags(v, token)
	}
	if on.refreshable {
		refuseRefreshable(v, c, on)
	}
	c.Registries = ecrRegistries(v, c.Roles)
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

// switches are the variables of AWS that are on or off. One that is off means nothing, as if it were not set.
type switches struct{ chainTags, refreshable, exportKeys bool }

func readSwitches(v *config.Vars) switches {
	return switches{v.Boolean("AWS_CHAIN_TAGS"), v.Boolean("AWS_REFRESHABLE"), v.Boolean("AWS_EXPORT_KEYS")}
}

// needRole are the variables that mean nothing without a role.
func (on switches) needRole() []string {
	names := append(on.needChain(), "AWS_CHAIN_ROLE_ARNS",
		"AWS_SESSION_NAME", "AWS_SESSION_DURATION", "AWS_SESSION_POLICY", "AWS_SESSION_POLICY_ARNS", "AWS_ALLOWED_ACCOUNTS", "AWS_ECR_REGISTRIES")
	if on.refreshable {
		names = append(names, "AWS_REFRESHABLE")
	}
	if on.exportKeys {
		names = append(names, "AWS_EXPORT_KEYS")
	}
	return names
}

func ecrRegistries(v *config.Vars, roles []aws.Role) []aws.Registry {
	const name = "AWS_ECR_REGISTRIES"
	var registries []aws.Registry
	for _, host := range config.Unique(v.List(name)) {
		registry, err := aws.ParseRegistry(host)
		if err != nil {
			v.Reason(name, err, "hosts such as 123456789012.dkr.ecr.eu-west-1.amazonaws.com, without a repository")
		} else if partition := aws.PartitionOf(registry.Region); len(roles) > 0 && roles[0].ARN.Partition != partition {
			v.Add(hint.New(name+": "+host+": roles of partition "+roles[0].ARN.Partition+" cannot log in there",
				"remove it, or log in with a role of partition "+partition))
		}
		registries = append(registries, registry)
	}
	return registries
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

// refuseRefreshable refuses what a profile with a token file cannot contain: without it, a session that an SDK renews would be wider
// than asked for.
func refuseRefreshable(v *config.Vars, c aws.Config, on switches) {
	for _, other := range []struct {
		set  bool
		name string
	}{
		{c.Policy != "", "AWS_SESSION_POLICY"},
		{len(c.PolicyARNs) > 0, "AWS_SESSION_POLICY_ARNS"},
		{c.Duration != time.Hour, "AWS_SESSION_DURATION other than 1h"},
		{on.chainTags, "AWS_CHAIN_TAGS"},
		{c.SourceIdentity != "", "AWS_CHAIN_SOURCE_IDENTITY"},
	} {
		if other.set {
			v.Add(hint.New("AWS_REFRESHABLE: set together with "+other.name, "remove one of the two: a profile that SDKs renew by themselves cannot carry it"))
		}
	}
	if c.ExportKeys {
		v.Add(hint.New("AWS_EXPORT_KEYS: set together with AWS_REFRESHABLE",
			"remove one of the two: SDKs do not renew keys that they have as variables"))
	}
	for _, role := range c.Roles {
		if slices.ContainsFunc(c.Roles, func(r aws.Role) bool { return len(r.Chain) > 0 && strings.HasPrefix(role.Profile, r.Profile+"-chain-") }) {
			v.Add(hint.New("AWS_OIDC_ROLES: profile "+role.Profile+" is a name that the chain uses", "give the role another profile"))
		}
	}
}

// sessionPolicies checks what AWS would refuse, so that it is reported together with everything else.
func sessionPolicies(v *config.Vars, c *aws.Config) {
	const inline, managed = "AWS_SESSION_POLICY", "AWS_SESSION_POLICY_ARNS"
	c.Policy, c.PolicyARNs = v.Text(inline), v.Filled(managed, "name the policies, or remove the variable for a session that none of them narrows")
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

// ownEndpoints sets what the AWS SDK would read from the environment by itself. Only what leads to STS counts: the SDK's files,
// profiles and credentials are never read.
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
