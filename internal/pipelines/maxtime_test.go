package pipelines_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"bitbucket-oidc/internal/pipelines"
)

func TestMaxTime(t *testing.T) {
	for _, c := range []struct {
		name    string
		file    string
		running pipelines.Running
		want    int // minutes; 0 for no answer
	}{
		{"no time anywhere", "pipelines: {default: [{step: {oidc: true, script: [x]}}]}", pipelines.Running{}, 120},
		{"the pipeline's", "options: {max-time: 30}\npipelines: {default: [{step: {oidc: true}}]}", pipelines.Running{}, 30},
		{"the step's", "options: {max-time: 30}\npipelines: {default: [{step: {oidc: true, max-time: 45}}, {step: {max-time: 5}}]}", pipelines.Running{}, 45},
		{
			name: "steps that agree",
			file: "pipelines: {default: [{step: {oidc: true, max-time: 45}}], branches: {main: [{step: {oidc: true, max-time: 45}}]}}",
			want: 45,
		},
		{
			name: "steps that differ",
			file: "options: {max-time: 90}\npipelines: {default: [{step: {oidc: true, max-time: 45}}, {step: {oidc: true, max-time: 5}}]}",
			want: 90,
		},
		{
			name:    "told by the deployment",
			file:    "pipelines: {default: [{step: {oidc: true, max-time: 5}}, {step: {oidc: true, deployment: production, max-time: 45}}]}",
			running: pipelines.Running{Deployment: true}, want: 45,
		},
		{
			name: "told by its name",
			file: "pipelines: {default: [{step: {oidc: true, deployment: staging, max-time: 5}}, {step: {oidc: true, " +
				"deployment: Production, max-time: 45}}]}",
			running: pipelines.Running{Deployment: true, Name: "production"}, want: 45,
		},
		{
			name: "a stage's deployment",
			file: "pipelines: {default: [{stage: {deployment: production, steps: [{step: {oidc: true, max-time: 45}}]}}, " +
				"{step: {oidc: true, max-time: 5}}]}",
			running: pipelines.Running{Deployment: true, Name: "production"}, want: 45,
		},
		{
			name: "in parallel",
			file: "pipelines: {custom: {x: [{variables: [{name: a}]}, {parallel: {steps: [{step: {oidc: {audiences: [a]}, " +
				"max-time: 45}}]}}]}}",
			want: 45,
		},
		{"an anchor", "definitions: {steps: [{step: &s {oidc: true, max-time: 45}}]}\npipelines: {default: [{step: *s}, {step: {<<: *s}}]}", pipelines.Running{}, 45},
		{"for all steps", "options: {oidc: true}\npipelines: {default: [{step: {max-time: 45}}, {step: {oidc: false, max-time: 5}}]}", pipelines.Running{}, 45},
		{"no step with a token", "pipelines: {default: [{step: {max-time: 45}}]}", pipelines.Running{}, 120},
		{"a time of nonsense", "options: {max-time: soon}\npipelines: {default: [{step: {oidc: true, max-time: -1}}]}", pipelines.Running{}, 120},
		{"not YAML", "pipelines: [", pipelines.Running{}, 0},
		{"another file", "- a\n- b", pipelines.Running{}, 0},
		{"nothing", "", pipelines.Running{}, 0},
		{
			name: "aliases that explode",
			file: "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n" +
				"d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\n" +
				"g: &g [*f,*f,*f,*f,*f,*f,*f,*f,*f]\npipelines: {default: [{step: {oidc: true}}, *g]}",
		},
		{
			name: "merged",
			file: "definitions: {a: &a {oidc: {audiences: [x]}, max-time: 5}, b: &b {deployment: test}}\n" +
				"pipelines: {default: [{step: {<<: [*a, *b], max-time: 45}}]}",
			running: pipelines.Running{Deployment: true, Name: "Test"}, want: 45,
		},
		{"values by aliases", "definitions: {t: &t 45, y: &y true}\npipelines: {default: [{step: {oidc: *y, max-time: *t}}]}", pipelines.Running{}, 45},
		{"a merge of itself", "pipelines: {default: [{step: &s {<<: *s, oidc: true, max-time: 45}}]}", pipelines.Running{}, 0},
		{
			name: "a large step, many times",
			file: "x: &s {oidc: [" + strings.Repeat("{},", 985) + "]}\npipelines: {default: [" + strings.Repeat("{step: *s},", 90_000) + "]}",
		},
		{"a wide step, many times", "x: &s {" + wide(20_000) + "}\npipelines: {default: [" + strings.Repeat("{step: *s},", 50_000) + "]}", pipelines.Running{}, 0},
		{"wide options", "options: {" + wide(80_000) + "}\npipelines: {default: [{step: {oidc: true}}]}", pipelines.Running{}, 120},
		{"wider options", "options: {" + wide(110_000) + "}\npipelines: {default: [{step: {oidc: true}}]}", pipelines.Running{}, 0},
		{"an alias of itself", "pipelines: &p {default: [*p, {step: {oidc: true}}]}", pipelines.Running{}, 120},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "bitbucket-pipelines.yml"), []byte(c.file), 0o644); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			got, ok := pipelines.MaxTime(dir, c.running)
			if took := time.Since(began); took > 20*time.Second {
				t.Errorf("took %v", took) // a hundred times what it takes
			}
			if got != time.Duration(c.want)*time.Minute || ok != (c.want != 0) {
				t.Errorf("MaxTime = %v, %v; want %d minutes", got, ok, c.want)
			}
		})
	}
}

// wide are so many members of a mapping.
func wide(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "k%x: ,", i)
	}
	return b.String()
}

func TestMaxTimeOfWhatIsNoFile(t *testing.T) {
	for name, plant := range map[string]func(path string) error{
		"nothing":   func(string) error { return nil },
		"a link":    func(path string) error { return os.Symlink("/dev/zero", path) },
		"a pipe":    func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"a folder":  func(path string) error { return os.Mkdir(path, 0o700) },
		"too large": func(path string) error { return os.WriteFile(path, make([]byte, 2<<20), 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := plant(filepath.Join(dir, "bitbucket-pipelines.yml")); err != nil {
				t.Fatal(err)
			}
			if got, ok := pipelines.MaxTime(dir, pipelines.Running{}); ok {
				t.Errorf("MaxTime = %v", got)
			}
		})
	}
}
