package gcp

import (
	"slices"

	"bitbucket-oidc/internal/federation"
)

// env selects the credential file in every client and unsets what would win over it. gcloud prefers an access token to a
// credential file, and would not refresh it.
func (b *Backend) env() []federation.Var {
	vars := []federation.Var{{Name: "GOOGLE_APPLICATION_CREDENTIALS", File: credentialsFile}}
	rivals := []string{
		"GOOGLE_CREDENTIALS", "GOOGLE_BACKEND_CREDENTIALS", "GOOGLE_OAUTH_ACCESS_TOKEN", "GOOGLE_CLOUD_KEYFILE_JSON", "GCLOUD_KEYFILE_JSON",
		"GOOGLE_IMPERSONATE_SERVICE_ACCOUNT", "GOOGLE_BACKEND_IMPERSONATE_SERVICE_ACCOUNT", "FIREBASE_TOKEN",
		"CLOUDSDK_AUTH_ACCESS_TOKEN", "CLOUDSDK_AUTH_IMPERSONATE_SERVICE_ACCOUNT", "CLOUDSDK_AUTH_DISABLE_CREDENTIALS",
		// HMAC keys, with which gcloud storage and gsutil sign instead of sending a token.
		"CLOUDSDK_STORAGE_GS_XML_ACCESS_KEY_ID", "CLOUDSDK_STORAGE_GS_XML_SECRET_ACCESS_KEY", "GS_ACCESS_KEY_ID", "GS_SECRET_ACCESS_KEY",
		// A file of options for bq, oauth_access_token and the names of key files among them.
		"BIGQUERYRC",
	}
	if len(b.Delegates) == 0 {
		vars = append(vars, federation.Var{Name: "CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE", File: credentialsFile})
		rivals = append(rivals, "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE")
	} else { // gcloud cannot follow a file of this type
		vars = append(vars, federation.Var{Name: "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE", File: accessFile})
		rivals = append(rivals, "CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE")
	}
	vars = append(vars, federation.Var{Name: "BOTO_CONFIG", File: botoFile})
	if b.Project != "" {
		vars = append(vars, b.projectVars()...)
	}
	if b.Universe != DefaultUniverse {
		// gcloud does not look at the credential file for its hosts: it would send the token to those of the default universe. Google's
		// libraries for Go refuse a file of another universe than the client's (google-api-go-client, internal/settings.go).
		for _, name := range []string{"CLOUDSDK_CORE_UNIVERSE_DOMAIN", "GOOGLE_CLOUD_UNIVERSE_DOMAIN"} {
			vars = append(vars, federation.Var{Name: name, Value: b.Universe})
		}
	}
	for _, name := range rivals {
		vars = append(vars, federation.Var{Name: name, Unset: true})
	}
	return vars
}

// projectVars give later commands the project. If it was guessed, a project that the step has in any of the four variables counts for
// all four.
func (b *Backend) projectVars() []federation.Var {
	names := []string{"CLOUDSDK_CORE_PROJECT", "GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT", "GOOGLE_PROJECT"}
	var vars []federation.Var
	for i, name := range names {
		v := federation.Var{Name: name, Value: b.Project}
		if b.ProjectGuessed {
			v.Guess = append([]string{name}, slices.Delete(slices.Clone(names), i, i+1)...)
		}
		vars = append(vars, v)
	}
	return vars
}
