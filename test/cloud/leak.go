package cloud

import (
	"encoding/base64"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// MayHold is which files may hold a secret, by their last two names: the folders above them are the output directory's, or
// its staging's.
func (k SecretKind) MayHold() []string {
	return map[SecretKind][]string{
		StepToken:      {"aws/web-identity-token", "gcp/subject-token"},
		AWSKey:         {"aws/credentials"},
		AWSKeyID:       {"aws/credentials", "build/records.jsonl", "build/taken.jsonl", "package/population.csv", "package/samples.csv", "package/exceptions.csv"},
		ECRPassword:    {"docker/config.json"},
		FederatedToken: {"gcp/access-token", "docker/config.json"},
		AccessToken:    {"gcp/access-token", "docker/config.json"},
		IDToken:        {"gcp/id-token"},

		VaultToken:      {"vault/token"},
		OktaToken:       {"okta/token"},
		OAuthToken:      {"oauth/token"},
		JFrogToken:      {"jfrog/token", "docker/config.json"},
		CloudsmithToken: {"cloudsmith/token", "docker/config.json"},
		DatabricksToken: {"databricks/token"},
		PulumiToken:     {"pulumi/token"},
	}[k]
}

// In finds the secret in a text as it is, in a URL, in base64, and, for a JWT, by its signature alone.
func (s Secret) In(text string) bool {
	forms := []string{s.Value, url.QueryEscape(s.Value), url.PathEscape(s.Value)}
	if parts := strings.Split(s.Value, "."); len(parts) == 3 && strings.HasPrefix(s.Value, "eyJ") {
		forms = append(forms, parts[2])
	}
	for before := range 3 { // base64 looks different depending on what stands in front
		encoded := base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat(" ", before) + s.Value))
		forms = append(forms, encoded[(before*8+5)/6:len(encoded)-1])
	}
	return slices.ContainsFunc(forms, func(form string) bool { return strings.Contains(text, form) })
}

// CheckText fails if text, such as the output of a program, contains one of the secrets.
func CheckText(text string, secrets []Secret) error {
	for _, s := range secrets {
		if s.In(text) {
			return fmt.Errorf("it holds a secret: %s", s)
		}
	}
	return nil
}

// CheckTree fails if one of the secrets lies below dir in a file that may not hold it or that others may read. Those that
// may are below the build directory clone.
func CheckTree(dir, clone string, secrets []Secret) error {
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		tail := filepath.Join(filepath.Base(filepath.Dir(path)), filepath.Base(path))
		for _, s := range secrets {
			switch {
			case !s.In(string(data)):
			case !strings.HasPrefix(path, clone+string(filepath.Separator)) || !slices.Contains(s.Kind.MayHold(), tail):
				return fmt.Errorf("%s holds a secret: %s", path, s)
			case info.Mode().Perm() != 0o600:
				return fmt.Errorf("%s holds a secret and has mode %#o", path, info.Mode().Perm())
			}
		}
		return nil
	})
}
