package aws

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"bitbucket-oidc/internal/federation"
	"bitbucket-oidc/internal/oidc"
	"bitbucket-oidc/internal/secret"
)

const (
	credentialsFile = "aws/credentials"
	configFile      = "aws/config"
	tokenFile       = "aws/web-identity-token"
)

// files are what SDKs read. Three rules hold for them, because readers differ: no comment on a line with a value (botocore
// keeps it), one mechanism in a profile (the SDK for Go would use keys beside a role to assume the role), and no expiry
// (there is no key for it that readers honour).
func (b *Backend) files(token oidc.Token, sessions []session) []federation.File {
	var credentials, config strings.Builder
	for _, s := range withDefault(sessions) {
		if b.Refreshable {
			b.refreshable(&config, s.role)
			continue
		}
		section(&credentials, s.role.Profile,
			"aws_access_key_id", s.accessKeyID,
			"aws_secret_access_key", s.secretKey.Reveal(),
			"aws_session_token", s.sessionToken.Reveal())
		section(&config, profile(s.role.Profile), b.common()...)
	}
	files := []federation.File{
		// The file is written even without keys: env.sh names it, and SDKs then read no other file.
		{Path: credentialsFile, Data: secret.New(credentials.String())},
		{Path: configFile, Data: secret.New(config.String())},
	}
	if b.Refreshable {
		// No line break at the end: SDKs would send it.
		files = append(files, federation.File{Path: tokenFile, Data: secret.New(token.Reveal())})
	}
	return files
}

// withDefault puts the selected session in front as the profile default, for commands that do not get AWS_PROFILE, such as those under
// sudo.
func withDefault(sessions []session) []session {
	if sessions[0].role.Profile == defaultProfile {
		return sessions
	}
	first := sessions[0]
	first.role.Profile = defaultProfile
	return append([]session{first}, sessions...)
}

// refreshable writes a profile for each role of a chain, joined by source_profile; the last is the one to use. It cannot
// ask for a duration, since SDKs ignore it beside a token file.
func (b *Backend) refreshable(config io.Writer, role Role) {
	roles := append([]ARN{role.ARN}, role.Chain...)
	for i, arn := range roles {
		pairs := []string{"role_arn", arn.String(), "role_session_name", b.SessionName}
		if i == 0 {
			pairs = append(pairs, "web_identity_token_file", b.Path(tokenFile))
		} else {
			pairs = append(pairs, "source_profile", chainProfile(role, i-1))
			if b.ExternalID != "" {
				pairs = append(pairs, "external_id", b.ExternalID)
			}
		}
		section(config, profile(chainProfile(role, i)), append(pairs, b.common()...)...)
	}
}

// chainProfile names the profile of a chain's role number i; the last one is the role's own.
func chainProfile(role Role, i int) string {
	if i == len(role.Chain) {
		return role.Profile
	}
	return role.Profile + "-chain-" + strconv.Itoa(i)
}

// common is in every profile. Without the second key old SDKs ask the global endpoint, which other partitions do not have.
func (b *Backend) common() []string {
	return []string{"region", b.Region, "sts_regional_endpoints", "regional"}
}

// profile is a section's name in the config file.
func profile(name string) string {
	if name == defaultProfile {
		return name
	}
	return "profile " + name
}

func section(w io.Writer, name string, pairs ...string) {
	if b, ok := w.(*strings.Builder); ok && b.Len() > 0 {
		fmt.Fprintln(w)
	}
	fmt.Fprintf(w, "[%s]\n", name)
	for p := range slices.Chunk(pairs, 2) {
		fmt.Fprintf(w, "%s = %s\n", p[0], p[1])
	}
}
