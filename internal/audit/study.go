package audit

import (
	"cmp"
	"path"
	"slices"
	"strconv"
	"strings"

	"bitbucket-oidc/internal/pipelines"
	"bitbucket-oidc/internal/script"
)

// tokenVariable is where Bitbucket puts the step's token.
const tokenVariable = "BITBUCKET_STEP_OIDC_TOKEN"

// A step is a step of the file with what its scripts do.
type step struct {
	Step
	src      *pipelines.Step
	commands []command
	pipes    []pipe

	sets    map[string][]assigned
	token   []string   // names of variables that hold the token
	secrets []string   // names of variables that hold credentials
	files   []written  // that the token or credentials are written to
	opaque  []opaque   // what may sign in unseen
	changes *place     // where it first changes something, or nil
	session bool       // whether commands obtain keys: keys set afterwards are a session's
	keys    *storedKey // that the step takes; nil without
	unseen  *opaque    // what may sign in, if the file shows no sign-in of the step; else nil
}

// A command is a command of a script, with its place in the file.
type command struct {
	script.Command
	at     place
	after  bool
	text   string // see Text
	item   int    // index of the entry of the script
	folder string // that it runs in; empty for the clone directory
	base   int    // index of the entry's first command: Outer and Next count from it
}

// Text is the command in one line.
func (c command) Text() string { return c.text }

// program is the command in one line, without a folder or a runner in front of the program.
func (c command) program() string {
	inner := unwrapped(c.Command)
	text := inner.Text()
	if len(inner.Words) > 0 {
		text = inner.Name() + strings.TrimPrefix(text, inner.Words[0].Text)
	}
	return text
}

type pipe struct {
	*pipelines.Pipe
	place
	owner, name, version string
	docker               bool
	item                 int // index of the entry of the script
}

type place = pipelines.Place

// opaque is a command for which the file does not show what it does.
type opaque struct {
	how  string
	what string
	at   place
}

// stable names a step without its place: by its pipeline and its name, or by what it does first if it has no name. What is added
// above it must not change that, and another step must not take its name.
func (s *step) stable() string {
	name := s.Name
	if first := s.src.Script; name == "" && len(first) > 0 {
		name, _, _ = strings.Cut(first[0].Text, "\n") // the rest would make the ids of a long script take long
		if first[0].Pipe != nil {
			name, _ = splitVersion(first[0].Pipe.Name)
		}
	}
	return s.src.Pipeline + "\x00" + name
}

// has reports whether what stands at a path is of the step, or of the step's stage.
func (s *step) has(path string) bool {
	stage := s.src.Stage
	return s.Path == path || strings.HasPrefix(path, s.Path+".") ||
		stage != "" && (path == stage || strings.HasPrefix(path, stage+".") && !strings.HasPrefix(path, stage+".steps["))
}

// parsedScript is an entry of a script that was read. Steps share entries through anchors.
type parsedScript struct {
	text string
	at   place
}

const (
	// maxCommands caps the commands of a file: an anchor can give one script to thousands of steps.
	maxCommands = 50_000
)

// study finds out what each step does. It reports whether that is not too much.
func (r *run) study() bool {
	commands := 0
	scripts := map[parsedScript][]script.Command{}
	for i := range r.parsed.Steps {
		s := newStep(&r.parsed.Steps[i])
		for n, item := range s.src.Script {
			if item.Pipe != nil {
				s.pipes = append(s.pipes, readPipe(item.Pipe, n))
				continue
			}
			id := parsedScript{item.Text, item.Place}
			if _, ok := scripts[id]; !ok {
				scripts[id] = script.Parse(item.Text)
			}
			if commands += len(scripts[id]); commands > maxCommands {
				r.steps = nil
				return false
			}
			s.commands = append(s.commands, r.commands(item, n, scripts[id], len(s.commands))...)
		}
		s.assign()
		s.folders()
		s.follow()
		s.signIns(r.options.OurPipes)
		s.opaques()
		s.changes = s.change()
		r.steps = append(r.steps, s)
	}
	r.inherit()
	for _, s := range r.steps {
		s.guess(r.options.OurPipes)
	}
	return true
}

// newStep is a step as the file has it, before its scripts are read.
func newStep(src *pipelines.Step) *step {
	s := &step{src: src, token: []string{tokenVariable}}
	s.Step = Step{
		Path: src.Path, Line: src.Line, Kind: src.Kind, Pattern: src.Pattern, Name: src.Name, Start: "automatic", Token: src.Token,
		Branches: append([]string{}, src.Branches...), Clouds: []Cloud{}, Verdicts: []Verdict{}, Environment: ptr(src.Environment),
		Deploys: src.Deploys, PullRequest: src.PullRequest,
	}
	if src.Manual {
		s.Start = "manual"
	}
	if src.Token {
		s.OIDCLine, s.Audiences = src.OIDC.Line, append([]string{"workspace"}, src.OIDC.Audiences...)
		s.Subject = ptr(subject(src))
	}
	return s
}

