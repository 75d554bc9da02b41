package audit_test

import (
	"fmt"
	"strings"
	"testing"

	"bitbucket-oidc/internal/audit"
)

// TestClouds holds sign-ins to what the file says of them: the cloud, how, as whom, and the line. The script begins on line 6.
func TestClouds(t *testing.T) {
	const role, other = "arn:aws:iam::123456789012:role/deploy", "arn:aws:iam::123456789012:role/other"
	for _, c := range []struct {
		name   string
		script string
		want   string
	}{
		{"the command", "- aws sts assume-role-with-web-identity --role-arn " + role, "aws assume-role-cli " + role + " 6"},
		{"with equals signs", "- |\n  aws --region eu-west-1 sts assume-role-with-web-identity \\\n    --role-arn=" + role, "aws assume-role-cli " + role + " 7"},
		{"inside a shell", "- bash -c 'make; aws sts assume-role-with-web-identity --role-arn " + role + "'", "aws assume-role-cli " + role + " 6"},
		{"a chain", "- aws sts assume-role --role-arn " + role, "aws assume-role-chain " + role + " 6"},
		{"a variable of the repository", "- aws sts assume-role-with-web-identity --role-arn ${ROLE}", "aws assume-role-cli ${ROLE} 6"},
		{
			"a variable of the script", "- ROLE=" + role + "\n- R=$ROLE; aws sts assume-role-with-web-identity --role-arn \"${R}\"",
			"aws assume-role-cli " + role + " 7",
		},
		{"a variable of two values", "- if a; then R=x; else R=y; fi; aws sts assume-role-with-web-identity --role-arn $R", "aws assume-role-cli $R 6"},
		{"a computed role", "- R=$(cat role)\n- aws sts assume-role-with-web-identity --role-arn $(cat role)", "aws assume-role-cli ? 7"},
		{"a token file", "- export AWS_WEB_IDENTITY_TOKEN_FILE=/tmp/t\n- export AWS_ROLE_ARN=" + role, "aws web-identity-file " + role + " 7"},
		{"a token file without a role", "- export AWS_WEB_IDENTITY_TOKEN_FILE=/tmp/t", "aws web-identity-file ? 6"},
		{
			"a token file for two roles", "- export AWS_WEB_IDENTITY_TOKEN_FILE=/tmp/t AWS_ROLE_ARN=" + role + "\n- export AWS_ROLE_ARN=" + other,
			"aws web-identity-file " + role + " 6 | aws web-identity-file " + other + " 7",
		},
		{
			"a profile by commands", "- aws configure set web_identity_token_file /tmp/t\n- aws configure set profile.x.role_arn " + role,
			"aws web-identity-file " + role + " 7",
		},
		{
			"a profile by lines", "- echo 'web_identity_token_file = /tmp/t' >> ~/.aws/config\n- echo \"role_arn = " + role + "\" >> ~/.aws/config",
			"aws web-identity-file " + role + " 7",
		},
		{
			"two profiles", "- printf \"role_arn=" + role + "\\nweb_identity_token_file=/tmp/t\\nrole_arn=" + other + "\\n\" > ~/.aws/config",
			"aws web-identity-file " + role + " 6 | aws web-identity-file " + other + " 6",
		},
		{
			"a service account", "- gcloud iam workload-identity-pools create-cred-config $P --service-account=a@p.iam.gserviceaccount.com",
			"gcp create-cred-config a@p.iam.gserviceaccount.com 6",
		},
		{
			"direct access", "- gcloud iam workload-identity-pools create-cred-config projects/1/locations/global/workloadIdentityPools/p/providers/b",
			"gcp create-cred-config projects/1/locations/global/workloadIdentityPools/p/providers/b 6",
		},
		{"Vault", "- vault write -field=token auth/bitbucket/login role=shop jwt=@/tmp/t", "vault vault-cli shop 6"},
		{"Vault by its method", "- vault login -method=jwt role=shop jwt=@/tmp/t", "vault vault-cli shop 6"},
		{"Vault by HTTP", "- |\n  curl -d \"{\\\"jwt\\\": \\\"$T\\\", \\\"role\\\": \\\"shop\\\"}\" $VAULT_ADDR/v1/auth/jwt/login", "vault vault-cli shop 7"},
		{
			"AWS by HTTP", "- curl -s \"https://sts.eu-west-1.amazonaws.com/?Action=AssumeRoleWithWebIdentity&RoleArn=" + role + "&WebIdentityToken=$T\" > /tmp/x",
			"aws token-cli " + role + " 6",
		},
		{
			"Google by HTTP", "- |\n" +
				"  curl -d '{\"audience\": \"//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/b\"}' \\\n" +
				"    https://sts.googleapis.com/v1/token > x",
			"gcp token-cli projects/1/locations/global/workloadIdentityPools/p/providers/b 7",
		},
		{
			"a service account by HTTP", "- curl -d @x https://sts.googleapis.com/v1/token > y\n" +
				"- curl https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/a@p.iam.gserviceaccount.com:generateAccessToken > z",
			"gcp token-cli a@p.iam.gserviceaccount.com 7",
		},
		{"an array", "- STS=($(aws sts assume-role-with-web-identity --role-arn " + role + "))", "aws assume-role-cli " + role + " 6"},
		{"our pipe", "- pipe: acme/bitbucket-oidc:1.0.0\n  variables: {AWS_OIDC_ROLE_ARN: x, VAULT_ROLE: shop}", "aws our-pipe x 6 | vault our-pipe shop 6"},
		{"our pipe by digest", "- pipe: docker://r.example:5000/acme/bitbucket-oidc@sha256:0123abcd\n  variables: {GCP_SERVICE_ACCOUNT: a@p}", "gcp our-pipe a@p 6"},
		{"our pipe for roles", "- pipe: acme/bitbucket-oidc:1.0.0\n  variables: {AWS_OIDC_ROLES: [a=x, y]}", "aws our-pipe x 6 | aws our-pipe y 6"},
		{"our pipe for nothing", "- pipe: acme/bitbucket-oidc:1.0.0", "unknown our-pipe ? 6"},
		{"Atlassian's pipe", "- pipe: atlassian/aws-s3-deploy:2.0.0\n  variables: {AWS_OIDC_ROLE_ARN: x}", "aws atlassian-pipe x 6"},
		{"a script", "- ./sign-in.sh", "unknown script-file ? 6"},
		{"a program", "- shop-deploy --now", "unknown image-script ? 6"},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := "pipelines:\n  default:\n    - step:\n        oidc: true\n        script:\n          " + strings.ReplaceAll(c.script, "\n", "\n          ") + "\n"
			steps := audit.File("x", []byte(file), audit.Options{}).Steps
			if len(steps) != 1 {
				t.Fatalf("%d steps:\n%s", len(steps), file)
			}
			if got := signIns(steps[0]); got != c.want {
				t.Errorf("got %s\nwant %s", got, c.want)
			}
		})
	}
}

