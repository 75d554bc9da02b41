package config

import (
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"bitbucket-oidc/internal/hint"
)

// Prepare leaves in the environment of the process what Go and the libraries may read by themselves, in the form that every other
// variable has. A program calls it first, before [Take], and once: it is the only place that writes the environment.
func Prepare() {
	buildDir := strings.TrimSpace(os.Getenv("BITBUCKET_CLONE_DIR"))
	for _, entry := range os.Environ() {
		name, value, _ := strings.Cut(entry, "=")
		value = strings.TrimSpace(value)
		switch {
		case misleads(name) || name == "SSL_CERT_DIR" && !liesIn(buildDir, value):
			_ = os.Unsetenv(name)
		case !slices.Contains([]string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy", "SSL_CERT_FILE"}, name):
		case value == "":
			_ = os.Unsetenv(name)
		case name == "SSL_CERT_FILE":
			_ = os.Setenv(name, inBuildDir(buildDir, value))
		default:
			_ = os.Setenv(name, value)
		}
	}
	if os.Getenv("SSL_CERT_DIR") == "" {
		_ = os.Setenv("SSL_CERT_DIR", noFolder)
	}
}

// noFolder in SSL_CERT_DIR keeps Go from reading /etc/ssl/certs in addition to the one file of authorities. The image's file is in that
// folder: it would be parsed a second time, and it would count in addition to the file that SSL_CERT_FILE names.
const noFolder = "/dev/null"

// liesIn reports whether one of several folders lies in the build directory. A folder elsewhere may be a link into it, so
// SSL_CERT_DIR never counts: SSL_CERT_FILE is the way to name authorities.
func liesIn(buildDir, folders string) bool {
	root := inBuildDir(buildDir, ".")
	return slices.ContainsFunc(filepath.SplitList(folders), func(folder string) bool {
		path, err := filepath.Rel(root, inBuildDir(root, folder))
		return err == nil && filepath.IsLocal(path)
	})
}

// misleads reports whether a variable makes a library of the programs read a file, start a program, or send something that nobody
// configured: cloud.google.com/go/auth with client certificates (GOOGLE_API_CERTIFICATE_CONFIG names a program), S2A, the quota project
// and logging; gRPC; Go with the file of a time zone. GOOGLE_APPLICATION_CREDENTIALS stays for what runs with the credentials that login
// left; login's own clients look for none.
func misleads(name string) bool {
	return slices.ContainsFunc([]string{"GOOGLE_API_", "EXPERIMENTAL_GOOGLE_", "GOOGLE_SDK_GO_", "GCE_METADATA_", "GRPC_"}, func(prefix string) bool {
		return strings.HasPrefix(name, prefix)
	}) || slices.Contains([]string{"GOOGLE_CLOUD_QUOTA_PROJECT", "TZ", "ZONEINFO"}, name)
}

// Network checks the variables that Go's libraries read by themselves and ignore if they cannot read them: requests would then not use
// the proxy.
func (v *Vars) Network() {
	for _, name := range []string{"SSL_CERT_FILE", "NO_PROXY"} {
		v.Text(name) // adds a problem if the text cannot be meant
	}
	if text := v.bundle("SSL_CERT_FILE", inBuildDir(v.CloneDir(), v.value("SSL_CERT_FILE"))); text != nil && !holdsCertificate(text) {
		v.Add(noCertificate("SSL_CERT_FILE"))
	}
	if dirs := v.value("SSL_CERT_DIR"); dirs != "" && dirs != noFolder && liesIn(v.CloneDir(), dirs) { // Go would read whatever the checkout has there, to its end
		v.Add(hint.New("SSL_CERT_DIR: a folder in the build directory", "put the certificates into one PEM file and name it in SSL_CERT_FILE"))
	}
	name, value := "HTTPS_PROXY", v.Text("HTTPS_PROXY")
	if value == "" {
		name, value = "https_proxy", v.value("https_proxy")
	}
	if value == "" {
		return
	}
	if !strings.Contains(value, "://") {
		value = "http://" + value
	}
	u, err := url.Parse(value)
	if err != nil || u.Hostname() == "" || !slices.Contains([]string{"http", "https", "socks5", "socks5h"}, u.Scheme) {
		v.Reason(name, errors.New("not the URL of a proxy"), "a URL such as http://proxy.example.com:3128, with signs of a password encoded (% as %25)")
	}
}
