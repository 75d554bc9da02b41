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
		{name: "nothing that packs", files: files{"main.go": ""}},
		{name: "App Engine without an ignore file", files: files{"app.yaml": ""}, want: "gcloud .gcloudignore"},
		{
			name:  "Cloud Build with a line",
			files: files{"cloudbuild.yaml": "", ".gcloudignore": "node_modules\n.bitbucket-oidc/\n"},
		},
		{name: "a line with a slash in front", files: files{"app.yaml": "", ".gcloudignore": "/" + dir}},
		{name: "a glob", files: files{"app.yaml": "", ".gcloudignore": ".*\r\n"}},
		{
			name: "a comment", files: files{"app.yaml": "", ".gcloudignore": "# .bitbucket-oidc/\n"},
			want: "gcloud .gcloudignore",
		},
		{
			name: "a line with !", files: files{"app.yaml": "", ".gcloudignore": "!.bitbucket-oidc/\n"},
			want: "gcloud .gcloudignore",
		},
		{
			name: "taken back", files: files{"app.yaml": "", ".gcloudignore": ".*\n!.bitbucket-oidc\n"},
			want: "gcloud .gcloudignore",
		},
		{
			name: "a longer name", files: files{"app.yaml": "", ".gcloudignore": ".bitbucket-oidc-old/\n"},
			want: "gcloud .gcloudignore",
		},
		{name: "gcloud reads .gitignore where it has nothing else", files: files{"app.yaml": "", ".gitignore": dir}},
		{
			name: "and does not otherwise", files: files{"app.yaml": "", ".gitignore": dir, ".gcloudignore": "x"},
			want: "gcloud .gcloudignore",
		},
		{
			name:  "unless it is taken in",
			files: files{"app.yaml": "", ".gitignore": dir, ".gcloudignore": "#!include:.gitignore"},
		},
		{name: "Docker", files: files{"Dockerfile": ""}, want: "docker build .dockerignore"},
		{name: "Docker with another name", files: files{"Dockerfile.web": ""}, want: "docker build .dockerignore"},
		{name: "Docker with a name in front", files: files{"web.dockerfile": "", ".dockerignore": dir}},
		{
			name: "one Dockerfile of several", files: files{"Dockerfile": "", ".dockerignore": dir, "Dockerfile.web": "", "Dockerfile.web.dockerignore": "x"},
			want: "docker build Dockerfile.web.dockerignore",
		},
		{name: "what only looks like a Dockerfile", files: files{"Dockerfile.dockerignore": "", "Dockerfiles": "", "mydockerfile": ""}},
		{name: "Serverless in JSON", files: files{"serverless.json": "{}"}, want: "serverless serverless.json"},
		{name: "Serverless in JSON with a line", files: files{"serverless.json": `{"package": {"patterns": ["!.bitbucket-oidc/**"]}}`}},
		{name: "Docker with **/", files: files{"Dockerfile": "", ".dockerignore": "**/.bitbucket-oidc"}},
		{name: "Docker with a list of what it may have", files: files{"Dockerfile": "", ".dockerignore": "*\n!src\n"}},
		{
			name:  "Docker with a file let in again",
			files: files{"Dockerfile": "", ".dockerignore": "*\n!.bitbucket-oidc/env.sh\n"}, want: "docker build .dockerignore",
		},
		{
			name:  "the Dockerfile's own list",
			files: files{"Dockerfile": "", ".dockerignore": dir, "Dockerfile.dockerignore": "x"},
			want:  "docker build Dockerfile.dockerignore",
		},
		{
			name:  "Docker with a kind of file let in again everywhere",
			files: files{"Dockerfile": "", ".dockerignore": "*\n!**/*.json\n"}, want: "docker build .dockerignore",
		},
		{name: "Docker with another kind", files: files{"Dockerfile": "", ".dockerignore": "*\n!**/*.go\n!src/**/*.json\n"}},
		{name: "Docker cleans its lines", files: files{"Dockerfile": "", ".dockerignore": "\ufeff  ./.bitbucket-oidc// \r\n"}},
		{name: "Docker with two slashes in front", files: files{"Dockerfile": "", ".dockerignore": "//.bitbucket-oidc"}},
		{
			name:  "gcloud does not clean them",
			files: files{"app.yaml": "", ".gcloudignore": "./.bitbucket-oidc\n .bitbucket-oidc\n.bitbucket-oidc//\n//.bitbucket-oidc\n"},
			want:  "gcloud .gcloudignore",
		},
		{name: "Terraform that runs here", files: files{"main.tf": "terraform {\n backend \"s3\" {}\n}"}},
		{name: "a cloud block", files: files{"versions.tf": remote}, want: "terraform .terraformignore"},
		{
			name: "a backend remote", files: files{"b.tf": "terraform { backend \"remote\" { } }"},
			want: "terraform .terraformignore",
		},
		{
			name: "as JSON", files: files{"b.tf.json": `{"terraform": {"cloud": {"organization": "a"}}}`},
			want: "terraform .terraformignore",
		},
		{name: "a block in a comment", files: files{"b.tf": "terraform {\n  # cloud {\n  // cloud {\n /* cloud { */\n}"}},
		{name: "a line for Terraform", files: files{"b.tf": remote, ".terraformignore": dir + "/**"}},
		{
			name: "a line that fits the folder and not what it holds", files: files{"b.tf": remote, ".terraformignore": dir},
			want: "terraform .terraformignore",
		},
		{name: "Terraform with a glob", files: files{"b.tf": remote, ".terraformignore": "  .*/\n!.env\n"}},
		{
			name: "Terraform with a kind of file let in again", files: files{"b.tf": remote, ".terraformignore": dir + "/\n!*.json\n"},
			want: "terraform .terraformignore",
		},
		{name: "Serverless", files: files{"serverless.yml": "service: a\n"}, want: "serverless serverless.yml"},
		{name: "patterns", files: files{"serverless.yml": "package:\n  patterns: ['!.bitbucket-oidc/**']\n"}},
		{
			name:  "patterns of what it may have",
			files: files{"serverless.yml": "package:\n  patterns:\n    - '!./**'\n    - 'src/**'\n"},
		},
		{
			name:  "a pattern that takes it in",
			files: files{"serverless.yml": "package:\n  patterns:\n    - .bitbucket-oidc/**\n"},
			want:  "serverless serverless.yml",
		},
		{
			name:  "a pattern for the folder alone",
			files: files{"serverless.yml": "package:\n  patterns: ['!.bitbucket-oidc']\n"}, want: "serverless serverless.yml",
		},
		{
			name:  "a pattern that begins with a slash",
			files: files{"serverless.yml": "package:\n  patterns: ['!/.bitbucket-oidc/**']\n"}, want: "serverless serverless.yml",
		},
		{
			name:  "a kind of file everywhere",
			files: files{"serverless.yml": "package:\n  patterns: ['!.bitbucket-oidc/**', '**/*.json']\n"}, want: "serverless serverless.yml",
		},
		{
			name:  "a commented pattern",
			files: files{"serverless.yml": "package:\n  patterns:\n    # - '!.bitbucket-oidc/**'\n    - '!node_modules/**'\n"},
			want:  "serverless serverless.yml",
		},
		{name: "not YAML", files: files{"serverless.yml": "a: [\n"}, want: "serverless serverless.yml"},
		{name: "SAM", files: files{"template.yaml": "", ".gitignore": dir}, want: "AWS SAM "},
		{
			name: "several", files: files{"Dockerfile": "", "template.yaml": "", "app.yaml": ""},
			want: "gcloud .gcloudignore,docker build .dockerignore,AWS SAM ",
		},
		{
			name: "another directory", output: "out/ci/creds", files: files{"app.yaml": "", ".gcloudignore": ".bitbucket-oidc"},
			want: "gcloud .gcloudignore",
		},
		{name: "a folder above it", output: "out/ci/creds", files: files{"app.yaml": "", ".gcloudignore": "/out/"}},
		{
			name: "a tool below the top", output: "svc/.oidc", files: files{"svc/Dockerfile": "", ".dockerignore": "svc/.oidc"},
			want: "docker build svc/.dockerignore",
		},
		{name: "a tool beside it", output: "out/creds", files: files{"svc/Dockerfile": ""}},
		{
			name: "inside .git", output: ".git/bitbucket-oidc",
			files: files{"app.yaml": "", "serverless.yml": "", "m.tf": remote, "template.yaml": "", "Dockerfile": ""},
			want:  "docker build .dockerignore,AWS SAM ",
		},
		{
			name: "inside .git, with a list that lacks it", output: ".git/bitbucket-oidc",
			files: files{"app.yaml": "", ".gcloudignore": "x"}, want: "gcloud .gcloudignore",
		},
		{name: "a name with a glob in it", output: "a*b", files: files{"Dockerfile": "", ".dockerignore": `a\*b`}},
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
				if strings.HasSuffix(path, ".json") {
					before, leak.Line = nil, `{"package": {"patterns": [`+leak.Line+`]}}`
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
