package config

import (
	"crypto/x509"
	"encoding/pem"
	"path/filepath"

	"bitbucket-oidc/internal/hint"
	"bitbucket-oidc/internal/nowait"
)

// maxBundle caps a bundle of certificates. The one of a system has less than 300 kB.
const maxBundle = 4 << 20

// inBuildDir is the full path of a file that a variable names, by a full path or relative to the build directory.
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

// Authorities reads the bundle of certificates that a variable names, and gives the full path of its file. The bundles for AWS and
// Vault replace the system's, as they do in the clients of AWS and Vault.
func (v *Vars) Authorities(name string) (*x509.CertPool, string) {
	file := inBuildDir(v.CloneDir(), v.Text(name))
	return v.authorities(name, file), file
}

// authorities is nil if there is no file, or if it cannot be used.
func (v *Vars) authorities(name, file string) *x509.CertPool {
	text := v.bundle(name, file)
	if text == nil {
		return nil
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		v.Add(noCertificate(name))
	}
	return roots
}

// bundle is the text of a file of certificates; nil if there is no file, or if it cannot be read.
func (v *Vars) bundle(name, file string) []byte {
	if file == "" || v.isOdd(name) {
		return nil
	}
	text, err := nowait.Read(file, maxBundle)
	if err != nil {
		v.Add(hint.New(name+": the file cannot be read", certificateAdvice(name)))
		return nil
	}
	return text
}

func noCertificate(name string) error {
	return hint.New(name+": no certificate in the file", certificateAdvice(name))
}

func certificateAdvice(name string) string {
	return name + " names a PEM file inside the build directory: the pipe's container sees no other files of the step"
}

// holdsCertificate reports whether a text has a certificate that Go will use. It parses none after the first: Go parses all of them,
// which takes some milliseconds for the public authorities.
func holdsCertificate(text []byte) bool {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if _, err := x509.ParseCertificate(block.Bytes); err == nil && block.Type == "CERTIFICATE" && len(block.Headers) == 0 {
			return true
		}
	}
	return false
}
