package rules

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"bitbucket-oidc/internal/access"
	"bitbucket-oidc/internal/guard"
)

// mapRule is the name under which the access map refuses. No rule of a file may have it.
const mapRule = "map"

// Granted returns why a map does not grant a request, or nothing. A grant is about one target, who asks for it, for how long, and
// on which branches; the grants of a target add up.
func Granted(m *access.Map, in guard.Input) string {
	target := cmp.Or(in.Request.Resource, in.Request.Target)
	var near []string // why grants that name the target and the identity do not fit
	named := false
	for _, g := range m.Grants {
		if !slices.ContainsFunc(g.Become, func(t access.Target) bool { return t.Name == target }) {
			continue
		}
		named = true
		if !slices.ContainsFunc(g.Who, func(w access.Who) bool { return covers(w, in.Claims) }) {
			continue
		}
		if why := unfit(m, g, target, in); why != "" {
			near = append(near, why)
			continue
		}
		return ""
	}
	switch {
	case in.Claims.WorkspaceUUID != m.Workspace.UUID:
		return fmt.Sprintf("the map is about the workspace %s, and the token is of another one", m.Workspace.Slug)
	case !named:
		return "no grant of the map names " + target
	case len(near) > 0:
		return strings.Join(near, "; ")
	}
	return "the map does not grant " + target + " to " + identity(m, in.Claims)
}

// covers reports whether a who of the map contains the step.
func covers(w access.Who, c guard.Claims) bool {
	if w.Repository.UUID != c.RepositoryUUID {
		return false
	}
	switch w.Environment {
	case access.AnyEnvironment:
		return true
	case access.NoEnvironment:
		return c.DeploymentEnvironmentUUID == ""
	}
	return w.UUID == c.DeploymentEnvironmentUUID
}

// unfit is why a grant that names the target and the step does not let the request pass.
func unfit(m *access.Map, g access.Grant, target string, in guard.Input) string {
	switch longest := m.Session(target); {
	case in.Claims.WorkspaceUUID != m.Workspace.UUID:
		return fmt.Sprintf("the map is about the workspace %s, and the token is of another one", m.Workspace.Slug)
	case g.Expired(in.Now):
		return fmt.Sprintf("the grant of %s ended on %s", target, g.Until.Format(time.DateOnly))
	case longest > 0 && in.Request.Duration > longest:
		return fmt.Sprintf("the map grants %s for %s, and %s is asked for", target, longest, in.Request.Duration)
	case len(g.Branches) > 0 && !slices.ContainsFunc(g.Branches, func(glob string) bool { return onBranch(glob, in.Claims.BranchName) }):
		return fmt.Sprintf("the map grants %s on the branches %s, and the token is of %q", target, strings.Join(g.Branches, ", "), in.Claims.BranchName)
	}
	return ""
}

// onBranch reports whether a branch matches a pattern of the map. As in Bitbucket's own patterns * ends at a slash and ** does not.
func onBranch(glob, branch string) bool {
	ends := []int{0} // where the parts so far can end
	for i, part := range strings.Split(glob, "**") {
		starts := ends
		if i > 0 {
			starts = nil
			for at := ends[0]; at <= len(branch); at++ {
				starts = append(starts, at)
			}
		}
		ends = nil
		for end := range len(branch) + 1 {
			if slices.ContainsFunc(starts, func(start int) bool { return start <= end && matches(part, branch[start:end]) }) {
				ends = append(ends, end)
			}
		}
		if len(ends) == 0 {
			return false
		}
	}
	return ends[len(ends)-1] == len(branch)
}

func matches(glob, text string) bool {
	ok, err := path.Match(glob, text)
	return err == nil && ok
}

// identity is the step in the map's names, or by its UUIDs.
func identity(m *access.Map, c guard.Claims) string {
	r, ok := m.Repository(c.RepositoryUUID)
	if !ok {
		return "the repository " + c.RepositoryUUID + ", which it does not know"
	}
	if c.DeploymentEnvironmentUUID == "" {
		return r.Name + "/" + access.NoEnvironment
	}
	for _, e := range r.Environments {
		if e.UUID == c.DeploymentEnvironmentUUID {
			return r.Name + "/" + e.Name
		}
	}
	return r.Name + " with the environment " + c.DeploymentEnvironmentUUID + ", which it does not know"
}
