package setup

import (
	"fmt"
	"strings"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/oidc"
	"bitbucket-oidc/internal/shell"
)

// onlySubject reports whether claims have the repository or the deployment environment only in the subject. The claims of a step have a
// claim for each as well; claims that a person wrote down may not.
func onlySubject(c oidc.Claims) bool {
	return c.RepositoryUUID == "" || c.DeploymentEnvironmentUUID != c.Environment()
}

// GCPMappingFor is [GCPMapping] with claims that c has: it reads the subject if only the subject has the identity.
func GCPMappingFor(c oidc.Claims) string {
	if !onlySubject(c) {
		return GCPMapping()
	}
	const repository = "assertion.sub.extract('{repository}:')"
	return "google.subject=assertion.sub," +
		"attribute.repository_uuid=" + repository + "," +
		"attribute.deployment=" + repository + " + ':' + assertion.sub.extract(':{environment}:')" // empty without a deployment
}

// GCPConditionFor is [GCPCondition] with claims that c has.
func GCPConditionFor(c oidc.Claims) string {
	if !onlySubject(c) {
		return GCPCondition(c)
	}
	return fmt.Sprintf("assertion.sub.startsWith('%s:')", c.Repository())
}

// GCPAttributes is [GCPMappingFor] in the form of the API.
func GCPAttributes(c oidc.Claims) map[string]string {
	all := map[string]string{}
	for _, entry := range strings.Split(GCPMappingFor(c), ",") {
		attribute, expression, _ := strings.Cut(entry, "=")
		all[attribute] = expression
	}
	return all
}

// GCPPoolName is the resource name of a workload identity pool.
func GCPPoolName(projectNumber, pool string) string {
	return "projects/" + projectNumber + "/locations/global/workloadIdentityPools/" + pool
}

// GCPProviderCommand is a gcloud command for the provider with this resource name. gcloud takes the project's number only in a resource
// name: --project must be the id, which neither the token nor the provider contains. Flags are words of a shell.
func GCPProviderCommand(verb, name string, flags ...string) string {
	return strings.Join(append([]string{"gcloud iam workload-identity-pools providers", verb, shell.Word(name)}, flags...), " ")
}

// GCPPoolEnable is the command that lets a disabled or deleted pool with this resource name accept tokens again.
func GCPPoolEnable(name, closed string) string {
	if closed == "deleted" {
		return "gcloud iam workload-identity-pools undelete " + shell.Word(name)
	}
	return "gcloud iam workload-identity-pools update " + shell.Word(name) + " --no-disabled"
}

// GCPProviderFlags are the flags of gcloud that make a provider let in exactly this repository.
func GCPProviderFlags(c oidc.Claims) []string {
	return []string{
		"--issuer-uri=" + shell.Word(c.Issuer), "--allowed-audiences=" + shell.Word(bitbucket.WorkspaceAudience(c)),
		"--attribute-mapping=" + shell.Word(GCPMappingFor(c)), "--attribute-condition=" + shell.Word(GCPConditionFor(c)),
	}
}

// GCPBinding is the command that lets a member act as a service account.
func GCPBinding(account, member string) string {
	return bindingCommand("add", account, WorkloadIdentityUser, member)
}

// GCPRevoke is the command that takes a role from a member.
func GCPRevoke(role, member string) string {
	return bindingCommand("remove", ServiceAccount, role, member)
}

// bindingCommand changes who holds a role on a service account. Without the account's project gcloud takes the project that it is
// configured with, or stops.
func bindingCommand(verb, account, role, member string) string {
	command := "gcloud iam service-accounts " + verb + "-iam-policy-binding " + shell.Word(account) +
		" --role=" + shell.Word(role) + " \\\n  --member=" + shell.Word(member)
	if project, ok := GCPProjectOf(account); ok {
		command += " --project=" + shell.Word(project)
	}
	return command
}

// GCPProjectOf is the project in a service account's e-mail. A project of a domain of its own,
// name@project.example.com.iam.gserviceaccount.com, is example.com:project.
func GCPProjectOf(email string) (project string, ok bool) {
	_, host, _ := strings.Cut(email, "@")
	id, ok := strings.CutSuffix(host, ".iam.gserviceaccount.com")
	if project, domain, scoped := strings.Cut(id, "."); scoped {
		id = domain + ":" + project
	}
	return id, ok
}

// Roles that let their members impersonate a service account: both hold iam.serviceAccounts.getAccessToken.
const (
	WorkloadIdentityUser = "roles/iam.workloadIdentityUser"
	TokenCreator         = "roles/iam.serviceAccountTokenCreator"
)

// GCPMemberName is the member for every identity in a pool that has this value of an attribute.
func GCPMemberName(project, pool, key, value string) string {
	return memberIn(GCPPoolName(project, pool), key, value)
}

func memberIn(poolName, key, value string) string {
	return "principalSet://iam.googleapis.com/" + poolName + "/" + key + "/" + value
}

// GCPMapping is the attribute mapping for a provider, in the form of gcloud's --attribute-mapping. The subject is for the
// audit log; bindings use the attributes. A member matches one attribute, hence the joined one.
func GCPMapping() string {
	return "google.subject=assertion.sub," +
		"attribute.repository_uuid=assertion.repositoryUuid," +
		"attribute.deployment=assertion.repositoryUuid + ':' + (has(assertion.deploymentEnvironmentUuid) ? assertion.deploymentEnvironmentUuid : 'none')"
}

// GCPCondition is the attribute condition for a provider: only this repository passes.
func GCPCondition(c oidc.Claims) string {
	return fmt.Sprintf("assertion.repositoryUuid == '%s'", c.Repository())
}

// GCPMember is the member of a service account's policy, or of any IAM policy, that is this repository, or this
// deployment environment of it when the step has one. UUIDs keep their braces.
func GCPMember(c oidc.Claims, projectNumber, pool string) string {
	return gcpMemberOf(c, GCPPoolName(projectNumber, pool))
}

// gcpMemberOf is GCPMember in the pool with this resource name.
func gcpMemberOf(c oidc.Claims, poolName string) string {
	attribute := "repository_uuid"
	if c.Environment() != "" {
		attribute = "deployment"
	}
	return memberIn(poolName, "attribute."+attribute, bitbucket.Subject(c))
}
