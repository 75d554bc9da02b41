package cloud

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const iamVersion = "2010-05-08"

// An Inventory is how IAM shows an account, beside its roles and providers.
type Inventory struct {
	// Page is the most that a page has, whatever is asked for: IAM may return fewer items than that and still have more.
	// [IAM API Reference, ListRoles, MaxItems]
	Page int

	// Others is how many more roles each account has, which services assume.
	Others int
}

// A roleXML is the Role of IAM's answers. ListRoles leaves RoleLastUsed out. [IAM API Reference, Role]
type roleXML struct {
	Path                     string
	RoleName                 string
	RoleID                   string `xml:"RoleId"`
	Arn                      string
	CreateDate               string
	AssumeRolePolicyDocument string // URL-encoded, RFC 3986
	MaxSessionDuration       int
	RoleLastUsed             *lastUsedXML `xml:",omitempty"`
}

type lastUsedXML struct {
	LastUsedDate string
	Region       string
}

// serveIAM answers the reads of IAM that the program makes. Everything else is an unknown action.
func (a *AWS) serveIAM(r *http.Request, body []byte, p *parameters) (any, *awsError) {
	caller, failure := a.authenticate(r, body, "iam")
	if failure != nil {
		return nil, failure
	}
	if signature, _ := parseSignature(r); signature.region != "us-east-1" {
		return nil, &awsError{http.StatusForbidden, "SignatureDoesNotMatch", "Credential should be scoped to a valid region, not '" + signature.region + "'."}
	}
	noteCaller(r, caller.Principal())
	reader, _ := a.role(caller.Role)
	of, _ := parseRoleARN(caller.Role)
	action := p.take("Action")
	if reader.May != nil && !slices.Contains(reader.May, "iam:"+action) {
		return nil, &awsError{
			http.StatusForbidden, "AccessDenied",
			fmt.Sprintf("User: %s is not authorized to perform: iam:%s on resource: *", caller.Principal(), action),
		}
	}
	switch action {
	case "ListRoles":
		return a.listRoles(p, of.account)
	case "GetRole":
		return a.getRole(p, of.account)
	case "ListOpenIDConnectProviders":
		return a.listProviders(p, of.account)
	case "GetOpenIDConnectProvider":
		return a.getProvider(p, of.account)
	}
	return nil, &awsError{http.StatusBadRequest, "InvalidAction", "Could not find operation " + action + " for version " + iamVersion}
}

// listRoles is ListRoles. Its marker is opaque, and only good for the list that it came with.
func (a *AWS) listRoles(p *parameters, account string) (any, *awsError) {
	most := p.number("MaxItems", 1, 1000, 100)
	marker := p.take("Marker")
	prefix := p.take("PathPrefix")
	if failure := p.failure(); failure != nil {
		return nil, failure
	}
	all := slices.DeleteFunc(a.rolesOf(account), func(r roleXML) bool { return !strings.HasPrefix(r.Path, prefix) })
	from := 0
	if marker != "" {
		n, err := strconv.Atoi(strings.TrimPrefix(marker, "after-"))
		if err != nil || n >= len(all) || !strings.HasPrefix(marker, "after-") {
			return nil, invalid("Invalid Marker.")
		}
		from = n
	}
	if a.config.IAM.Page > 0 {
		most = min(most, a.config.IAM.Page)
	}
	to := min(from+most, len(all))
	answer := struct {
		XMLName     xml.Name    `xml:"https://iam.amazonaws.com/doc/2010-05-08/ ListRolesResponse"`
		Roles       []roleXML   `xml:"ListRolesResult>Roles>member"`
		IsTruncated bool        `xml:"ListRolesResult>IsTruncated"`
		Marker      string      `xml:"ListRolesResult>Marker,omitempty"`
		Metadata    metadataXML `xml:"ResponseMetadata"`
	}{Roles: all[from:to], IsTruncated: to < len(all), Metadata: metadataXML{newRequestID()}}
	if answer.IsTruncated {
		answer.Marker = fmt.Sprintf("after-%d", to)
	}
	return answer, nil
}

