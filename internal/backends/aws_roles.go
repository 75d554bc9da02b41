package backends

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"bitbucket-oidc/internal/aws"
	"bitbucket-oidc/internal/config"
	"bitbucket-oidc/internal/hint"
	"bitbucket-oidc/internal/oidc"
)

const expectedRole = "a role's ARN such as arn:aws:iam::123456789012:role/deploy"

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
		case profile == "DEFAULT": // the section that Python's configparser, and so the AWS CLI, adds to each of the others
			v.Add(hint.New("AWS_OIDC_ROLES: profile DEFAULT: the AWS CLI does not take it for a profile", "name the profile default, or otherwise"))
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

// needChain are the variables that mean nothing without a chain.
func (on switches) needChain() []string {
	names := []string{"AWS_CHAIN_EXTERNAL_ID", "AWS_CHAIN_SOURCE_IDENTITY"}
	if on.chainTags {
		names = append(names, "AWS_CHAIN_TAGS")
	}
	return names
}

// chain adds the chain to the default role, which stands first.
func chain(v *config.Vars, c *aws.Config, on switches) {
	g := v.Group()
	arns := parseRoles(g, "AWS_CHAIN_ROLE_ARNS", g.Filled("AWS_CHAIN_ROLE_ARNS", "name the roles, or remove the variable to stay the first role"))
	if len(c.Roles) > 0 && v.IsSet("AWS_OIDC_ROLE_ARN") {
		c.Roles[0].Chain = append(c.Roles[0].Chain, arns...)
	}
	chained := slices.ContainsFunc(c.Roles, func(r aws.Role) bool { return len(r.Chain) > 0 })
	switch {
	case g.Failed():
	case !v.IsSet("AWS_OIDC_ROLE_ARN") && chained:
		v.HalfConfigured("AWS_OIDC_ROLE_ARN", "AWS_CHAIN_ROLE_ARNS")
	case !v.IsSet("AWS_OIDC_ROLE_ARN"):
		v.HalfConfigured("AWS_OIDC_ROLE_ARN", append(on.needChain(), "AWS_CHAIN_ROLE_ARNS")...)
	case !chained:
		v.HalfConfigured("AWS_CHAIN_ROLE_ARNS", on.needChain()...)
	}
	c.ExternalID, c.SourceIdentity = v.Text("AWS_CHAIN_EXTERNAL_ID"), v.Text("AWS_CHAIN_SOURCE_IDENTITY")
	if c.ExternalID != "" && !aws.IsExternalID(c.ExternalID) {
		v.Wrong("AWS_CHAIN_EXTERNAL_ID", c.ExternalID, "2 to 1224 letters, digits and _+=,.@:/-")
	}
	if c.SourceIdentity != "" && !aws.IsSourceIdentity(c.SourceIdentity) {
		v.Wrong("AWS_CHAIN_SOURCE_IDENTITY", c.SourceIdentity, "2 to 64 letters, digits and _+=,.@-")
	}
}

// sessionTags are the tags of chained sessions: what the token says about the step, or else what the step's variables say.
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

// region sets the region. All roles must be of one partition, and the region must belong to it.
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

// allRoles are all roles that will be assumed.
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
