package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"bitbucket-oidc/internal/hint"
)

func guardVariables() []Variable {
	return []Variable{
		{Name: "GUARD_FILE", Guard: true, Peers: []string{"GUARDRAILS", "GUARDRAILS_FILE", "GUARDRAIL", "GUARDRAIL_FILE", "GUARD_RULES", "GUARD_POLICY", "GUARD_RULES_FILE",
			"GUARD_POLICY_FILE", "GUARD_CONFIG", "GUARD_PATH"},
			Means: "Path of a file of guardrails, relative to the build directory. A login that breaks one of its rules is refused before anything is sent."},
		{Name: "GUARD_MAP", Guard: true, Peers: []string{"ACCESS_MAP", "ACCESS_MAP_FILE", "GUARD_ACCESS_MAP", "GUARD_MAP_FILE"},
			Means: "Path of an access map, relative to the build directory. A login to a target that the map does not grant to this step is refused before anything is sent."},
	}
}

// Guard names the files of guardrails by their full paths, or empty. They are regular files inside the build directory, and no link
// leads to them; nothing of their text was read.
type Guard struct {
	Clone     string // the build directory
	File, Map string
	Baked     string // the file of guardrails in the image; empty if the image has none
}

// baked is where an image can have guardrails. No variable can leave them out.
const baked = "/etc/bitbucket-oidc/guard.yaml"

// Guard is what GUARD_… asks for.
func (v *Vars) Guard() Guard {
	g := Guard{Clone: inBuildDir(v.CloneDir(), "."), File: v.existing("GUARD_FILE"), Map: v.existing("GUARD_MAP"), Baked: baked}
	if _, err := os.Lstat(baked); errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		g.Baked = "" // if something else is there, it counts, and must be readable
	}
	return g
}

// existing is the full path of a regular file inside the build directory that a variable names, or empty.
func (v *Vars) existing(name string) string {
	path := v.inside(name)
	if path == "" {
		return ""
	}
	if info, err := os.Lstat(path); err != nil || !info.Mode().IsRegular() {
		v.Reason(name, errors.New("no regular file that can be read"), "a file inside the build directory, by its path from there")
		return ""
	}
	return path
}

// inside is the full path that a variable names inside the build directory, or empty. No folder on the way is a link.
func (v *Vars) inside(name string) string {
	text := v.Text(name)
	if text == "" || v.isOdd(name) {
		return ""
	}
	root := inBuildDir(v.CloneDir(), ".")
	inside, err := filepath.Rel(root, inBuildDir(root, text))
	switch {
	case err != nil || !filepath.IsLocal(inside) || inside == ".":
		v.Reason(name, errors.New("outside the build directory"), "a file inside the build directory, by its path from there")
		return ""
	case strings.ContainsFunc(text, func(r rune) bool { return r < ' ' }):
		v.Wrong(name, text, "a path without control characters")
		return ""
	}
	folder := root
	for _, step := range strings.Split(filepath.Dir(inside), string(filepath.Separator)) {
		folder = filepath.Join(folder, step)
		if step == "." {
			continue // the build directory itself may be a link: Bitbucket made it
		}
		if info, err := os.Lstat(folder); err != nil || !info.IsDir() {
			v.Add(hint.New(name+": a folder that does not exist, or a link in its place", "name a file in a folder of the checkout"))
			return ""
		}
	}
	return filepath.Join(root, inside)
}
