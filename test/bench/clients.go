package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"bitbucket-oidc/test/cloud"
)

// nowhere keeps clients from every cloud but the one on loopback.
func nowhere() []string {
	return []string{
		"HTTPS_PROXY=http://127.0.0.1:9",
		"NO_PROXY=127.0.0.1",
		"AWS_EC2_METADATA_DISABLED=true",
		"AWS_MAX_ATTEMPTS=1",
		"NO_GCE_CHECK=true",
		"CLOUDSDK_CORE_DISABLE_PROMPTS=1",
		"CLOUDSDK_CORE_DISABLE_USAGE_REPORTING=true",
	}
}

// others are the clients that people use, found or not.
func (s *step) others(ctx context.Context) ([]subject, error) {
	credentials, err := s.credentialFile(ctx)
	if err != nil {
		return nil, fmt.Errorf("a login for the clients of Google: %w", err)
	}
	modules, version, missing := s.nodeModules(ctx)
	return []subject{
		s.awsClient(ctx, awsCLI, "AWS CLI", "aws"),
		s.awsClient(ctx, awsCLIDebian, "AWS CLI of Debian", "/usr/bin/aws"),
		{
			id: awsNode, group: groupAWS, label: "AWS SDK for JavaScript", baseline: awsLogin, slow: true, requests: 1,
			prepare: s.node(modules, "aws.js", s.world.STS.URL, cloud.RoleARN, s.tokenFile()),
			version: version, missing: missing,
		},
		s.gcloud(ctx, credentials),
		{
			id: gcpNode, group: groupGCP, label: "google-auth-library for JavaScript", baseline: gcpLogin, slow: true, requests: 2,
			prepare: s.node(modules, "gcp.js", credentials),
			version: version, missing: missing,
		},
	}, nil
}

// awsClient is the AWS CLI's command for the exchange. Debian's version knows the endpoint by its option only.
func (s *step) awsClient(ctx context.Context, name id, label, program string) subject {
	c := subject{id: name, group: groupAWS, label: label, baseline: awsLogin, slow: true, requests: 1}
	path, err := s.find(ctx, program)
	if err != nil {
		c.missing = "not installed"
		return c
	}
	if first, err := s.find(ctx, "aws"); name == awsCLIDebian && err == nil && sameFile(first, path) {
		c.missing = "is the first on PATH"
		return c
	}
	c.version = s.firstLine(ctx, path, "--version")
	c.prepare = func(string) ([]string, []string, error) {
		return []string{
			path, "sts", "assume-role-with-web-identity",
			"--endpoint-url", s.world.STS.URL,
			"--region", "eu-west-1",
			"--role-arn", cloud.RoleARN,
			"--role-session-name", "bitbucket-shop-42",
			"--web-identity-token", "file://" + s.tokenFile(),
		}, nowhere(), nil
	}
	return c
}

// gcloud prints the access token that it got for a login's credential file. Its own folder is fresh, as a step's is: it
// would find the token of the run before there.
func (s *step) gcloud(ctx context.Context, credentials string) subject {
	c := subject{id: gcpGcloud, group: groupGCP, label: "gcloud", baseline: gcpLogin, slow: true, requests: whatever}
	path, err := s.find(ctx, "gcloud")
	if err != nil {
		c.missing = "not installed"
		return c
	}
	c.version = s.firstLine(ctx, path, "--version")
	c.prepare = func(fresh string) ([]string, []string, error) {
		return []string{path, "auth", "print-access-token"}, append(nowhere(),
			"CLOUDSDK_CONFIG="+filepath.Join(fresh, "gcloud"),
			"CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE="+credentials,
		), nil
	}
	return c
}

func (s *step) node(modules, script string, args ...string) func(string) ([]string, []string, error) {
	return func(string) ([]string, []string, error) {
		command := append([]string{"node", filepath.Join(s.root, "test", "bench", "node", script)}, args...)
		return command, append(nowhere(), "NODE_PATH="+modules), nil
	}
}

// nodeModules installs what test/peers pins, or says why it cannot.
func (s *step) nodeModules(ctx context.Context) (modules, version, missing string) {
	if _, err := exec.LookPath("node"); err != nil {
		return "", "", "node is not installed"
	}
	dir := filepath.Join(s.dir, "node")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", "", err.Error()
	}
	var manifest struct{ Dependencies map[string]string }
	for _, name := range []string{"package-lock.json", "package.json"} {
		data, err := os.ReadFile(filepath.Join(s.root, "test", "peers", "reader", name))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), data, 0o600)
		}
		if err == nil {
			err = json.Unmarshal(data, &manifest)
		}
		if err != nil {
			return "", "", err.Error()
		}
	}
	install := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	install.Dir = dir
	if err := install.Run(); err != nil {
		return "", "", fmt.Sprintf("npm ci: %v", err)
	}
	version = fmt.Sprintf("node %s with @aws-sdk/client-sts %s and google-auth-library %s", s.firstLine(ctx, "node", "--version"),
		manifest.Dependencies["@aws-sdk/client-sts"], manifest.Dependencies["google-auth-library"])
	return filepath.Join(dir, "node_modules"), version, ""
}

// find is the path of a program. If PATH has a shim of pyenv, it is the program behind the shim: the time of the shim says
// nothing about the client.
func (s *step) find(ctx context.Context, program string) (string, error) {
	path, err := exec.LookPath(program)
	if err != nil || filepath.Base(filepath.Dir(path)) != "shims" {
		return path, err
	}
	out, err := exec.CommandContext(ctx, "pyenv", "which", program).Output()
	if err != nil {
		return "", fmt.Errorf("pyenv which %s: %w", program, err)
	}
	return strings.TrimSpace(string(out)), nil
}

// firstLine is the name and version that a program prints.
func (s *step) firstLine(ctx context.Context, command ...string) string {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Env = append(s.environment(s.dir), nowhere()...)
	out, err := cmd.Output()
	if err != nil {
		return "version unknown"
	}
	line, _, _ := strings.Cut(string(out), "\n")
	// curl goes on with all that it was built with.
	line, _, _ = strings.Cut(line, " (")
	words := slices.DeleteFunc(strings.Fields(line), func(word string) bool { return strings.HasPrefix(word, "Linux/") }) // AWS's
	return strings.Join(words, " ")
}

func sameFile(a, b string) bool {
	one, err1 := os.Stat(a)
	other, err2 := os.Stat(b)
	return err1 == nil && err2 == nil && os.SameFile(one, other)
}
