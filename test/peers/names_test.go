package peers

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A library is a part of readers: where its sources are on this machine, and a variable that it is known to look at. A search that
// does not find this variable does not work.
type library struct {
	name  string
	names func(*testing.T) (names, error)
	knows []string
}

// names are those of environment variables, each with a file that has it.
type names map[string]string

// libraries are those of all readers but Terraform, which comes without its sources: what it looks at, by its documentation, is among [composed].
func libraries() []library {
	return []library{
		{"variables of the Go readers", goNames, []string{
			"AWS_SECRET_KEY", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "GOOGLE_APPLICATION_CREDENTIALS", "DOCKER_AUTH_CONFIG",
		}},
		{"variables of the JavaScript readers", nodeNames, []string{"AMAZON_REGION", "AWS_WEB_IDENTITY_TOKEN_FILE", "GCLOUD_PROJECT"}},
		{"variables of boto3", pythonNames(onPath("python3")), []string{"AWS_SECURITY_TOKEN"}}, // of Debian's, where there is no other
		{"variables of boto3-debian", pythonNames(debian("python3")), []string{"AWS_SECURITY_TOKEN"}},
		{"variables of gcloud, gsutil and bq", gcloudNames, []string{
			"BOTO_CONFIG", "CLOUDSDK_AUTH_ACCESS_TOKEN", "CLOUDSDK_AUTH_IMPERSONATE_SERVICE_ACCOUNT", "GOOGLE_APPLICATION_CREDENTIALS",
		}},
	}
}

// composed are names that a reader puts together, so no text holds them whole, and those of Terraform.
func composed() names {
	return names{
		"AMAZON_ACCESS_KEY_ID":     "aws-sdk-js v2, lib/credentials/environment_credentials.js",
		"AMAZON_SECRET_ACCESS_KEY": "aws-sdk-js v2, lib/credentials/environment_credentials.js",
		"AMAZON_SESSION_TOKEN":     "aws-sdk-js v2, lib/credentials/environment_credentials.js",
		"AWS_BEARER_TOKEN_BEDROCK": "botocore/utils.py, and the SDKs for JavaScript and Go",

		"BIGQUERYRC": "bq, bq_utils.py: a file of options, oauth_access_token among them; its name has no underscore to be found by",

		"GOOGLE_BACKEND_CREDENTIALS":                 "Terraform's backend gcs",
		"GOOGLE_CREDENTIALS":                         "Terraform's backend gcs",
		"GOOGLE_OAUTH_ACCESS_TOKEN":                  "Terraform's backend gcs",
		"GOOGLE_BACKEND_IMPERSONATE_SERVICE_ACCOUNT": "Terraform's backend gcs",
		"GOOGLE_IMPERSONATE_SERVICE_ACCOUNT":         "Terraform's backend gcs",
	}
}

// quoted finds a name between quotes, or as a member of JavaScript's process.env. One that ends in "_" goes on with something else.
var quoted = func() *regexp.Regexp {
	const name = `((?:AMAZON|AWS|BIGQUERY|BOTO|BOTOCORE|CLOUDSDK|DOCKER|EXPERIMENTAL_GOOGLE|GCE|GCLOUD|GCP|GOOGLE|GS|S2A)_[A-Z0-9_]+)`
	return regexp.MustCompile("[\"'`]" + name + "(?:[\"'`]|\\$?\\{|%)|\\benv\\." + name + `\b`)
}()

// read adds what the files hold.
func (n names) read(files []string) error {
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		for _, m := range quoted.FindAllStringSubmatch(string(text), -1) {
			n[m[1]+m[2]] = file
		}
	}
	return nil
}

// goNames are in the sources of all that the program ./reader is linked of.
func goNames(t *testing.T) (names, error) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f",
		`{{if and .Module (not .Module.Main)}}{{$dir := .Dir}}{{range .GoFiles}}{{$dir}}/{{.}}{{"\n"}}{{end}}{{end}}`, "./reader").Output()
	if err != nil {
		return nil, err
	}
	found := names{}
	return found, found.read(strings.Fields(string(out)))
}

