package pipelines

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxSteps caps the steps of a file. Aliases can name one step any number of times.
const maxSteps = 5_000

// A walk goes through a file once.
type walk struct {
	nodes  int
	seen   map[*yaml.Node]*Fields
	inside map[*yaml.Node]bool // lists that are being read
	known  map[*Fields][]Fault // what is wrong with the keys of steps; the paths are those below a step
	parsed map[*yaml.Node]Item // commands, by their scalar
	source []string
	file   *File
	err    error

	usual   *Image            // of steps without one
	runsOn  Field             // of options: the runner of steps that do not say otherwise
	caches  map[string]string // definitions.caches: name to path
	imports map[string]Field  // definitions.imports: name to source
}

// A pipeline is the list of steps being walked.
type pipeline struct {
	path, kind, pattern string
	branches            []string
	variables           []Variable
	environments        map[string]string // lower-case name to the path of the step or stage that has it
	any                 bool              // whether it has a step yet
}

func (w *walk) run(root *yaml.Node) {
	w.inside, w.known, w.parsed = map[*yaml.Node]bool{}, map[*Fields][]Fault{}, map[*yaml.Node]Item{}
	file := w.fields(root)
	if file == nil {
		w.fail(placeOf(root), "it is no mapping with `pipelines`")
		return
	}
	definitions := w.fields(file.get("definitions").Value)
	if !file.has("pipelines") && !definitions.has("pipelines") && !file.has("export") {
		w.fail(placeOf(root), "it has no `pipelines`")
		return
	}
	if image := file.get("image"); image.Key != nil {
		w.usual = w.image(image)
	}
	options := w.fields(file.get("options").Value)
	w.file.MaxTime, w.runsOn = minutes(options.get("max-time").Value), options.get("runs-on")
	if oidc := options.get("oidc"); oidc.Key != nil {
		w.file.OIDC = w.oidc(oidc, "options.oidc")
	}
	w.define(definitions)
	if pipelines := file.get("pipelines"); pipelines.Key != nil {
		w.pipelines(pipelines)
	}
	if shared := w.fields(definitions.get("pipelines").Value); shared != nil {
		for _, p := range shared.all {
			w.pipeline(p, pipeline{path: "definitions.pipelines[" + strconv.Quote(p.Key.Value) + "]", kind: Definition, pattern: p.Key.Value, branches: []string{"**"}})
		}
	}
	w.triggered(w.fields(file.get("triggers").Value))
	w.children()
}

// define reads what steps refer to by name.
func (w *walk) define(definitions *Fields) {
	w.caches, w.imports = map[string]string{}, map[string]Field{}
	if caches := w.fields(definitions.get("caches").Value); caches != nil {
		for _, c := range caches.all {
			w.caches[c.Key.Value] = text(c.Value)
			if fields := w.fields(c.Value); fields != nil {
				w.caches[c.Key.Value] = text(fields.get("path").Value)
			}
		}
	}
	if imports := w.fields(definitions.get("imports").Value); imports != nil {
		for _, i := range imports.all {
			if inner := w.fields(i.Value).get("import"); inner.Key != nil {
				i = Field{i.Key, inner.Value}
			}
			w.imports[i.Key.Value] = i
		}
	}
}

func (w *walk) pipelines(field Field) {
	kinds := w.fields(field.Value)
	if kinds == nil {
		w.fail(field.Place(), "`pipelines` is no mapping")
		return
	}
	for _, kind := range kinds.all {
		path := "pipelines." + kind.Key.Value
		switch kind.Key.Value {
		case Default:
			w.pipeline(kind, pipeline{path: path, kind: Default, branches: []string{"**"}})
		case Branches, Tags, PullRequests, Custom:
			patterns := w.fields(kind.Value)
			if patterns == nil {
				if target(kind.Value).Kind == yaml.SequenceNode {
					w.fault(Misplaced, kind.Place(), path, fmt.Sprintf("`%s` holds a list of steps without a pattern: no pipeline runs them.", kind.Key.Value))
				}
				continue
			}
			for _, p := range patterns.all {
				w.pipeline(p, pipeline{
					path: path + "[" + strconv.Quote(p.Key.Value) + "]", kind: kind.Key.Value, pattern: p.Key.Value,
					branches: reachable(kind.Key.Value, p.Key.Value),
				})
			}
		default:
			if w.holdsSteps(kind.Value, 0) {
				w.fault(Misplaced, kind.Place(), path, fmt.Sprintf("`%s` is no kind of pipeline: nothing runs the steps below it.", kind.Key.Value))
			}
		}
	}
}

// reachable are the branches that the token of a pipeline's steps can name: of a pull request, its source branch.
func reachable(kind, pattern string) []string {
	switch kind {
	case Branches, PullRequests:
		return alternatives(pattern)
	case Tags:
		return nil // not confirmed what the token says there
	}
	return []string{"**"}
}

