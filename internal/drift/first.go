package drift

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/trust"
)

// FirstMap is a map of what is deployed, to be reviewed: every repository that a document names, with who gets in now. It also
// returns what a map cannot express, such as that any repository gets in. Only the UUIDs are known: the names are made of them.
func FirstMap(u bitbucket.Universe, s State, now time.Time) (text string, left []string) {
	f := firstMap{names: map[string]string{}, environments: map[string][]string{}}
	var grants []string
	targets := slices.Clone(s.Targets)
	slices.SortFunc(targets, func(a, b Deployed) int { return strings.Compare(a.Target, b.Target) })
	for _, t := range targets {
		who, rest := f.who(t.Cells)
		if rest != "" {
			left = append(left, t.Target+": "+rest+", and a map cannot say so: drift will show it")
		}
		if len(who) == 0 {
			continue
		}
		grant := fmt.Sprintf("  - become: [%q]\n    who: [%s]\n", t.Target, quotedAll(who))
		if t.Session > 0 {
			grant += fmt.Sprintf("    session: %s\n", t.Session)
		}
		grants = append(grants, grant+fmt.Sprintf("    why: found %s, not reviewed\n", now.UTC().Format(time.DateOnly)))
	}
	_, rest, _ := strings.Cut(u.Issuer, "/workspaces/")
	slug, _, _ := strings.Cut(rest, "/")
	var b strings.Builder
	fmt.Fprintf(&b, "version: 1\nworkspace: {slug: %s, uuid: %q}\nrepositories: # the names are labels: write the slugs\n", slug, u.WorkspaceUUID)
	if len(f.order) == 0 {
		return b.String() + "  {}\ngrants: []\n", left
	}
	for _, uuid := range f.order {
		fmt.Fprintf(&b, "  %s: {uuid: %q", f.names[uuid], uuid)
		if envs := f.environments[uuid]; len(envs) > 0 {
			b.WriteString(", environments: {")
			for i, e := range envs {
				if i > 0 {
					b.WriteString(", ")
				}
				fmt.Fprintf(&b, "%s: %q", f.names[e], e)
			}
			b.WriteString("}")
		}
		b.WriteString("}\n")
	}
	if len(s.Sources) > 0 {
		b.WriteString(readBlock(s.Sources))
	}
	if len(grants) == 0 {
		return b.String() + "grants: []\n", left
	}
	return b.String() + "grants:\n" + strings.Join(grants, ""), left
}

type firstMap struct {
	order        []string            // UUIDs of repositories
	names        map[string]string   // of repositories and environments
	environments map[string][]string // of a repository
}

// who says in the terms of a map who gets in, and what a map cannot express.
func (f *firstMap) who(cells []trust.Cell) (who []string, left string) {
	of := map[string][]trust.Cell{}
	var repositories []string
	for _, c := range cells {
		if !c.Reach.Some {
			if c.Reach.Maybe {
				left = "whether " + c.Who + " gets in depends on " + c.Reach.Why
			}
			continue
		}
		if c.Repository == "" {
			left = c.Who + " gets in"
			continue
		}
		if !c.Reach.All {
			left = "not every step of " + c.Who + " gets in"
		}
		if !slices.Contains(repositories, c.Repository) {
			repositories = append(repositories, c.Repository)
		}
		of[c.Repository] = append(of[c.Repository], c)
	}
	for _, uuid := range repositories {
		name := f.name(uuid, "repository-")
		if !slices.Contains(f.order, uuid) {
			f.order = append(f.order, uuid)
		}
		whole := slices.ContainsFunc(of[uuid], func(c trust.Cell) bool { return c.Deployment && c.Environment == "" }) &&
			slices.ContainsFunc(of[uuid], func(c trust.Cell) bool { return !c.Deployment })
		if whole {
			who = append(who, name+"/*")
			continue
		}
		for _, c := range of[uuid] {
			switch {
			case !c.Deployment:
				who = append(who, name+"/none")
			case c.Environment == "":
				left = c.Who + " gets in"
			default:
				if !slices.Contains(f.environments[uuid], c.Environment) {
					f.environments[uuid] = append(f.environments[uuid], c.Environment)
				}
				who = append(who, name+"/"+f.name(c.Environment, "environment-"))
			}
		}
	}
	return who, left
}

// name makes a name of a UUID that no other UUID has.
func (f *firstMap) name(uuid, prefix string) string {
	if name, ok := f.names[uuid]; ok {
		return name
	}
	bare := strings.Trim(uuid, "{}")
	name := prefix + bare[:8]
	for _, other := range f.names {
		if other == name {
			name = prefix + bare
		}
	}
	f.names[uuid] = name
	return name
}

func readBlock(sources []Source) string {
	of := map[string][]string{}
	for _, s := range sources {
		cloud, name, _ := strings.Cut(s.Name, ":")
		of[cloud] = append(of[cloud], name)
	}
	text := "read:\n"
	for _, cloud := range []string{"aws", "gcp", "vault"} {
		if len(of[cloud]) > 0 {
			slices.Sort(of[cloud])
			text += fmt.Sprintf("  %s: [%s]\n", cloud, quotedAll(slices.Compact(of[cloud])))
		}
	}
	if text == "read:\n" {
		return ""
	}
	return text
}

func quotedAll(texts []string) string {
	var all []string
	for _, t := range texts {
		all = append(all, fmt.Sprintf("%q", t))
	}
	return strings.Join(all, ", ")
}