// nodeNames are in the packages that are installed for the readers. What the SDK v2 has of each service is data.
func nodeNames(*testing.T) (names, error) {
	modules, err := nodeModules()
	if err != nil {
		return nil, err
	}
	var data []string
	for _, dir := range []string{"apis", "clients", "dist", "dist-tools", "scripts"} {
		data = append(data, filepath.Join(modules, "aws-sdk", dir))
	}
	found := names{}
	return found, found.below(modules, ".js", data...)
}

// below reads the files of a folder with this ending, without those in other folders.
func (n names) below(dir, end string, without ...string) error {
	var files []string
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && slices.Contains(without, path):
			return fs.SkipDir
		case entry.Type().IsRegular() && strings.HasSuffix(path, end):
			files = append(files, path)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return n.read(files)
}

// pythonNames are in the packages of AWS that a Python has.
func pythonNames(python func() ([]string, error)) func(*testing.T) (names, error) {
	const list = `import importlib.util, os
for name in ("botocore", "boto3", "s3transfer", "awscli"):
    spec = importlib.util.find_spec(name)
    if spec: print(os.path.dirname(spec.origin))`
	return func(t *testing.T) (names, error) {
		program, err := python()
		if err != nil {
			return nil, err
		}
		out, err := exec.CommandContext(t.Context(), program[0], "-c", list).Output()
		if err != nil {
			return nil, err
		}
		dirs := strings.Split(strings.TrimSpace(string(out)), "\n")
		if dirs[0] == "" {
			return nil, fmt.Errorf("not installed: %s has no botocore", program[0])
		}
		found := names{}
		for _, dir := range dirs {
			if err := found.below(dir, ".py", filepath.Join(dir, "examples")); err != nil {
				return nil, err
			}
		}
		return found, nil
	}
}

// gcloudNames are in the sources of the Cloud SDK. Each property of gcloud has a variable, which it names itself; there are some
// hundreds of them, so only those count whose name speaks of an identity and is one that a shell takes.
func gcloudNames(t *testing.T) (names, error) {
	if _, err := exec.LookPath("gcloud"); err != nil {
		return nil, fmt.Errorf("not installed: %w", err)
	}
	const list = `import sys
sys.path[:0] = [sys.argv[1] + "/lib", sys.argv[1] + "/lib/third_party"]
from googlecloudsdk.core import properties
for section in properties.VALUES:
    for p in section: print(p.EnvironmentName())`
	home := []string{"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH"), "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING=true"}
	output := func(command ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
		cmd.Env = home
		out, err := cmd.Output()
		return strings.TrimSpace(string(out)), err
	}
	info, err := output("gcloud", "info", "--format=value[separator='\n'](installation.sdk_root,basic.python_location)")
	root, python, ok := strings.Cut(info, "\n")
	if err != nil || !ok {
		return nil, fmt.Errorf("gcloud info: %q, %v", info, err)
	}
	properties, err := output(python, "-c", list, root)
	if err != nil {
		return nil, fmt.Errorf("properties of gcloud: %w", err)
	}
	found := names{}
	for _, name := range strings.Fields(properties) {
		if identityWord.MatchString(name) {
			found[name] = "a property of gcloud"
		}
	}
	for _, dir := range []string{"lib/googlecloudsdk/core", "lib/googlecloudsdk/api_lib/storage", "lib/third_party/google", "platform/gsutil", "platform/bq"} {
		if _, err := os.Stat(filepath.Join(root, dir)); err != nil {
			continue // a component that this SDK was installed without
		}
		if err := found.below(filepath.Join(root, dir), ".py"); err != nil {
			return nil, err
		}
	}
	return found, nil
}

var identityWord = regexp.MustCompile(`^[A-Z0-9_]*(?:ACCESS|ACCOUNT|AUTH|CERT|CREDENTIAL|IDENTITY|IMPERSONAT|KEY|LOGIN|PASSWORD|SECRET|TOKEN|USER)[A-Z0-9_]*$`)
