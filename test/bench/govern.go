package main

import (
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"bitbucket-oidc/test/cloud"
)

// publicAuthorities is where Debian keeps the public certificate authorities.
const publicAuthorities = "/etc/ssl/certs/ca-certificates.crt"

// overTLS are curl and a login at the same STS behind TLS. Both read the public certificate authorities, and this server's.
func (s *step) overTLS() ([]subject, error) {
	s.tls = httptest.NewTLSServer(s.world.STS)
	curl := subject{id: tlsCurl, group: groupTLS, label: "curl", requests: 1}
	login := subject{id: tlsLogin, group: groupTLS, label: "pipe login", baseline: tlsCurl, requests: 1}
	public, err := os.ReadFile(publicAuthorities)
	if err != nil {
		curl.missing, login.missing = "no public certificate authorities here", "no public certificate authorities here"
		return []subject{curl, login}, nil
	}
	bundle := filepath.Join(s.dir, "authorities.pem")
	own := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.tls.Certificate().Raw})
	if err := os.WriteFile(bundle, append(public, own...), 0o600); err != nil {
		return nil, err
	}
	curl.prepare = func(fresh string) ([]string, []string, error) {
		command, variables, err := s.curlAWS(fresh)
		config := filepath.Join(fresh, "curl.conf")
		text, err2 := os.ReadFile(config)
		said := strings.Replace(string(text), s.world.STS.URL, s.tls.URL, 1) + curlOptions("cacert", bundle)
		return command, variables, errors.Join(err, err2, os.WriteFile(config, []byte(said), 0o600))
	}
	login.prepare = func(string) ([]string, []string, error) {
		return []string{s.pipe, "login"}, []string{
			"AWS_ENDPOINT_URL_STS=" + s.tls.URL, "AWS_DEFAULT_REGION=eu-west-1", "AWS_OIDC_ROLE_ARN=" + cloud.RoleARN, "SSL_CERT_FILE=" + bundle,
		}, nil
	}
	return []subject{curl, login}, nil
}

// guarded are logins that are held to rules, and that leave records.
func (s *step) guarded(toAWS []string) ([]subject, error) {
	collector, err := cloud.Serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	if err != nil {
		return nil, err
	}
	s.collector = collector
	var rules strings.Builder
	rules.WriteString("version: 1\nconstants: {accounts: [\"123456789012\"]}\nrules:\n")
	for i := range guardRules {
		fmt.Fprintf(
			&rules,
			"  - {name: rule-%d, when: \"request.backend == 'aws'\", require: \"request.account in constants.accounts && "+
				"size(claims.audience) == 1\", message: Rule %d.}\n",
			i, i,
		)
	}
	login := func(name id, label string, file string, variables ...string) subject {
		return subject{id: name, group: groupGuard, label: label, baseline: awsLogin, requests: 1,
			prepare: func(fresh string) ([]string, []string, error) {
				var err error
				if file != "" {
					err = os.WriteFile(filepath.Join(fresh, file), []byte(rules.String()), 0o600)
				}
				return []string{s.pipe, "login"}, slices.Concat(toAWS, variables), err
			}}
	}
	return []subject{
		login(guardLogin, fmt.Sprintf("pipe login, %d rules", guardRules), "guard.yaml", "GUARD_FILE=guard.yaml"),
		login(recordLogin, "pipe login, a record in a file", "", "RECORD_FILE=records.jsonl"),
		login(otlpLogin, "pipe login, a record to a collector", "", "RECORD_OTLP="+collector.URL),
	}, nil
}

const guardRules = 12