// commands are the commands of entry number n of a script, with their places. base is how many commands the step has before them.
func (r *run) commands(item pipelines.Item, n int, parsed []script.Command, base int) []command {
	var all []command
	from := item.Line
	for _, c := range parsed {
		at := place{Line: item.LineOf(c.Line), Column: item.Column}
		if at.Line != item.Line {
			at.Column = r.indent(at.Line)
		}
		if item.Spans {
			at = r.locate(c, max(from, at.Line), item.Last, at)
			from = at.Line
		}
		all = append(all, command{Command: c, at: at, after: item.After, text: c.Text(), item: n, base: base})
	}
	return all
}

func subject(s *pipelines.Step) string {
	switch {
	case s.Environment == "":
		return "{repository}:{step}"
	case s.Deploys:
		return "{repository}:{environment " + s.Environment + "}:{step}"
	}
	return "{repository}:{?environment " + s.Environment + "}:{step}"
}

// locate finds a command of a folded script by how it begins, on the lines from one to another. Else it is where the script is.
func (r *run) locate(c script.Command, from, last int, otherwise place) place {
	const most = 200 // lines
	if len(c.Words) == 0 || c.Words[0].Text == "" {
		return otherwise
	}
	begins := []string{c.Words[0].Text} // the second word may have quotes, or be on the next line
	if len(c.Words) > 1 {
		begins = []string{begins[0] + " " + c.Words[1].Text, begins[0] + " ", begins[0]}
	}
	for _, begin := range begins {
		for line := from; line <= min(from+most, last, len(r.source)); line++ {
			text := r.source[line-1]
			if at := strings.Index(text, begin); at >= 0 {
				return place{Line: line, Column: 1 + len([]rune(text[:at]))}
			}
		}
	}
	return otherwise
}

// indent is the column at which a line's text begins.
func (r *run) indent(line int) int {
	if line < 1 || line > len(r.source) {
		return 1
	}
	text := r.source[line-1]
	return 1 + len(text) - len(strings.TrimLeft(text, " \t"))
}

func readPipe(p *pipelines.Pipe, item int) pipe {
	q := pipe{Pipe: p, place: p.Place, item: item}
	name := p.Name
	if rest, ok := strings.CutPrefix(name, "docker://"); ok {
		q.docker, name = true, rest
	}
	name, q.version = splitVersion(name)
	q.owner, q.name = path.Split(name)
	q.owner = strings.Trim(q.owner, "/")
	return q
}

// splitVersion splits an image's or a pipe's name from its tag or digest.
func splitVersion(name string) (string, string) {
	if before, digest, ok := strings.Cut(name, "@"); ok {
		before, _ = splitVersion(before)
		return before, digest
	}
	if at := strings.LastIndexByte(name, ':'); at > strings.LastIndexByte(name, '/') {
		return name[:at], name[at+1:]
	}
	return name, ""
}

// inherit finds steps that sign in with a file that an earlier step of their pipeline wrote.
func (r *run) inherit() {
	for i, s := range r.steps {
		if s.Token {
			continue
		}
		for _, earlier := range r.steps[:i] {
			if earlier.src.Pipeline != s.src.Pipeline || !earlier.Token {
				continue
			}
			for _, f := range earlier.files {
				if at, ok := s.names(f.path); ok && inClone(f.path) && !slices.ContainsFunc(s.files, func(own written) bool { return own.path == f.path }) &&
					!slices.ContainsFunc(s.Clouds, func(c Cloud) bool { return c.How == "inherited-file" }) {
					s.inherited(earlier, at)
				}
			}
		}
	}
}

// inherited makes a sign-in of a file that an earlier step wrote. Its identity is what the step names, or what the earlier one did.
func (s *step) inherited(earlier *step, at place) {
	c := Cloud{Cloud: "unknown", How: "inherited-file", Line: at.Line, column: at.Column}
	if len(earlier.Clouds) > 0 {
		c.Cloud, c.Who = earlier.Clouds[0].Cloud, earlier.Clouds[0].Who
	}
	s.Clouds = slices.DeleteFunc(s.Clouds, func(own Cloud) bool {
		same := own.How == "web-identity-file" || own.How == "create-cred-config" && own.Line == at.Line
		if same && own.Who != nil {
			c.Who = own.Who
		}
		return same
	})
	s.Clouds = append(s.Clouds, c)
}

// names is where a command of the step names a file.
func (s *step) names(file string) (place, bool) {
	for _, c := range s.commands {
		for _, w := range slices.Concat(c.Assign, c.Words) {
			_, value, _ := strings.Cut(w.Text, "=")
			if s.file(c, w.Text) == file || value != "" && s.file(c, value) == file || strings.HasPrefix(w.Text, "file://") && s.file(c, w.Text[7:]) == file {
				return c.at, true
			}
		}
	}
	return place{}, false
}

// maxTime is how long the step may run, in minutes, and whether the file says so.
func (r *run) maxTime(s *step) (int, bool) {
	if limit := cmp.Or(s.src.MaxTime, r.parsed.MaxTime); limit != 0 {
		return int(limit.Minutes()), true
	}
	return 120, false
}

func number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0
	}
	return n
}
