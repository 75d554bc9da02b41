package iam

import (
	"encoding/base64"
	"math/big"
	"net/netip"
	"strings"
	"time"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/trust"
)

// An operator is how a condition compares. Its zero value is an operator that IAM does not know.
type operator struct {
	set      setOperator
	ifExists bool // holds if the key is missing
	negated  bool // holds if no value matches
	null     bool // holds if the key is there, or is missing; compares no values
	variable bool // knows policy variables
	like     bool // knows wildcards
	literal  bool // compares strings and takes wildcards literally
	anyCase  bool
	arn      bool
	boolean  bool // compares true and false, in any case

	// match compares an expected value with a value of the request. It is unknown where AWS does not say whether the two match.
	match func(want pattern, have string) trust.Truth
}

// A setOperator says how an operator compares a key for which the request has several values.
type setOperator int

const (
	single setOperator = iota
	forAllValues
	forAnyValue
)

// parseOperator reads an operator's name, in any case. IAM refuses names that it does not know, and Null with IfExists.
// Source: IAM User Guide, "IAM JSON policy elements: Condition operators".
func parseOperator(name string) (operator, bool) {
	name = fold(name)
	set := single
	if rest, ok := strings.CutPrefix(name, "forallvalues:"); ok {
		name, set = rest, forAllValues
	} else if rest, ok := strings.CutPrefix(name, "foranyvalue:"); ok {
		name, set = rest, forAnyValue
	}
	name, ifExists := strings.CutSuffix(name, "ifexists")
	o, ok := baseOperator(name)
	o.set, o.ifExists = set, ifExists
	if o.arn && !o.negated && set != forAllValues {
		o.match = matchSomeARN
	}
	return o, ok && !(o.null && ifExists)
}

// fold turns a name into lower case, in ASCII only, as IAM does: Unicode folds other characters into letters, IAM does not.
func fold(name string) string {
	return strings.Map(small, name)
}

// small turns a letter of ASCII into lower case.
func small(r rune) rune {
	if r >= 'A' && r <= 'Z' {
		return r + 'a' - 'A'
	}
	return r
}

// baseOperator reads the name of an operator without prefix and suffix.
func baseOperator(name string) (operator, bool) {
	equals := operator{match: matchText, variable: true, literal: true}
	anyCase := operator{match: matchTextAnyCase, variable: true, literal: true, anyCase: true}
	like := operator{match: matchText, variable: true, like: true}
	arn := operator{match: matchARN, variable: true, like: true, arn: true} // ArnEquals knows wildcards too
	address := operator{match: matchAddress}
	switch name {
	case "stringequals":
		return equals, true
	case "stringnotequals":
		return negated(equals), true
	case "stringequalsignorecase":
		return anyCase, true
	case "stringnotequalsignorecase":
		return negated(anyCase), true
	case "stringlike":
		return like, true
	case "stringnotlike":
		return negated(like), true
	case "arnequals", "arnlike":
		return arn, true
	case "arnnotequals", "arnnotlike":
		return negated(arn), true
	case "bool":
		return operator{match: matchBool, boolean: true}, true
	case "binaryequals":
		return operator{match: matchBinary}, true
	case "ipaddress":
		return address, true
	case "notipaddress":
		return negated(address), true
	case "null":
		return operator{null: true}, true
	}
	if relation, ok := strings.CutPrefix(name, "numeric"); ok {
		return ordered(relation, compareNumbers)
	}
	if relation, ok := strings.CutPrefix(name, "date"); ok {
		return ordered(relation, compareDates)
	}
	return operator{}, false
}

func negated(o operator) operator {
	o.negated = true
	return o
}

// ordered is an operator that compares numbers or dates.
func ordered(relation string, compare func(have, want string) (int, bool)) (operator, bool) {
	var holds func(order int) bool
	switch relation {
	case "equals", "notequals":
		holds = func(order int) bool { return order == 0 }
	case "lessthan":
		holds = func(order int) bool { return order < 0 }
	case "lessthanequals":
		holds = func(order int) bool { return order <= 0 }
	case "greaterthan":
		holds = func(order int) bool { return order > 0 }
	case "greaterthanequals":
		holds = func(order int) bool { return order >= 0 }
	default:
		return operator{}, false
	}
	return operator{negated: relation == "notequals", match: func(want pattern, have string) trust.Truth {
		order, comparable := compare(have, want.text())
		if !comparable {
			return trust.Unknown
		}
		return trust.TruthOf(holds(order))
	}}, true
}