// holdsSteps reports whether there is a step below a node that no pipeline is.
func (w *walk) holdsSteps(node *yaml.Node, depth int) bool {
	if depth > 3 {
		return false
	}
	for _, item := range w.items(node) {
		if f := w.fields(item); f.has("step", "parallel", "stage") {
			return true
		}
	}
	if f := w.fields(node); f != nil {
		return f.has("step") || slices.ContainsFunc(f.all, func(m Field) bool { return w.holdsSteps(m.Value, depth+1) })
	}
	return false
}

// pipeline walks one pipeline: a list, or an import instead of it.
func (w *walk) pipeline(field Field, p pipeline) {
	if f := w.fields(field.Value); f != nil {
		if from := f.get("import"); from.Key != nil {
			w.imported(from, p.path)
		} else if f.has("step", "parallel", "stage") {
			w.fault(Refused, field.Place(), p.path, "The pipeline is a mapping: Bitbucket expects a list of steps.")
		}
		return
	}
	p.environments = map[string]string{}
	for i, item := range w.items(field.Value) {
		w.item(&p, item, fmt.Sprintf("%s[%d]", p.path, i))
		if w.err != nil {
			return
		}
	}
}

func (w *walk) imported(from Field, path string) {
	value := text(from.Value)
	name, source, named := strings.Cut(value, "@")
	i := Import{Place: from.Place(), Path: path, Name: name, At: from.Place()}
	if named {
		i.Source, i.At = text(w.imports[source].Value), placeOf(w.imports[source].Key)
		if i.At == (Place{}) {
			i.At = i.Place
		}
	} else if parts := strings.SplitN(value, ":", 3); len(parts) == 3 { // REPOSITORY:REF:PIPELINE
		i.Name, i.Source = parts[2], parts[0]+":"+parts[1]
	}
	w.file.Imports = append(w.file.Imports, i)
}

// item walks an entry of a pipeline.
func (w *walk) item(p *pipeline, node *yaml.Node, path string) {
	f := w.fields(node)
	if f == nil {
		return
	}
	s := Step{
		Place: placeOf(node), Pipeline: p.path, Kind: p.kind, Pattern: p.pattern, Branches: p.branches, Variables: p.variables,
		PullRequest: p.kind == PullRequests,
	}
	first := !p.any
	switch {
	case f.has("step"):
		s.Path = path + ".step"
		w.one(p, f, s)
	case f.has("final"):
		s.Path, s.Kind = path+".final", Final
		fields := w.fields(f.get("final").Value)
		if inner := fields.get("step"); inner.Key != nil && !fields.has("script") { // written as the other items are
			s.Path, fields = s.Path+".step", w.fields(inner.Value)
		}
		if fields != nil {
			w.refuseKeys(fields, s.Path, "the final step", "deployment", "fail-fast")
			w.add(p, s, fields)
		}
	case f.has("parallel"):
		w.group(p, f.get("parallel"), path+".parallel", s)
	case f.has("stage"):
		w.stage(p, f.get("stage"), path+".stage", s)
	case f.has("variables"):
		w.variables(p, f.get("variables"), path)
	case f.has("import"):
		w.imported(f.get("import"), path)
	case f.has("script", "oidc"):
		w.fault(Misplaced, s.Place, path, "The list has the keys of a step without `step:` above them: no step runs.")
	default:
		w.unknownItem(f, path)
	}
	if first && p.kind != Custom && p.kind != Definition {
		w.manualFirst(p, f, path)
	}
}

// unknownItem finds a step below a key that is no kind of item.
func (w *walk) unknownItem(item *Fields, path string) {
	for _, field := range item.all {
		if w.fields(field.Value).has("script", "oidc") {
			w.fault(Misplaced, field.Place(), path, fmt.Sprintf("An item of a pipeline has no key `%s`: nothing runs the step below it.", field.Key.Value))
		}
	}
}

// manualFirst finds a pipeline that begins with a step that waits for a person: Bitbucket refuses it. For custom pipelines
// that is not confirmed.
func (w *walk) manualFirst(p *pipeline, f *Fields, path string) {
	for _, name := range []string{"step", "stage"} {
		if trigger := w.fields(f.get(name).Value).get("trigger"); text(trigger.Value) == "manual" {
			w.fault(Refused, trigger.Place(), path+"."+name+".trigger", "The first "+name+" of a pipeline is manual: Bitbucket refuses the file.")
		}
	}
	p.any = p.any || f.has("step", "stage", "parallel")
}

