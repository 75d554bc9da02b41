package test

import (
	"encoding/base64"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"bitbucket-oidc/test/cloud"
)

// planned are the attributes that a record was planned with, each of which some case must have compared with the exchange. Lists are
// without their index.
const planned = `
category_uid category_name class_uid class_name activity_id activity_name type_uid type_name
time timezone_offset duration
metadata/version metadata/uid metadata/event_code metadata/log_name metadata/log_provider metadata/correlation_uid metadata/sequence
metadata/tenant_uid metadata/logged_time metadata/profiles
metadata/product/name metadata/product/vendor_name metadata/product/uid metadata/product/version metadata/product/feature/name
actor/app_name actor/app_uid actor/idp/name actor/idp/issuer actor/idp/uid actor/idp/protocol_name
actor/user/type_id actor/user/type actor/user/name actor/user/uid actor/user/uid_alt actor/user/org/name actor/user/org/uid
actor/session/uid actor/session/issuer actor/session/created_time actor/session/is_remote
authentication_token/type_id authentication_token/type authentication_token/created_time authentication_token/expiration_time
authentication_token/is_renewable
auth_protocol_id auth_protocol logon_type_id logon_type is_remote is_mfa is_new_logon
user/type_id user/type user/name user/uid user/email_addr user/account/uid user/account/type_id user/account/type
service/name dst_endpoint/hostname dst_endpoint/port
cloud/provider cloud/region cloud/account/uid cloud/account/type_id cloud/account/type cloud/cloud_partition
api/operation api/version api/service/name api/request/uid
api/response/code api/response/error api/response/error_message api/response/message
session/uid session/uid_alt session/credential_uid session/created_time session/expiration_time session/issuer session/is_remote
session/expiration_reason
status_id status status_code status_detail severity_id severity message
action_id action disposition_id disposition
policy/name policy/uid policy/version policy/is_applied
authorizations/decision authorizations/policy/name authorizations/policy/uid authorizations/policy/version authorizations/policy/is_applied
firewall_rule/name firewall_rule/uid firewall_rule/version is_alert
unmapped/bitbucket.branch unmapped/bitbucket.commit unmapped/bitbucket.build_number unmapped/bitbucket.deployment_environment
unmapped/bitbucket.pull_request unmapped/bitbucket.step_triggerer_uuid unmapped/bitbucket.runner
unmapped/token.audience unmapped/token.kid unmapped/token.alg unmapped/token.sha256
unmapped/aws.chain unmapped/requested.duration unmapped/requested.session_policy_sha256
observables/name observables/type_id observables/type observables/value
`

// added are what a record holds beyond the plan.
const added = `
unmapped/bitbucket.tag unmapped/token.branch unmapped/token.deployment_environment_uuid
unmapped/target unmapped/requested.target unmapped/requested.narrowed unmapped/requested.session_policies unmapped/requested.audience
unmapped/requested.scopes unmapped/gcp.provider unmapped/gcp.delegates unmapped/aws.way_request_uids
unmapped/request.uid unmapped/command.uid unmapped/login.refused unmapped/guard.RULE
guard.input/now
guard.input/claims/issuer guard.input/claims/audience guard.input/claims/subject guard.input/claims/expires guard.input/claims/issuedAt
guard.input/claims/workspaceUuid guard.input/claims/repositoryUuid guard.input/claims/deploymentEnvironmentUuid guard.input/claims/branchName
guard.input/claims/pipelineUuid guard.input/claims/stepUuid
guard.input/request/backend guard.input/request/name guard.input/request/target guard.input/request/account guard.input/request/project
guard.input/request/duration guard.input/request/policies guard.input/request/chain guard.input/request/audience guard.input/request/scopes
guard.input/request/resource
guard.input/env/repository guard.input/env/branch guard.input/env/tag guard.input/env/pullRequest guard.input/env/environment
guard.input/env/commit guard.input/env/build guard.input/env/triggerer guard.input/pipeline/images guard.input/pipeline/file
guard.input/credential/principal guard.input/credential/account guard.input/credential/expires
`

// leftOut are attributes of the plan whose truth a step cannot know; docs/records.md says so.
var leftOut = map[string]string{
	"unmapped/bitbucket.runner": "no variable of Bitbucket's says on which runner a step ran",
}

// plain is the attribute of a path: without the index in a list and without the name of a guardrail.
func plain(path string) string {
	parts := slices.DeleteFunc(strings.Split(path, "/"), func(part string) bool { return index.MatchString(part) })
	path = strings.Join(parts, "/")
	if strings.HasPrefix(path, "unmapped/guard.") {
		return "unmapped/guard.RULE"
	}
	return path
}

var (
	index     = regexp.MustCompile(`^[0-9]+$`)
	versionOf = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
)

// complete fails if an attribute was never compared, or was compared and is in no list.
func complete(t *testing.T, compared map[string]bool) {
	t.Helper()
	known := map[string]bool{}
	for _, path := range strings.Fields(planned + added) {
		known[path] = true
		if leftOut[path] == "" && !compared[path] {
			t.Errorf("%s was not seen in any record", path)
		}
	}
	for _, path := range slices.Sorted(maps.Keys(compared)) {
		if !known[path] || leftOut[path] != "" {
			t.Errorf("%s is in records, and in no list: name it, and say in docs/records.md what it means", path)
		}
	}
}

