package aws

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"bitbucket-oidc/internal/charset"
	"bitbucket-oidc/internal/hint"
)

const (
	// ShortestSession and LongestSession bound a session (STS API Reference, AssumeRoleWithWebIdentity).
	ShortestSession = 15 * time.Minute
	LongestSession  = 12 * time.Hour

	// MaxPolicies is AWS's limit of managed session policies, MaxPolicyText that of all session policies together as plain text
	// (STS API Reference, AssumeRoleWithWebIdentity).
	MaxPolicies   = 10
	MaxPolicyText = 2048

	// maxTagValue is AWS's limit of a session tag's value, in characters (STS API Reference, Tag).
	maxTagValue = 256

	// nameSigns are the signs, beside letters and digits, of a session's name and of a source identity (STS API Reference,
	// AssumeRole).
	nameSigns = "+=,.@-"
)

// IsProfile reports whether s can be a profile's name: without spaces and quotes, which the AWS SDK for JavaScript cannot read.
func IsProfile(s string) bool { return charset.Only(s, charset.Word+".-", 1, 64) }

// IsPolicyARN reports whether s names a managed policy, of AWS or of an account.
func IsPolicyARN(s string) bool {
	parts := strings.SplitN(s, ":", 6)
	return len(parts) == 6 && parts[0] == "arn" && isPartition(parts[1]) && parts[2] == "iam" && parts[3] == "" &&
		(parts[4] == "aws" || IsAccount(parts[4])) && strings.HasPrefix(parts[5], "policy/") && charset.Only(parts[5], charset.Visible, 8, 640)
}

// IsExternalID reports whether s can be an external id (STS API Reference, AssumeRole).
func IsExternalID(s string) bool { return charset.Only(s, charset.Word+"+=,.@:/-", 2, 1224) }

// IsSourceIdentity reports whether s can be a source identity (STS API Reference, AssumeRole).
func IsSourceIdentity(s string) bool { return charset.Only(s, charset.Word+nameSigns, 2, 64) }

// IsPolicyText reports whether a session policy holds no character that AWS refuses (STS API Reference, AssumeRoleWithWebIdentity).
func IsPolicyText(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		return r != '\t' && r != '\n' && r != '\r' && (r < 0x20 || r > 0xff)
	})
}

// SessionName is a name that AWS takes: what was asked for, or the repository and the build.
func SessionName(asked, slug, build string) string {
	name := asked
	switch {
	case name != "":
	case slug == "" || build == "":
		name = "bitbucket-oidc"
	default:
		name = "bitbucket-" + slug + "-" + build
	}
	name = strings.Map(func(r rune) rune {
		if r < 0x80 && charset.Only(string(r), charset.Word+nameSigns, 1, 1) {
			return r
		}
		return '-'
	}, name)
	return name[:min(len(name), 64)]
}

// SessionTags are the tags that AWS takes. A value that the step does not have, or that AWS would refuse, is no tag: changed, two
// branches could become one.
func SessionTags(all ...Tag) []Tag {
	var tags []Tag
	for _, t := range all {
		fits := !strings.ContainsFunc(t.Value, func(r rune) bool {
			return !unicode.In(r, unicode.L, unicode.Z, unicode.N) && !strings.ContainsRune("_.:/=+-@", r)
		})
		if n := len([]rune(t.Value)); fits && n > 0 && n <= maxTagValue {
			tags = append(tags, t)
		}
	}
	return tags
}

// RegionOf is the region for a role: the one asked for, or else the home region of the role's partition. variable is the one that asks.
func RegionOf(role ARN, asked, variable string) (string, error) {
	partition := role.Partition
	home, known := HomeRegion(partition)
	switch {
	case known && asked != "" && PartitionOf(asked) != partition:
		return "", hint.New(fmt.Sprintf("%s: %s is of partition %s, role %s of partition %s", variable, asked, PartitionOf(asked), role.Role, partition),
			"set "+variable+" to a region of the role's partition")
	case asked != "":
		return asked, nil
	case known && home == "":
		return "", hint.New("AWS_REGION: needed for a role of partition "+partition, "set AWS_REGION to a region of the role's partition")
	case home == "":
		return "us-east-1", nil
	}
	return home, nil
}
