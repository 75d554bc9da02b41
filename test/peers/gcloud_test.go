package peers

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"bitbucket-oidc/test/cloud"
)

const (
	poolName     = "projects/210987654321/locations/global/workloadIdentityPools/pipelines"
	providerName = poolName + "/providers/bitbucket"
)

// TestGcloud pastes what explain and check print into a shell: gcloud takes each command, and what it makes of them is what check
// then finds nothing to say about.
func TestGcloud(t *testing.T) {
	t.Parallel()
	const name = "gcloud iam"
	if _, err := exec.LookPath("gcloud"); err != nil {
		verdicts.skip(t, name, err.Error())
	}
	verdicts.ran(name)
	iam := &googleIAM{}
	server := httptest.NewServer(iam)
	t.Cleanup(server.Close)
	home := t.TempDir()
	shell := func(script string) {
		t.Helper()
		out, err := run(t, home, []string{
			"PATH=" + os.Getenv("PATH"),
			"HOME=" + home,
			"CLOUDSDK_CORE_DISABLE_PROMPTS=1",
			"CLOUDSDK_CORE_DISABLE_USAGE_REPORTING=true",
			"CLOUDSDK_AUTH_DISABLE_CREDENTIALS=true",
			"CLOUDSDK_API_ENDPOINT_OVERRIDES_IAM=" + server.URL + "/",
			"HTTPS_PROXY=" + deadProxy,
			"NO_PROXY=127.0.0.1",
		}, "sh", "-euc", script)
		if err != nil {
			t.Fatalf("%s\n%v\n%s", script, err, out)
		}
	}

	places := []string{"--gcp-project-number", "210987654321", "--gcp-pool", "pipelines", "--gcp-provider", "bitbucket",
		"--gcp-service-account", cloud.ServiceAccountEmail}
	text, err := exec.Command(pipe, slices.Concat([]string{"explain"}, identity(), places)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, section := range strings.Split(string(text), "\n\n") {
		if strings.HasPrefix(section, "# Google Cloud") {
			shell(section)
		}
	}
	if !slices.Equal(iam.pools, []string{poolName}) || iam.provider["name"] != providerName {
		t.Fatalf("made %q and %v", iam.pools, iam.provider["name"])
	}

	provider, policy := filepath.Join(home, "provider.json"), filepath.Join(home, "policy.json")
	shell("gcloud iam workload-identity-pools providers describe " + providerName + " --format=json >provider.json")
	shell("gcloud iam service-accounts get-iam-policy " + cloud.ServiceAccountEmail + " --format=json >policy.json")
	if verdicts, findings := judge(t, provider, policy); verdicts != "allow allow" || findings != nil {
		t.Fatalf("what explain says: %s, %v", verdicts, findings)
	}

	oidc := func(issuer string, audiences ...any) map[string]any {
		return map[string]any{"issuerUri": issuer, "allowedAudiences": audiences}
	}
	for _, fault := range []struct {
		rule, field string
		value       any
	}{
		{"gcp-provider-disabled", "disabled", true},
		{"gcp-condition-rejects", "attributeCondition", "assertion.repositoryUuid == '2e9e429c'"},
		{"gcp-issuer-mismatch", "oidc", oidc(issuer.URL()+"/", cloud.DefaultStep().WorkspaceAudience())},
		{"gcp-audience-mismatch", "oidc", oidc(issuer.URL(), "https://a.example")},
		{"gcp-mapping-absent-claim", "attributeMapping", map[string]any{
			"google.subject": "assertion.sub", "attribute.repository_uuid": "assertion.repositoryUuid",
			"attribute.environment": "assertion.deploymentEnvironmentUuid",
		}},
	} {
		iam.provider[fault.field] = fault.value
		iam.describe(t, provider)
		_, findings := judge(t, provider, policy)
		if len(findings) != 1 || findings[0].Rule != fault.rule {
			t.Errorf("%s: found %v", fault.rule, findings)
			continue
		}
		shell(findings[0].Fix.Text)
		iam.describe(t, provider)
		if verdicts, findings := judge(t, provider, policy); verdicts != "allow allow" || findings != nil {
			t.Errorf("%s: mended, %s, %v", fault.rule, verdicts, findings)
		}
	}
}

// A finding is one of check's.
type finding struct {
	Rule string
	Fix  struct{ Text string }
}

// judge is what check says about files: the verdicts, and all findings.
func judge(t *testing.T, files ...string) (verdicts string, findings []finding) {
	t.Helper()
	out, _ := exec.Command(pipe, slices.Concat([]string{"check", "--format", "json"}, identity(), files)...).Output()
	var judged struct {
		Results []struct {
			Verdict  string
			Findings []finding
		}
	}
	if err := json.Unmarshal(out, &judged); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, r := range judged.Results {
		verdicts += " " + r.Verdict
		findings = append(findings, r.Findings...)
	}
	return strings.TrimPrefix(verdicts, " "), findings
}

// describe writes what gcloud prints of the provider.
func (g *googleIAM) describe(t *testing.T, file string) {
	t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	data, err := json.Marshal(g.provider)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// googleIAM is as much of Google's IAM API as a pool, its provider and a service account's policy take. It keeps what it is sent.
type googleIAM struct {
	mu       sync.Mutex
	pools    []string
	provider map[string]any
	policy   map[string]any
}

func (g *googleIAM) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	var sent map[string]any
	if r.Method != http.MethodGet {
		if err := json.NewDecoder(r.Body).Decode(&sent); err != nil && !errors.Is(err, io.EOF) { // a question is a POST without a body
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
	}
	done := map[string]any{"name": poolName + "/operations/1", "done": true, "response": map[string]any{}}
	const account = "/v1/projects/my-project/serviceAccounts/" + cloud.ServiceAccountEmail
	answer, query := done, r.URL.Query()
	path := strings.Replace(r.URL.Path, "/projects/-/", "/projects/my-project/", 1) // the project that the e-mail names
	switch r.Method + " " + path {
	case "POST /v1/projects/210987654321/locations/global/workloadIdentityPools":
		g.pools = append(g.pools, "projects/210987654321/locations/global/workloadIdentityPools/"+query.Get("workloadIdentityPoolId"))
	case "POST /v1/" + poolName + "/providers":
		g.provider = sent
		g.provider["name"], g.provider["state"] = poolName+"/providers/"+query.Get("workloadIdentityPoolProviderId"), "ACTIVE"
	case "PATCH /v1/" + providerName:
		for _, field := range strings.Split(query.Get("updateMask"), ",") {
			if err := patch(g.provider, sent, strings.Split(field, ".")); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
		}
	case "GET /v1/" + providerName:
		answer = g.provider
	case "POST " + account + ":getIamPolicy":
		answer = g.policy
	case "POST " + account + ":setIamPolicy":
		g.policy, _ = sent["policy"].(map[string]any)
		answer = g.policy
	default:
		http.Error(w, r.Method+" "+r.URL.Path, http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if answer == nil {
		answer = map[string]any{"etag": "ACAB", "version": 1}
	}
	_ = json.NewEncoder(w).Encode(answer) // a client that left is the client's business
}

// patch sets in place what path names to what sent has there.
func patch(place, sent map[string]any, path []string) error {
	value, ok := sent[path[0]]
	if len(path) == 1 {
		place[path[0]] = value
		return nil
	}
	inner, isObject := value.(map[string]any)
	if !ok || !isObject {
		return fmt.Errorf("no %s in what was sent", path[0])
	}
	old, _ := place[path[0]].(map[string]any)
	kept := maps.Clone(old)
	place[path[0]] = kept
	return patch(kept, inner, path[1:])
}
