package test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"bitbucket-oidc/internal/record/ocsftest"
	"bitbucket-oidc/test/cloud"
)

// A truth is a step whose records are held against what really happened: the claims that were signed, the requests that were made, the
// answers that were given.
type truth struct {
	t        *testing.T
	pipe     string
	world    *cloud.World
	others   *cloud.Others
	clone    string
	step     cloud.Step
	token    string
	from, to time.Time // of the run

	mu  sync.Mutex
	ids []string // of AWS's answers
}

const (
	triggerer    = "{5d1f0000-0000-4000-8000-000000000000}"
	commit       = "3f1c2ab4d5e6f708192a3b4c5d6e7f8091a2b3c4"
	inlinePolicy = `{"Version":"2012-10-17","Statement":[]}`
	truthRules   = "version: 1\nrules:\n  - {name: any-branch, require: claims.branchName != '', message: A branch.}\n" +
		"  - {name: short, require: credential.expires - now <= duration('2h'), message: Short.}\n" +
		"  - {name: no-admin, require: \"!request.target.endsWith('admin')\", message: No administrator.}\n"
)

func newTruth(t *testing.T, pipe string) *truth {
	t.Helper()
	issuer, err := cloud.NewIssuer(cloud.WorkspaceIssuerURL(cloud.Workspace))
	if err != nil {
		t.Fatal(err)
	}
	tr := &truth{t: t, pipe: pipe, clone: t.TempDir(), step: cloud.DefaultStep()}
	if tr.world, err = cloud.Start(issuer); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tr.world.Close)
	if tr.others, err = cloud.StartOthers(issuer); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tr.others.Close)
	tr.step.EnvironmentUUID = cloud.EnvironmentUUID
	tr.token = issuer.Sign(tr.step.Claims(issuer.URL()))
	tr.world.STS.Inject(cloud.Repeat(16, func(w http.ResponseWriter, r *http.Request, fake http.Handler) {
		answer := httptest.NewRecorder()
		fake.ServeHTTP(answer, r)
		tr.mu.Lock()
		tr.ids = append(tr.ids, answer.Header().Get("X-Amzn-Requestid"))
		tr.mu.Unlock()
		maps.Copy(w.Header(), answer.Header())
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes())
	})...)
	return tr
}

// records are those of a run, flat: the path of each value, and the value as JSON.
func (tr *truth) records(command string, status int, variables ...string) []map[string]string {
	tr.t.Helper()
	file := filepath.Join(tr.clone, "records.jsonl")
	_ = os.Remove(file)
	cmd := exec.CommandContext(tr.t.Context(), tr.pipe, command)
	cmd.Dir = tr.clone
	cmd.Env = slices.Concat([]string{
		"BITBUCKET_CLONE_DIR=" + tr.clone, "BITBUCKET_STEP_OIDC_TOKEN=" + tr.token, "BITBUCKET_WORKSPACE=" + cloud.Workspace,
		"BITBUCKET_REPO_SLUG=shop", "BITBUCKET_REPO_FULL_NAME=acme/shop", "BITBUCKET_BUILD_NUMBER=42", "BITBUCKET_BRANCH=main", "BITBUCKET_COMMIT=" + commit,
		"BITBUCKET_DEPLOYMENT_ENVIRONMENT=production", "BITBUCKET_STEP_TRIGGERER_UUID=" + triggerer, "RECORD_FILE=records.jsonl",
	}, tr.world.Endpoints(), variables)
	tr.from = time.Now()
	out, _ := cmd.CombinedOutput()
	tr.to = time.Now()
	if got := cmd.ProcessState.ExitCode(); got != status {
		tr.t.Fatalf("exit status %d, want %d:\n%s", got, status, out)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		tr.t.Fatal(err)
	}
	if err := cloud.CheckText(strings.ReplaceAll(string(data), "ASIA", ""), tr.world.Secrets()); err != nil {
		tr.t.Error(err)
	}
	var all []map[string]string
	for line := range bytes.Lines(data) {
		for _, problem := range ocsftest.Problems(bytes.TrimSpace(line)) {
			tr.t.Error(problem)
		}
		var value any
		dec := json.NewDecoder(bytes.NewReader(line))
		dec.UseNumber()
		if err := dec.Decode(&value); err != nil {
			tr.t.Fatal(err)
		}
		one := map[string]string{}
		flatten(one, "", value)
		all = append(all, one)
	}
	return all
}

func flatten(into map[string]string, path string, value any) {
	switch v := value.(type) {
	case map[string]any:
		for name, inner := range v {
			flatten(into, strings.TrimPrefix(path+"/"+name, "/"), inner)
		}
	case []any:
		for i, inner := range v {
			flatten(into, fmt.Sprintf("%s/%d", path, i), inner)
		}
	default:
		into[path] = fmt.Sprint(v)
	}
}

