package aws

import (
	"errors"
	"strings"

	"bitbucket-oidc/internal/charset"
)

// ARN is an IAM role's Amazon Resource Name.
type ARN struct {
	Partition string // "aws", "aws-cn", …
	Account   string // 12 digits; empty for servers that speak AWS's protocol outside AWS's partitions
	Role      string // with its path, without "role/"
}

func (a ARN) String() string {
	return "arn:" + a.Partition + ":iam::" + a.Account + ":role/" + a.Role
}

// fits reports whether the ARN of a session belongs to this role. Such an ARN names the role without the role's path (IAM user guide,
// "IAM identifiers"). If a server outside AWS's partitions made it, it may name any account.
func (a ARN) fits(principal string) bool {
	parts := strings.SplitN(principal, ":", 6)
	if len(parts) != 6 {
		return false
	}
	name := a.Role[strings.LastIndex(a.Role, "/")+1:]
	return parts[1] == a.Partition && (a.Account == "" || parts[4] == a.Account) && strings.HasPrefix(parts[5], "assumed-role/"+name+"/")
}

// isRoleName reports whether s is a role's name with its path (IAM API Reference, CreateRole).
func isRoleName(s string) bool {
	path, name := "", s
	if i := strings.LastIndex(s, "/"); i >= 0 {
		path, name = s[:i], s[i+1:]
	}
	return charset.Only(name, charset.Word+"+=,.@-", 1, 64) && charset.Only(path, charset.Visible, 0, 512)
}

// IsAccount reports whether s is an account's id.
func IsAccount(s string) bool { return charset.Only(s, charset.Digit, 12, 12) }

// HomeRegion is the region to use in a partition when none is asked for, and whether the partition is one of AWS. The isolated
// partitions have no home region here: they need an explicit one. Source: botocore, partitions.json.
func HomeRegion(partition string) (region string, known bool) {
	switch partition {
	case "aws":
		return "us-east-1", true
	case "aws-cn":
		return "cn-north-1", true
	case "aws-us-gov":
		return "us-gov-west-1", true
	case "aws-eusc":
		return "eusc-de-east-1", true
	case "aws-iso", "aws-iso-b", "aws-iso-e", "aws-iso-f":
		return "", true
	}
	return "", false
}

// PartitionOf is the partition that a region belongs to.
func PartitionOf(region string) string {
	prefix, _, _ := strings.Cut(region, "-")
	switch {
	case prefix == "cn":
		return "aws-cn"
	case strings.HasPrefix(region, "us-gov-"):
		return "aws-us-gov"
	case prefix == "eusc":
		return "aws-eusc"
	case strings.HasPrefix(region, "us-iso-"):
		return "aws-iso"
	case strings.HasPrefix(region, "us-isob-"):
		return "aws-iso-b"
	case strings.HasPrefix(region, "eu-isoe-"):
		return "aws-iso-e"
	case strings.HasPrefix(region, "us-isof-"), strings.HasPrefix(region, "eu-isof-"):
		return "aws-iso-f"
	}
	return "aws"
}

// ParseARN reads a role's ARN. Its errors say what is wrong and do not quote s.
func ParseARN(s string) (ARN, error) {
	parts := strings.SplitN(s, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" {
		return ARN{}, errors.New("not an ARN")
	}
	partition, service, region, account, resource := parts[1], parts[2], parts[3], parts[4], parts[5]
	kind, role, _ := strings.Cut(resource, "/")
	_, known := HomeRegion(partition)
	switch {
	case !isPartition(partition):
		return ARN{}, errors.New("an ARN without a partition")
	case service == "sts" && kind == "assumed-role":
		return ARN{}, errors.New("the ARN of a session and not of a role")
	case service != "iam" || kind != "role":
		return ARN{}, errors.New("the ARN of something that is not a role")
	case region != "":
		return ARN{}, errors.New("an ARN with a region, which a role's does not have")
	case !IsAccount(account) && (known || account != ""):
		return ARN{}, errors.New("an ARN with an account that is not 12 digits")
	case strings.Contains(role, "arn:"): // a path may hold a comma and colons
		return ARN{}, errors.New("several ARNs where one is expected")
	case len(s) > 2048 || !isRoleName(role):
		return ARN{}, errors.New("an ARN with a role name that IAM does not allow")
	}
	return ARN{partition, account, role}, nil
}

func isPartition(s string) bool { return charset.Only(s, charset.LowerName, 2, 32) }

// IsRegion reports whether s has the form of a region: words and a number, joined by dashes. It can hold neither a dot nor a
// slash, so that a region cannot name another host.
func IsRegion(s string) bool {
	words := strings.Split(s, "-")
	if len(words) < 3 || len(words) > 5 || !charset.Only(words[len(words)-1], charset.Digit, 1, 2) {
		return false
	}
	for _, word := range words[:len(words)-1] {
		if !charset.Only(word, "a-z", 2, 12) {
			return false
		}
	}
	return true
}
