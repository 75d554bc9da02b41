// Package drift compares who gets in, as deployed, with who should get in, as the access map says. It compares sets of steps and
// never texts: the order of statements, and how a condition is written, are no difference.
package drift

import (
	"time"

	"bitbucket-oidc/internal/access"
	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/trust"
)

// A Kind is a kind of difference.
type Kind string

// The kinds.
const (
	Wider         Kind = "wider"         // somebody gets in, and the map does not grant them the target
	Unlisted      Kind = "unlisted"      // a target that no grant names lets in somebody of the workspace
	Missing       Kind = "missing"       // somebody is refused, and the map grants them the target
	Narrower      Kind = "narrower"      // only some steps get in of those to which the map grants the target
	Absent        Kind = "absent"        // a target of the map does not exist, or trusts nobody of the workspace
	Unread        Kind = "unread"        // what the map wants to be read was in no input
	Undecided     Kind = "undecided"     // it depends on something that no document says
	Expired       Kind = "expired"       // a grant's last day has passed
	Provider      Kind = "provider"      // a provider is missing, disabled, or for other audiences
	Session       Kind = "session"       // sessions may last longer or shorter than the map says
	Unenforceable Kind = "unenforceable" // the cloud cannot hold what the map says
)

// A Deployed is one target as it is in the cloud.
type Deployed struct {
	Target  string
	Source  string        // that it was read from, as in [Source]
	Session time.Duration // the longest that the cloud lets a session last; zero where it is not known
	Cells   []trust.Cell  // of the map's workspace; none where the target trusts nobody of it

	// Deciding is the path of what decides about an identity, such as Statement[0].Condition.StringLike; empty if no single thing
	// decides. Nil if it is not known.
	Deciding func(id bitbucket.Identity) string

	// Locate is the place of a path of Deciding, in a file that was given. Nil for what was read from the cloud itself.
	Locate func(path string) (file string, at finding.Place)
}

// A Source is an account, a provider or a mount that was read, or should have been.
type Source struct {
	Name      string `json:"source"` // aws:ACCOUNT, gcp:PROVIDER, vault:MOUNT
	How       string `json:"how"`    // such as: file roles.json
	Targets   int    `json:"targets"`
	Bitbucket int    `json:"bitbucket"` // of the targets, how many trust the map's workspace

	// Partial reports that the source may have targets that were not read, though it was read itself.
	Partial bool `json:"-"`

	// Why is why the source could not be read, or not whole; empty where it was read.
	Why string `json:"why,omitempty"`
}

// A Fault is something wrong with an OIDC provider.
type Fault struct {
	Provider string // its ARN or resource name
	Message  string
	Fix      finding.Fix
}

// A State is what is deployed, as far as it was read.
type State struct {
	Targets []Deployed
	Sources []Source
	Faults  []Fault
	Unnamed []string // files with a policy that does not say what it is of
	Gone    []string // targets that will not exist, as a plan says
}

// A Difference is something that is not as the map says. Its file and line are the map's.
type Difference struct {
	finding.Finding
	Kind    Kind           `json:"kind"`
	Target  string         `json:"target"`
	Who     []string       `json:"who"`             // in the words of [trust.Cell]
	Share   *float64       `json:"share,omitempty"` // of those who get in: the smallest of the cells
	Witness map[string]any `json:"witness,omitempty"`

	// LastUsed is the day on which a session of the target was last seen, or never; empty where nobody asked.
	LastUsed string `json:"lastUsed,omitempty"`
	Grant    string `json:"grant,omitempty"` // such as grants[0]
}

// Compare returns every difference, in an order that does not depend on the order of the documents.
func Compare(m *access.Map, s State, now time.Time) []Difference {
	c := comparison{m: m, universe: Universe(m, now).Normal(), state: s, deployed: map[string]int{}, now: now}
	for i, d := range s.Targets {
		c.deployed[d.Target] = i
	}
	for _, t := range m.Targets() {
		c.target(t)
	}
	c.unlisted()
	c.read()
	c.providers()
	c.grants()
	c.sort()
	return c.all
}
