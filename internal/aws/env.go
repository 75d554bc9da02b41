package aws

import "bitbucket-oidc/internal/federation"

// env selects the written profile and unsets whatever an SDK would prefer to it: SDKs differ in whether keys in the
// environment beat a profile.
func (b *Backend) env() []federation.Var {
	vars := []federation.Var{
		{Name: "AWS_SHARED_CREDENTIALS_FILE", File: credentialsFile},
		{Name: "AWS_CONFIG_FILE", File: configFile},
		// The name of the same file in s3cmd, and in the SDK for Java v1.
		{Name: "AWS_CREDENTIAL_FILE", File: credentialsFile},
		{Name: "AWS_CREDENTIAL_PROFILES_FILE", File: credentialsFile},
		{Name: "AWS_PROFILE", Value: b.Roles[0].Profile},
		// Without it the SDK for JavaScript v2 does not look at the files that are named above, nor the one for Go v1 at the
		// second of them (aws-sdk-js, lib/util.js, getProfilesFromSharedConfig).
		{Name: "AWS_SDK_LOAD_CONFIG", Value: "1"},
		// A login that an SDK cannot use must fail. On EC2 the SDK would go on as the runner.
		{Name: "AWS_EC2_METADATA_DISABLED", Value: "true"},
		{Name: "AWS_STS_REGIONAL_ENDPOINTS", Value: "regional"},
	}
	for _, names := range [][]string{{"AWS_REGION", "AWS_DEFAULT_REGION"}, {"AWS_DEFAULT_REGION", "AWS_REGION"}} {
		region := federation.Var{Name: names[0], Value: b.Region}
		if b.RegionGuessed {
			region.Guess = names
		}
		vars = append(vars, region)
	}
	set := map[string]federation.Var{}
	switch first := b.Roles[0]; {
	case b.Refreshable && len(first.Chain) == 0:
		// Every SDK knows these, also those that do not know such a profile.
		set["AWS_ROLE_ARN"] = federation.Var{Value: first.ARN.String()}
		set["AWS_ROLE_SESSION_NAME"] = federation.Var{Value: b.SessionName}
		set["AWS_WEB_IDENTITY_TOKEN_FILE"] = federation.Var{File: tokenFile}
	case b.ExportKeys:
		set["AWS_ACCESS_KEY_ID"] = federation.Var{Contents: credentialsFile, Key: "aws_access_key_id"}
		set["AWS_SECRET_ACCESS_KEY"] = federation.Var{Contents: credentialsFile, Key: "aws_secret_access_key"}
		set["AWS_SESSION_TOKEN"] = federation.Var{Contents: credentialsFile, Key: "aws_session_token"}
	}
	for _, name := range rivals() {
		v, ok := set[name]
		v.Name, v.Unset = name, !ok
		vars = append(vars, v)
	}
	return vars
}

// rivals are the variables that could win over a profile, in any SDK and under any of their names.
func rivals() []string {
	return []string{
		"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN",
		"AWS_ACCESS_KEY", "AWS_SECRET_KEY", // of the SDKs for Go and Java
		"AMAZON_ACCESS_KEY_ID", "AMAZON_SECRET_ACCESS_KEY", "AMAZON_SESSION_TOKEN", // of the SDKs for JavaScript v2 and Ruby
		"AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_DEFAULT_PROFILE",
		"AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
		"AWS_CONTAINER_AUTHORIZATION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
		"AWS_BEARER_TOKEN_BEDROCK",                          // an API key of Bedrock, which the SDKs prefer there to a signature
		"AWS_CREDENTIAL_EXPIRATION", "AWS_CREDENTIAL_SCOPE", // belong to the keys
	}
}