// rolesOf are the roles of an account, by their paths and names.
func (a *AWS) rolesOf(account string) []roleXML {
	var all []roleXML
	for _, role := range a.config.Roles {
		if arn, ok := parseRoleARN(role.ARN); ok && arn.account == account {
			all = append(all, a.shown(role))
		}
	}
	for i := range a.config.IAM.Others {
		all = append(all, a.shown(Role{
			ARN:    fmt.Sprintf("arn:aws:iam::%s:role/service-%05d", account, i),
			Policy: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}`,
		}))
	}
	slices.SortFunc(all, func(x, y roleXML) int { return strings.Compare(x.Arn, y.Arn) })
	return all
}

func (a *AWS) shown(role Role) roleXML {
	arn, _ := parseRoleARN(role.ARN)
	path := strings.TrimSuffix(role.ARN[strings.Index(role.ARN, ":role")+len(":role"):], arn.name)
	longest := role.MaxSession
	if longest == 0 {
		longest = defaultSession
	}
	policy := role.Policy
	if policy == "" {
		policy = role.policy()
	}
	return roleXML{
		Path: path, RoleName: arn.name, RoleID: roleID(role.ARN), Arn: role.ARN, CreateDate: "2026-03-01T09:00:00Z",
		AssumeRolePolicyDocument: strings.ReplaceAll(url.QueryEscape(policy), "+", "%20"), MaxSessionDuration: int(longest.Seconds()),
	}
}

// policy is what a role trusts, as a policy says it.
func (r Role) policy() string {
	of, _ := parseRoleARN(r.ARN)
	statements := []any{}
	for _, t := range r.Trust {
		s := map[string]any{"Effect": "Allow", "Action": t.Actions, "Principal": map[string]string{"AWS": t.Role}}
		if t.Issuer != "" {
			issuer := strings.TrimPrefix(t.Issuer, "https://")
			s["Principal"] = map[string]string{"Federated": "arn:aws:iam::" + of.account + ":oidc-provider/" + issuer}
			conditions := map[string]any{}
			if t.Audience != "" {
				conditions["StringEquals"] = map[string]string{issuer + ":aud": t.Audience}
			}
			if t.Subject != "" {
				conditions["StringLike"] = map[string]string{issuer + ":sub": t.Subject}
			}
			s["Condition"] = conditions
		}
		statements = append(statements, s)
	}
	data, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": statements})
	if err != nil {
		panic("cloud: policy that is no JSON: " + err.Error())
	}
	return string(data)
}

func (a *AWS) getRole(p *parameters, account string) (any, *awsError) {
	name := p.required("RoleName", limit{min: 1, max: 64})
	if failure := p.failure(); failure != nil {
		return nil, failure
	}
	for _, role := range a.rolesOf(account) {
		if role.RoleName == name {
			role.RoleLastUsed = &lastUsedXML{a.now().Add(-24 * time.Hour).UTC().Format(time.RFC3339), "eu-central-1"}
			return struct {
				XMLName  xml.Name    `xml:"https://iam.amazonaws.com/doc/2010-05-08/ GetRoleResponse"`
				Role     roleXML     `xml:"GetRoleResult>Role"`
				Metadata metadataXML `xml:"ResponseMetadata"`
			}{Role: role, Metadata: metadataXML{newRequestID()}}, nil
		}
	}
	return nil, &awsError{http.StatusNotFound, "NoSuchEntity", "The role with name " + name + " cannot be found."}
}

// providerARN is the ARN of the provider of an issuer.
func (p OIDCProvider) arn() string {
	return "arn:aws:iam::" + p.Account + ":oidc-provider/" + strings.TrimPrefix(p.Issuer.URL(), "https://")
}

func (a *AWS) listProviders(p *parameters, account string) (any, *awsError) {
	if failure := p.failure(); failure != nil {
		return nil, failure
	}
	type entry struct{ Arn string }
	answer := struct {
		XMLName  xml.Name    `xml:"https://iam.amazonaws.com/doc/2010-05-08/ ListOpenIDConnectProvidersResponse"`
		List     []entry     `xml:"ListOpenIDConnectProvidersResult>OpenIDConnectProviderList>member"`
		Metadata metadataXML `xml:"ResponseMetadata"`
	}{Metadata: metadataXML{newRequestID()}}
	for _, provider := range a.config.Providers {
		if provider.Account == account {
			answer.List = append(answer.List, entry{provider.arn()})
		}
	}
	return answer, nil
}

func (a *AWS) getProvider(p *parameters, account string) (any, *awsError) {
	arn := p.required("OpenIDConnectProviderArn", limit{min: 20, max: 2048})
	if failure := p.failure(); failure != nil {
		return nil, failure
	}
	for _, provider := range a.config.Providers {
		if provider.Account == account && provider.arn() == arn {
			return struct {
				XMLName     xml.Name    `xml:"https://iam.amazonaws.com/doc/2010-05-08/ GetOpenIDConnectProviderResponse"`
				URL         string      `xml:"GetOpenIDConnectProviderResult>Url"` // without its scheme
				ClientIDs   []string    `xml:"GetOpenIDConnectProviderResult>ClientIDList>member"`
				Thumbprints []string    `xml:"GetOpenIDConnectProviderResult>ThumbprintList>member"`
				CreateDate  string      `xml:"GetOpenIDConnectProviderResult>CreateDate"`
				Metadata    metadataXML `xml:"ResponseMetadata"`
			}{
				URL: strings.TrimPrefix(provider.Issuer.URL(), "https://"), ClientIDs: provider.ClientIDs, Thumbprints: []string{strings.Repeat("a", 40)},
				CreateDate: "2026-03-01T09:00:00Z", Metadata: metadataXML{newRequestID()},
			}, nil
		}
	}
	return nil, &awsError{http.StatusNotFound, "NoSuchEntity", "OpenIDConnect Provider not found for arn " + arn}
}
