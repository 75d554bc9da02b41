package test

import (
	"slices"
	"strings"
	"time"

	"bitbucket-oidc/test/cloud"

	"github.com/rogpeppe/go-internal/testscript"
)

// The commands with which a story changes what exists in the clouds.

func cmdRole(ts *testscript.TestScript, neg bool, args []string) {
	affirm(ts, neg, "role")
	if len(args) == 0 {
		ts.Fatalf("usage: role NAME [OPTION=VALUE]…")
	}
	world, account := worldOf(ts), cloud.AWSAccount
	role := cloud.Role{}
	trust := cloud.DefaultTrust(world.Issuer)
	for _, arg := range args[1:] {
		name, value, _ := strings.Cut(arg, "=")
		switch name {
		case "max":
			role.MaxSession = duration(ts, value)
		case "account":
			account = value
		case "aud":
			trust.Audience = value
		case "sub":
			trust.Subject = value
		case "from":
			trust = cloud.Trust{
				Actions: []string{"sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"},
				Role:    roleNamed(value, cloud.AWSAccount),
			}
		case "external-id":
			trust.ExternalID = value
		case "allow":
			trust.Actions = strings.Split(value, ",")
		case "policy":
			role.Policy = ts.ReadFile(value)
		case "may":
			role.May = strings.Split(value, ",")
		default:
			ts.Fatalf("no such option: %s", name)
		}
	}
	role.ARN = roleNamed(args[0], account)
	role.Trust = []cloud.Trust{trust}
	world.AWS.SetRole(role)
}

func cmdInventory(ts *testscript.TestScript, neg bool, args []string) {
	affirm(ts, neg, "inventory")
	world := worldOf(ts)
	for _, arg := range args {
		name, value, _ := strings.Cut(arg, "=")
		switch name {
		case "page":
			n := number(ts, value)
			world.AWS.Configure(func(c *cloud.AWSConfig) { c.IAM.Page = n })
			world.GCP.Configure(func(c *cloud.GCPConfig) { c.Page = n })
		case "others":
			n := number(ts, value)
			world.AWS.Configure(func(c *cloud.AWSConfig) { c.IAM.Others = n })
		case "pool-disabled":
			world.GCP.Configure(func(c *cloud.GCPConfig) { c.PoolDisabled = true })
		default:
			ts.Fatalf("no such option: %s", name)
		}
	}
}

// roleNamed is a role's ARN, whether given as such or as a name.
func roleNamed(name, account string) string {
	if strings.HasPrefix(name, "arn:") {
		return name
	}
	return "arn:aws:iam::" + account + ":role/" + name
}

func cmdProvider(ts *testscript.TestScript, neg bool, args []string) {
	affirm(ts, neg, "provider")
	if len(args) == 0 {
		ts.Fatalf("usage: provider aws|gcp [OPTION]…")
	}
	set, ok := map[string]func(*testscript.TestScript, []string){"aws": setAWSProvider, "gcp": setGCPProvider}[args[0]]
	if !ok {
		ts.Fatalf("no such cloud: %s", args[0])
	}
	set(ts, args[1:])
}

func setAWSProvider(ts *testscript.TestScript, options []string) {
	world := worldOf(ts)
	provider, gone := cloud.OIDCProvider{Account: cloud.AWSAccount, Issuer: world.Issuer}, false
	for _, option := range options {
		name, value, _ := strings.Cut(option, "=")
		switch name {
		case "account":
			provider.Account = value
		case "aud":
			provider.ClientIDs = append(provider.ClientIDs, value)
		case "gone":
			gone = true
		default:
			ts.Fatalf("no such option: %s", name)
		}
	}
	if provider.ClientIDs == nil {
		provider.ClientIDs = []string{cloud.DefaultStep().WorkspaceAudience()}
	}
	world.AWS.Configure(func(c *cloud.AWSConfig) {
		c.Providers = slices.DeleteFunc(c.Providers, func(p cloud.OIDCProvider) bool { return p.Account == provider.Account })
		if !gone {
			c.Providers = append(c.Providers, provider)
		}
	})
}

func setGCPProvider(ts *testscript.TestScript, options []string) {
	world := worldOf(ts)
	provider := cloud.WorkloadProvider{Name: cloud.ProviderName, Issuer: world.Issuer, Mapping: cloud.MapRepository}
	for _, option := range options {
		name, value, _ := strings.Cut(option, "=")
		switch name {
		case "disabled":
			provider.State = cloud.ProviderDisabled
		case "deleted":
			provider.State = cloud.ProviderDeleted
		case "aud":
			provider.AllowedAudiences = append(provider.AllowedAudiences, value)
		case "condition":
			claim, want, _ := strings.Cut(value, "=")
			provider.Condition = func(claims map[string]any) bool { return claims[claim] == want }
		case "subject":
			provider.Mapping = func(claims map[string]any) (string, map[string]string) {
				subject, _ := claims[value].(string)
				_, attributes := cloud.MapRepository(claims)
				return subject, attributes
			}
		default:
			ts.Fatalf("no such option: %s", name)
		}
	}
	if provider.AllowedAudiences == nil {
		provider.AllowedAudiences = []string{cloud.DefaultStep().WorkspaceAudience()}
	}
	world.GCP.Configure(func(c *cloud.GCPConfig) { c.Providers = []cloud.WorkloadProvider{provider} })
}

