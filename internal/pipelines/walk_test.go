package pipelines_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"bitbucket-oidc/internal/pipelines"
)

const everything = `definitions:
  steps:
    - step: &build
        name: Build
        oidc: true
        script: [make]
    - &item
      step: {name: Whole item, script: [make]}
  pipelines:
    shared:
      - step: {name: Shared, oidc: true, script: [make]}
options:
  max-time: 30
pipelines:
  default:
    - step: *build
    - *item
    - step:
        <<: *build
        name: Merged
        oidc: false
    - <<: {step: {name: Item merged, script: [make]}}
    - parallel:
        - step: {name: One, script: [make]}
        - step: *build
    - parallel:
        fail-fast: true
        steps:
          - step: {name: Two, oidc: {audiences: [https://a.example]}, script: [make]}
    - stage:
        name: Ship
        deployment: production
        trigger: manual
        steps:
          - step: {name: Three, oidc: true, script: [make]}
    - final: {name: Last, oidc: true, script: [make]}
  branches:
    '{main,release/*}':
      - step: {name: Main, oidc: true, environment: qa, script: [make]}
  tags:
    'v*': [step: {name: Tag, oidc: true, script: [make]}]
  pull-requests:
    '**':
      - step: {type: pipeline, custom: preview}
  custom:
    preview:
      - variables: [{name: WHERE, allowed-values: [a, b]}]
      - step: {name: Preview, oidc: true, script: [make]}
    imported:
      import: deploy@platform
`

func TestSteps(t *testing.T) {
	f, err := pipelines.Parse([]byte(everything))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range f.Steps {
		oidc := 0
		if s.Token {
			oidc = s.OIDC.Line
		}
		got = append(got, fmt.Sprint(
			s.Line, " ", s.Path, " ", s.Kind, " ", s.Pattern, " [", s.Name, "] oidc=", oidc, " env=", s.Environment, " deploys=", s.Deploys,
			" manual=", s.Manual, " pr=", s.PullRequest, " ", s.Branches,
		))
	}
	want := []string{
		`16 pipelines.default[0].step default  [Build] oidc=5 env= deploys=false manual=false pr=false [**]`,
		`17 pipelines.default[1].step default  [Whole item] oidc=0 env= deploys=false manual=false pr=false [**]`,
		`18 pipelines.default[2].step default  [Merged] oidc=0 env= deploys=false manual=false pr=false [**]`,
		`22 pipelines.default[3].step default  [Item merged] oidc=0 env= deploys=false manual=false pr=false [**]`,
		`24 pipelines.default[4].parallel[0] default  [One] oidc=0 env= deploys=false manual=false pr=false [**]`,
		`25 pipelines.default[4].parallel[1] default  [Build] oidc=5 env= deploys=false manual=false pr=false [**]`,
		`29 pipelines.default[5].parallel.steps[0] default  [Two] oidc=29 env= deploys=false manual=false pr=false [**]`,
		`35 pipelines.default[6].stage.steps[0] default  [Three] oidc=35 env=production deploys=true manual=true pr=false [**]`,
		`36 pipelines.default[7].final final  [Last] oidc=36 env= deploys=false manual=false pr=false [**]`,
		`39 pipelines.branches["{main,release/*}"][0].step branches {main,release/*} [Main] oidc=39 env=qa deploys=false manual=false pr=false [main release/*]`,
		`41 pipelines.tags["v*"][0].step tags v* [Tag] oidc=41 env= deploys=false manual=false pr=false []`,
		`44 pipelines.pull-requests["**"][0].step pull-requests ** [] oidc=0 env= deploys=false manual=false pr=true [**]`,
		`48 pipelines.custom["preview"][1].step custom preview [Preview] oidc=48 env= deploys=false manual=false pr=true [**]`,
		`11 definitions.pipelines["shared"][0].step definition shared [Shared] oidc=11 env= deploys=false manual=false pr=false [**]`,
	}
	for i := range max(len(got), len(want)) {
		g, w := "", ""
		if i < len(got) {
			g = got[i]
		}
		if i < len(want) {
			w = want[i]
		}
		if g != w {
			t.Errorf("step %d:\n got %s\nwant %s", i, g, w)
		}
	}
	if len(f.Faults) > 0 || len(f.Imports) != 1 || f.Imports[0].Line != 50 {
		t.Errorf("faults %v, imports %v", f.Faults, f.Imports)
	}
}

