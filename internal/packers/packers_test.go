package packers

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFind(t *testing.T) {
	const dir = ".bitbucket-oidc"
	remote := "terraform {\n  cloud {\n    organization = \"acme\"\n  }\n}\n"
	type files = map[string]string
	for _, c := range []struct {
		name   string
		output string // empty for the usual one
		files  files
		want   string // TOOL IGNORE of each leak, joined by commas
	}{
		{"nothing that packs", "", files{"main.go": ""}, ""},
		{"App Engine without an ignore file", "", files{"app.yaml": ""}, "gcloud .gcloudignore"},
		{"Cloud Build with a line", "", files{"cloudbuild.yaml": "", ".gcloudignore": "node_modules\n.bitbucket-oidc/\n"}, ""},
		{"a line with a slash in front", "", files{"app.yaml": "", ".gcloudignore": "/" + dir}, ""},
		{"a glob", "", files{"app.yaml": "", ".gcloudignore": ".*\r\n"}, ""},
		{"a comment", "", files{"app.yaml": "", ".gcloudignore": "# .bitbucket-oidc/\n"}, "gcloud .gcloudignore"},
		{"a line with !", "", files{"app.yaml": "", ".gcloudignore": "!.bitbucket-oidc/\n"}, "gcloud .gcloudignore"},
		{"taken back", "", files{"app.yaml": "", ".gcloudignore": ".*\n!.bitbucket-oidc\n"}, "gcloud .gcloudignore"},
		{"a longer name", "", files{"app.yaml": "", ".gcloudignore": ".bitbucket-oidc-old/\n"}, "gcloud .gcloudignore"},
		{"gcloud reads .gitignore where it has nothing else", "", files{"app.yaml": "", ".gitignore": dir}, ""},
		{"and does not otherwise", "", files{"app.yaml": "", ".gitignore": dir, ".gcloudignore": "x"}, "gcloud .gcloudignore"},
		{"unless it is taken in", "", files{"app.yaml": "", ".gitignore": dir, ".gcloudignore": "#!include:.gitignore"}, ""},
		{"Docker", "", files{"Dockerfile": ""}, "docker build .dockerignore"},
		{"Docker with **/", "", files{"Dockerfile": "", ".dockerignore": "**/.bitbucket-oidc"}, ""},
		{"Docker with a list of what it may have", "", files{"Dockerfile": "", ".dockerignore": "*\n!src\n"}, ""},
		{"Docker with a file let in again", "", files{"Dockerfile": "", ".dockerignore": "*\n!.bitbucket-oidc/env.sh\n"}, "docker build .dockerignore"},
		{"the Dockerfile's own list", "", files{"Dockerfile": "", ".dockerignore": dir, "Dockerfile.dockerignore": "x"}, "docker build Dockerfile.dockerignore"},
		{"Terraform that runs here", "", files{"main.tf": "terraform {\n backend \"s3\" {}\n}"}, ""},
		{"a cloud block", "", files{"versions.tf": remote}, "terraform .terraformignore"},
		{"a backend remote", "", files{"b.tf": "terraform { backend \"remote\" { } }"}, "terraform .terraformignore"},
		{"as JSON", "", files{"b.tf.json": `{"terraform": {"cloud": {"organization": "a"}}}`}, "terraform .terraformignore"},
		{"a block in a comment", "", files{"b.tf": "terraform {\n  # cloud {\n  // cloud {\n /* cloud { */\n}"}, ""},
		{"a line for Terraform", "", files{"b.tf": remote, ".terraformignore": dir + "/**"}, ""},
		{"Serverless", "", files{"serverless.yml": "service: a\n"}, "serverless serverless.yml"},
		{"patterns", "", files{"serverless.yml": "package:\n  patterns: ['!.bitbucket-oidc/**']\n"}, ""},
		{"patterns of what it may have", "", files{"serverless.yml": "package:\n  patterns:\n    - '!./**'\n    - 'src/**'\n"}, ""},
		{"a pattern that takes it in", "", files{"serverless.yml": "package:\n  patterns:\n    - .bitbucket-oidc/**\n"}, "serverless serverless.yml"},
		{"a pattern for the folder alone", "", files{"serverless.yml": "package:\n  patterns: ['!.bitbucket-oidc']\n"}, "serverless serverless.yml"},
		{"a commented pattern", "", files{"serverless.yml": "package:\n  patterns:\n    # - '!.bitbucket-oidc/**'\n    - '!node_modules/**'\n"}, "serverless serverless.yml"},
		{"not YAML", "", files{"serverless.yml": "a: [\n"}, "serverless serverless.yml"},
		{"SAM", "", files{"template.yaml": "", ".gitignore": dir}, "AWS SAM "},
		{"several", "", files{"Dockerfile": "", "template.yaml": "", "app.yaml": ""}, "gcloud .gcloudignore,docker build .dockerignore,AWS SAM "},
		{"another directory", "out/ci/creds", files{"app.yaml": "", ".gcloudignore": ".bitbucket-oidc"}, "gcloud .gcloudignore"},
		{"a folder above it", "out/ci/creds", files{"app.yaml": "", ".gcloudignore": "/out/"}, ""},
		{"a tool below the top", "svc/.oidc", files{"svc/Dockerfile": "", ".dockerignore": "svc/.oidc"}, "docker build svc/.dockerignore"},
		{"a tool beside it", "out/creds", files{"svc/Dockerfile": ""}, ""},
		{"inside .git", ".git/bitbucket-oidc", files{"app.yaml": "", "serverless.yml": "", "m.tf": remote, "template.yaml": "", "Dockerfile": ""},
			"docker build .dockerignore,AWS SAM "},
		{"inside .git, with a list that lacks it", ".git/bitbucket-oidc", files{"app.yaml": "", ".gcloudignore": "x"}, "gcloud .gcloudignore"},
		{"a name with a glob in it", "a*b", files{"Dockerfile": "", ".dockerignore": `a\*b`}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			clone := t.TempDir()
			for name, text := range c.files {
				write(t, filepath.Join(clone, name), text)
			}
			output := c.output
			if output == "" {
				output = dir
			}
			write(t, filepath.Join(clone, output, "env.sh"), "")
			var got []string
			for _, leak := range Find(clone, output) {
				got = append(got, leak.Tool+" "+leak.Ignore)
				if leak.Ignore == "" {
					continue
				}
				// The lines do what they are for.
				path := filepath.Join(clone, leak.Ignore)
				before, _ := os.ReadFile(path)
				if leak.Under == "package.patterns" {
					before = []byte("package:\n  patterns:")
					leak.Line = "    " + leak.Line
				}
				write(t, path, string(before)+"\n"+leak.Line+"\n")
			}
			if strings.Join(got, ",") != c.want {
				t.Fatalf("%q, want %q", got, c.want)
			}
			for _, leak := range Find(clone, output) {
				if leak.Ignore != "" {
					t.Errorf("%s takes %s along after %q in %s", leak.Tool, output, leak.Line, leak.Ignore)
				}
			}
		})
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
