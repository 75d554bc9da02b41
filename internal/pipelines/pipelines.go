// Package pipelines tells from the checkout's bitbucket-pipelines.yml how long the running step may run.
package pipelines

import (
	"errors"
	"io"
	"os"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

const (
	fileName = "bitbucket-pipelines.yml"

	// maxFile caps what is read: a pull request controls the file.
	maxFile = 1 << 20

	// maxNodes caps what is looked at: aliases can make a small file endless.
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
	data, err := read(cloneDir + "/" + fileName)
	if err != nil {
		return 0, false
	}
	var file struct {
		Options struct {
			MaxTime minutes `yaml:"max-time"`
			OIDC    any     `yaml:"oidc"`
		} `yaml:"options"`
		Pipelines yaml.Node `yaml:"pipelines"`
	}
	if yaml.Unmarshal(data, &file) != nil || file.Pipelines.IsZero() {
		return 0, false
	}
	usual := time.Duration(file.Options.MaxTime)
	if usual == 0 {
		usual = defaultMaxTime
	}
	search := search{budget: maxNodes}
	if search.walk(&file.Pipelines, ""); search.budget == 0 {
		return 0, false
	}
	told := time.Duration(0)
	for _, s := range search.steps {
		if !on(s.OIDC) && !(s.OIDC == nil && on(file.Options.OIDC)) || !running.couldBe(s) {
			continue
		}
		limit := time.Duration(s.MaxTime)
		if limit == 0 {
			limit = usual
		}
		if told != 0 && told != limit {
			return usual, true
		}
		told = limit
	}
	if told == 0 {
		told = usual
	}
	return told, true
}

func read(path string) ([]byte, error) {
	// Not through a link, and not from a pipe that never ends.
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxFile {
		return nil, errors.New("not a regular file of a fair size")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFile))
}

type step struct {
	OIDC       any     `yaml:"oidc"` // true, or a mapping with audiences
	Deployment string  `yaml:"deployment"`
	MaxTime    minutes `yaml:"max-time"`
}

// minutes is a max-time; what is no number counts as none.
type minutes time.Duration

func (m *minutes) UnmarshalYAML(node *yaml.Node) error {
	var n int64
	if node.Decode(&n) == nil && n > 0 && n < 1<<20 {
		*m = minutes(time.Duration(n) * time.Minute)
	}
	return nil
}

func on(oidc any) bool {
	switch v := oidc.(type) {
	case bool:
		return v
	case map[string]any:
		return true
	}
	return false
}

func (running Step) couldBe(s step) bool {
	if running.Name != "" {
		return strings.EqualFold(s.Deployment, running.Name)
	}
	return running.Deployment == (s.Deployment != "")
}

// A search collects the steps below a node: in lists, in parallel groups and in stages, whose deployment is their steps'.
type search struct {
	steps  []step
	budget int
}

func (s *search) walk(node *yaml.Node, deployment string) {
	if s.budget == 0 {
		return
	}
	s.budget--
	switch node.Kind {
	case yaml.AliasNode:
		s.walk(node.Alias, deployment)
	case yaml.SequenceNode, yaml.DocumentNode:
		for _, child := range node.Content {
			s.walk(child, deployment)
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(node.Content); i += 2 {
			s.entry(node.Content[i].Value, node.Content[i+1], deployment)
		}
	}
}

func (s *search) entry(key string, value *yaml.Node, deployment string) {
	switch key {
	case "step":
		found := step{Deployment: deployment}
		if value.Decode(&found) == nil {
			s.steps = append(s.steps, found)
		}
	case "stage":
		var stage struct {
			Deployment string `yaml:"deployment"`
		}
		_ = value.Decode(&stage)
		s.walk(value, stage.Deployment)
	default:
		s.walk(value, deployment)
	}
}
