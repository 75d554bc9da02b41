package audit

import (
	"slices"

	"bitbucket-oidc/internal/accept"
	"bitbucket-oidc/internal/finding"
)

// A detection is a rule with the function that finds it. Both are in one file, which has the rule's name.
type detection struct {
	rule finding.Rule
	find func(*run)
}

// detections lists the rules that need only the file, in the order of the documentation.
func detections() []detection {
	return []detection{
		{fileUnreadable(), (*run).fileUnreadable},
		{stepMisplaced(), (*run).stepMisplaced},
		{pipelineRefused(), (*run).pipelineRefused},
		{stepKeyUnknown(), (*run).stepKeyUnknown},
		{oidcValue(), (*run).oidcValue},

		{oidcMissing(), (*run).oidcMissing},
		{oidcUnused(), (*run).oidcUnused},
		{oidcForAll(), (*run).oidcForAll},
		{oidcInDefault(), (*run).oidcInDefault},
		{oidcOnPullRequest(), (*run).oidcOnPullRequest},
		{deploymentOnPullRequest(), (*run).deploymentOnPullRequest},
		{deploymentMissing(), (*run).deploymentMissing},
		{audiencesShared(), (*run).audiencesShared},
		{audienceLimit(), (*run).audienceLimit},
		{oidcOnSelfHosted(), (*run).oidcOnSelfHosted},
		{signInUnseen(), (*run).signInUnseen},

		{roleShared(), (*run).roleShared},
		{roleChosenByCaller(), (*run).roleChosenByCaller},
		{maxTimeOverSession(), (*run).maxTimeOverSession},
		{serviceCannotAccept(), (*run).serviceCannotAccept},
		{pipeCredentialsLost(), (*run).pipeCredentialsLost},
		{tokenOfAnotherStep(), (*run).tokenOfAnotherStep},

		{tokenPrinted(), (*run).tokenPrinted},
		{credentialsPrinted(), (*run).credentialsPrinted},
		{tokenKept(), (*run).tokenKept},
		{tokenInClone(), (*run).tokenInClone},
		{tokenToThirdParty(), (*run).tokenToThirdParty},
		{tokenAsArgument(), (*run).tokenAsArgument},

		{pipeUnknown(), (*run).pipeUnknown},
		{pipeUnpinned(), (*run).pipeUnpinned},
		{imageUnpinned(), (*run).imageUnpinned},
		{importUnpinned(), (*run).importUnpinned},
		{remoteScript(), (*run).remoteScript},
		{buildBesideToken(), (*run).buildBesideToken},
		{agentBesideToken(), (*run).agentBesideToken},

		{keysInFile(), (*run).keysInFile},
		{keysStored(), (*run).keysStored},
		{keysBesideToken(), (*run).keysBesideToken},
	}
}

// Rules lists the rules of a pipelines file and of its comments that accept findings. What a [Judge] finds has rules of its own.
func Rules() []finding.Rule {
	var all []finding.Rule
	for _, d := range detections() {
		all = append(all, d.rule)
	}
	return append(all, accept.Rules()...)
}

// outside reports whether the rule belongs to package judges, which imports this one. Only a run with its judge looks for it.
func outside(rule string) bool {
	return slices.Contains([]string{"trust-refuses", "trust-admits-others", "document-unpaired", "map-not-granted", "guard-refuses"}, rule)
}