// always is what every record of the step has.
func (tr *truth) always(feature string) map[string]string {
	issuer := tr.world.Issuer.URL()
	sum := sha256.Sum256([]byte(tr.token))
	return map[string]string{
		"category_uid": "3", "category_name": "Identity & Access Management", "class_uid": "3002", "class_name": "Authentication", "timezone_offset": "0",
		"metadata/version": "1.6.0", "metadata/log_name": "bitbucket-oidc.audit", "metadata/log_provider": "bitbucket-oidc",
		"metadata/correlation_uid": tr.step.StepUUID, "metadata/tenant_uid": tr.step.WorkspaceUUID,
		"metadata/product/name": "bitbucket-oidc", "metadata/product/vendor_name": "bitbucket-oidc", "metadata/product/uid": "bitbucket-oidc",
		"metadata/product/version": "dev", "metadata/product/feature/name": feature,
		"actor/app_name": "bitbucket-pipelines", "actor/app_uid": tr.step.PipelineUUID,
		"actor/idp/name": "Bitbucket Pipelines", "actor/idp/uid": issuer, "actor/idp/issuer": issuer, "actor/idp/protocol_name": "OpenID Connect",
		"actor/user/type_id": "4", "actor/user/type": "Service", "actor/user/name": "acme/shop", "actor/user/uid": tr.step.Subject(),
		"actor/user/uid_alt": tr.step.RepositoryUUID, "actor/user/org/name": cloud.Workspace, "actor/user/org/uid": tr.step.WorkspaceUUID,
		"actor/session/uid": tr.step.StepUUID, "actor/session/issuer": issuer, "actor/session/is_remote": "true",
		"actor/session/created_time":   fmt.Sprint(tr.step.Issued.Unix() * 1000),
		"authentication_token/type_id": "3", "authentication_token/type": "Identity Token", "authentication_token/is_renewable": "false",
		"authentication_token/created_time":    fmt.Sprint(tr.step.Issued.Unix() * 1000),
		"authentication_token/expiration_time": fmt.Sprint(tr.step.Expires.Unix() * 1000),
		"auth_protocol_id":                     "4", "auth_protocol": "OpenID", "logon_type_id": "3", "logon_type": "Network", "is_remote": "true", "is_mfa": "false",
		"user/type_id": "4", "user/type": "Service",
		"unmapped/bitbucket.branch": "main", "unmapped/bitbucket.build_number": "42", "unmapped/bitbucket.commit": commit,
		"unmapped/bitbucket.deployment_environment": "production", "unmapped/bitbucket.step_triggerer_uuid": triggerer,
		"unmapped/token.branch": tr.step.Branch, "unmapped/token.deployment_environment_uuid": tr.step.EnvironmentUUID,
		"unmapped/token.audience": tr.step.WorkspaceAudience(), "unmapped/token.sha256": hex.EncodeToString(sum[:]), "unmapped/token.alg": "RS256",
	}
}

// caption adds a number of the schema's and its caption.
func caption(into map[string]string, name, number, text string) {
	into[name+"_id"], into[name] = number, text
}

// ends says how it ended.
func ends(activity, name, status, action, disposition, how, severity string) map[string]string {
	m := map[string]string{
		"activity_id": activity, "activity_name": name, "type_uid": "30020" + activity, "type_name": "Authentication: " + name,
		"is_alert": "false", "is_new_logon": "false",
	}
	caption(m, "status", status, map[string]string{"1": "Success", "2": "Failure"}[status])
	caption(m, "action", action, map[string]string{"1": "Allowed", "2": "Denied"}[action])
	caption(m, "disposition", disposition, how)
	caption(m, "severity", map[string]string{"Informational": "1", "High": "4"}[severity], severity)
	return m
}

