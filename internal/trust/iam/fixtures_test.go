package iam

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/document"
	"bitbucket-oidc/internal/oidc"
	"bitbucket-oidc/internal/trust"
)

// The tests are about a step of one repository of a workspace, on a deployment or off deployments.
const (
	awsWorkspace = "922e118c-f34f-4226-a897-0e0afbec553d"
	awsRepo      = "{1de489be-ce6a-42a0-a8c8-eadbf1174ac7}"
	awsEnv       = "{bd715740-c970-486b-b68a-b421ec2a1f8b}"
	awsStep      = "{759de0c6-eaee-4eaa-b7a6-c507eec759a7}"
	awsOther     = "{66666666-5555-4333-8111-aaaabbbbcccc}" // a repository of somebody else
	awsIssuer    = "api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc"
	awsAudience  = "ari:cloud:bitbucket::workspace/" + awsWorkspace
	awsAccount   = "123456789012"
	awsARN       = "arn:aws:iam::" + awsAccount + ":oidc-provider/" + awsIssuer
)

// awsDeployment is the identity of a deployment step, with custom audiences.
func awsDeployment(audiences ...string) bitbucket.Identity {
	id := awsBuild(audiences...)
	id.Claims.Subject = awsRepo + ":" + awsEnv + ":" + awsStep
	id.Claims.DeploymentEnvironmentUUID = awsEnv
	id.All["sub"], id.All["deploymentEnvironmentUuid"] = id.Claims.Subject, awsEnv
	return id
}

// awsBuild is the identity of a step off deployments.
func awsBuild(audiences ...string) bitbucket.Identity {
	c := oidc.Claims{
		Issuer: "https://" + awsIssuer, Subject: awsRepo + ":" + awsStep, Audience: append([]string{awsAudience}, audiences...),
		RepositoryUUID: awsRepo, WorkspaceUUID: "{" + awsWorkspace + "}", StepUUID: awsStep,
		PipelineUUID: "{0f0f0f0f-0000-4000-8000-0f0f0f0f0f0f}", BranchName: "main",
	}
	return bitbucket.Identity{Claims: c, All: map[string]any{
		"iss": c.Issuer, "sub": c.Subject, "repositoryUuid": awsRepo, "workspaceUuid": c.WorkspaceUUID, "stepUuid": awsStep,
		"pipelineUuid": c.PipelineUUID, "branchName": "main",
	}}
}

// awsTrust is a statement in which everything but the condition is right.
func awsTrust(effect, condition string) string {
	return fmt.Sprintf(`{"Effect": %q, "Principal": {"Federated": %q}, "Action": "sts:AssumeRoleWithWebIdentity", "Condition": %s}`,
		effect, awsARN, expandIssuer(condition))
}

// expandIssuer replaces @: in condition keys by the issuer, as in @:sub.
func expandIssuer(s string) string { return strings.ReplaceAll(s, `"@`, `"`+awsIssuer) }

// awsPolicy is a policy of statements.
func awsPolicy(statements ...string) string {
	return `{"Version": "2012-10-17", "Statement": [` + strings.Join(statements, ",\n") + `]}`
}

// inRepository and inEnvironment are values for all steps of the repository, and for its deployments to the environment.
const (
	inRepository  = awsRepo + ":*"
	inEnvironment = awsRepo + ":" + awsEnv + ":*"
)

// onlyAudience guards by the audience alone.
const onlyAudience = `{"StringEquals": {"@:aud": "` + awsAudience + `"}}`

// goodConditions guard by audience, repository and environment.
const goodConditions = `{"StringEquals": {"@:aud": "` + awsAudience + `"}, "StringLike": {"@:sub": "` + inEnvironment + `"}}`

// both is a condition block of two blocks with different operators.
func both(a, b string) string { return strings.TrimSuffix(a, "}") + ", " + strings.TrimPrefix(b, "{") }

// awsConditions is a condition block on a subject and an audience, each with its operator.
func awsConditions(subOperator, sub, audOperator, aud string) string {
	return fmt.Sprintf(`{%q: {"@:aud": %s}, %q: {"@:sub": %s}}`, audOperator, aud, subOperator, sub)
}

// onSubject and onAudience are condition blocks with a right condition on the other claim.
func onSubject(operator string, values ...string) string {
	return awsConditions(operator, document.Compact(values), "ForAnyValue:StringEquals", document.Compact(awsAudience))
}

func onAudience(operator string, values ...string) string {
	return awsConditions("StringLike", document.Compact(inEnvironment), operator, document.Compact(values))
}

// awsOthers is an Allow for other principals.
func awsOthers(principal, action, condition string) string {
	return fmt.Sprintf(`{"Effect": "Allow", "Principal": %s, "Action": %q, "Condition": %s}`, principal, action, condition)
}

// forEveryone replaces the provider in a statement by everyone.
func forEveryone(statement string) string {
	return strings.Replace(statement, `{"Federated": "`+awsARN+`"}`, `{"AWS": "*"}`, 1)
}

// Roles judges the roles of a document.
func Roles(data []byte, id bitbucket.Identity, o trust.Options) ([]trust.Result, bool, error) {
	f, err := document.Read("", data)
	if err != nil {
		return nil, false, nil
	}
	roles, ok, err := Read(f)
	if !ok || err != nil {
		return nil, ok, err
	}
	results := []trust.Result{}
	for _, role := range roles {
		if role.Concerns(id) {
			results = append(results, role.Judge(id, o))
		}
	}
	return results, true, nil
}

// provided judges an OIDC provider.
func provided(data []byte, id bitbucket.Identity, o trust.Options) ([]trust.Result, bool, error) {
	f, err := document.Read("", data)
	if err != nil {
		return nil, false, nil
	}
	p, ok := ReadProvider(f)
	if !ok {
		return nil, false, nil
	}
	return []trust.Result{p.Judge(id, o)}, true, nil
}

// judgeAWS judges a document of one role.
func judgeAWS(t *testing.T, document string, id bitbucket.Identity) trust.Result {
	t.Helper()
	results, ok, err := Roles([]byte(document), id, trust.Options{Duration: time.Hour})
	if err != nil || !ok || len(results) != 1 {
		t.Fatalf("%d results, %t, %v for\n%s", len(results), ok, err, document)
	}
	return trust.Whole(results[0])
}

// awsFindings lists the rules that the text of a document breaks. Findings about others are left out: they have a witness.
func awsFindings(r trust.Result) []string {
	rules := []string{}
	for _, f := range r.Findings {
		if f.Witness == nil {
			rules = append(rules, f.Rule)
		}
	}
	slices.Sort(rules)
	return slices.Compact(rules)
}
