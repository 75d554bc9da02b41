package backends

import "bitbucket-oidc/internal/config"

func awsVariables() []config.Variable {
	return append(awsLoginVariables(), awsStandardVariables()...)
}

func awsLoginVariables() []config.Variable {
	return []config.Variable{
		{Name: "AWS_OIDC_ROLE_ARN", Main: true, Decides: true, Context: true,
			Peers: []string{"AWS_ROLE_ARN", "ROLE_ARN", "ROLE_TO_ASSUME", "AWS_ROLE_TO_ASSUME", "AWS_OIDC_ROLE", "AWS_OIDC_ARN", "OIDC_ROLE_ARN", "AWS_ASSUME_ROLE_ARN",
				"ASSUME_ROLE_ARN", "AWS_ASSUME_ROLE", "AWS_IAM_ROLE_ARN", "AWS_IAM_ROLE", "AWS_ROLE", "AWS_WEB_IDENTITY_ROLE_ARN"},
			Means: "ARN of the role to assume. Becomes the profile `default`."},
		{Name: "AWS_OIDC_ROLES", List: true, Decides: true, Spaces: true,
			Means: "List of `profile=role-arn`: more roles, one profile each. `profile=role-arn > role-arn` gives the profile a chain of its own. Can be used instead of `AWS_OIDC_ROLE_ARN`: `env.sh` then selects the profile `default`, or the first one if there is no `default`."},
		{Name: "AWS_REGION", Context: true,
			Means: "Region of AWS STS and of the written files. It takes precedence over `AWS_DEFAULT_REGION`. Without both: the home region of the role's partition (`us-east-1`, `cn-north-1`, `us-gov-west-1`, `eusc-de-east-1`); in the isolated partitions a region is required."},
		{Name: "AWS_DEFAULT_REGION", Context: true, Means: "Used as the region if `AWS_REGION` is not set."},
		{Name: "AWS_SESSION_NAME", Peers: []string{"ROLE_SESSION_NAME", "AWS_OIDC_SESSION_NAME", "AWS_OIDC_ROLE_SESSION_NAME"},
			Means: "Role session name, as CloudTrail shows it. Without it: `bitbucket-`, the repository's slug, `-` and the build number. Characters that AWS does not accept become `-`; a longer name is cut to 64 characters."},
		{Name: "AWS_SESSION_DURATION", Default: "1h",
			Peers: []string{"AWS_ROLE_DURATION_SECONDS", "ROLE_DURATION_SECONDS", "AWS_DURATION_SECONDS", "AWS_SESSION_DURATION_SECONDS", "AWS_ROLE_SESSION_DURATION",
				"AWS_ROLE_DURATION", "AWS_OIDC_ROLE_DURATION", "ROLE_SESSION_DURATION"},
			Means: "How long the session lasts, `15m` to `12h`, and no longer than the role's maximum session duration."},
		{Name: "AWS_SESSION_POLICY", Peers: []string{"INLINE_SESSION_POLICY", "AWS_INLINE_SESSION_POLICY", "AWS_ROLE_SESSION_POLICY"},
			Means: "Inline session policy, JSON: the session may do only what both the policy and the role allow."},
		{Name: "AWS_SESSION_POLICY_ARNS", List: true, Peers: []string{"MANAGED_SESSION_POLICIES", "AWS_MANAGED_SESSION_POLICIES", "AWS_SESSION_POLICIES"},
			Means: "List of at most 10 managed policies, used in the same way."},
		{Name: "AWS_ALLOWED_ACCOUNTS", List: true, Guard: true,
			Peers: []string{"AWS_ALLOWED_ACCOUNT_IDS", "AWS_ALLOWED_ACCOUNT_ID", "ALLOWED_ACCOUNT_IDS", "ALLOWED_ACCOUNTS", "AWS_EXPECTED_ACCOUNT", "AWS_EXPECTED_ACCOUNTS",
				"AWS_EXPECTED_ACCOUNT_ID", "AWS_EXPECTED_ACCOUNT_IDS", "AWS_ACCOUNT_ALLOWLIST"},
			Means: "List of account ids, in quotes. A role in another account is refused and nothing is written. Without it: any account."},
		{Name: "AWS_CHAIN_ROLE_ARNS", List: true, Decides: true, Peers: []string{"AWS_ROLE_CHAIN", "AWS_CHAIN_ROLES", "AWS_ROLE_CHAINING", "AWS_CHAINED_ROLE_ARN"},
			Means: "List of roles to assume one after another, beginning from `AWS_OIDC_ROLE_ARN`. The last one becomes the profile `default`, for at most an hour."},
		{Name: "AWS_CHAIN_EXTERNAL_ID", Peers: []string{"AWS_EXTERNAL_ID", "AWS_ROLE_EXTERNAL_ID", "ROLE_EXTERNAL_ID"}, Means: "External id, sent with each call of the chain."},
		{Name: "AWS_CHAIN_SOURCE_IDENTITY", Peers: []string{"AWS_SOURCE_IDENTITY", "AWS_ROLE_SOURCE_IDENTITY"}, Means: "Source identity of the chained sessions, set by the chain's first call."},
		{Name: "AWS_CHAIN_TAGS", Default: "false", Peers: []string{"AWS_SESSION_TAGS", "AWS_ROLE_TAGS"},
			Means: "Tag the chained sessions with `Repository`, `Branch`, `Commit`, `BuildNumber` and `Environment`, as far as the step has them and AWS accepts them."},
		{Name: "AWS_REFRESHABLE", Default: "false",
			Means: "Instead of keys, write profiles that the SDKs renew by themselves while the step's token is valid. It cannot be combined with a session policy, a duration other than `1h`, tags or a source identity."},
		{Name: "AWS_EXPORT_KEYS", Default: "false", Peers: []string{"AWS_OUTPUT_ENV_CREDENTIALS", "OUTPUT_ENV_CREDENTIALS"},
			Means: "Let `env.sh` set `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN` as well, for tools and containers that read only variables. `env.sh` reads the keys from the file when it is sourced. It cannot be combined with `AWS_REFRESHABLE`."},
		{Name: "AWS_ECR_REGISTRIES", List: true, Peers: []string{"AWS_ECR_REGISTRY", "ECR_REGISTRY", "ECR_REGISTRIES", "AWS_DOCKER_REGISTRIES"},
			Means: "List of ECR hosts, such as `123456789012.dkr.ecr.eu-west-1.amazonaws.com`, to log Docker in to, with the profile of the host's account, or with the first profile if there is none; `public.ecr.aws` for Amazon ECR Public."},
	}
}

