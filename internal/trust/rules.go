package trust

// A Rule is what a finding is an instance of. docs/rules.md has a page for each.
type Rule struct {
	Name     string
	Severity Severity
	Milder   Severity // in the cases that Why names; empty where there are none
	Finds    string   // one line
	Why      string
	Fix      string
}

// Rules lists every rule, in the order of the documentation.
func Rules() []Rule {
	return []Rule{
		{
			Name: "aws-sub-missing", Severity: Error,
			Finds: "an Allow that no `:sub` condition guards",
			Why:   "The OIDC provider stands for the whole workspace. Without a condition on `:sub`, every step of every repository of the workspace may assume the role. IAM does not ask for one where the issuer is a workspace's own.",
			Fix:   "Add a StringLike condition on `:sub` with `{repository}:*`, or `{repository}:{environment}:*` for a deployment environment.",
		},
		{
			Name: "aws-sub-wildcard", Severity: Error,
			Finds: "a `:sub` value that any repository matches",
			Why:   "`*` runs over colons, so that `*`, `*:*` and `{*}:*` match every subject. The values of a list are alternatives: one such value undoes all the others.",
			Fix:   "Remove the value, or begin it with the repository's UUID in braces.",
		},
		{
			Name: "aws-sub-boundary", Severity: Error,
			Finds: "a `:sub` pattern whose wildcard begins inside or right behind the repository's UUID",
			Why:   "Without the colon the pattern ends in the middle of a part. A UUID that is cut short matches every repository whose UUID begins so.",
			Fix:   "Write the whole UUID, its closing brace and a colon before the `*`.",
		},
		{
			Name: "aws-sub-braces", Severity: Error,
			Finds: "a UUID without its braces in `:sub`",
			Why:   "The UUIDs in Bitbucket's subject stand in braces, which are part of the value. A value without them never matches. Only the UUID in the audience has none.",
			Fix:   "Put the UUID in braces: `{2e9e429c-…}`. In Terraform `{` needs no escape, `${` does.",
		},
		{
			Name: "aws-sub-shape", Severity: Error,
			Finds: "a `:sub` value of a shape that Bitbucket's subject never has",
			Why:   "The subject is `{repository}:{step}`, or `{repository}:{environment}:{step}` on a deployment step, and nothing else: no workspace, no branch, no name of an environment. GitHub's `repo:org/name` is another issuer's.",
			Fix:   "Write `{repository}:*` or `{repository}:{environment}:*`, with UUIDs.",
		},
		{
			Name: "aws-sub-pins-step", Severity: Error,
			Finds: "a whole subject with the step's UUID",
			Why:   "The step's UUID is another one in every step. Such a value works in the step that it was copied from, and never again.",
			Fix:   "Replace the last UUID by `*`, under StringLike.",
		},
		{
			Name: "aws-equals-wildcard", Severity: Error,
			Finds: "`*` or `?` under an operator that takes them literally",
			Why:   "StringEquals compares characters. Only StringLike and the ARN operators know wildcards, so that the condition never holds.",
			Fix:   "Change StringEquals to StringLike.",
		},
		{
			Name: "aws-uuid-case", Severity: Error,
			Finds: "a UUID in another case than the token's, under a case-sensitive operator",
			Why:   "Condition values are compared with regard to case, and Bitbucket writes UUIDs in small letters.",
			Fix:   "Write the UUID in small letters.",
		},
		{
			Name: "aws-repository-wide", Severity: Note,
			Finds: "`{repository}:*`, which lets in the whole repository",
			Why:   "`*` runs over colons: every branch, every pull request and every deployment environment of the repository matches. Whoever may push a branch has the role. AWS sees no branch; a deployment environment is the only narrower scope.",
			Fix:   "Where the role is for a deployment, write `{repository}:{environment}:*`.",
		},
		{
			Name: "aws-aud-missing", Severity: Warning,
			Finds: "an Allow that no `:aud` condition guards",
			Why:   "A token that was meant for another service is taken as well, as long as its audience is one of the provider's client ids.",
			Fix:   "Add a condition on `:aud` with the workspace's audience.",
		},
		{
			Name: "aws-aud-mismatch", Severity: Error,
			Finds: "an audience that the workspace's tokens never have",
			Why:   "Bitbucket's audience is `ari:cloud:bitbucket::workspace/UUID`, without braces. `sts.amazonaws.com` is GitHub's and the default of widely used Terraform modules.",
			Fix:   "Write the audience that Repository settings → Pipelines → OpenID Connect shows.",
		},
		{
			Name: "aws-aud-multivalued", Severity: Warning,
			Finds: "an operator without `ForAnyValue:` where the token has several audiences",
			Why:   "AWS does not say how a plain operator compares a claim that is a list.",
			Fix:   "Put `ForAnyValue:` before the operator: it holds for a single value as well.",
		},
		{
			Name: "aws-forallvalues", Severity: Error,
			Finds: "`ForAllValues:` on `:sub` or `:aud` under Allow",
			Why:   "ForAllValues holds when the key is missing: the condition lets in what it does not know.",
			Fix:   "Remove the prefix, or write `ForAnyValue:`.",
		},
		{
			Name: "aws-fails-open", Severity: Error,
			Finds: "only `…IfExists`, `Null` or negated operators guard `:sub` or `:aud`",
			Why:   "These conditions hold when the key is missing, and a negated one for every value but its own. A misspelt key lets in everyone.",
			Fix:   "Say what the value must be, with StringLike or StringEquals.",
		},
		{
			Name: "aws-claim-unavailable", Severity: Error,
			Finds: "a condition on a claim that AWS does not expose for Bitbucket",
			Why:   "Of Bitbucket's claims AWS sees `:sub` and `:aud` only. A condition on another one never holds, or always, if it is negated. A branch cannot be restricted on AWS.",
			Fix:   "Remove the condition. Repository and environment are in `:sub`.",
		},
		{
			Name: "aws-key-prefix", Severity: Error,
			Finds: "a condition key that is not the principal's issuer without `https://`",
			Why:   "The part before `:sub` and `:aud` must be the issuer exactly. Any other key is missing, so that the condition fails, or holds for everyone if it is negated.",
			Fix:   "Write `api.bitbucket.org/2.0/workspaces/WORKSPACE/pipelines-config/identity/oidc` before the colon: no ARN, no `https://`, no slash at the end.",
		},
		{
			Name: "aws-principal", Severity: Error,
			Finds: "no Federated principal for the token's issuer, or an element that a trust policy cannot have",
			Why:   "AWS compares the principal with the ARN of the provider that the token's issuer has in the role's own account. Wildcards, NotPrincipal and Resource are refused when the policy is stored.",
			Fix:   "Write `arn:aws:iam::ACCOUNT_ID:oidc-provider/` and the issuer without `https://`, in the role's account.",
		},
		{
			Name: "aws-action", Severity: Error, Milder: Warning,
			Finds: "an action list without `sts:AssumeRoleWithWebIdentity`, or wider than it",
			Why:   "A federated identity calls AssumeRoleWithWebIdentity; `sts:AssumeRole` is for AWS principals. NotAction allows all that it does not name. `*` and `sts:*` work and grant more than is needed: a warning.",
			Fix:   "Write `\"Action\": \"sts:AssumeRoleWithWebIdentity\"`.",
		},
		{
			Name: "aws-source-ip-only", Severity: Warning,
			Finds: "an address range as the only guard",
			Why:   "Bitbucket's addresses are shared by all its customers, and self-hosted runners have others. An address is no identity.",
			Fix:   "Add a condition on `:sub`.",
		},
		{
			Name: "aws-policy-too-long", Severity: Error, Milder: Warning,
			Finds: "a trust policy of more characters than IAM stores",
			Why:   "IAM stores at most 4096 characters, white space not counted, and 2048 until the quota is raised: between the two it is a warning.",
			Fix:   "Use a role for each repository, or fewer values.",
		},
		{
			Name: "aws-session-too-long", Severity: Warning,
			Finds: "a requested duration above the role's MaxSessionDuration",
			Why:   "AWS refuses the call when AWS_SESSION_DURATION is longer than the role allows. The default of a role is one hour.",
			Fix:   "Raise it with `aws iam update-role --max-session-duration`, or ask for less.",
		},
		{
			Name: "gcp-provider-disabled", Severity: Error,
			Finds: "a provider that is disabled, deleted or expired",
			Why:   "Google takes no token through such a provider.",
			Fix:   "Enable it with `gcloud iam workload-identity-pools providers update-oidc --no-disabled`, or undelete it.",
		},
		{
			Name: "gcp-issuer-mismatch", Severity: Error,
			Finds: "another issuer than the token's",
			Why:   "Google compares the token's issuer with the provider's as text. The workspace's slug is a part of it: it changes when the workspace is renamed. A slash at the end counts.",
			Fix:   "Set the issuer to the token's, with `--issuer-uri`.",
		},
		{
			Name: "gcp-audience-mismatch", Severity: Error,
			Finds: "the token's audiences are not among the allowed ones",
			Why:   "One of the token's audiences must be allowed. Without allowed audiences Google expects the provider's own resource name, which Bitbucket's tokens do not have by themselves.",
			Fix:   "Allow the workspace's audience, with `--allowed-audiences`. It has no braces.",
		},
		{
			Name: "gcp-condition-missing", Severity: Error,
			Finds: "no attribute condition, and no binding narrower than the pool",
			Why:   "Every repository of the workspace gets a Google identity. Google asks for a condition for some issuers only, and Bitbucket is not among them.",
			Fix:   "Set `--attribute-condition=\"assertion.repositoryUuid == '{…}'\"`.",
		},
		{
			Name: "gcp-condition-rejects", Severity: Error,
			Finds: "a condition that is false for this identity, or does not evaluate",
			Why:   "Google refuses the token. A condition that reads a claim which the token lacks is an error and refuses too.",
			Fix:   "Correct the value, braces included; guard claims that may be absent with `has()`.",
		},
		{
			Name: "gcp-mapping-invalid", Severity: Error,
			Finds: "a mapping that cannot work",
			Why:   "A mapping reads `assertion` only and gives texts, `google.groups` a list of texts. It must give `google.subject`, of 127 bytes at most; all attributes together take 8 KB at most.",
			Fix:   "Write the expression anew; see `pipe explain`.",
		},
		{
			Name: "gcp-mapping-absent-claim", Severity: Error,
			Finds: "a mapping that reads a claim which this identity does not have, unguarded",
			Why:   "Google does not say what becomes of the token then. `deploymentEnvironmentUuid` is there on deployment steps only.",
			Fix:   "Guard it: `has(assertion.x) ? assertion.x : 'none'`.",
		},
		{
			Name: "gcp-binding-pool-wide", Severity: Error,
			Finds: "a member that is the whole pool",
			Why:   "Every identity that any provider of the pool lets in may act as the service account.",
			Fix:   "Bind `principalSet://…/attribute.NAME/VALUE`, the repository or the deployment environment.",
		},
		{
			Name: "gcp-binding-pins-step", Severity: Error,
			Finds: "a subject member with a step's UUID",
			Why:   "The subject ends in the step's UUID, another one in every step: the binding works once.",
			Fix:   "Bind an attribute that stays the same, such as the repository's UUID.",
		},
		{
			Name: "gcp-binding-braces", Severity: Error,
			Finds: "an attribute value without the UUID's braces",
			Why:   "The braces are part of the value. Without them the exchange succeeds, and the service account answers 403.",
			Fix:   "Put the UUID in braces, and the member in quotes.",
		},
		{
			Name: "gcp-binding-unmapped", Severity: Error,
			Finds: "a member on an attribute that the provider does not map",
			Why:   "No identity ever has the attribute, so that the binding lets in nobody.",
			Fix:   "Map the attribute in the provider, or bind one that it maps.",
		},
		{
			Name: "gcp-binding-project-id", Severity: Error,
			Finds: "a project's id where its number belongs",
			Why:   "Members name the pool by the project's number. With the id the binding lets in nobody.",
			Fix:   "Write the number: `gcloud projects describe PROJECT --format='value(projectNumber)'`.",
		},
		{
			Name: "gcp-binding-two-attributes", Severity: Error,
			Finds: "two attributes in one member",
			Why:   "A member compares one attribute. What follows is taken for a part of its value.",
			Fix:   "Map one attribute that joins both, such as repository and environment, and bind that.",
		},
		{
			Name: "gcp-condition-unscoped", Severity: Warning,
			Finds: "a condition that reads neither the repository's nor the environment's UUID, while a binding relies on it",
			Why:   "The binding lets in whatever the provider lets in, and the provider does not tell repositories apart.",
			Fix:   "Add `assertion.repositoryUuid == '{…}'` to the condition, or bind an attribute that is the repository's.",
		},
		{
			Name: "gcp-function-unconfirmed", Severity: Warning,
			Finds: "a CEL function that Google does not document for workload identity",
			Why:   "The CEL library has it, which is why it could be evaluated here. Whether Google's service takes it is not known.",
			Fix:   "Use the documented ones: has, in, size, startsWith, endsWith, contains, matches, extract, split, join.",
		},
		{
			Name: "vault-sub-bound", Severity: Error,
			Finds: "`bound_subject`, or a claim, bound to a step's UUID",
			Why:   "The subject and the step's UUID are others in every step: the role works once.",
			Fix:   "Bind `repositoryUuid`, and `deploymentEnvironmentUuid` for a deployment environment.",
		},
		{
			Name: "vault-audience-mismatch", Severity: Error,
			Finds: "`bound_audiences` that the token does not meet, or none",
			Why:   "A token with an audience is refused by a role that binds none, and by one that binds others.",
			Fix:   "Write the workspace's audience, without braces.",
		},
		{
			Name: "vault-repository-unbound", Severity: Error,
			Finds: "nothing that binds the repository",
			Why:   "Every repository of the workspace may log in with the role.",
			Fix:   "Add `repositoryUuid`, with braces, to `bound_claims`.",
		},
		{
			Name: "vault-user-claim-per-step", Severity: Warning,
			Finds: "a `user_claim` that changes in every step",
			Why:   "Vault makes an entity for each value of the claim: a new one in each step, which count as clients.",
			Fix:   "Write `\"user_claim\": \"repositoryUuid\"`.",
		},
	}
}