func TestUnreadable(t *testing.T) {
	bomb := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c < 'k'; c++ {
		bomb += fmt.Sprintf("%c: &%c [%s]\n", c, c, strings.TrimSuffix(strings.Repeat("*"+string(c-1)+",", 9), ","))
	}
	for _, c := range []struct {
		name, file string
		line       int
		reason     string
	}{
		{"empty", "", 1, "it is empty"},
		{"a comment only", "# nothing\n", 1, "it is empty"},
		{"a list", "- a\n", 1, "it is no mapping"},
		{"prose", "hello\n---\npipelines: {}\n", 1, "it is no mapping"},
		{"another file", "apiVersion: v1\n", 1, "it has no `pipelines`"},
		{"pipelines is a list", "image: x\npipelines:\n  - step: {}\n", 2, "`pipelines` is no mapping"},
		{"an alias without anchor", "# *deploy\npipelines:\n  default:\n    - step: *deploy\n", 4, "the alias *deploy has no anchor"},
		{"a tab", "pipelines:\n  default:\n\t- step: {}\n", 3, "a tab in the indentation"},
		{"bad indentation", "pipelines:\n  default:\n    - step:\n   x: y\n", 4, "it is not YAML"},
		{"an open list", "pipelines: [\n\n\n", 1, "it is not YAML"},
		{"a placeholder", "pipelines:\n  branches:\n    {{BRANCH}}:\n      - step: {script: [x]}\n", 3, "a placeholder"},
		{"UTF-16", "\xff\xfep\x00", 1, "UTF-8"},
		{"not UTF-8", "a: b\nc: \xff\n", 2, "UTF-8"},
		{"too large", strings.Repeat("# filler\n", 1<<18), 1, "larger than"},
		{"a bomb", bomb + "pipelines: {default: *j}\n", 1, "its anchors make more"},
		{"a merge of itself", "pipelines:\n  default:\n    - step: &s\n        <<: *s\n", 3, "an anchor contains itself"},
		{"a list of itself", "pipelines:\n  default: &l\n    - *l\n", 2, "an anchor contains itself"},
		{"endless steps", "x: &s {script: [x]}\npipelines: {default: [" + strings.Repeat("{step: *s},", 6_000) + "]}", 2, "more than 5000 steps"},
		{"deep", strings.Repeat("[", 20_000), 1, "it is not YAML"},
	} {
		t.Run(c.name, func(t *testing.T) {
			began := time.Now()
			_, err := pipelines.Parse([]byte(c.file))
			var u *pipelines.Unreadable
			if !errors.As(err, &u) || u.Line != c.line || !strings.Contains(u.Reason, c.reason) {
				t.Errorf("got %v; want line %d: %s", err, c.line, c.reason)
			}
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

func TestFaults(t *testing.T) {
	for _, c := range []struct {
		name, file string
		kind       pipelines.FaultKind
		line       int // 0 for no fault
	}{
		{"keys beside step", "pipelines:\n  default:\n    - step:\n      name: x\n      script: [x]\n", pipelines.Misplaced, 3},
		{"keys without step", "pipelines:\n  default:\n    - name: x\n      script: [x]\n", pipelines.Misplaced, 3},
		{"a slip of step", "pipelines:\n  default:\n    - steps:\n        script: [x]\n", pipelines.Misplaced, 3},
		{"a step in a step", "pipelines:\n  default:\n    - step:\n        script: [x]\n        step: {script: [x]}\n", pipelines.Misplaced, 5},
		{"no kind of pipeline", "pipelines:\n  definitions:\n    steps:\n      - step: &b {script: [x]}\n  default: [step: *b]\n", pipelines.Misplaced, 2},
		{"a shelf outside", "definitions:\n  steps:\n    - step: &b {script: [x]}\npipelines:\n  default: [step: *b]\n", 0, 0},
		{"first step manual", "pipelines:\n  default:\n    - step:\n        trigger: manual\n        script: [x]\n", pipelines.Refused, 4},
		{"second step manual", "pipelines:\n  default:\n    - step: {script: [x]}\n    - step: {trigger: manual, script: [x]}\n", 0, 0},
		{"first step of a custom pipeline manual", "pipelines:\n  custom:\n    x:\n      - step: {trigger: manual, script: [x]}\n", 0, 0},
		{
			name: "an environment twice",
			file: "pipelines:\n  default:\n    - step: {deployment: test, script: [x]}\n    - step: {deployment: Test, script: [x]}\n",
			kind: pipelines.Refused, line: 4,
		},
		{
			name: "an environment in two pipelines",
			file: "pipelines:\n" +
				"  default:\n" +
				"    - step: {deployment: test, script: [x]}\n" +
				"  custom:\n" +
				"    x:\n" +
				"      - step: {deployment: test, script: [x]}\n",
		},
		{
			name: "a stage's steps share it",
			file: "pipelines:\n" +
				"  default:\n" +
				"    - stage:\n" +
				"        deployment: test\n" +
				"        steps: [{step: {script: [x]}}, {step: {script: [x]}}]\n",
		},
		{
			name: "a condition in a stage",
			file: "pipelines:\n  default:\n    - stage:\n        steps:\n          - step:\n" +
				"              condition: {changesets: {includePaths: [a]}}\n              script: [x]\n",
			kind: pipelines.Refused, line: 6,
		},
		{"a command with a colon", "pipelines:\n  default:\n    - step:\n        script:\n          - curl -H A: b\n", pipelines.Refused, 5},
		{"a pipe and an agent", "pipelines:\n  default:\n    - step:\n        script: [{pipe: a/b:1.0.0}, {agent: a, prompt: b}]\n", 0, 0},
		{"a parallel group as a stage's steps", "pipelines:\n  default:\n    - stage:\n        parallel: [step: {script: [x]}]\n", pipelines.Refused, 4},
		{"variables of a step", "pipelines:\n  default:\n    - step:\n        variables: {A: b}\n        script: [x]\n", pipelines.Ignored, 4},
		{"a slip", "pipelines:\n  default:\n    - step:\n        odic: true\n        script: [x]\n", pipelines.Ignored, 4},
		{"new keys", "pipelines:\n  default:\n    - step:\n        auth: {system: {scopes: [a]}}\n        concurrency-group: x\n        script: [x]\n", 0, 0},
		{"variables outside custom", "pipelines:\n  default:\n    - variables: [{name: x}]\n    - step: {script: [x]}\n", pipelines.Refused, 3},
		{"oidc in quotes", "pipelines:\n  default:\n    - step:\n        oidc: 'true'\n        script: [x]\n", pipelines.Value, 4},
		{"oidc with enable", "pipelines:\n  default:\n    - step:\n        oidc: {enable: true}\n        script: [x]\n", 0, 0},
		{"oidc with another key", "pipelines:\n  default:\n    - step:\n        oidc: {audience: x}\n        script: [x]\n", pipelines.Value, 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, err := pipelines.Parse([]byte(c.file))
			if err != nil {
				t.Fatal(err)
			}
			if c.line == 0 {
				if len(f.Faults) > 0 {
					t.Errorf("faults: %+v", f.Faults)
				}
				return
			}
			if len(f.Faults) != 1 || f.Faults[0].Kind != c.kind || f.Faults[0].Line != c.line {
				t.Errorf("faults: %+v; want one of kind %d on line %d", f.Faults, c.kind, c.line)
			}
		})
	}
}

// TestFaultsShared: a fault in an anchor is one, with all the steps that have it.
func TestFaultsShared(t *testing.T) {
	const file = `x: &s
  odic: true
  oidc: 1
  trigger: manual
  script: [{curl: x}]
pipelines:
  default:
    - step: *s
    - stage: {steps: [{step: *s}]}
`
	f, err := pipelines.Parse([]byte(file))
	if err != nil {
		t.Fatal(err)
	}
	got := map[int][]string{}
	for _, one := range f.Faults {
		got[one.Line] = append([]string{one.Path}, one.Also...)
	}
	const first, second = "pipelines.default[0].step", "pipelines.default[1].stage.steps[0]"
	want := map[int][]string{2: {first + ".odic", second + ".odic"}, 3: {first, second}, 4: {first + ".trigger", second + ".trigger"}, 5: {first, second}}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
}

// TestSecond finds where a second document begins.
func TestSecond(t *testing.T) {
	for _, c := range []struct {
		name, rest string
		line       int // 0 for none
	}{
		{"none", "", 0},
		{"an end", "---\n", 0},
		{"ends and comments", "---\n# nothing\n---\n...\n", 0},
		{"another one", "---\npipelines: {}\n", 3},
		{"the third one", "---\n---\npipelines: {}\n", 4},
		{"behind an end", "...\nprose\n", 2},
		{"not YAML", "---\na: [\n", 2},
	} {
		f, err := pipelines.Parse([]byte("pipelines: {default: [{step: {script: [x]}}]}\n" + c.rest))
		if err != nil || f.Second.Line != c.line {
			t.Errorf("%s: %v, line %d; want %d", c.name, err, f.Second.Line, c.line)
		}
	}
}

// TestBranches holds patterns to their alternatives.
func TestBranches(t *testing.T) {
	many := strings.Repeat("{a,b}", 40)
	for _, c := range []struct{ pattern, want string }{
		{"main", "[main]"},
		{"{main,release/*}", "[main release/*]"},
		{"{a,b}/{c,d}", "[a/c a/d b/c b/d]"},
		{"{main,hotfix-{a,b}}-x", "[main-x hotfix-a-x hotfix-b-x]"},
		{"{a, b }", "[a b]"},
		{"{a", "[{a]"},
		{"a}{b}", "[a}b]"},
		{"x{}y", "[xy]"},
		{many, "[" + many + "]"},
	} {
		f, err := pipelines.Parse([]byte("pipelines: {branches: {'" + c.pattern + "': [{step: {script: [x]}}]}}"))
		if err != nil || len(f.Steps) != 1 || fmt.Sprint(f.Steps[0].Branches) != c.want {
			t.Errorf("%s: %v %+v", c.pattern, err, f)
		}
	}
}

// TestLongFile holds a file of 4,000 lines, longer than any that was seen, to its promise.
func TestLongFile(t *testing.T) {
	file := "pipelines:\n  custom:\n"
	for i := range 400 {
		file += fmt.Sprintf(`    p%d:
      - step:
          name: n
          oidc: true
          image: a:1
          script:
            - |
              aws sts get-caller-identity
              terraform plan
            - make
`, i)
	}
	began := time.Now()
	f, err := pipelines.Parse([]byte(file))
	if err != nil || len(f.Steps) != 400 {
		t.Fatal(err)
	}
	if took := time.Since(began); took > 500*time.Millisecond {
		t.Errorf("took %v", took) // ten times what it may take on a machine that does nothing else
	}
	t.Log(time.Since(began))
}
