package iam

import "bitbucket-oidc/internal/finding"

// Rules are the rules of this package, in the order of the documentation.
func Rules() []finding.Rule {
	return []finding.Rule{
		{
			Name: "aws-sub-missing", Severity: finding.Error,
			Finds: "an Allow statement without a condition on `:sub`",
			Why:   "The OIDC provider stands for the whole workspace. Without a condition on `:sub`, every step of every repository of the workspace may assume the role. IAM does not require the condition for an issuer that belongs to one workspace.",
			Fix:   "Add a StringLike condition on `:sub` with `{repository}:*`, or `{repository}:{environment}:*` for a deployment environment.",
		},
		{
			Name: "aws-sub-wildcard", Severity: finding.Error,
			Finds: "a `:sub` pattern that matches every repository",
			Why:   "`*` also matches colons, so that `*`, `*:*` and `{*}:*` match every subject. The values of a list are alternatives: with one such value the others restrict nothing.",
			Fix:   "Remove the value, or begin it with the repository's UUID in braces.",
		},
		{
			Name: "aws-sub-boundary", Severity: finding.Error,
			Finds: "a `:sub` pattern with a wildcard inside or directly after the repository's UUID",
			Why:   "Without the colon the pattern ends in the middle of a part. A shortened UUID matches every repository whose UUID begins with the same characters.",
			Fix:   "Write the whole UUID, its closing brace and a colon before the `*`.",
		},
		{
			Name: "aws-sub-braces", Severity: finding.Error,
			Finds: "a UUID without its braces in `:sub`",
			Why:   "The UUIDs in Bitbucket's subject stand in braces, which are part of the value. A value without them never matches. Only the UUID in the audience has none.",
			Fix:   "Put the UUID in braces: `{2e9e429c-…}`. In Terraform `{` needs no escape, `${` does.",
		},
		{
			Name: "aws-sub-shape", Severity: finding.Error,
			Finds: "a `:sub` value in a form that Bitbucket's subjects never have",
			Why:   "The subject is `{repository}:{step}`, or `{repository}:{environment}:{step}` on a deployment step, and nothing else: no workspace, no branch, no name of an environment. `repo:org/name` is the form of GitHub.",
			Fix:   "Write `{repository}:*` or `{repository}:{environment}:*`, with UUIDs.",
		},
		{
			Name: "aws-sub-pins-step", Severity: finding.Error,
			Finds: "a whole subject with the step's UUID",
			Why:   "Every step run has a new UUID. Such a value works in the step that it was copied from, and never again.",
			Fix:   "Replace the last UUID by `*`, under StringLike.",
		},
		{
			Name: "aws-equals-wildcard", Severity: finding.Error,
			Finds: "`*` or `?` under an operator that does not know wildcards",
			Why:   "StringEquals compares characters. Only StringLike and the ARN operators know wildcards, so the condition never holds.",
			Fix:   "Change StringEquals to StringLike.",
		},
		{
			Name: "aws-uuid-case", Severity: finding.Error,
			Finds: "a UUID whose upper and lower case differs from the token's, under a case-sensitive operator",
			Why:   "AWS compares these values case-sensitively, and Bitbucket writes UUIDs in lower case.",
			Fix:   "Write the UUID in lower case.",
		},
		{
			Name: "aws-repository-wide", Severity: finding.Note,
			Finds: "`{repository}:*`, which lets in the whole repository",
			Why:   "`*` also matches colons: every branch, every pull request and every deployment environment of the repository matches. Everybody who may push a branch has the role. AWS sees no branch; a deployment environment is the only narrower scope.",
			Fix:   "If the role is for a deployment, write `{repository}:{environment}:*`.",
		},
		{
			Name: "aws-aud-missing", Severity: finding.Warning,
			Finds: "an Allow statement without a condition on `:aud`",
			Why:   "A token for another service is accepted too, if its audience is one of the provider's client ids.",
			Fix:   "Add a condition on `:aud` with the workspace's audience.",
		},
		{
			Name: "aws-aud-mismatch", Severity: finding.Error,
			Finds: "an audience that the workspace's tokens never have",
			Why:   "Bitbucket's audience is `ari:cloud:bitbucket::workspace/UUID`, without braces. `sts.amazonaws.com` is the audience of GitHub, and the default of widely used Terraform modules.",
			Fix:   "Write the audience that Repository settings → Pipelines → OpenID Connect shows.",
		},
		{
			Name: "aws-aud-multivalued", Severity: finding.Warning,
			Finds: "an operator without `ForAnyValue:` where the token has several audiences",
			Why:   "AWS does not document how an operator without a set prefix compares a claim that is a list.",
			Fix:   "Put `ForAnyValue:` before the operator: it also holds for a single value.",
		},
		{
			Name: "aws-forallvalues", Severity: finding.Error,
			Finds: "`ForAllValues:` on `:sub` or `:aud` under Allow",
			Why:   "ForAllValues holds when the key is missing: the condition lets in tokens without the claim.",
			Fix:   "Remove the prefix, or write `ForAnyValue:`.",
		},
		{
			Name: "aws-fails-open", Severity: finding.Error,
			Finds: "only `…IfExists`, `Null` or negated operators guard `:sub` or `:aud`",
			Why:   "These conditions hold when the key is missing, and a negated one holds for every other value. A misspelt key lets in everyone.",
			Fix:   "Say what the value must be, with StringLike or StringEquals.",
		},
		{
			Name: "aws-claim-unavailable", Severity: finding.Error,
			Finds: "a condition on a claim that AWS does not expose for Bitbucket",
			Why:   "AWS exposes only `:sub` and `:aud` of Bitbucket's claims. A condition on another claim never holds, or always holds if it is negated. A branch cannot be restricted on AWS.",
			Fix:   "Remove the condition. Repository and environment are in `:sub`.",
		},
		{
			Name: "aws-key-prefix", Severity: finding.Error,
			Finds: "a condition key that is not the principal's issuer without `https://`",
			Why:   "The part before `:sub` and `:aud` must be the issuer exactly. Any other key is missing, so the condition fails, or holds for everyone if it is negated.",
			Fix:   "Write `api.bitbucket.org/2.0/workspaces/WORKSPACE/pipelines-config/identity/oidc` before the colon: no ARN, no `https://`, no slash at the end.",
		},
		{
			Name: "aws-principal", Severity: finding.Error,
			Finds: "no Federated principal for the token's issuer, or an element that a trust policy cannot have",
			Why:   "AWS compares the principal with the ARN of the provider that the token's issuer has in the role's own account. Wildcards, NotPrincipal and Resource are refused when the policy is stored.",
			Fix:   "Write `arn:aws:iam::ACCOUNT_ID:oidc-provider/` and the issuer without `https://`, in the role's account.",
		},
		{
			Name: "aws-action", Severity: finding.Error, Milder: finding.Warning,
			Finds: "an action list without `sts:AssumeRoleWithWebIdentity`, or wider than it",
			Why:   "A federated identity calls AssumeRoleWithWebIdentity; `sts:AssumeRole` is for AWS principals. NotAction allows everything that it does not name. `*` and `sts:*` work and grant more than is needed, which is a warning.",
			Fix:   "Write `\"Action\": \"sts:AssumeRoleWithWebIdentity\"`.",
		},
		{
			Name: "aws-source-ip-only", Severity: finding.Warning,
			Finds: "an address range as the only condition",
			Why:   "All customers of Bitbucket share its addresses, and self-hosted runners have other addresses. An address is not an identity.",
			Fix:   "Add a condition on `:sub`.",
		},
		{
			Name: "aws-policy-too-long", Severity: finding.Error, Milder: finding.Warning,
			Finds: "a trust policy that is longer than IAM stores",
			Why:   "IAM stores at most 4096 characters, without white space, and 2048 until the quota is raised: between the two limits the finding is a warning.",
			Fix:   "Use a role for each repository, or fewer values.",
		},
		{
			Name: "aws-session-too-long", Severity: finding.Warning,
			Finds: "a requested duration above the role's MaxSessionDuration",
			Why:   "AWS refuses the call when AWS_SESSION_DURATION is longer than the role allows. The default of a role is one hour.",
			Fix:   "Raise it with `aws iam update-role --max-session-duration`, or ask for less.",
		},
		{
			Name: "aws-admits-others", Severity: finding.Error,
			Finds: "another repository's identity gets in, with a witness",
			Why:   "The document lets this identity in and is judged for everybody else of the workspace too: other repositories, their deployments, and steps that ask for more audiences. One of them gets in, or is not certainly refused. The finding has the claims of one, which `check --claims` confirms.",
			Fix:   "Let the Allow itself name the repository: `{repository}:*` under StringLike on `:sub`.",
		},
		{
			Name: "aws-names-others", Severity: finding.Note,
			Finds: "another repository that the document names by its whole UUID",
			Why:   "A role can be shared on purpose. Everybody who may push to the other repository has the role too.",
			Fix:   "Remove the value, or use a role for each repository.",
		},
		{
			Name: "aws-not-judged", Severity: finding.Note,
			Finds: "a statement for other principals",
			Why:   "Accounts, services and other identity providers are not Bitbucket's identities. It is not judged whom they let in, so exit status 0 says nothing about them.",
			Fix:   "Use a role for each kind of principal.",
		},
	}
}
