package gcp

import (
	"errors"
	"slices"
	"strings"

	"bitbucket-oidc/internal/charset"
	"bitbucket-oidc/internal/setup"
)

// Provider is the name of a workload identity pool's provider.
type Provider struct {
	ProjectNumber, Pool, ID string
}

// String is the resource name: projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/ID.
func (p Provider) String() string {
	return setup.GCPPoolName(p.ProjectNumber, p.Pool) + "/providers/" + p.ID
}

// audience is what Google's STS calls the provider. The host is the same in every universe.
func (p Provider) audience() string { return "//iam.googleapis.com/" + p.String() }

// ParseProvider reads a provider's full resource name. Its errors say what is wrong and do not quote s.
func ParseProvider(s string) (Provider, error) {
	if rest, prefixed := strings.CutPrefix(s, "https://iam.googleapis.com/"); prefixed {
		s = rest
	} else {
		s = strings.TrimPrefix(s, "//iam.googleapis.com/")
	}
	parts := strings.Split(s, "/")
	fixed := func(i int, want string) bool { return len(parts) > i && parts[i] == want }
	switch {
	case !fixed(0, "projects") || !fixed(2, "locations") || !fixed(3, "global") || !fixed(4, "workloadIdentityPools"):
		return Provider{}, errors.New("not a provider's resource name")
	case len(parts) == 6:
		return Provider{}, errors.New("the name of a pool, without its provider")
	case len(parts) != 8 || parts[6] != "providers":
		return Provider{}, errors.New("not a provider's resource name")
	case !isNumber(parts[1]):
		return Provider{}, errors.New("a name with the project's id where its number belongs")
	case !isID(parts[5]) || !isID(parts[7]):
		return Provider{}, errors.New("a name with a pool or provider that is not made of lower-case letters, digits and dashes")
	}
	return Provider{parts[1], parts[5], parts[7]}, nil
}

func isNumber(s string) bool { return charset.Only(s, charset.Digit, 1, 20) }

// isID reports whether s can be the id of a pool or a provider: 4 to 32 lower-case letters, digits and dashes (IAM API,
// workloadIdentityPools.create). Whether a short one exists is left to Google.
func isID(s string) bool { return charset.Only(s, charset.LowerName, 1, 32) }

// IsServiceAccount reports whether s is a service account's e-mail or unique id. It refuses what could leave its place in a URL's path.
func IsServiceAccount(s string) bool {
	name, domain, ok := strings.Cut(s, "@")
	return ok && charset.Only(name, "a-z0-9._-", 1, 100) && charset.IsDomain(domain) || charset.Only(s, charset.Digit, 15, 30)
}

// ParseDelegate reads a service account as its e-mail or unique id, or as a resource name in any project.
func ParseDelegate(s string) (string, error) {
	account := s
	if rest, ok := strings.CutPrefix(s, "projects/"); ok {
		project, name, found := strings.Cut(rest, "/serviceAccounts/")
		if !found || project != "-" && !IsProject(project) {
			return "", errors.New("not a service account")
		}
		account = name
	}
	if !IsServiceAccount(account) {
		return "", errors.New("not a service account")
	}
	return account, nil
}

// IsOwnRegistry reports whether a registry's host is Google's: Artifact Registry, Container Registry, or one of another universe.
func IsOwnRegistry(host string) bool {
	host, _, _ = strings.Cut(strings.ToLower(host), ":")
	return host == "gcr.io" || slices.ContainsFunc([]string{".pkg.dev", ".gcr.io", ".goog"}, func(end string) bool { return strings.HasSuffix(host, end) })
}

// IsProject reports whether s is a project's id.
func IsProject(s string) bool {
	if domain, id, ok := strings.Cut(s, ":"); ok { // a project of old
		return charset.IsDomain(domain) && IsProject(id)
	}
	return isNumber(s) || charset.Only(s, charset.LowerName, 6, 30) && s[0] >= 'a' && s[len(s)-1] != '-'
}

// IsScope reports whether s is one OAuth scope (RFC 6749, section 3.3).
func IsScope(s string) bool { return charset.Only(s, "!#-[]-~", 1, 1024) }

// ProjectOf is the project in a service account's e-mail, or empty where it holds none.
func ProjectOf(email string) string {
	id, ok := setup.GCPProjectOf(email)
	if !ok || !IsProject(id) {
		return ""
	}
	return id
}
