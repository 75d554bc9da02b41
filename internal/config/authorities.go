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

// authorities is nil for no file, or one that cannot be used.
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

// bundle is the text of a file of certificates; nil for no file, or one that cannot be read.
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

// holdsCertificate reports whether a text has a certificate that Go will use. It parses none after the first one: Go parses them all, which
// takes some milliseconds for the public ones.
func holdsCertificate(text []byte) bool {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if _, err := x509.ParseCertificate(block.Bytes); err == nil && block.Type == "CERTIFICATE" && len(block.Headers) == 0 {
			return true
		}
	}
	return false
}
