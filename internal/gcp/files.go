package gcp

import (
	"encoding/json"
	"strings"
	"time"

	"bitbucket-oidc/internal/federation"
	"bitbucket-oidc/internal/oidc"
	"bitbucket-oidc/internal/secret"
)

// The files, below the output directory.
const (
	credentialsFile = "gcp/credentials.json"
	subjectFile     = "gcp/subject-token"
	accessFile      = "gcp/access-token"
	botoFile        = "gcp/boto"
	idTokenFile     = "gcp/id-token"
)

// accessFiles are the files with which clients act as the principal.
func accessFiles() []string { return []string{credentialsFile, subjectFile, accessFile, botoFile} }

// files are all files. No token has a line break at its end: the clients for Python, Node.js and Java would send it.
func (b *Backend) files(token oidc.Token, got tokens) []federation.File {
	files := []federation.File{
		{Path: credentialsFile, Data: b.configuration()},
		{Path: subjectFile, Data: secret.New(token.Reveal())},
		{Path: accessFile, Data: got.access.token},
		{Path: botoFile, Data: b.boto()},
	}
	if b.IDTokenAudience != "" {
		files = append(files, federation.File{Path: idTokenFile, Data: got.identity.token})
	}
	return files
}

// externalAccount is Google's credential configuration (AIP-4117), with the members that `gcloud iam
// workload-identity-pools create-cred-config` writes, in its order.
type externalAccount struct {
	UniverseDomain       string           `json:"universe_domain"`
	Type                 string           `json:"type"`
	Audience             string           `json:"audience"`
	SubjectTokenType     string           `json:"subject_token_type"`
	TokenURL             string           `json:"token_url"`
	CredentialSource     credentialSource `json:"credential_source"`
	ImpersonationURL     string           `json:"service_account_impersonation_url,omitempty"`
	ImpersonationOptions *impersonation   `json:"service_account_impersonation,omitempty"`
	// TokenInfoURL is for direct federation: without it gcloud and bq ask the public host who they are.
	TokenInfoURL string `json:"token_info_url,omitempty"`
}

type credentialSource struct {
	File   string            `json:"file"`
	Format map[string]string `json:"format"`
}

type impersonation struct {
	Lifetime int64 `json:"token_lifetime_seconds"`
}

// impersonated is Google's credential configuration for a chain of service accounts, which an external account alone
// cannot carry.
type impersonated struct {
	UniverseDomain   string          `json:"universe_domain"`
	Type             string          `json:"type"`
	ImpersonationURL string          `json:"service_account_impersonation_url"`
	Delegates        []string        `json:"delegates"`
	Source           externalAccount `json:"source_credentials"`
}

// configuration is what credentials.json holds.
func (b *Backend) configuration() secret.Text {
	account := externalAccount{
		UniverseDomain:   b.Universe,
		Type:             "external_account",
		Audience:         b.Provider.audience(),
		SubjectTokenType: subjectTokenType,
		TokenURL:         b.STSEndpoint + "/v1/token",
		CredentialSource: credentialSource{b.Path(subjectFile), map[string]string{"type": "text"}},
	}
	var file any = &account
	url := b.IAMCredentialsEndpoint + "/v1/projects/-/serviceAccounts/" + b.ServiceAccount + ":generateAccessToken"
	switch {
	case b.ServiceAccount == "":
		account.TokenInfoURL = b.STSEndpoint + "/v1/introspect"
	case len(b.Delegates) > 0:
		file = impersonated{b.Universe, "impersonated_service_account", url, b.delegates(), account}
	default:
		account.ImpersonationURL = url
		account.ImpersonationOptions = &impersonation{int64(b.Lifetime / time.Second)}
	}
	data, _ := json.MarshalIndent(file, "", "  ") // strings and numbers: cannot fail
	return secret.New(string(data) + "\n")
}

// boto signs gsutil in, which looks at none of the other files.
func (b *Backend) boto() secret.Text {
	file := strings.ReplaceAll(b.Path(credentialsFile), "%", "%%") // a value of Python's configparser
	text := "[Credentials]\ngs_external_account_file = " + file + "\n"
	if b.Project != "" {
		text += "\n[GSUtil]\ndefault_project_id = " + b.Project + "\n"
	}
	return secret.New(text)
}
