package pipelines

import (
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// The kinds of pipelines, as the file names them, and two of our own: a pipeline's last step, which runs even if the others
// fail, and a pipeline that other files import.
const (
	Default      = "default"
	Branches     = "branches"
	Tags         = "tags"
	PullRequests = "pull-requests"
	Custom       = "custom"
	Final        = "final"
	Definition   = "definition"
)

// A Step is one step that a pipeline can run. What an anchor brings has the places of the anchor.
type Step struct {
	Place          // of the list item in the list that runs the step
	Defined  Place // of the step's own fields
	Path     string
	Pipeline string // path of the pipeline that runs the step
	Kind     string
	Pattern  string // of branches and tags, or the name of a custom pipeline
	Name     string
	Manual   bool // whether a person starts the step, or its stage
	Fields   *Fields

	Branches    []string // patterns of the branches that the token can name; empty where it names none that is known
	PullRequest bool     // whether an unreviewed change runs it
	Variables   []Variable

	Token       bool
	OIDC        *OIDC  // what gives or takes the token, or nil
	Environment string // of deployment, the step's or its stage's; else of environment
	Deploys     bool   // whether it is deployment that names the environment
	EnvironAt   Place
	Stage       string // path of the stage that the step is in

	MaxTime time.Duration // zero where the step does not say
	Image   *Image        // nil for Bitbucket's default
	RunsOn  Field
	Script  []Item // after-script behind script

	Artifacts []Glob
	Caches    []Glob // paths of the caches that the step uses
	Outputs   []Glob
	Child     string // custom pipeline that the step starts in place of a script
}

// A Variable is one that the person who starts a custom pipeline sets.
type Variable struct {
	Name    string
	Allowed []string // the values to choose from; empty for any
}

// An OIDC is a value of the key oidc.
type OIDC struct {
	Place     // of the key
	On        bool
	Audiences []string // custom ones, which Bitbucket adds to the workspace's
	ListAt    Place    // of the audiences
	Empty     bool     // whether one of them is empty
}

// An Image is a build image.
type Image struct {
	Place
	Name     string
	OIDCRole string // that the runner assumes to pull the image
	RoleAt   Place
	Keys     Place // of a stored access key to pull it with, or zero
	Password Glob  // to pull it with; its place is zero where there is none
}

// A Glob is a text of the file, such as a path of what outlives the step.
type Glob struct {
	Place
	Text string
}

// step reads a step's fields into s.
func (w *walk) step(s Step, fields *Fields) Step {
	s.Fields, s.Defined = fields, fields.at
	s.Name = text(fields.get("name").Value)
	s.Manual = s.Manual || text(fields.get("trigger").Value) == "manual"
	s.environment(fields)
	s.MaxTime = minutes(fields.get("max-time").Value)
	if s.RunsOn = fields.get("runs-on"); s.RunsOn.Key == nil {
		s.RunsOn = w.runsOn
	}
	if text(fields.get("type").Value) == "pipeline" {
		s.Child = text(fields.get("custom").Value)
		return s
	}
	s.OIDC = w.file.OIDC
	if own := fields.get("oidc"); own.Key != nil {
		s.OIDC = w.oidc(own, s.Path)
	}
	s.Token = s.OIDC != nil && s.OIDC.On
	s.Image = w.usual
	if own := fields.get("image"); own.Key != nil {
		s.Image = w.image(own)
	}
	s.Script = append(w.script(fields.get("script"), false, s.Path), w.script(fields.get("after-script"), true, s.Path)...)
	s.Artifacts = w.artifacts(fields.get("artifacts").Value)
	for _, name := range w.globs(fields.get("caches").Value) {
		if path := w.caches[name.Text]; path != "" {
			s.Caches = append(s.Caches, Glob{name.Place, path})
		}
	}
	s.Outputs = w.globs(fields.get("output-variables").Value)
	return s
}

// environment names the step's environment. It must not lose what its stage says.
func (s *Step) environment(fields *Fields) {
	if own := fields.get("deployment"); text(own.Value) != "" {
		s.Environment, s.Deploys, s.EnvironAt = text(own.Value), true, own.Place()
	} else if own := fields.get("environment"); text(own.Value) != "" && !s.Deploys {
		s.Environment, s.EnvironAt = text(own.Value), own.Place()
	}
}

// oidc reads what gives a step its token. Bitbucket's validator takes a boolean, or a mapping with audiences or enable.
func (w *walk) oidc(field Field, path string) *OIDC {
	o := &OIDC{Place: field.Place()}
	value := target(field.Value)
	var on bool
	switch {
	case value.Kind == yaml.ScalarNode && value.Tag == "!!bool":
		o.On = scalar(value, &on) && on
		return o
	case value.Kind == yaml.ScalarNode && value.Style == 0 && slices.Contains([]string{"yes", "no", "on", "off", "y", "n"}, strings.ToLower(value.Value)):
		o.On = slices.Contains([]string{"yes", "on", "y"}, strings.ToLower(value.Value)) // booleans of YAML 1.1: not confirmed that Bitbucket refuses them
		return o
	case value.Kind == yaml.ScalarNode:
		o.On = strings.EqualFold(value.Value, "true") // what the author means
	case value.Kind == yaml.MappingNode:
		o.On = true
		fields, known := w.fields(value), true
		if fields == nil {
			return o
		}
		for _, f := range fields.all {
			switch f.Key.Value {
			case "audiences":
				o.Audiences, o.ListAt = w.texts(f.Value), f.Place()
				o.Empty = slices.ContainsFunc(w.items(f.Value), func(n *yaml.Node) bool { return strings.TrimSpace(text(n)) == "" })
			case "enable":
				o.On = scalar(f.Value, &on) && on
			default:
				known = false
			}
		}
		if known && len(fields.all) > 0 {
			return o
		}
	}
	w.fault(Value, o.Place, path, "`oidc` is neither a boolean nor a mapping with `audiences`: Bitbucket refuses the file.")
	return o
}

func (w *walk) image(field Field) *Image {
	value := target(field.Value)
	if name := text(value); name != "" {
		return &Image{Place: field.Place(), Name: name}
	}
	fields := w.fields(value)
	if fields == nil {
		return nil
	}
	i := &Image{Place: field.Place(), Name: text(fields.get("name").Value)}
	if name := fields.get("name"); name.Key != nil {
		i.Place = name.Place()
	}
	if password := fields.get("password"); password.Key != nil {
		i.Password = Glob{password.Place(), text(password.Value)}
	}
	aws := w.fields(fields.get("aws").Value)
	if role := aws.get("oidc-role"); role.Key != nil {
		i.OIDCRole, i.RoleAt = text(role.Value), role.Place()
	}
	if key := aws.get("access-key"); key.Key != nil {
		i.Keys = key.Place()
	}
	return i
}

func (w *walk) globs(node *yaml.Node) []Glob {
	var all []Glob
	if value := text(node); value != "" {
		return []Glob{{placeOf(node), value}}
	}
	for _, item := range w.items(node) {
		if value := text(item); value != "" {
			all = append(all, Glob{placeOf(target(item)), value})
		}
	}
	return all
}

// artifacts reads the three forms of artifacts: a list of globs, paths, and uploads.
func (w *walk) artifacts(node *yaml.Node) []Glob {
	fields := w.fields(node)
	if fields == nil {
		return w.globs(node)
	}
	all := w.globs(fields.get("paths").Value)
	for _, item := range w.items(fields.get("upload").Value) {
		all = append(all, w.globs(w.fields(item).get("paths").Value)...)
	}
	return all
}

// minutes reads a max-time; what is no number counts as none.
func minutes(node *yaml.Node) time.Duration {
	var n int64
	if !scalar(node, &n) || n <= 0 || n > 1<<20 {
		return 0
	}
	return time.Duration(n) * time.Minute
}