// awsStandardVariables are those of the AWS SDKs that hold for the pipe's own requests.
func awsStandardVariables() []config.Variable {
	return []config.Variable{
		{Name: "AWS_ENDPOINT_URL_STS", Peers: []string{"AWS_STS_ENDPOINT", "AWS_STS_ENDPOINT_URL"}, Means: "Base URL of AWS STS, such as a VPC endpoint. It takes precedence over `AWS_ENDPOINT_URL`."},
		{Name: "AWS_ENDPOINT_URL_ECR", Means: "Base URL of Amazon ECR. It takes precedence over `AWS_ENDPOINT_URL`."},
		{Name: "AWS_ENDPOINT_URL_ECR_PUBLIC", Means: "Base URL of Amazon ECR Public. It takes precedence over `AWS_ENDPOINT_URL`."},
		{Name: "AWS_ENDPOINT_URL", Means: "Base URL of every AWS service."},
		{Name: "AWS_USE_FIPS_ENDPOINT", Means: "Boolean: use the FIPS endpoints of AWS."},
		{Name: "AWS_USE_DUALSTACK_ENDPOINT", Means: "Boolean: use the endpoints that have IPv6 as well."},
		{Name: "AWS_CA_BUNDLE",
			Means: "Path of a PEM file, relative to the build directory, with the certificate authorities to trust for AWS instead of the public ones."},
	}
}
