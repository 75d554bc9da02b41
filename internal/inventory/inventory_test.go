package inventory_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"bitbucket-oidc/internal/drift"
	"bitbucket-oidc/internal/drift/drifttest"
	"bitbucket-oidc/internal/finding/findingtest"
	"bitbucket-oidc/internal/inventory"
	"bitbucket-oidc/internal/trust"
)

const (
	shop       = "{2e9e429c-7b8b-404f-8648-8c40c27c9ebd}"
	production = "{c3e5a1f0-5d0e-4b6a-9b54-7c1de2f80a11}"
	issuer     = "api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc"
	ari        = "ari:cloud:bitbucket::workspace/7baee083-4f25-4a97-8a9a-0fde1b623b45"
	deploy     = "arn:aws:iam::123456789012:role/deploy"
	account    = "deploy@acme-prod.iam.gserviceaccount.com"
	provider   = "projects/123456789012/locations/global/workloadIdentityPools/ci/providers/bitbucket"
	mount      = "https://vault.example/v1/auth/jwt"
)

// role is what IAM says of a role: who is a pattern of subjects.
func role(arn, audience, who string) string {
	return fmt.Sprintf(`{"RoleName": %q, "Arn": %q, "MaxSessionDuration": 3600, "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [
		{"Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity", "Principal": {"Federated": "arn:aws:iam::123456789012:oidc-provider/%s"},
		 "Condition": {"ForAnyValue:StringEquals": {"%[3]s:aud": %[4]q}, "StringLike": {"%[3]s:sub": %[5]q}}}]}}`,
		arn[strings.LastIndex(arn, "/")+1:], arn, issuer, audience, who)
}

func roles(all ...string) string { return `{"Roles": [` + strings.Join(all, ",") + `]}` }

// poolProvider is what Google says of a provider: more are further fields.
func poolProvider(more string) string {
	return fmt.Sprintf(`{"name": %q,
		"attributeMapping": {"google.subject": "assertion.sub", "attribute.repository_uuid": "assertion.repositoryUuid"},
		"attributeCondition": "assertion.repositoryUuid == '%s'",
		"oidc": {"issuerUri": "https://%s", "allowedAudiences": [%q]}%s}`, provider, shop, issuer, ari, more)
}

