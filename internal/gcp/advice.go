package gcp

import (
	"fmt"
	"strings"
	"time"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/setup"
	"bitbucket-oidc/internal/shell"
)

// update is a gcloud command that changes the provider.
func (r request) update(flags string) string {
	return setup.GCPProviderCommand("update-oidc", r.provider.String(), flags)
}

func (r request) trustSettings() string {
	return fmt.Sprintf("the provider lets in this repository with:\n--attribute-mapping=%s\n--attribute-condition=%s",
		shell.Word(setup.GCPMapping()), shell.Word(setup.GCPCondition(r.claims)))
}

func (r request) memberText() string {
	member := setup.GCPMember(r.claims, r.provider.ProjectNumber, r.provider.Pool)
	if r.account == "" {
		return "the member to grant roles to is, braces included:\n" + member
	}
	first := r.account
	if len(r.delegates) > 0 {
		first = r.delegates[0] // the step becomes this one
	}
	return "the member that is this step, braces included, must hold roles/iam.workloadIdentityUser on the service account:\n" +
		setup.GCPBinding(first, member)
}

func (r request) allowedAudience() string {
	return fmt.Sprintf("the provider must allow the audience %s (the command replaces the list: add the audiences that it has):\n%s",
		bitbucket.WorkspaceAudience(r.claims), r.update("--allowed-audiences="+shell.Word(bitbucket.WorkspaceAudience(r.claims))))
}

func (r request) condition() []string {
	return []string{r.claims.Identity(), r.trustSettings(), r.allowedAudience(), r.memberText()}
}

func (r request) mapping() []string { return []string{r.trustSettings()} }

func (r request) audience() []string {
	return []string{r.claims.Identity(), r.allowedAudience(), r.trustSettings(), r.memberText()}
}

func (r request) issuer() []string {
	return []string{
		r.claims.Identity(),
		"the provider's issuer must be exactly the token's; it changes when the Bitbucket workspace is renamed:\n" +
			r.update("--issuer-uri="+shell.Word(r.claims.Issuer)),
	}
}

func (r request) describe() []string {
	return []string{
		"GCP_WORKLOAD_IDENTITY_PROVIDER names the project by number and ends in /providers/ID; see whether it exists and is ACTIVE:\n" +
			setup.GCPProviderCommand("describe", r.provider.String()),
	}
}

func (r request) expired() []string { return []string{r.claims.Age(time.Now())} }

func (r request) rejected() []string {
	return []string{r.claims.Identity(), r.allowedAudience(), r.trustSettings(), r.memberText()}
}

func (r request) member() []string {
	advice := []string{r.claims.Identity(), r.memberText()}
	for i, account := range r.delegates {
		next := r.account
		if i+1 < len(r.delegates) {
			next = r.delegates[i+1]
		}
		advice = append(advice, fmt.Sprintf("%s must hold roles/iam.serviceAccountTokenCreator on %s", account, next))
	}
	return append(advice, r.trustSettings(),
		"usual causes: the UUID lost its braces; the binding is on an attribute that the provider does not map; a misspelt account; "+
			"the IAM Credentials API is off in the account's project; the binding was made minutes ago")
}

func (r request) tooLong() []string {
	return []string{
		fmt.Sprintf("lower GCP_TOKEN_LIFETIME (now %s) to 1h, or list %s in the organisation policy constraints/iam.allowServiceAccountCredentialLifetimeExtension",
			r.lifetime, r.account),
	}
}

func (r request) tooNew() []string {
	return []string{"run the step again: a token is good from the moment at which Bitbucket made it", r.claims.Identity()}
}

// projects are the projects that Google may mean, each as gcloud takes it: the provider's project by number, the service account's
// project by id. It is certain only if Google names the provider's project.
func (r request) projects() []string {
	provider := r.provider.ProjectNumber
	if r.project == "" || r.consumer == provider {
		return []string{provider}
	}
	return []string{provider, r.project}
}

// enable is the advice for an API that is switched off.
func (r request) enable() []string {
	var commands []string
	for _, project := range r.projects() {
		commands = append(commands, fmt.Sprintf("gcloud services enable %s --project=%s", r.api.host, shell.Word(project)))
	}
	return []string{
		fmt.Sprintf("the %s is off in project %s: switch it on, and run the step again some minutes later:\n%s", r.api.name,
			strings.Join(r.projects(), " or "), strings.Join(commands, "\n")),
		"bindings and the provider have nothing to do with it: leave them as they are",
	}
}

func (r request) billing() []string {
	return []string{fmt.Sprintf("link a billing account to project %s: gcloud billing projects link %s --billing-account=BILLING_ACCOUNT_ID",
		strings.Join(r.projects(), " or "), shell.Word(r.projects()[0]))}
}

func (r request) perimeter() []string {
	return []string{
		fmt.Sprintf("a VPC Service Controls perimeter or another policy of the organization keeps this step from %s: whoever administers it must add an ingress rule for %s, the runner's addresses and this identity; a binding cannot help:\n%s",
			r.api.host, r.api.host, setup.GCPMember(r.claims, r.provider.ProjectNumber, r.provider.Pool)),
		"Google's audit log says which rule refuses: in Logs Explorer, protoPayload.metadata.@type of VpcServiceControlAuditMetadata",
	}
}

func (r request) organization() []string {
	return []string{
		fmt.Sprintf("a constraint of the organization refuses it, for example constraints/iam.workloadIdentityPoolProviders: whoever administers the organization must allow it for project %s; a binding cannot help",
			strings.Join(r.projects(), " or ")),
		r.claims.Identity(),
	}
}

func (r request) suspended() []string {
	return []string{"look at the state of project " + strings.Join(r.projects(), " or ") + " in the Google Cloud console: it must be ACTIVE"}
}

func (r request) disabled() []string {
	if r.account == "" {
		return []string{"look at the state of the account in the Google Cloud console"}
	}
	account := r.account
	if len(r.delegates) > 0 {
		account = r.delegates[0]
	}
	command := "gcloud iam service-accounts enable " + shell.Word(account)
	if project := ProjectOf(account); project != "" { // gcloud does not take the project from the e-mail
		command += " --project=" + shell.Word(project)
	}
	return []string{"the service account is there and switched off: " + command}
}
