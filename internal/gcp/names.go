package gcp

import (
	"errors"
	"regexp"
	"strings"
)

// Provider is the name of a workload identity pool's provider.
type Provider struct {
	ProjectNumber, Pool, ID string
}

// String is the resource name: projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/ID.
func (p Provider) String() string {
	return "projects/" + p.ProjectNumber + "/locations/global/workloadIdentityPools/" + p.Pool + "/providers/" + p.ID
}

// Audience is what Google's STS calls the provider. The host is the same in every universe.
func (p Provider) Audience() string { return "//iam.googleapis.com/" + p.String() }

var (
	numberPattern = regexp.MustCompile(`^[0-9]{1,20}$`)

	// Ids of pools and providers: lower-case letters, digits and dashes, 4 to 32 of them (IAM API,
	// workloadIdentityPools.create). Whether a short one exists is left to Google.
	idPattern = regexp.MustCompile(`^[a-z0-9-]{1,32}$`)

	// A service account's e-mail, or its numeric unique id. Nothing that could leave its place in a URL's path.
	emailPattern  = regexp.MustCompile(`^[a-z0-9]([a-z0-9._-]{0,98}[a-z0-9])?@[a-z0-9]([a-z0-9.-]{0,200}[a-z0-9])?$`)
	uniquePattern = regexp.MustCompile(`^[0-9]{15,30}$`)

	// A project's id, with its domain for the projects of old (example.com:project).
	projectPattern = regexp.MustCompile(`^([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]$`)

	domainPattern = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`)

	loopbackPattern = regexp.MustCompile(`^127(\.[0-9]{1,3}){3}$`)
	portPattern     = regexp.MustCompile(`^[0-9]{1,5}$`)

	scopePattern = regexp.MustCompile(`^[!#-\[\]-~]+$`) // RFC 6749, section 3.3
)

// ParseProvider reads a provider's full resource name. Its errors say what is wrong and do not quote s.
func ParseProvider(s string) (Provider, error) {
	for _, prefix := range []string{"//iam.googleapis.com/", "https://iam.googleapis.com/"} {
		s = strings.TrimPrefix(s, prefix)
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
	case !numberPattern.MatchString(parts[1]):
		return Provider{}, errors.New("a name with the project's id where its number belongs")
	case !idPattern.MatchString(parts[5]) || !idPattern.MatchString(parts[7]):
		return Provider{}, errors.New("a name whose pool or provider is not lower-case letters, digits and dashes")
	}
	return Provider{parts[1], parts[5], parts[7]}, nil
}

// IsServiceAccount tells whether s is a service account's e-mail or unique id.
func IsServiceAccount(s string) bool {
	return emailPattern.MatchString(s) || uniquePattern.MatchString(s)
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

// IsRegistry tells whether s is the host of a registry, with or without a port.
func IsRegistry(s string) bool {
	host, port, ok := strings.Cut(s, ":")
	return (IsDomain(host) || host == "localhost" || loopbackPattern.MatchString(host)) && (!ok || portPattern.MatchString(port))
}

// IsProject tells whether s is a project's id.
func IsProject(s string) bool { return projectPattern.MatchString(s) || numberPattern.MatchString(s) }

// IsDomain tells whether s can be a universe's domain.
func IsDomain(s string) bool { return len(s) <= 253 && domainPattern.MatchString(s) }

// IsScope tells whether s is one OAuth scope.
func IsScope(s string) bool { return scopePattern.MatchString(s) }

// ProjectOf is the project in a service account's e-mail, or empty where it holds none. A project of a domain of its own,
// name@project.example.com.iam.gserviceaccount.com, is example.com:project.
func ProjectOf(email string) string {
	_, host, _ := strings.Cut(email, "@")
	id, ok := strings.CutSuffix(host, ".iam.gserviceaccount.com")
	if !ok {
		return ""
	}
	if project, domain, scoped := strings.Cut(id, "."); scoped {
		id = domain + ":" + project
	}
	if !IsProject(id) {
		return ""
	}
	return id
}