// check holds a record against what it must say; nothing more and nothing less. An empty text in want is a value that is not there.
func (tr *truth) check(got map[string]string, parts ...map[string]string) {
	tr.t.Helper()
	want := map[string]string{
		"time": span(tr.from.UnixMilli(), tr.to.UnixMilli()), "metadata/logged_time": got["time"] + "…" + fmt.Sprint(tr.to.UnixMilli()),
		"unmapped/token.kid": keyOf(tr.token), "unmapped/command.uid": tr.command,
	}
	for _, part := range parts {
		maps.Copy(want, part)
	}
	maps.DeleteFunc(want, func(_, value string) bool { return value == "" })
	if want["session/created_time"] == "decided" {
		want["session/created_time"] = got["time"]
	}
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
	if id := got["metadata/uid"]; !versionOf.MatchString(id) || tr.ids[id] {
		tr.t.Errorf("metadata.uid %s is no UUID of version 7, or another record has it too", id)
	}
	tr.ids[got["metadata/uid"]] = true
	tr.compared["metadata/uid"] = true
	for _, path := range slices.Sorted(maps.Keys(want)) {
		if !within(got[path], want[path]) {
			tr.t.Errorf("%s is %q, and the truth is %q", path, got[path], want[path])
		}
		tr.compared[plain(path)] = true
	}
	for _, path := range slices.Sorted(maps.Keys(got)) {
		if want[path] == "" && path != "metadata/uid" {
			tr.t.Errorf("%s is %q, and nothing holds it to the truth", path, got[path])
		}
	}
}

// keyOf is the id of the key that signed a token, as the token's header says.
func keyOf(token string) string {
	first, _, _ := strings.Cut(token, ".")
	header, _ := base64.RawURLEncoding.DecodeString(first)
	return flat(header)["kid"]
}

// always is what every record of the step has.
func (tr *truth) always(feature string) map[string]string {
	issuer := tr.world.Issuer.URL()
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
		"unmapped/bitbucket.branch": tr.variables["BITBUCKET_BRANCH"], "unmapped/bitbucket.build_number": tr.variables["BITBUCKET_BUILD_NUMBER"],
		"unmapped/bitbucket.commit": commit, "unmapped/bitbucket.step_triggerer_uuid": triggerer, "unmapped/bitbucket.tag": tr.variables["BITBUCKET_TAG"],
		"unmapped/bitbucket.deployment_environment": tr.variables["BITBUCKET_DEPLOYMENT_ENVIRONMENT"],
		"unmapped/bitbucket.pull_request":           tr.variables["BITBUCKET_PR_ID"],
		"unmapped/token.branch":                     tr.step.Branch, "unmapped/token.deployment_environment_uuid": tr.step.EnvironmentUUID,
		"unmapped/token.audience": tr.step.WorkspaceAudience(), "unmapped/token.sha256": digestOf(tr.token), "unmapped/token.alg": "RS256",
	}
}

// saw is what guardrails could see: of the step, of the checkout, of the request, and of what was handed out if anything was.
func (tr *truth) saw(request ...map[string]string) map[string]string {
	const utc = "2006-01-02T15:04:05Z"
	all := map[string]string{
		"claims/issuer": tr.world.Issuer.URL(), "claims/audience/0": tr.step.WorkspaceAudience(), "claims/subject": tr.step.Subject(),
		"claims/expires": tr.step.Expires.UTC().Format(utc), "claims/issuedAt": tr.step.Issued.UTC().Format(utc),
		"claims/workspaceUuid": tr.step.WorkspaceUUID, "claims/repositoryUuid": tr.step.RepositoryUUID,
		"claims/deploymentEnvironmentUuid": tr.step.EnvironmentUUID, "claims/branchName": tr.step.Branch, "claims/pipelineUuid": tr.step.PipelineUUID,
		"claims/stepUuid": tr.step.StepUUID,
		"env/repository":  "acme/shop", "env/branch": tr.variables["BITBUCKET_BRANCH"], "env/tag": tr.variables["BITBUCKET_TAG"],
		"env/pullRequest": tr.variables["BITBUCKET_PR_ID"], "env/environment": tr.variables["BITBUCKET_DEPLOYMENT_ENVIRONMENT"],
		"env/commit": commit, "env/build": tr.variables["BITBUCKET_BUILD_NUMBER"], "env/triggerer": triggerer,
		"pipeline/images/0": truthImage, "pipeline/file": "bitbucket-pipelines.yml",
		"request/name": "default", "request/policies": "[]", "request/chain": "[]", "request/scopes": "[]", "request/duration": "0s",
	}
	for _, part := range request {
		maps.Copy(all, part)
	}
	below := map[string]string{"guard.input/now": span(tr.from.UnixMilli(), tr.to.UnixMilli())}
	for path, value := range all {
		below["guard.input/"+path] = value
	}
	return below
}