// TestRead: what is deployed, which sources were read, and what is wrong with providers.
func TestRead(t *testing.T) {
	const (
		toDeploy  = `  - {who: [shop/production], become: ["` + deploy + `"]}`
		toAccount = `  - {who: ["shop/*"], become: [` + account + `], through: ` + provider + `}`
		toVault   = `  - {who: ["shop/*"], become: [` + mount + `/role/deploy]}`
		member    = "principalSet://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/ci/attribute.repository_uuid/" + shop
		policy    = `{"bindings": [{"role": "roles/iam.workloadIdentityUser", "members": ["` + member + `"]}]}`
		vaultRole = `{"data": {"role_type": "jwt", "user_claim": "repositoryUuid", "bound_audiences": ["` + ari + `"],
			"bound_claims": {"repositoryUuid": "` + shop + `"}, "token_max_ttl": 1800}}`
		none = `{"RoleName": "ec2", "Arn": "arn:aws:iam::123456789012:role/ec2", "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": []}}`
	)
	ofShop, noDeployment := shop+":"+production+":*", shop+":{????????-????-????-????-????????????}"
	for _, c := range []struct {
		name   string
		grants string
		files  map[string]string // a name can be TARGET=NAME
		want   []string          // targets with who gets in, sources with their counts, faults
	}{
		{"a list of roles is an account", toDeploy, map[string]string{"a.json": roles(role(deploy, ari, ofShop), none)},
			[]string{deploy + " 1h0m0s: shop/production", "aws:123456789012 1 of 2, file a.json"}},
		{"one role is not", toDeploy, map[string]string{"a.json": `{"Role": ` + role(deploy, ari, ofShop) + `}`},
			[]string{deploy + " 1h0m0s: shop/production"}},
		{"one role, of another workspace", toDeploy,
			map[string]string{"a.json": `{"Role": ` + strings.ReplaceAll(role(deploy, ari, ofShop), "/acme/", "/other/") + `}`},
			[]string{deploy + " 1h0m0s: nobody of the workspace"}},
		{"a page is missing", toDeploy,
			map[string]string{"a.json": strings.TrimSuffix(roles(role(deploy, ari, ofShop)), "}") + `, "IsTruncated": true, "Marker": "x"}`},
			[]string{deploy + " 1h0m0s: shop/production", "aws:123456789012 1 of 1, file a.json, a page of it is missing: follow every page"}},
		{"the last page of two", toDeploy,
			map[string]string{"a.json": strings.TrimSuffix(roles(role(deploy, ari, ofShop)), "}") + `, "IsTruncated": true, "Marker": "x"}`, "b.json": roles(none)},
			[]string{deploy + " 1h0m0s: shop/production", "aws:123456789012 1 of 2, file a.json, file b.json"}},
		{"names of roles are enough to know that they are no others", toDeploy,
			map[string]string{"a.json": strings.ReplaceAll(none, "ec2", "deploy") + "\n" + none + "\n"},
			[]string{deploy + ": nobody of the workspace", "aws:123456789012 0 of 2, file a.json"}},

		{"two documents that agree", toDeploy, map[string]string{"a.json": roles(role(deploy, ari, ofShop)), "b.json": roles(role(deploy, ari, ofShop))},
			[]string{deploy + " 1h0m0s: shop/production", "aws:123456789012 1 of 1, file a.json, file b.json"}},
		{"two documents that differ let in everybody that either lets in, and refuse whom either refuses", toDeploy,
			map[string]string{"a.json": roles(role(deploy, ari, ofShop)), "b.json": roles(role(deploy, ari, noDeployment))},
			[]string{deploy + " 1h0m0s: shop/none (not usually), shop/production (not usually)", "aws:123456789012 1 of 1, file a.json, file b.json"}},
		{"a larger cell has the steps of a smaller one", toDeploy,
			map[string]string{"a.json": roles(role(deploy, ari, shop+":{de1e7ed0-1111-4222-8333-444455556666}:*")), "b.json": roles(role(deploy, ari, shop+":*"))},
			[]string{deploy + " 1h0m0s: shop/none (not usually), shop/production (not usually), " +
				"shop/unlisted environment {de1e7ed0-1111-4222-8333-444455556666}, shop/any other environment (not usually)",
				"aws:123456789012 1 of 1, file a.json, file b.json"}},
		{"a document that trusts nobody refuses all", toDeploy,
			map[string]string{"a.json": roles(role(deploy, ari, ofShop)), "b.json": roles(strings.ReplaceAll(role(deploy, ari, ofShop), "/acme/", "/other/"))},
			[]string{deploy + " 1h0m0s: shop/production (not usually)", "aws:123456789012 1 of 1, file a.json, file b.json"}},

		{"an audience of another grant is not asked for",
			toDeploy + "\n" + `  - {who: [shop/none], become: ["arn:aws:iam::123456789012:role/other"], audiences: [x]}`,
			map[string]string{"a.json": roles(role(deploy, "x", ofShop))},
			[]string{deploy + " 1h0m0s: shop/production (not usually)", "aws:123456789012 1 of 1, file a.json"}},
		{"an audience of the grant is", `  - {who: [shop/production], become: ["` + deploy + `"], audiences: [x]}`,
			map[string]string{"a.json": roles(role(deploy, "x", ofShop))},
			[]string{deploy + " 1h0m0s: shop/production", "aws:123456789012 1 of 1, file a.json"}},

		{"a provider without an ARN is of the only account", toDeploy,
			map[string]string{"p.json": `{"Url": "` + issuer + `", "ClientIDList": ["sts.amazonaws.com"]}`},
			[]string{"arn:aws:iam::123456789012:oidc-provider/" + issuer + ": None of the provider's client ids is an audience of the workspace's tokens."}},
		{"of two accounts it is of neither", toDeploy + "\n" + `  - {who: [shop/none], become: ["arn:aws:iam::210987654321:role/other"]}`,
			map[string]string{"p.json": `{"Url": "` + issuer + `", "ClientIDList": ["sts.amazonaws.com"]}`}, nil},
		{"no provider at all in the only account", toDeploy, map[string]string{"p.json": `{"OpenIDConnectProviderList": []}`},
			[]string{"arn:aws:iam::123456789012:oidc-provider/" + issuer + ": The account has no OIDC provider of the workspace: no role in it lets anybody in."}},
		{"a provider of another issuer only", toDeploy,
			map[string]string{"p.json": `{"OpenIDConnectProviderList": [{"Arn": "arn:aws:iam::123456789012:oidc-provider/token.example"}]}`},
			[]string{"arn:aws:iam::123456789012:oidc-provider/" + issuer + ": The account has no OIDC provider of the workspace: no role in it lets anybody in."}},

		{"a policy that names its service account by a flag", toAccount, map[string]string{account + "=policy.json": policy, "provider.json": poolProvider("")},
			[]string{account + ": shop/none, shop/production, shop/any other environment", "gcp:" + provider + " 0 of 0, file provider.json"}},
		{"a policy of nobody knows what", toAccount, map[string]string{"policy.json": policy, "provider.json": poolProvider("")},
			[]string{"gcp:" + provider + " 0 of 0, file provider.json"}},
		{"a policy without members", toAccount, map[string]string{account + "=policy.json": `{"etag": "x"}`}, []string{account + ": nobody of the workspace"}},
		{"a disabled provider", toAccount, map[string]string{account + "=policy.json": policy, "provider.json": poolProvider(`, "disabled": true`)},
			[]string{account + ": nobody", "gcp:" + provider + " 0 of 0, file provider.json", provider + ": The provider is disabled."}},
		{"a policy without its provider", toAccount, map[string]string{account + "=policy.json": policy},
			[]string{account + ": shop/none (perhaps), shop/production (perhaps), shop/any other environment (perhaps), " +
				"any other repository/none (perhaps), any other repository/any other environment (perhaps)"}},

		{"a role of Vault", toVault, map[string]string{mount + "/role/deploy=role.json": vaultRole},
			[]string{mount + "/role/deploy 30m0s: shop/none, shop/production, shop/any other environment", "vault:" + mount + " 1 of 1, file role.json, in part"}},
		{"a mount of another issuer", toVault,
			map[string]string{mount + "/role/deploy=role.json": vaultRole, mount + "=config.json": `{"data": {"bound_issuer": "https://other.example"}}`},
			[]string{mount + "/role/deploy 30m0s: nobody of the workspace", "vault:" + mount + " 0 of 1, file config.json, file role.json, in part",
				mount + `: The mount trusts the issuer "https://other.example", and the workspace's is "https://` + issuer + `".`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			files := []txtar.File{{Name: "access.yaml", Data: []byte(`version: 1
workspace: {slug: acme, uuid: "{7baee083-4f25-4a97-8a9a-0fde1b623b45}"}
repositories: {shop: {uuid: "` + shop + `", environments: {production: "` + production + `"}}}
grants:
` + c.grants)}}
			for name, data := range c.files {
				files = append(files, txtar.File{Name: name, Data: []byte(data)})
			}
			slices.SortFunc(files, func(a, b txtar.File) int {
				return strings.Compare(a.Name[strings.LastIndex(a.Name, "=")+1:], b.Name[strings.LastIndex(b.Name, "=")+1:])
			})
			got := told(drifttest.State(t, findingtest.Case{Files: files}))
			if !slices.Equal(got, c.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
}

// told is a state in lines: the targets that are not EC2's, the sources, the faults.
func told(s drift.State) (lines []string) {
	for _, d := range s.Targets {
		if strings.HasSuffix(d.Target, "/ec2") {
			continue
		}
		line := d.Target
		if d.Session > 0 {
			line += " " + d.Session.String()
		}
		var who []string
		for _, c := range d.Cells {
			switch {
			case !c.Reach.Maybe:
			case !c.Reach.Some:
				who = append(who, c.Who+" (perhaps)")
			case c.Usual.All || !listed(c):
				who = append(who, c.Who)
			default:
				who = append(who, c.Who+" (not usually)")
			}
		}
		switch {
		case len(d.Cells) == 0:
			who = []string{"nobody of the workspace"}
		case len(who) == 0:
			who = []string{"nobody"}
		}
		lines = append(lines, line+": "+strings.Join(who, ", "))
	}
	for _, source := range s.Sources {
		line := fmt.Sprintf("%s %d of %d, %s", source.Name, source.Bitbucket, source.Targets, source.How)
		if source.Partial {
			line += ", in part"
		}
		if source.Why != "" {
			line += ", " + source.Why
		}
		lines = append(lines, line)
	}
	for _, f := range s.Faults {
		lines = append(lines, f.Provider+": "+f.Message)
	}
	return lines
}

// listed reports whether a map can grant a cell by name.
func listed(c trust.Cell) bool { return !strings.Contains(c.Who, "unlisted") }

// TestNamed: a target can have = in its name, and a file can as well.
func TestNamed(t *testing.T) {
	for _, c := range []struct {
		text, target, file string
		ok                 bool
	}{
		{account + "=a.json", account, "a.json", true},
		{account + "=a=b.json", account, "a=b.json", true},
		{"arn:aws:iam::123456789012:role/a=b=c.json", "arn:aws:iam::123456789012:role/a=b", "c.json", true},
		{mount + "/role/deploy?namespace=team=role.json", mount + "/role/deploy?namespace=team", "role.json", true},
		{mount + "=config.json", mount, "config.json", true},
		{account + "=-", account, "-", true},
		{account + "=", "", "", false},
		{"deploy=a.json", "", "", false},
		{"=a.json", "", "", false},
		{"", "", "", false},
	} {
		target, file, ok := inventory.Named(c.text)
		if target != c.target || file != c.file || ok != c.ok {
			t.Errorf("%s: %q, %q, %t; want %q, %q, %t", c.text, target, file, ok, c.target, c.file, c.ok)
		}
	}
}

// TestWorkspaces: a workspace is found wherever it stands, also in a policy that is URL-encoded.
func TestWorkspaces(t *testing.T) {
	for _, c := range []struct {
		name, text string
		slugs      []string
		uuids      []string
	}{
		{"nothing", `{}`, nil, nil},
		{"a provider and an audience", `"` + issuer + `": "` + ari + `"`, []string{"acme"}, []string{"{7baee083-4f25-4a97-8a9a-0fde1b623b45}"}},
		{"encoded", "api.bitbucket.org%2F2.0%2Fworkspaces%2Facme%2Fpipelines-config%2Fidentity%2Foidc%3Aaud " +
			"ari%3Acloud%3Abitbucket%3A%3Aworkspace%2F7BAEE083-4f25-4a97-8a9a-0fde1b623b45",
			[]string{"acme"}, []string{"{7baee083-4f25-4a97-8a9a-0fde1b623b45}"}},
		{"twice, and another", issuer + " " + issuer + " " + strings.Replace(issuer, "acme", "Other", 1), []string{"Other", "acme"}, nil},
	} {
		slugs, uuids := inventory.Workspaces([]trust.File{{Data: []byte(c.text)}})
		if !slices.Equal(slugs, c.slugs) || !slices.Equal(uuids, c.uuids) {
			t.Errorf("%s: %v, %v", c.name, slugs, uuids)
		}
	}
}
