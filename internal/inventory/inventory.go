// Package inventory turns documents, as the clouds' tools print them, into what is deployed: which targets there are, who gets in,
// and what was read.
package inventory

import (
	"context"
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"bitbucket-oidc/internal/access"
	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/drift"
	"bitbucket-oidc/internal/judge"
	"bitbucket-oidc/internal/trust"
)

// A listing is what a file says of roles beside their policies.
type listing struct {
	Roles []entry
	Role  *entry
}

type entry struct {
	Arn                string
	MaxSessionDuration int // seconds
}

// Read reads what is deployed of a workspace from files. Errors name their files and are joined.
func Read(ctx context.Context, files []trust.File, u bitbucket.Universe) (drift.State, error) {
	reached, err := judge.Reach(ctx, files, u)
	if err != nil {
		return drift.State{}, err
	}
	var s drift.State
	for _, file := range files {
		var l listing
		if json.Unmarshal(file.Data, &l) != nil { // judge has read it: it is a document of another form
			continue
		}
		whole := l.Role == nil
		if l.Role != nil {
			l.Roles = append(l.Roles, *l.Role)
		}
		for _, e := range l.Roles {
			t, ok := access.ParseTarget(e.Arn)
			if !ok {
				continue
			}
			d := drift.Deployed{Target: e.Arn, Source: "aws:" + t.Account, Session: time.Duration(e.MaxSessionDuration) * time.Second}
			for _, r := range reached {
				if r.File == file.Name && r.Target == e.Arn {
					d.Cells = ofWorkspace(r.Cells, u)
				}
			}
			s.Targets = append(s.Targets, d)
			count(&s, d.Source, "file "+file.Name, len(d.Cells) > 0, whole)
		}
	}
	return s, nil
}

// ofWorkspace are the cells, or none where nobody of the workspace can get in because no provider of it is trusted.
func ofWorkspace(cells []trust.Cell, u bitbucket.Universe) []trust.Cell {
	return slices.DeleteFunc(slices.Clone(cells), func(c trust.Cell) bool {
		for _, id := range []*bitbucket.Identity{c.Reach.Witness, c.Reach.Refused} {
			if id != nil && id.Claims.Issuer != u.Issuer {
				return true
			}
		}
		return false
	})
}

// count notes a target of a source. An account of which single roles were read was not read as a whole: it is no source.
func count(s *drift.State, name, how string, bitbucket, whole bool) {
	if !whole {
		return
	}
	i := slices.IndexFunc(s.Sources, func(x drift.Source) bool { return x.Name == name })
	if i < 0 {
		s.Sources = append(s.Sources, drift.Source{Name: name, How: how})
		i = len(s.Sources) - 1
	} else if !strings.Contains(s.Sources[i].How, how) {
		s.Sources[i].How += ", " + how
	}
	s.Sources[i].Targets++
	if bitbucket {
		s.Sources[i].Bitbucket++
	}
}

var (
	issuer   = regexp.MustCompile(`api\.bitbucket\.org/2\.0/workspaces/([A-Za-z0-9._-]+)/pipelines-config/identity/oidc`)
	audience = regexp.MustCompile(`ari:cloud:bitbucket::workspace/([0-9a-fA-F-]{36})`)
)

// Workspaces are the slugs and the UUIDs, in braces, of Bitbucket's workspaces that files name anywhere, each once.
func Workspaces(files []trust.File) (slugs, uuids []string) {
	for _, file := range files {
		text := string(file.Data)
		if decoded, err := url.PathUnescape(text); err == nil {
			text = decoded
		}
		for _, m := range issuer.FindAllStringSubmatch(text, -1) {
			slugs = append(slugs, m[1])
		}
		for _, m := range audience.FindAllStringSubmatch(text, -1) {
			uuids = append(uuids, bitbucket.Braced(m[1]))
		}
	}
	slices.Sort(slugs)
	slices.Sort(uuids)
	return slices.Compact(slugs), slices.Compact(uuids)
}
