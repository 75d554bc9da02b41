package evidence

// An exception is a set of things that an auditor asks about.
type exception uint16

const (
	refused exception = 1 << iota
	denied
	notEnforced
	notApplied
	longer
	conflicting
	notInTrail
	onlyInTrail
	notRevoked
)

// kinds are the exceptions by name, each with what it means.
func kinds() []struct {
	bit         exception
	name, means string
} {
	return []struct {
		bit         exception
		name, means string
	}{
		{refused, "refused", "A cloud or the pipe refused the credential, or no answer came."},
		{denied, "guardrail-denied", "A guardrail refused it."},
		{notRevoked, "logout-failed", "A credential was not removed or not revoked: it lasts until it expires."},
		{notEnforced, "guardrail-not-enforced", "A guardrail was broken and did not refuse: it only warns or audits."},
		{notApplied, "policy-not-applied", "The guardrails were in audit mode."},
		{longer, "longer-than-asked", "The credential lasts longer than was asked for."},
		{conflicting, "conflicting-copies", "Two records have one id and differ in what the package shows."},
		{notInTrail, "not-in-cloudtrail", "CloudTrail has no event for the record."},
		{onlyInTrail, "only-in-cloudtrail", "CloudTrail has an exchange of a Bitbucket token for which there is no record."},
	}
}

// names are the kinds in a set.
func (e exception) names() []string {
	var all []string
	for _, k := range kinds() {
		if e&k.bit != 0 {
			all = append(all, k.name)
		}
	}
	return all
}
