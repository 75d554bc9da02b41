package access

import (
	"net"
	"net/url"
	"strings"

	"bitbucket-oidc/internal/pattern"
)

// A Kind is a kind of target. Its values are the kinds of documents that say who may become such a target.
type Kind string

// The kinds.
const (
	AWSRole        Kind = "aws-role"
	ServiceAccount Kind = "gcp-policy"
	VaultRole      Kind = "vault-role"
	OktaConnection Kind = "okta-connection"
)

// A Target is what a step may become. Its form shows its kind.
type Target struct {
	Name string // as the file has it
	Kind Kind

	Partition, Account, Role string // of an AWS role; Role is its name, without the path
	Path                     string // of an AWS role, such as /ci/
	Project                  string // of a service account
	Mount, VaultRole         string // of a Vault role: the URL of its mount, and its name
	Namespace                string
	Team, Connection         string // of an Okta workload connection
}

var (
	awsRole        = pattern.New(`^arn:(aws[a-z-]*):iam::(\d{12}):role(/(?:[\x21-\x7e]+/)?)([\w+=,.@-]{1,64})$`)
	serviceAccount = pattern.New(`^[a-z][a-z0-9-]{4,28}[a-z0-9]@([a-z0-9.-]+)\.iam\.gserviceaccount\.com$`)
	vaultPath      = pattern.New(`^(/v1/auth/[\w./-]+)/role/([\w.-]+)$`)
	oktaPath       = pattern.New(`^/([\w.-]+)/([\w.-]+)$`)
)

// ParseTarget reads a target's name.
func ParseTarget(name string) (Target, bool) {
	t := Target{Name: name}
	if m := awsRole.FindStringSubmatch(name); m != nil && !strings.ContainsAny(name, "*?") {
		t.Kind, t.Partition, t.Account, t.Path, t.Role = AWSRole, m[1], m[2], m[3], m[4]
		return t, true
	}
	if m := serviceAccount.FindStringSubmatch(name); m != nil {
		t.Kind, t.Project = ServiceAccount, m[1]
		// name@project.example.com.iam.gserviceaccount.com is of the project example.com:project.
		if project, domain, scoped := strings.Cut(m[1], "."); scoped {
			t.Project = domain + ":" + project
		}
		return t, true
	}
	return t.server()
}

// server reads the URL of a target that lives on a server of its own.
func (t Target) server() (Target, bool) {
	u, ok := address(t.Name)
	if !ok {
		return t, false
	}
	if m := vaultPath.FindStringSubmatch(u.Path); m != nil {
		query := u.Query()
		t.Kind, t.Mount, t.VaultRole, t.Namespace = VaultRole, u.Scheme+"://"+u.Host+m[1], m[2], query.Get("namespace")
		once := len(query["namespace"]) <= 1
		query.Del("namespace")
		return t, len(query) == 0 && once
	}
	if m := oktaPath.FindStringSubmatch(u.Path); m != nil && strings.HasSuffix(u.Host, ".pam.okta.com") && u.RawQuery == "" {
		t.Kind, t.Team, t.Connection = OktaConnection, m[1], m[2]
		return t, true
	}
	return t, false
}

// address reads a URL that names a host by https, or the machine itself, and nobody's password.
func address(text string) (*url.URL, bool) {
	u, err := url.Parse(text)
	if err != nil || u.User != nil || u.Fragment != "" || u.Host == "" || !strings.HasPrefix(text, u.Scheme+"://") {
		return nil, false
	}
	ip := net.ParseIP(u.Hostname())
	return u, u.Scheme == "https" || u.Scheme == "http" && (u.Hostname() == "localhost" || ip != nil && ip.IsLoopback())
}
