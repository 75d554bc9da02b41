package live

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"bitbucket-oidc/internal/nowait"
	"bitbucket-oidc/internal/secret"
)

// maxProfiles bounds the files that login left: a login of 100 profiles writes about 150 KiB.
const maxProfiles = 1 << 20

// A profile is one that login wrote, or one that leads to it.
type profile struct {
	name             string
	keyID            string
	key, token       secret.Text
	roleARN, session string
	tokenFile        string // of the web identity
	source           string // the profile whose credentials assume the role
	externalID       string
}

// profiles reads what login wrote, in the form of AWS's shared files: sections, and a name and a value on a line (AWS SDKs and Tools
// Reference Guide, "Shared config and credentials files"). The SDK's own reader would also use every other way to sign in that the
// SDK has, such as programs and metadata services. None of them may be used here.
func profiles(credentialFile, configFile string) (map[string]profile, error) {
	all := map[string]profile{}
	for _, file := range []string{configFile, credentialFile} { // the second one counts before the first
		if file == "" {
			continue
		}
		data, err := nowait.Read(file, maxProfiles)
		if errors.Is(err, fs.ErrNotExist) {
			continue // without it there is no such profile
		}
		if err != nil {
			return nil, errors.New("the files that AWS_SHARED_CREDENTIALS_FILE and AWS_CONFIG_FILE name cannot be read")
		}
		readProfiles(data, all)
	}
	return all, nil
}

func readProfiles(data []byte, all map[string]profile) {
	name := ""
	for line := range bytes.Lines(data) {
		text := strings.TrimSpace(string(line))
		if section, ok := strings.CutPrefix(text, "["); ok {
			section, _, _ = strings.Cut(section, "]")
			name = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(section), "profile "))
			continue
		}
		key, value, ok := strings.Cut(text, "=")
		if !ok || name == "" || strings.HasPrefix(text, "#") || strings.HasPrefix(text, ";") {
			continue
		}
		p := all[name]
		p.name = name
		p.set(strings.ToLower(strings.TrimSpace(key)), strings.TrimSpace(value))
		all[name] = p
	}
}

func (p *profile) set(key, value string) {
	switch key {
	case "aws_access_key_id":
		p.keyID = value
	case "aws_secret_access_key":
		p.key = secret.New(value)
	case "aws_session_token":
		p.token = secret.New(value)
	case "role_arn":
		p.roleARN = value
	case "role_session_name":
		p.session = value
	case "web_identity_token_file":
		p.tokenFile = value
	case "source_profile":
		p.source = value
	case "external_id":
		p.externalID = value
	}
}

// String keeps a profile out of every log: only its name prints.
func (p profile) String() string { return fmt.Sprintf("profile %s", p.name) }
