// Package pipelines tells from the checkout's bitbucket-pipelines.yml how long the running step may run.
package pipelines

import (
	"cmp"
	"strings"
	"time"

	"bitbucket-oidc/internal/nowait"

	"go.yaml.in/yaml/v3"
)

const (
	fileName = "bitbucket-pipelines.yml"

	// maxFile caps what is read: a pull request controls the file.
	maxFile = 1 << 20

	// maxNodes caps what is looked at, members of mappings included: aliases can make a small file endless.
	maxNodes = 100_000

	// defaultMaxTime is Bitbucket's own, where neither the step nor the options set one (Atlassian, "Step options").
	defaultMaxTime = 120 * time.Minute
)

// A Step is what is known of the running step. Bitbucket does not say which step of the file it is.
type Step struct {
	Deployment bool   // whether it deploys
	Name       string // of the deployment environment, or empty if it is not known
}

// MaxTime is the max-time of the running step. Where several steps of the file could be the one and differ, it is the
// time that the file gives to a step without one of its own. Without a file that can be read there is no answer.
func MaxTime(cloneDir string, running Step) (time.Duration, bool) {
	data, err := read(cloneDir)
	if err != nil {
		return 0, false
	}
	// Nothing is decoded but single values: into structs and maps, a small file can take hours and all memory.
	var root yaml.Node
	if yaml.Unmarshal(data, &root) != nil || len(root.Content) != 1 {
		return 0, false
	}
	s := &search{running: running, budget: maxNodes}
	file := s.fields(root.Content[0])
	pipelines, found := file["pipelines"]
	if !found {
		return 0, false
	}
	options := s.fields(file["options"])
	s.allOIDC, s.usual = on(options["oidc"]), cmp.Or(minutes(options["max-time"]), defaultMaxTime)
	s.walk(pipelines, "")
	switch {
	case s.budget == 0:
		return 0, false
	case s.told == 0 || s.differ:
		return s.usual, true
	}
	return s.told, true
}

// read reads the file if it is a regular one: a link could lead anywhere.
func read(cloneDir string) ([]byte, error) {
	root, err := nowait.Folder(cloneDir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return nowait.ReadIn(root, fileName, maxFile)
}

// A search goes through the steps below a node: in lists, in parallel groups and in stages, whose deployment is their steps'.
type search struct {
	running Step
	budget  int

	allOIDC bool          // whether steps have a token unless they say otherwise
	usual   time.Duration // max-time of a step without one of its own

	told   time.Duration // max-time of the first step that could be the running one, or zero
	differ bool          // whether another such step has another one
}

func (s *search) walk(node *yaml.Node, deployment string) {
	if s.spent() {
		return
	}
	switch node.Kind {
	case yaml.AliasNode:
		s.walk(node.Alias, deployment)
	case yaml.SequenceNode:
		for _, child := range node.Content {
			s.walk(child, deployment)
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(node.Content); i += 2 {
			switch value := node.Content[i+1]; node.Content[i].Value {
			case "step":
				s.step(s.fields(value), deployment)
			case "stage":
				s.walk(value, text(s.fields(value)["deployment"]))
			default:
				s.walk(value, deployment)
			}
		}
	}
}

// step takes a step into account if it could be the running one.
func (s *search) step(fields map[string]*yaml.Node, deployment string) {
	oidc, said := fields["oidc"]
	if said && !on(oidc) || !said && !s.allOIDC || !s.running.couldBe(cmp.Or(text(fields["deployment"]), deployment)) {
		return
	}
	limit := cmp.Or(minutes(fields["max-time"]), s.usual)
	s.differ = s.differ || s.told != 0 && s.told != limit
	s.told = limit
}

func (running Step) couldBe(deployment string) bool {
	if running.Name != "" {
		return strings.EqualFold(deployment, running.Name)
	}
	return running.Deployment == (deployment != "")
}

// spent takes one from the budget, and tells whether there was none left.
func (s *search) spent() bool {
	if s.budget > 0 {
		s.budget--
	}
	return s.budget == 0
}

// fields are the members of a mapping, with those of mappings that it merges.
func (s *search) fields(node *yaml.Node) map[string]*yaml.Node {
	if node != nil && node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	if node == nil || node.Kind != yaml.MappingNode {
		return nil
	}
	own := map[string]*yaml.Node{}
	var merged []*yaml.Node
	for i := 0; i+1 < len(node.Content) && !s.spent(); i += 2 {
		switch key, value := node.Content[i], node.Content[i+1]; {
		case key.Tag != "!!merge":
			own[key.Value] = value
		case value.Kind == yaml.SequenceNode:
			merged = append(merged, value.Content...)
		default:
			merged = append(merged, value)
		}
	}
	for _, from := range merged {
		for key, value := range s.fields(from) {
			if _, has := own[key]; !has {
				own[key] = value
			}
		}
	}
	return own
}

// on tells whether a step has a token: oidc is true, or a mapping with audiences.
func on(oidc *yaml.Node) bool {
	var b bool
	return scalar(oidc, &b) && b || oidc != nil && oidc.Kind == yaml.MappingNode
}

// minutes reads a max-time; what is no number counts as none.
func minutes(node *yaml.Node) time.Duration {
	var n int64
	if !scalar(node, &n) || n <= 0 || n > 1<<20 {
		return 0
	}
	return time.Duration(n) * time.Minute
}

func text(node *yaml.Node) string {
	var s string
	if !scalar(node, &s) {
		return ""
	}
	return s
}

func scalar(node *yaml.Node, into any) bool {
	if node != nil && node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	return node != nil && node.Kind == yaml.ScalarNode && node.Decode(into) == nil
}
