package peers

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"bitbucket-oidc/test/cloud"
)

const (
	hopAccount = "hop@my-project.iam.gserviceaccount.com"
	farAccount = "far@my-project.iam.gserviceaccount.com" // lets only hopAccount in

	federated = "principal://iam.googleapis.com/projects/210987654321/locations/global/workloadIdentityPools/pipelines/" +
		"subject/" + cloud.RepositoryUUID
)

// TestGCP: every reader trades the step's token again, and Cloud Storage or BigQuery then sees whose bearer it sends.
func TestGCP(t *testing.T) {
	t.Parallel()
	provider := "GCP_WORKLOAD_IDENTITY_PROVIDER=" + cloud.ProviderName
	testReaders(t, gcpReaders(), []login{
		{
			name:      "service-account",
			variables: []string{provider, "GCP_SERVICE_ACCOUNT=" + cloud.ServiceAccountEmail},
			caller:    "serviceAccount:" + cloud.ServiceAccountEmail,
			refreshes: true,
		},
		{
			name:      "direct",
			variables: []string{provider, "GCP_PROJECT=my-project"},
			caller:    federated,
			refreshes: true,
		},
		{
			name:      "delegates",
			variables: []string{provider, "GCP_SERVICE_ACCOUNT=" + farAccount, "GCP_DELEGATES=" + hopAccount},
			caller:    "serviceAccount:" + farAccount,
			refreshes: true,
		},
	}, tryInWorld)
}

func gcpReaders() []reader {
	storage := func(p place) []string { return []string{p.url} }
	gcloud := func(place) []string { return []string{"storage", "ls"} }
	bq := func(p place) []string { return []string{"--api", p.url, "ls"} }

	// Only an impersonated_service_account can hold delegates, and not everybody takes one on top of an external_account.
	delegates := func(says, means string) map[string]refusal {
		return map[string]refusal{"delegates": {says, means}}
	}
	given := []string{"delegates"} // neither can follow such a file, and env.sh gives them login's token

	return []reader{
		{name: "gcloud", find: onPath("gcloud"), args: gcloud, given: given},
		{name: "gsutil", find: onPath("gsutil"), args: gsutil, cannot: delegates("Missing credential_source",
			"supports no impersonated_service_account")},
		{name: "bq", find: onPath("bq"), args: bq, given: given},
		{name: "google-auth-js", find: node("storage.js"), args: storage, cannot: delegates("https://iamcredentials.googleapis.com/",
			"asks iamcredentials.googleapis.com whatever host the file names")},
		{name: "google-auth-go", find: goProgram("auth"), args: storage},
		{name: "oauth2-go", find: goProgram("oauth2"), args: storage},
		{name: "terraform-gcs", find: terraform("gcs"), args: terraformInit},
	}
}

// gsutil asks for TLS of the storage service, but not of the exchange.
func gsutil(p place) []string {
	u, err := url.Parse(p.tlsURL)
	if err != nil {
		panic(err) // it comes from httptest
	}
	return []string{
		"-o", "Credentials:gs_json_host=" + u.Hostname(),
		"-o", "Credentials:gs_json_port=" + u.Port(),
		"-o", "Boto:https_validate_certificates=False",
		"ls",
	}
}

// serveGoogleAPI is as much of Cloud Storage and BigQuery as it takes to see whose bearer a client sends.
func (w *world) serveGoogleAPI(rw http.ResponseWriter, r *http.Request) {
	bearer, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	caller := w.GCP.Caller(bearer)
	if caller == "" {
		http.Error(rw, `{"error": {"code": 401, "message": "no such bearer"}}`, http.StatusUnauthorized)
		return
	}
	var answer any
	switch path := r.URL.Path; {
	case strings.HasPrefix(path, "/$discovery/"):
		answer = bigQuery(w.url)
	case path == "/storage/v1/b":
		w.note(caller)
		answer = map[string]any{"items": []any{map[string]string{"id": "peers", "name": "peers"}}}
	case path == "/peers/default.tfstate": // where there is none, init would take a lock and write one
		w.note(caller)
		answer = map[string]any{"version": 4}
	default:
		w.note(caller)
		answer = map[string]any{}
	}
	rw.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(rw).Encode(answer) // a client that left is the client's business
}

// bigQuery is the API's description, cut down to the one method that `bq ls` calls.
func bigQuery(root string) any {
	parameter := func(kind, location string) map[string]any {
		return map[string]any{"type": kind, "location": location}
	}
	return map[string]any{
		"kind":        "discovery#restDescription",
		"id":          "bigquery:v2",
		"name":        "bigquery",
		"version":     "v2",
		"protocol":    "rest",
		"rootUrl":     root + "/",
		"servicePath": "bigquery/v2/",
		"basePath":    "/bigquery/v2/",
		"baseUrl":     root + "/bigquery/v2/",
		"batchPath":   "batch",
		"schemas":     map[string]any{"DatasetList": map[string]any{"id": "DatasetList", "type": "object"}},
		"resources": map[string]any{"datasets": map[string]any{"methods": map[string]any{"list": map[string]any{
			"id":             "bigquery.datasets.list",
			"path":           "projects/{projectId}/datasets",
			"httpMethod":     http.MethodGet,
			"parameterOrder": []string{"projectId"},
			"response":       map[string]any{"$ref": "DatasetList"},
			"parameters": map[string]any{
				"projectId":  map[string]any{"type": "string", "location": "path", "required": true},
				"all":        parameter("boolean", "query"),
				"filter":     parameter("string", "query"),
				"maxResults": parameter("integer", "query"),
				"pageToken":  parameter("string", "query"),
			},
		}}}},
	}
}