func cmdAccount(ts *testscript.TestScript, neg bool, args []string) {
	affirm(ts, neg, "account")
	if len(args) == 0 {
		ts.Fatalf("usage: account EMAIL [OPTION]…")
	}
	account := cloud.ServiceAccount{Email: args[0]}
	for _, arg := range args[1:] {
		name, value, _ := strings.Cut(arg, "=")
		switch {
		case name == "long":
			account.LongLifetimes = true
		case name == "member" && !strings.Contains(value, ":"):
			account.Members = append(account.Members, "serviceAccount:"+value)
		case name == "member":
			account.Members = append(account.Members, value)
		default:
			ts.Fatalf("no such option: %s", name)
		}
	}
	if account.Members == nil {
		account.Members = []string{cloud.RepositoryMember}
	}
	worldOf(ts).GCP.SetServiceAccount(account)
}

func cmdLifetime(ts *testscript.TestScript, neg bool, args []string) {
	affirm(ts, neg, "lifetime")
	if len(args) != 2 {
		ts.Fatalf("usage: lifetime aws|gcp DURATION")
	}
	world, lifetime := worldOf(ts), duration(ts, args[1])
	switch args[0] {
	case "aws":
		world.AWS.Configure(func(c *cloud.AWSConfig) { c.Lifetime = lifetime })
	case "gcp":
		world.GCP.Configure(func(c *cloud.GCPConfig) { c.Lifetime = lifetime })
	default:
		ts.Fatalf("no such cloud: %s", args[0])
	}
}

func cmdService(ts *testscript.TestScript, neg bool, args []string) {
	affirm(ts, neg, "service")
	if len(args) == 0 {
		ts.Fatalf("usage: service NAME [OPTION]…")
	}
	others := othersOf(ts)
	switch args[0] {
	case "vault":
		others.Vault.Configure(func(c *cloud.VaultConfig) {
			setService(ts, args[1:], &c.TokenRule, &c.TTL, map[string]func(string){
				"role":      func(v string) { c.Role = v },
				"mount":     func(v string) { c.Mount = v },
				"namespace": func(v string) { c.Namespace = v },
				"subject":   func(v string) { c.BoundSubject = v },
			})
		})
	case "okta":
		others.Okta.Configure(func(c *cloud.OktaConfig) {
			setService(ts, args[1:], &c.TokenRule, &c.TTL, map[string]func(string){"inactive": func(string) { c.Inactive = true }})
		})
	case "oauth":
		others.OAuth.Configure(func(c *cloud.OAuthConfig) {
			setService(ts, args[1:], &c.TokenRule, &c.TTL, map[string]func(string){
				"grant":  func(v string) { c.Grant = v },
				"client": func(v string) { c.ClientID, c.ClientSecret, _ = strings.Cut(v, ":") },
				"type":   func(v string) { c.SubjectTokenTypes = []string{v} },
				"parameter": func(v string) {
					name, value, _ := strings.Cut(v, "=")
					c.Parameters = map[string]string{name: value}
				},
			})
		})
	default:
		service, ok := map[string]*cloud.Service{
			"jfrog": others.JFrog, "cloudsmith": others.Cloudsmith, "databricks": others.Databricks, "pulumi": others.Pulumi,
		}[args[0]]
		if !ok {
			ts.Fatalf("no such service: %s", args[0])
		}
		service.Configure(func(c *cloud.ServiceConfig) { setService(ts, args[1:], &c.TokenRule, &c.TTL, nil) })
	}
}

// setService reads the options that every service has, and passes on the service's own ones.
func setService(ts *testscript.TestScript, args []string, rule *cloud.TokenRule, ttl *time.Duration, own map[string]func(value string)) {
	for _, arg := range args {
		name, value, _ := strings.Cut(arg, "=")
		switch name {
		case "aud":
			rule.Audiences = slices.DeleteFunc([]string{value}, func(aud string) bool { return aud == "" })
		case "claim":
			claim, want, _ := strings.Cut(value, "=")
			rule.Claims = map[string]string{claim: want}
		case "lifetime":
			*ttl = duration(ts, value)
		default:
			set, ok := own[name]
			if !ok {
				ts.Fatalf("no such option: %s", name)
			}
			set(value)
		}
	}
}