// check holds a record against what it must say; nothing more and nothing less. An empty text in want is a value that is not there.
func (tr *truth) check(got map[string]string, parts ...map[string]string) {
	tr.t.Helper()
	want := map[string]string{}
	for _, part := range parts {
		maps.Copy(want, part)
	}
	number := func(path string) int64 {
		n, err := json.Number(got[path]).Int64()
		if err != nil {
			tr.t.Errorf("%s is %q", path, got[path])
		}
		return n
	}
	for _, path := range []string{"time", "metadata/logged_time"} {
		if n := number(path); n < tr.from.UnixMilli() || n > tr.to.UnixMilli() {
			tr.t.Errorf("%s is %d, and the run went from %d to %d", path, n, tr.from.UnixMilli(), tr.to.UnixMilli())
		}
	}
	if n := got["duration"]; n != "" && (number("duration") < 0 || number("duration") > tr.to.Sub(tr.from).Milliseconds()) {
		tr.t.Errorf("duration %s", n)
	}
	if id := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`); !id.MatchString(got["metadata/uid"]) {
		tr.t.Errorf("metadata.uid %s", got["metadata/uid"])
	}
	if want["session/created_time"] == "decided" {
		want["session/created_time"] = got["time"]
	}
	if kid := got["unmapped/token.kid"]; kid == "" || !strings.Contains(headerOf(tr.token), `"kid":"`+kid+`"`) {
		tr.t.Errorf("token.kid %q", kid)
	}
	judged := []string{"time", "metadata/logged_time", "metadata/uid", "duration", "unmapped/token.kid", "unmapped/command.uid", "unmapped/guard.input"}
	i := 0
	for _, name := range []string{"name", "uid"} { // observables repeat the user
		if value := want["user/"+name]; value != "" {
			at := fmt.Sprintf("observables/%d/", i)
			want[at+"name"], want[at+"value"] = "user."+name, value
			want[at+"type_id"] = map[string]string{"name": "4", "uid": "31"}[name]
			want[at+"type"] = map[string]string{"name": "User Name", "uid": "User Object: uid"}[name]
			i++
		}
	}
	for _, path := range slices.Sorted(maps.Keys(want)) {
		if got[path] != want[path] {
			tr.t.Errorf("%s is %q, and the truth is %q", path, got[path], want[path])
		}
	}
	for _, path := range slices.Sorted(maps.Keys(got)) {
		if _, known := want[path]; !known && !slices.Contains(judged, path) {
			tr.t.Errorf("%s is %q, and nothing holds it to the truth", path, got[path])
		}
	}
}

func headerOf(token string) string {
	first, _, _ := strings.Cut(token, ".")
	header, _ := base64.RawURLEncoding.DecodeString(first)
	return string(header)
}

// at is the host and the port of a server.
func at(server *cloud.Server) map[string]string {
	u, _ := url.Parse(server.URL)
	return map[string]string{"dst_endpoint/hostname": u.Hostname(), "dst_endpoint/port": u.Port()}
}

// asked is what was asked for at AWS.
func (tr *truth) asked() map[string]string {
	return map[string]string{
		"user/uid": cloud.RoleARN, "user/name": "bitbucket-shop-42",
		"user/account/uid": cloud.AWSAccount, "user/account/type_id": "10", "user/account/type": "AWS Account",
		"unmapped/target": "aws default", "unmapped/requested.target": cloud.RoleARN, "unmapped/requested.duration": "3600",
	}
}

// byAWS is who decided.
func (tr *truth) byAWS(operation, service, version, region string, code string) map[string]string {
	return map[string]string{
		"metadata/profiles/0": "cloud", "metadata/profiles/1": "security_control",
		"cloud/provider": "AWS", "cloud/region": region, "cloud/cloud_partition": "aws",
		"cloud/account/uid": cloud.AWSAccount, "cloud/account/type_id": "10", "cloud/account/type": "AWS Account",
		"api/operation": operation, "api/version": version, "api/service/name": service, "service/name": service,
		"api/request/uid": tr.lastID(), "api/response/code": code,
	}
}

func (tr *truth) lastID() string {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if len(tr.ids) == 0 {
		return ""
	}
	return tr.ids[len(tr.ids)-1]
}

// session is the one whose keys were written.
func (tr *truth) session() cloud.Session {
	tr.t.Helper()
	text, err := os.ReadFile(filepath.Join(tr.clone, ".bitbucket-oidc/aws/credentials"))
	if err != nil {
		tr.t.Fatal(err)
	}
	_, id, _ := strings.Cut(string(text), "aws_access_key_id = ")
	id, _, _ = strings.Cut(id, "\n")
	s, ok := tr.world.AWS.Session(id)
	if !ok {
		tr.t.Fatalf("AWS knows of no key %s", id)
	}
	return s
}

func (tr *truth) handedOut(s cloud.Session) map[string]string {
	return map[string]string{
		"session/uid": s.Principal(), "session/uid_alt": s.AssumedRoleID(), "session/credential_uid": s.AccessKeyID, "session/issuer": cloud.RoleARN,
		"session/created_time": "decided", "session/expiration_time": fmt.Sprint(s.Expires.UnixMilli()), "session/is_remote": "true",
	}
}

// judgedBy is a file of guardrails and what it said.
func judgedBy(decision string, outcomes ...string) map[string]string {
	sum := sha256.Sum256([]byte(truthRules))
	m := map[string]string{"authorizations/0/decision": decision}
	for _, path := range []string{"policy/", "authorizations/0/policy/"} {
		m[path+"name"], m[path+"uid"], m[path+"version"], m[path+"is_applied"] = "guard.yaml", "sha256:"+hex.EncodeToString(sum[:]), commit, "true"
	}
	for i := 0; i < len(outcomes); i += 2 {
		m["unmapped/guard."+outcomes[i]] = outcomes[i+1]
	}
	return m
}

var (
	onlyControl = map[string]string{"metadata/profiles/0": "security_control"}
	success     = ends("1", "Logon", "1", "1", "1", "Allowed", "Informational")
	newLogon    = map[string]string{"is_new_logon": "true"}
)

func event(code string, sequence int, message string) map[string]string {
	return map[string]string{"metadata/event_code": code, "metadata/sequence": fmt.Sprint(sequence), "message": message}
}
