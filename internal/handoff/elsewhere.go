package handoff

import (
	"io/fs"
	"os"
	"path"

	"bitbucket-oidc/internal/nowait"
)

// Bounds of [Dir.Elsewhere]: how many folders it looks at, and how many it returns. A checkout can have any number of them.
const (
	maxFolders = 1000
	maxFound   = 5
)

// Elsewhere returns the folders of the build directory, other than d, that hold what a login has written: folders at the top, and
// folders directly below those, such as .git/bitbucket-oidc. Their paths begin at the build directory. It is for a message only: the
// checkout may have brought what it finds.
func (d *Dir) Elsewhere() []string {
	root, err := nowait.Folder(d.clone)
	if err != nil {
		return nil
	}
	defer root.Close()
	var found []string
	looked := 0
	look := func(dir string) []string {
		var folders []string
		entries, _ := nowait.List(root, dir)
		for _, e := range entries {
			if e.Type() != fs.ModeDir || looked == maxFolders {
				continue
			}
			looked++
			name := path.Join(dir, e.Name())
			if name != d.relative && len(found) < maxFound && signedIn(root, name) {
				found = append(found, name)
			}
			folders = append(folders, name)
		}
		return folders
	}
	for _, folder := range look(".") {
		look(folder)
	}
	return found
}

// signedIn reports whether a folder holds credentials of a login. A logout leaves what is foreign with a state that has none.
func signedIn(root *os.Root, folder string) bool {
	generation, err := root.Readlink(folder + "/" + current)
	if err != nil || !isGeneration(generation) {
		return false
	}
	out, err := nowait.FolderIn(root, folder)
	if err != nil {
		return true
	}
	defer out.Close()
	past, err := stateOf(out, generation)
	return err != nil || len(past.Backends) > 0
}
