package config

import (
	"crypto/x509"
	"path/filepath"

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

// Authorities reads the bundle of certificates that a variable names, and gives the full path of its file. AWS's and Vault's take
// the place of the system's, as in their own clients.
func (v *Vars) Authorities(name string) (*x509.CertPool, string) {
	file := inBuildDir(v.CloneDir(), v.Text(name))
	return v.authorities(name, file), file
}

// authorities is nil for no file. What SSL_CERT_FILE names Go reads by itself, and says nothing of what it cannot read.
func (v *Vars) authorities(name, file string) *x509.CertPool {
	if file == "" || v.isOdd(name) {
		return nil
	}
	advice := name + " names a PEM file inside the build directory: the pipe's container sees no other files of the step"
	pem, err := nowait.Read(file, maxBundle)
	if err != nil {
		v.Add(hint.New(name+": the file cannot be read", advice))
		return nil
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		v.Add(hint.New(name+": no certificate in the file", advice))
	}
	return roots
}