// TestInheritedClouds: what signs in with an earlier step's file has the identity that it names, or else the earlier step's.
func TestInheritedClouds(t *testing.T) {
	const file = `pipelines:
  default:
    - step:
        oidc: true
        script:
          - echo $BITBUCKET_STEP_OIDC_TOKEN > token
          - export AWS_WEB_IDENTITY_TOKEN_FILE=token AWS_ROLE_ARN=first
          - gcloud iam workload-identity-pools create-cred-config p --output-file=cred.json --service-account=a@p
    - step:
        script:
          - export AWS_WEB_IDENTITY_TOKEN_FILE=$(pwd)/token AWS_ROLE_ARN=second
    - step:
        script:
          - cp token /tmp/t
`
	steps := audit.File("x", []byte(file), audit.Options{}).Steps
	for i, want := range []string{"aws web-identity-file first 7 | gcp create-cred-config a@p 8", "aws inherited-file second 11", "aws inherited-file first 14"} {
		if got := signIns(steps[i]); got != want {
			t.Errorf("step %d: got %s; want %s", i, got, want)
		}
	}
}

func signIns(s audit.Step) string {
	var all []string
	for _, c := range s.Clouds {
		who := "?"
		if c.Who != nil {
			who = *c.Who
		}
		all = append(all, fmt.Sprint(c.Cloud, " ", c.How, " ", who, " ", c.Line))
	}
	return strings.Join(all, " | ")
}
