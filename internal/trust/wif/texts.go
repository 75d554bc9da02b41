package wif

import "bitbucket-oidc/internal/finding"

// Rules are the rules of this package, in the order of the documentation.
func Rules() []finding.Rule {
	return []finding.Rule{
		{
			Name: "gcp-provider-disabled", Severity: finding.Error,
			Finds: "a provider that is disabled, deleted or expired",
			Why:   "Google accepts no token through such a provider.",
			Fix:   "Enable it with `gcloud iam workload-identity-pools providers update-oidc --no-disabled`, or undelete it.",
		},
		{
			Name: "gcp-issuer-mismatch", Severity: finding.Error,
			Finds: "another issuer than the token's",
			Why:   "Google compares the token's issuer with the provider's issuer as text. The workspace's slug is part of the issuer, which therefore changes when the workspace is renamed. A slash at the end makes a difference.",
			Fix:   "Set the issuer to the token's, with `--issuer-uri`.",
		},
		{
			Name: "gcp-audience-mismatch", Severity: finding.Error,
			Finds: "the token's audiences are not among the allowed ones",
			Why:   "One of the token's audiences must be allowed. Without allowed audiences Google expects the provider's own resource name, which is not in Bitbucket's tokens unless the step asks for it.",
			Fix:   "Allow the workspace's audience, with `--allowed-audiences`. It has no braces.",
		},
		{
			Name: "gcp-condition-missing", Severity: finding.Error,
			Finds: "no attribute condition, and no binding narrower than the pool",
			Why:   "Every repository of the workspace gets a Google identity. Google requires a condition only for some issuers, and Bitbucket is not among them.",
			Fix:   "Set `--attribute-condition=\"assertion.repositoryUuid == '{…}'\"`.",
		},
		{
			Name: "gcp-condition-rejects", Severity: finding.Error,
			Finds: "a condition that is false for this identity, or does not evaluate",
			Why:   "Google refuses the token. A condition that reads a missing claim is an error, which refuses too.",
			Fix:   "Correct the value, braces included; guard claims that may be absent with `has()`.",
		},
		{
			Name: "gcp-mapping-invalid", Severity: finding.Error,
			Finds: "a mapping that cannot work",
			Why:   "A mapping reads only `assertion` and results in texts, for `google.groups` in a list of texts. It must set `google.subject`, to at most 127 bytes; all attributes together have at most 8 KB.",
			Fix:   "Replace the expression; see `pipe explain`.",
		},
		{
			Name: "gcp-mapping-absent-claim", Severity: finding.Error,
			Finds: "a mapping that reads, without `has()`, a claim that this identity does not have",
			Why:   "Google does not document what happens to the token then. `deploymentEnvironmentUuid` exists on deployment steps only.",
			Fix:   "Guard it: `has(assertion.x) ? assertion.x : 'none'`.",
		},
		{
			Name: "gcp-binding-pool-wide", Severity: finding.Error,
			Finds: "a member that is the whole pool",
			Why:   "Every identity that any provider of the pool lets in may act as the service account.",
			Fix:   "Bind `principalSet://…/attribute.NAME/VALUE`, the repository or the deployment environment.",
		},
		{
			Name: "gcp-binding-pins-step", Severity: finding.Error,
			Finds: "a subject member with a step's UUID",
			Why:   "The subject ends in the step's UUID, which is new in every step run: the binding works once.",
			Fix:   "Bind an attribute that stays the same, such as the repository's UUID.",
		},
		{
			Name: "gcp-binding-braces", Severity: finding.Error,
			Finds: "an attribute value without the UUID's braces",
			Why:   "The braces are part of the value. Without them the exchange succeeds, and the call for the service account fails with 403.",
			Fix:   "Put the UUID in braces, and the member in quotes.",
		},
		{
			Name: "gcp-binding-unmapped", Severity: finding.Error,
			Finds: "a member on an attribute that the provider does not map",
			Why:   "No identity ever has the attribute, so the binding lets in nobody.",
			Fix:   "Map the attribute in the provider, or bind one that it maps.",
		},
		{
			Name: "gcp-binding-project-id", Severity: finding.Error,
			Finds: "a project's id where its number belongs",
			Why:   "Members name the pool by the project's number. With the id the binding lets in nobody.",
			Fix:   "Write the number: `gcloud projects describe PROJECT --format='value(projectNumber)'`.",
		},
		{
			Name: "gcp-binding-two-attributes", Severity: finding.Error,
			Finds: "two attributes in one member",
			Why:   "A member compares one attribute. The rest is read as part of its value.",
			Fix:   "Map one attribute that joins both, such as repository and environment, and bind that.",
		},
		{
			Name: "gcp-condition-unscoped", Severity: finding.Warning,
			Finds: "a condition that reads neither the repository's nor the environment's UUID, while a binding relies on it",
			Why:   "The binding lets in whatever the provider lets in, and the provider does not distinguish repositories.",
			Fix:   "Add `assertion.repositoryUuid == '{…}'` to the condition, or bind an attribute that is the repository's.",
		},
		{
			Name: "gcp-function-unconfirmed", Severity: finding.Warning,
			Finds: "a CEL function that Google does not document for workload identity",
			Why:   "The CEL library has the function, so it could be evaluated here. Whether Google's service accepts it is not known.",
			Fix:   "Use the documented ones: has, in, size, startsWith, endsWith, contains, matches, extract, split, join.",
		},
		{
			Name: "gcp-admits-others", Severity: finding.Error,
			Finds: "another repository's identity gets in, with a witness",
			Why:   "Provider and policy let this identity in and are judged for everybody else of the workspace too: other repositories, their deployments, other branches, and steps that ask for more audiences. One of them gets in, or is not certainly refused. A condition that mentions the repository need not tell it from others. The finding has the claims of one, which `check --claims` confirms.",
			Fix:   "Compare the repository's UUID as a whole: `assertion.repositoryUuid == '{2e9e429c-…}'`.",
		},
		{
			Name: "gcp-names-others", Severity: finding.Note,
			Finds: "another repository that the document names by its whole UUID",
			Why:   "A provider and a service account can be shared on purpose. Everybody who may push to the other repository gets in too.",
			Fix:   "Remove the UUID, or bind a service account for each repository.",
		},
	}
}