// one walks an item with the key step.
func (w *walk) one(p *pipeline, item *Fields, s Step) {
	field := item.get("step")
	fields := w.fields(field.Value)
	if fields == nil {
		if item.has("script", "oidc", "name", "image", "deployment") {
			w.fault(Misplaced, s.Place, s.Path, "The step is empty: its keys are beside `step:` instead of below it.")
		}
		return
	}
	w.add(p, s, fields)
}

// group walks the steps of a parallel group, in both forms.
func (w *walk) group(p *pipeline, field Field, path string, s Step) {
	list := field.Value
	if f := w.fields(field.Value); f != nil {
		list, path = f.get("steps").Value, path+".steps"
	}
	w.inner(p, list, path, s)
}

// inner walks the items of a group or a stage, which are steps only.
func (w *walk) inner(p *pipeline, list *yaml.Node, path string, s Step) {
	for i, node := range w.items(list) {
		s.Place, s.Path = placeOf(node), fmt.Sprintf("%s[%d]", path, i)
		f := w.fields(node)
		switch {
		case f.has("step"):
			w.one(p, f, s)
		case f.has("parallel", "stage"):
			w.fault(Refused, s.Place, s.Path, "A group of steps is inside another group: Bitbucket accepts only steps there.")
		case f.has("script", "oidc"):
			w.fault(Misplaced, s.Place, s.Path, "The list has the keys of a step without `step:` above them: no step runs.")
		}
		if w.err != nil {
			return
		}
	}
}

// stage walks a stage. Its deployment applies to its steps.
func (w *walk) stage(p *pipeline, field Field, path string, s Step) {
	f := w.fields(field.Value)
	if f == nil {
		return
	}
	s.Stage, s.Manual = path, text(f.get("trigger").Value) == "manual"
	s.environment(f)
	if s.Deploys {
		w.environment(p, s, path)
	}
	if group := f.get("parallel"); group.Key != nil {
		w.fault(Refused, group.Place(), path, "A group of steps is inside another group: Bitbucket accepts only steps there.")
	}
	w.inner(p, f.get("steps").Value, path+".steps", s)
}

// environment finds an environment that a pipeline uses twice.
func (w *walk) environment(p *pipeline, s Step, path string) {
	name := strings.ToLower(s.Environment)
	if other, twice := p.environments[name]; twice && other != path {
		w.fault(Refused, s.EnvironAt, path, fmt.Sprintf("The pipeline uses the environment %s twice, here and at %s: Bitbucket refuses the file.", s.Environment, other))
		return
	}
	p.environments[name] = path
}

// add adds a step that a pipeline runs.
func (w *walk) add(p *pipeline, s Step, fields *Fields) {
	if len(w.file.Steps) == maxSteps {
		w.fail(s.Place, "it has more than %d steps", maxSteps)
		return
	}
	if s.Stage != "" {
		w.refuseKeys(fields, s.Path, "a step of a stage", "condition", "trigger", "deployment")
	}
	s = w.step(s, fields)
	if s.Deploys && s.Stage == "" {
		w.environment(p, s, s.Path)
	}
	if inner := fields.get("step"); inner.Key != nil {
		w.fault(Misplaced, inner.Place(), s.Path, "A step is inside another step: nothing runs the inner step.")
	}
	w.unknownKeys(fields, s.Path)
	w.file.Steps = append(w.file.Steps, s)
	p.any = true
}

func (w *walk) refuseKeys(fields *Fields, path, where string, names ...string) {
	for _, name := range names {
		if key := fields.get(name); key.Key != nil {
			w.fault(Refused, key.Place(), path+"."+name, fmt.Sprintf("`%s` is set on %s: Bitbucket refuses the file.", name, where))
		}
	}
}

// variables reads the variables of a custom pipeline.
func (w *walk) variables(p *pipeline, field Field, path string) {
	if p.kind != Custom && p.kind != Definition {
		w.fault(Refused, field.Place(), path, "`variables` is in a pipeline that is not custom: Bitbucket refuses the file.")
		return
	}
	for _, item := range w.items(field.Value) {
		f := w.fields(item)
		if name := text(f.get("name").Value); name != "" {
			p.variables = append(p.variables, Variable{name, w.texts(f.get("allowed-values").Value)})
		}
	}
}

// fault adds a fault once, with the paths of all steps that have it through an anchor.
func (w *walk) fault(kind FaultKind, at Place, path, sentence string) {
	i := slices.IndexFunc(w.file.Faults, func(o Fault) bool { return o.Kind == kind && o.Place == at })
	if i < 0 {
		w.file.Faults = append(w.file.Faults, Fault{Place: at, Kind: kind, Path: path, Text: sentence})
		return
	}
	if f := &w.file.Faults[i]; f.Path != path && !w.spent(&yaml.Node{Line: at.Line, Column: at.Column}) {
		f.Also = append(f.Also, path)
	}
}
