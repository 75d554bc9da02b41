package audit

import (
	"bitbucket-oidc/internal/accept"
	"bitbucket-oidc/internal/finding"
)

// A detection adds what a rule, or a few rules of one kind, find.
type detection func(*run)

func detections() []detection {
	return []detection{
		(*run).faults, (*run).second,
		(*run).missing, (*run).unused, (*run).forAll, (*run).inDefault, (*run).unreviewed, (*run).undeployed, (*run).audiences, (*run).selfHosted, (*run).unseen,
		(*run).shared, (*run).chosen, (*run).outlived, (*run).unaccepted, (*run).lost, (*run).inherited,
		(*run).printed, (*run).kept, (*run).cloned, (*run).handedOut, (*run).arguments,
		(*run).unknownPipes, (*run).unpinned, (*run).imports, (*run).remote, (*run).beside,
		(*run).literalKeys, (*run).storedKeys,
	}
}

// Rules lists every rule, in the order of the documentation.
func Rules() []finding.Rule {
	return []finding.Rule{
		fileUnreadable(), stepMisplaced(), pipelineRefused(), stepKeyUnknown(), oidcValue(),
		oidcMissing(), oidcUnused(), oidcForAll(), oidcInDefault(), oidcOnPullRequest(), deploymentOnPullRequest(), deploymentMissing(),
		audiencesShared(), audienceLimit(), oidcOnSelfHosted(), signInUnseen(),
		roleShared(), roleChosenByCaller(), maxTimeOverSession(), serviceCannotAccept(), pipeCredentialsLost(), tokenOfAnotherStep(),
		tokenPrinted(), credentialsPrinted(), tokenKept(), tokenInClone(), tokenToThirdParty(), tokenAsArgument(),
		pipeUnknown(), pipeUnpinned(), imageUnpinned(), importUnpinned(), remoteScript(), buildBesideToken(), agentBesideToken(),
		keysInFile(), keysStored(), keysBesideToken(),
		TrustRefuses(), TrustAdmitsOthers(), DocumentUnpaired(), MapNotGranted(), GuardRefuses(),
		accept.Incomplete(), accept.Expired(), accept.Unused(),
	}
}

// TrustRefuses is of documents.
func TrustRefuses() finding.Rule {
	return finding.Rule{
		Name: "trust-refuses", Severity: finding.Error,
		Finds: "a role that a step asks for, whose trust policy refuses the step",
		Why:   "The login fails, and in production first: other steps of the same file may well be let in.",
		Fix:   "Change the condition that the reason names, or the step's environment. `check` prints the condition to paste.",
	}
}

// TrustAdmitsOthers is of documents.
func TrustAdmitsOthers() finding.Rule {
	return finding.Rule{
		Name: "trust-admits-others", Severity: finding.Warning,
		Finds: "a trust policy that also lets in steps that do not ask for the role",
		Why:   "Whoever can change such a step can become the role. It is an error where pull requests are among them: their code is unreviewed.",
		Fix:   "Give the step that needs the role an environment, and bind the policy to the environment's UUID.",
	}
}

// DocumentUnpaired is of documents.
func DocumentUnpaired() finding.Rule {
	return finding.Rule{
		Name: "document-unpaired", Severity: finding.Note,
		Finds: "a trust configuration that nothing in the file asks for",
		Why:   "No step names the role, or the policy has no name and the file asks for several. Nothing was judged against it.",
		Fix:   "Give the role as `aws iam get-role` prints it, with its name, or leave the document out.",
	}
}

// MapNotGranted is of an access map.
func MapNotGranted() finding.Rule {
	return finding.Rule{
		Name: "map-not-granted", Severity: finding.Error,
		Finds: "a role that a step asks for, and that the access map does not grant to it",
		Why:   "The map is what was agreed on. A trust policy that is rendered from it refuses the step.",
		Fix:   "Add the grant to the map by a pull request, or ask for a role that is granted.",
	}
}

// GuardRefuses is of a file of guardrails.
func GuardRefuses() finding.Rule {
	return finding.Rule{
		Name: "guard-refuses", Severity: finding.Error,
		Finds: "a step that a guardrail refuses at login",
		Why:   "The login ends before anything is sent.",
		Fix:   "Do what the guardrail's own fix says.",
	}
}
