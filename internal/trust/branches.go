package trust

import (
	"slices"
	"strings"

	"bitbucket-oidc/internal/bitbucket"
)

// Glob matches as Vault does: * stands for any characters, also none, and nothing else is special (github.com/ryanuber/go-glob). IAM's
// patterns also have ?.
func Glob(pattern, text string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == text
	}
	text, ok := strings.CutPrefix(text, parts[0])
	if !ok {
		return false
	}
	last := len(parts) - 1
	for _, part := range parts[1:last] {
		_, behind, found := strings.Cut(text, part)
		if !found {
			return false
		}
		text = behind
	}
	return strings.HasSuffix(text, parts[last])
}

// branchesIn are a branch that is made up, and those that texts can be about: each text itself, and what follows a colon in it.
func branchesIn(texts []string) []string {
	const most = 16
	all := []string{bitbucket.MadeUpBranch}
	for _, text := range texts {
		_, behind, _ := strings.Cut(text, "}:")
		for _, name := range []string{text, behind, strings.TrimPrefix(text, "refs/heads/")} {
			if name != "" && len(all) <= most && !slices.Contains(all, name) && len(bitbucket.UUIDs(name)) == 0 {
				all = append(all, name)
			}
		}
	}
	return all
}

// instances are branches that match a pattern: the pattern itself where it is the name of one.
func instances(pattern string) []string {
	if !strings.Contains(pattern, "*") {
		return []string{pattern}
	}
	return []string{strings.ReplaceAll(pattern, "*", "x"), strings.ReplaceAll(pattern, "*", bitbucket.MadeUpBranch)}
}

// split are the branches that the universe means, and the others, with that of a step that has no branch.
func (d *decider) split() (meant, others []string) {
	var all []string
	for _, name := range slices.Concat(d.branches, d.Universe.Meant) {
		all = append(all, instances(name)...)
	}
	slices.Sort(all)
	for _, name := range slices.Compact(all) {
		if slices.ContainsFunc(d.Universe.Meant, func(pattern string) bool { return Glob(pattern, name) }) {
			meant = append(meant, name)
		} else {
			others = append(others, name)
		}
	}
	return meant, append(others, "")
}

// tried reports whether no other branch can be judged in another way than these: the document compares the branch with names and patterns
// alone, or the universe means these and no others.
func (d *decider) tried(branches []string) bool {
	meant := d.Universe.Meant
	names := !slices.ContainsFunc(meant, func(pattern string) bool { return strings.Contains(pattern, "*") })
	return len(meant) > 0 && (d.Globs || names && slices.Equal(branches, d.meant))
}
