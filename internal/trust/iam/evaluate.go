package iam

import (
	"cmp"
	"fmt"
	"strings"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/trust"
)

// The pages of AWS that say what becomes of a condition:
//
//	operators  IAM User Guide, "IAM JSON policy elements: Condition operators"
//	sets       IAM User Guide, "Multivalued context keys", and "Creating a condition with multiple keys or values"
//	checks     IAM User Guide, "IAM Access Analyzer policy check reference"

// evaluate reports whether a condition holds. variables says whether the version of the policy knows policy variables.
func (r request) evaluate(c condition, variables bool) judgedCondition {
	actual, present := r.lookup(c.lower)
	judged := judgedCondition{condition: c, actual: actual}
	switch {
	case c.match == nil && !c.null:
		judged.holds, judged.why = trust.Unknown, fmt.Sprintf("the operator %.60q, which IAM does not know", c.name)
	case c.null:
		judged.holds, judged.why = c.nullCondition(present)
	case present == trust.Unknown:
		judged.holds, judged.why = trust.Unknown, c.unknownKey()
	case present == trust.No:
		judged.holds, judged.why = c.missingKey()
	default:
		judged.holds, judged.why = r.presentKey(c, actual, variables)
	}
	return judged
}

// unknownKey is why a condition is undecided if it is not known what the request has for its key.
func (c condition) unknownKey() string {
	return fmt.Sprintf("%.100s, and neither the policy nor the token contains it", c.key)
}

// nullCondition reports whether a Null condition holds: for "true" the key must be missing, for "false" it must be there.
func (c condition) nullCondition(present trust.Truth) (holds trust.Truth, why string) {
	switch {
	case c.set == forAllValues:
		return trust.Yes, "" // checks: "Null with qualifier", whatever the key has
	case c.set == forAnyValue:
		return trust.No, "" // checks: the same
	case present == trust.Unknown:
		return trust.Unknown, c.unknownKey()
	}
	for _, value := range c.values { // alternatives, as for every operator (sets)
		switch fold(value) {
		case "true":
			holds = max(holds, present.Not()) // operators: "Condition operator to check existence of condition keys"
		case "false":
			holds = max(holds, present) // operators: the same
		default:
			holds = max(holds, trust.Unknown)
		}
	}
	return holds, "Null with a value that is neither true nor false"
}

// missingKey reports whether a condition on a key that the request lacks holds.
func (c condition) missingKey() (holds trust.Truth, why string) {
	switch {
	case c.set == forAnyValue && c.ifExists: // sets says that it does not hold, operators that it does
		return trust.Unknown, fmt.Sprintf("how %s treats a missing key, on which AWS's guide contradicts itself", c.name)
	case c.set == forAnyValue:
		return trust.No, "" // sets
	case c.set == forAllValues:
		return trust.Yes, "" // sets
	case c.ifExists:
		return trust.Yes, "" // operators: "…IfExists condition operators"
	case c.negated:
		return trust.Yes, "" // operators: each negated operator
	}
	return trust.No, "" // operators: each other operator
}

// presentKey reports whether a condition on a key for which the request has values holds.
func (r request) presentKey(c condition, actual []string, variables bool) (holds trust.Truth, why string) {
	switch {
	case len(c.values) == 0 && c.set == single && !c.ifExists: // checks says that it holds and that it does not
		return trust.Unknown, "how AWS treats a condition without values, on which its guide contradicts itself"
	case len(c.values) == 0:
		return trust.No, "" // checks: "Empty array condition …"
	case c.set == single && len(actual) > 1: // sets: several values are compared under ForAllValues and ForAnyValue
		return trust.Unknown, fmt.Sprintf("how %s compares several values of %.200s, which AWS does not say", c.name, c.key)
	}
	return r.compare(c, actual, variables)
}

// compare reports whether what the request has is as the condition's values say. Values count as "or", and with a negated operator
// none may match (sets).
func (r request) compare(c condition, actual []string, variables bool) (holds trust.Truth, why string) {
	holds = trust.TruthOf(c.set != forAnyValue)
	why = fmt.Sprintf("how %s compares this value of %.200s, which AWS does not say", c.name, c.key)
	for _, have := range actual {
		match, unknown := r.matchAny(c, have, variables)
		why = cmp.Or(unknown, why)
		if c.negated {
			match = match.Not()
		}
		if c.set == forAnyValue {
			holds = max(holds, match)
		} else {
			holds = min(holds, match)
		}
	}
	return holds, why
}

// matchAny reports whether one of a condition's values matches, and what is unknown about the values, if anything is.
func (r request) matchAny(c condition, have string, variables bool) (match trust.Truth, unknown string) {
	if strings.Contains(have, bitbucket.UUIDForm) {
		unknown = "the UUID of the step's deployment environment, which is not known here"
	}
	for _, value := range c.values {
		switch want, state := r.expand(value, c.like, variables && c.variable); state {
		case trust.Yes:
			match = max(match, c.match(want, have))
		case trust.Unknown:
			match = max(match, trust.Unknown)
			unknown = fmt.Sprintf("a policy variable in %.200q, whose value neither the policy nor the token contains", value)
		}
	}
	return match, unknown
}

// reconcile makes two conditions unknown that have the same key under the same operator, spelt in upper and lower case, and that come to
// different results: IAM calls that an error (checks: "Duplicate keys with different case") and does not say which of the two counts.
func reconcile(conditions []judgedCondition) {
	first := map[string]int{}
	for i := range conditions {
		c := &conditions[i]
		key := fold(c.name) + " " + c.lower
		at, twice := first[key]
		if !twice {
			first[key] = i
			continue
		}
		if other := &conditions[at]; other.holds != c.holds {
			why := fmt.Sprintf("which spelling of %.200s counts, which AWS does not say", c.key)
			c.holds, c.why, other.holds, other.why = trust.Unknown, why, trust.Unknown, why
		}
	}
}
