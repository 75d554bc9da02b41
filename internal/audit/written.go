package audit

import (
	"path"
	"slices"
	"strings"

	"bitbucket-oidc/internal/script"
)

// written is a file that holds the token or credentials.
type written struct {
	path  string // as [step.file] has it
	at    place
	token bool
	index int  // of the command that writes it
	gone  bool // whether a later command removes it
}

// maxFiles caps the files of a step that are followed.
const maxFiles = 50

// maxPath caps the path of a folder.
const maxPath = 4096

// write notes that a command writes the token, or credentials, to a file.
func (s *step) write(i int, name string, token bool) {
	c := s.commands[i]
	if file := s.file(c, name); file != "" && len(s.files) < maxFiles {
		s.files = append(s.files, written{path: file, at: c.at, token: token, index: i})
	}
}

// moves follows files that a command copies, moves or removes. What after-script removes may be an artifact by then.
func (s *step) moves(i int) {
	c := s.commands[i]
	var names []string
	for _, w := range c.Words[min(1, len(c.Words)):] {
		if !strings.HasPrefix(w.Text, "-") {
			names = append(names, w.Text)
		}
	}
	switch {
	case c.Is("cp", "mv", "install") && len(names) == 2:
		from, to := names[0], names[1]
		if strings.HasSuffix(to, "/") || to == "." {
			to = path.Join(to, path.Base(from))
		}
		for _, token := range []bool{true, false} {
			if s.isFile(c, from, token) {
				s.write(i, to, token)
			}
		}
		if c.Is("mv") {
			s.remove(c, from)
		}
	case c.Is("rm", "shred", "unlink") && !c.after:
		for _, name := range names {
			s.remove(c, name)
		}
	}
}

func (s *step) remove(c command, name string) {
	name = s.file(c, name)
	for i := range s.files {
		if f := &s.files[i]; f.path == name || name != "" && strings.HasPrefix(f.path, name+"/") {
			f.gone = true
		}
	}
}

// isFile reports whether the step has written the token, or credentials, to the file that a command names.
func (s *step) isFile(c command, name string, token bool) bool {
	if len(s.files) == 0 {
		return false
	}
	name = s.file(c, name)
	return name != "" && slices.ContainsFunc(s.files, func(f written) bool { return f.token == token && f.path == name })
}

// file is the path of a file that a command names: below the clone directory, if the text shows that.
func (s *step) file(c command, name string) string {
	name = s.resolve(name)
	for _, root := range []string{"${BITBUCKET_CLONE_DIR}", "$BITBUCKET_CLONE_DIR", "/opt/atlassian/pipelines/agent/build"} {
		if rest, ok := strings.CutPrefix(name, root); ok && (rest == "" || rest[0] == '/') {
			return path.Clean(strings.TrimPrefix(rest, "/"))
		}
	}
	for _, here := range []string{"$()", "${PWD}", "$PWD"} { // of substitutions, $(pwd) is the usual one
		if rest, ok := strings.CutPrefix(name, here); ok && (rest == "" || rest[0] == '/') {
			name = "." + rest
		}
	}
	if name == "" || hasAnyPrefix(name, "/", "~", "$", "%") {
		return name
	}
	return path.Join(c.folder, name)
}

// folders notes the folder that each command runs in. A folder that a subshell changes is the subshell's.
func (s *step) folders() {
	now := []string{""} // by depth
	for i := range s.commands {
		c := &s.commands[i]
		if i > 0 && c.after != s.commands[i-1].after {
			now = []string{""}
		}
		now = now[:min(len(now), c.Depth+1)]
		for len(now) <= c.Depth {
			now = append(now, now[len(now)-1])
		}
		c.folder = now[c.Depth]
		if !c.Is("cd", "pushd") {
			continue
		}
		to := slices.IndexFunc(c.Words[1:], func(w script.Word) bool { return !strings.HasPrefix(w.Text, "-") })
		switch {
		case to < 0 && len(c.Words) > 1: // back to where it was
			now[c.Depth] = "$OLDPWD"
		case to < 0:
			now[c.Depth] = "~"
		default:
			now[c.Depth] = s.file(*c, c.Words[1+to].Text)
			if len(now[c.Depth]) > maxPath {
				now[c.Depth] = "$OLDPWD"
			}
		}
	}
}

// resolve replaces a variable at the beginning of a path with its value, if the step sets it.
func (s *step) resolve(path string) string {
	if !strings.HasPrefix(path, "$") || strings.HasPrefix(path, "$()") {
		return path
	}
	name, rest, _ := strings.Cut(strings.TrimPrefix(path, "$"), "/")
	value, _, ok := s.set(strings.Trim(name, "{}"))
	if !ok || value == "" || strings.HasPrefix(value, path) {
		return path
	}
	if rest != "" {
		value += "/" + rest
	}
	return value
}

// inClone reports whether a path is below the clone directory.
func inClone(p string) bool { return p != "" && !hasAnyPrefix(p, "/", "~", "$", "..", "%") }
