package wif

import "strings"

// A memberKind is what a member names within a pool.
type memberKind int

const (
	other       memberKind = iota // nothing of a workload identity pool
	wholePool                     // every identity
	oneSubject                    // one google.subject
	oneGroup                      // one of google.groups
	ofAttribute                   // one value of one attribute
)

// A member is a member of a binding, in its parts.
type member struct {
	poolPath
	text, path string // as the policy has it, and where
	kind       memberKind
	key        string // in the mapping, such as attribute.repository
	value      string
}

// parseMember reads principal://iam.googleapis.com/…/subject/VALUE, and principalSet://iam.googleapis.com/… with group/VALUE,
// attribute.NAME/VALUE or *. Values may contain slashes.
//
// Source: Google Cloud, "Principal identifiers".
func parseMember(s string) member {
	scheme, resource, _ := strings.Cut(s, "://")
	host, path, _ := strings.Cut(resource, "/")
	name, rest, ok := parsePoolPath(path)
	if !ok || !strings.HasPrefix(host, "iam.") {
		return member{text: s}
	}
	m := member{poolPath: poolPath{project: name.project, pool: name.pool}, text: s}
	selector, value, _ := strings.Cut(rest, "/")
	m.value = value
	switch {
	case scheme == "principalSet" && rest == "*":
		m.kind = wholePool
	case scheme == "principalSet" && selector == "group":
		m.kind, m.key = oneGroup, "google.groups"
	case scheme == "principalSet" && strings.HasPrefix(selector, "attribute."):
		m.kind, m.key = ofAttribute, selector
	case scheme == "principal" && selector == "subject":
		m.kind, m.key = oneSubject, "google.subject"
	}
	return m
}