func matchText(want pattern, have string) trust.Truth {
	if strings.Contains(have, bitbucket.UUIDForm) {
		return want.matchesForm(have, func(a, b rune) bool { return a == b })
	}
	return trust.TruthOf(want.matches(have))
}

func matchTextAnyCase(want pattern, have string) trust.Truth {
	if strings.Contains(have, bitbucket.UUIDForm) {
		return want.matchesForm(have, func(a, b rune) bool { return small(a) == small(b) })
	}
	return trust.TruthOf(want.matchesAnyCase(have))
}

// matchARN compares the six parts of an ARN one by one, so that a wildcard stays in its part. How AWS compares a value that is not an ARN,
// such as a subject, is not documented.
func matchARN(want pattern, have string) trust.Truth {
	parts, wanted := strings.SplitN(have, ":", 6), want.parts(6)
	if len(parts) < 6 || parts[0] != "arn" {
		return trust.Unknown
	}
	if len(wanted) < 6 {
		return trust.No
	}
	for i := range parts {
		if !wanted[i].matches(parts[i]) {
			return trust.No
		}
	}
	return trust.Yes
}

// matchSomeARN is [matchARN] for an operator that is not negated: however AWS compares the two, texts that differ do not match.
func matchSomeARN(want pattern, have string) trust.Truth {
	if matchText(want, have) == trust.No {
		return trust.No
	}
	return matchARN(want, have)
}

func matchBool(want pattern, have string) trust.Truth {
	if strings.Contains(want.text(), "${") {
		return trust.Unknown // the guide says on one page that Bool knows variables, and on another that it does not
	}
	return trust.TruthOf(fold(want.text()) == fold(have))
}

// matchBinary compares byte for byte with a value that the policy has in base64. No key of this request is binary, and AWS does not
// document whether it takes a string as bytes or as base64.
func matchBinary(want pattern, have string) trust.Truth {
	data, err := base64.StdEncoding.DecodeString(want.text())
	if err != nil || string(data) == have || want.text() == have {
		return trust.Unknown
	}
	return trust.No
}

// matchAddress reports whether an address is in a range. A range without a prefix length has the length 32, in IPv4 and IPv6.
func matchAddress(want pattern, have string) trust.Truth {
	text := want.text()
	if !strings.Contains(text, "/") {
		text += "/32"
	}
	block, err := netip.ParsePrefix(text)
	address, haveErr := netip.ParseAddr(have)
	if err != nil || haveErr != nil {
		return trust.Unknown
	}
	return trust.TruthOf(block.Masked().Contains(address.Unmap()))
}

// longestNumber bounds the work on a number; a policy may be long.
const longestNumber = 100

func compareNumbers(have, want string) (int, bool) {
	h, ok := number(have)
	w, ok2 := number(want)
	if !ok || !ok2 {
		return 0, false
	}
	return h.Cmp(w), true
}

// number reads an integer or a decimal, but no fraction and no exponent.
func number(s string) (*big.Rat, bool) {
	if len(s) > longestNumber || strings.Trim(s, "+-.0123456789") != "" {
		return nil, false
	}
	return new(big.Rat).SetString(s)
}

func compareDates(have, want string) (int, bool) {
	h, ok := date(have)
	w, ok2 := date(want)
	return h.Compare(w), ok && ok2
}

// date reads a form of ISO 8601 that the W3C lists, or seconds since 1970. Four digits could be a year or seconds, so they are not read.
func date(s string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04Z07:00", "2006-01-02", "2006-01"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, true
		}
	}
	seconds, ok := number(s)
	if !ok || !seconds.IsInt() || !seconds.Num().IsInt64() || len(s) == len("2006") {
		return time.Time{}, false
	}
	return time.Unix(seconds.Num().Int64(), 0), true
}
