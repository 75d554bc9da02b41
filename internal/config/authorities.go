package config

import (
	"crypto/x509"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"bitbucket-oidc/internal/hint"
	"bitbucket-oidc/internal/nowait"
)

// maxBundle caps a bundle of certificates. The one of a system has less than 300 kB.
const maxBundle = 4 << 20

// inBuildDir is the full path of a file that a variable names, which begins in the build directory or is full already.
func inBuildDir(buildDir, file string) string {
	if file == "" || filepath.IsAbs(file) {
		return file
	}
	file = filepath.Join(buildDir, file)
	if full, err := filepath.Abs(file); err == nil {
		return full
	}
	return file
}

// authorities reads the bundle of certificates that a variable names. AWS's and Vault's take the place of the system's, as in
// their own clients. What SSL_CERT_FILE names Go reads by itself, and says nothing of what it cannot read.
func (p *problems) authorities(name, file string) *x509.CertPool {
	if file == "" {
		return nil
	}
	advice := name + " names a PEM file inside the build directory: the pipe's container sees no other files of the step"
	pem, err := nowait.Read(file, maxBundle)
	if err != nil {
		p.add(hint.New(name+": the file cannot be read", advice))
		return nil
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		p.add(hint.New(name+": no certificate in the file", advice))
	}
	return roots
}

// network checks what Go's libraries read by themselves, and pass over where they cannot read it: requests would go past the proxy.
func (p *problems) network(env environment) {
	p.authorities("SSL_CERT_FILE", env.SSLCertFile)
	for _, dir := range filepath.SplitList(os.Getenv("SSL_CERT_DIR")) {
		if inside, err := filepath.Rel(inBuildDir(env.CloneDir, "."), inBuildDir(env.CloneDir, dir)); err == nil && filepath.IsLocal(inside) {
			// Go would read whatever the checkout has there, to its end.
			p.add(hint.New("SSL_CERT_DIR: a folder in the build directory", "put the certificates into one PEM file and name it in SSL_CERT_FILE"))
		}
	}
	name, value := "HTTPS_PROXY", env.HTTPSProxy
	if value == "" {
		name, value = "https_proxy", os.Getenv("https_proxy")
	}
	if value == "" {
		return
	}
	if !strings.Contains(value, "://") {
		value = "http://" + value
	}
	u, err := url.Parse(value)
	if err != nil || u.Hostname() == "" || !slices.Contains([]string{"http", "https", "socks5", "socks5h"}, u.Scheme) {
		p.reason(name, errors.New("not the URL of a proxy"), "a URL such as http://proxy.example.com:3128, with signs of a password encoded (% as %25)")
	}
}
