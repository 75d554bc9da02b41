package test

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"bitbucket-oidc/internal/advisor"
	"bitbucket-oidc/internal/app"
	"bitbucket-oidc/internal/cli"
)

// arrows is the plan of the house: which packages of this module each package imports, by their paths below internal/. Data
// flows one way; a backend never imports another.
func arrows() map[string][]string {
	return map[string][]string{
		"pipe":                {"app", "cli", "process"},
		"pipe/bitbucket-oidc": {"advisor", "cli", "process"},

		// the frame of both programs
		"process":  {"hint"},
		"cli":      {"bounded", "config", "hint", "nowait", "visible"},
		"identity": {"bitbucket", "cli", "config", "hint", "oidc"},
		"explain":  {"bitbucket", "cli", "document", "hint", "identity", "setup", "shell", "visible"},

		// the act
		"app": {
			"backends", "cli", "clock", "config", "document", "explain", "federation", "guard", "handoff", "hint", "oidc",
			"packers", "pipelines", "record", "shell", "transport", "visible",
		},
		"backends":        {"aws", "charset", "config", "federation", "gcp", "hint", "oauth", "oidc", "okta", "transport", "vault"},
		"aws":             {"charset", "clock", "federation", "hint", "oidc", "refusal", "secret", "setup", "shell", "transport"},
		"gcp":             {"bitbucket", "charset", "clock", "federation", "hint", "oidc", "refusal", "secret", "setup", "shell", "transport"},
		"vault":           {"clock", "federation", "hint", "oidc", "refusal", "secret", "shell", "transport", "wire"},
		"okta":            {"clock", "federation", "oidc", "refusal", "secret", "transport", "wire"},
		"oauth":           {"charset", "clock", "federation", "oidc", "refusal", "secret", "transport", "wire"},
		"wire":            {"charset", "federation", "hint", "secret", "transport"},
		"transport":       {"clock"},
		"federation":      {"clock", "hint", "oidc", "refusal", "secret"},
		"refusal":         {"clock", "hint"},
		"handoff":         {"charset", "federation", "filelock", "hint", "nowait", "oidc", "secret", "shell"},
		"packers":         {"nowait"},
		"record/ocsftest": {},
		"record":          {"charset", "federation", "filelock", "hint", "nowait", "oidc", "secret", "transport"},
		"guard":           {"hint"},

		// the judgement
		"advisor": {
			"accept", "access", "audit", "audit/judges", "bitbucket", "cli", "collect", "config", "document", "drift",
			"evidence", "explain", "finding", "guard", "guard/rules", "hint", "identity", "insights", "inventory", "judge",
			"live", "mcp", "nowait", "pattern", "pipelines", "process", "report", "secret", "trust", "trust/iam", "visible",
		},
		"judge":                   {"bitbucket", "collect", "document", "finding", "setup", "shell", "trust", "trust/iam", "trust/vaultrole", "trust/wif"},
		"trust/iam":               {"bitbucket", "document", "finding", "oidc", "setup", "trust"},
		"trust/wif":               {"bitbucket", "cel", "document", "finding", "oidc", "setup", "shell", "trust"},
		"trust/vaultrole":         {"bitbucket", "document", "finding", "setup", "shell", "trust"},
		"trust":                   {"bitbucket", "document", "finding", "pattern"},
		"trust/trusttest":         {"bitbucket", "trust"},
		"cel":                     {"bitbucket"},
		"accept":                  {"finding", "strictyaml"},
		"insights":                {"transport"},
		"finding":                 {},
		"finding/findingtest":     {"finding"},
		"evidence":                {"hint", "markup", "nowait", "visible"},
		"markup":                  {},
		"report":                  {"accept", "document", "finding", "markup", "visible"},
		"access":                  {"accept", "document", "pattern", "shell", "strictyaml"},
		"audit":                   {"accept", "finding", "pattern", "pipelines", "script"},
		"audit/judges":            {"access", "audit", "bitbucket", "finding", "guard", "guard/rules", "judge", "pattern", "trust"},
		"audit/judges/judgestest": {"access", "audit", "audit/judges", "finding/findingtest", "guard/rules", "pipelines", "trust"},
		"diagnosis":               {"bitbucket", "oidc", "pattern", "refusal"},
		"drift":                   {"access", "bitbucket", "document", "finding", "trust"},
		"drift/drifttest":         {"access", "drift", "finding/findingtest", "inventory", "trust"},
		"inventory": {
			"access", "bitbucket", "collect", "document", "drift", "finding", "judge", "live", "pattern", "setup", "shell", "trust",
			"trust/iam", "trust/vaultrole", "trust/wif",
		},
		"collect": {"document", "pattern"},
		"live":    {"collect", "nowait", "pattern", "secret", "transport"},
		"mcp": {
			"access", "audit", "audit/judges", "bitbucket", "cli", "diagnosis", "drift", "explain", "finding", "guard/rules", "hint",
			"inventory", "judge", "nowait", "oidc", "pattern", "pipelines", "report", "trust", "trust/iam", "visible",
		},
		"guard/rules": {"access", "guard", "hint", "nowait", "pattern", "strictyaml"},

		// words
		"bitbucket":     {"document", "oidc"},
		"bounded":       {},
		"charset":       {},
		"clock":         {},
		"config":        {"charset", "hint", "nowait", "oidc", "secret", "transport"},
		"document":      {},
		"filelock":      {},
		"hint":          {},
		"hint/hinttest": {"hint"},
		"nowait":        {},
		"oidc":          {"charset", "secret"},
		"oidc/oidctest": {"oidc"},
		"pattern":       {},
		"pipelines":     {"nowait", "pattern", "strictyaml"},
		"script":        {"pattern"},
		"secret":        {},
		"setup":         {"bitbucket", "document", "oidc", "shell"},
		"shell":         {},
		"strictyaml":    {},
		"visible":       {},
	}
}

// TestImportsGoOneWay fails on an arrow that the code does not use as well: nobody would see the day on which it does.
func TestImportsGoOneWay(t *testing.T) {
	planned := arrows()
	for dec := json.NewDecoder(strings.NewReader(goList(t, "-json=ImportPath,Imports", "./pipe/...", "./internal/..."))); dec.More(); {
		var pkg struct {
			ImportPath string
			Imports    []string
		}
		if err := dec.Decode(&pkg); err != nil {
			t.Fatal(err)
		}
		name := room(pkg.ImportPath)
		want, ok := planned[name]
		if !ok {
			t.Errorf("package %s is not in the plan", name)
		}
		delete(planned, name)
		for _, imported := range pkg.Imports {
			if own, ok := strings.CutPrefix(imported, "bitbucket-oidc/internal/"); ok && !slices.Contains(want, own) {
				t.Errorf("%s imports %s", name, own)
			}
			if imported == "github.com/kelseyhightower/envconfig" && name != "config" {
				t.Errorf("%s reads the environment with envconfig", name)
			}
			if imported == "net/http" && !slices.Contains(talkers(), name) {
				t.Errorf("%s talks http", name)
			}
		}
		for _, own := range want {
			if !slices.Contains(pkg.Imports, "bitbucket-oidc/internal/"+own) {
				t.Errorf("the plan has %s import %s, which it does not", name, own)
			}
		}
	}
	for name := range planned {
		t.Errorf("the plan has a package %s, which is not there", name)
	}
}

// talkers are the packages that may use net/http. Only transport makes clients.
func talkers() []string {
	return []string{"aws", "gcp", "vault", "okta", "oauth", "wire", "transport", "clock", "record", "live", "insights"}
}

// TestDocumentsAreReadOnce: of the judgement only the reader of documents decodes JSON, so that a file is read once for however many
// identities. What package cel decodes are claims.
func TestDocumentsAreReadOnce(t *testing.T) {
	for file, parsed := range sources(t) {
		where := strings.TrimPrefix(path.Dir(file), "../internal/")
		if where != "document" && where != "judge" && !strings.HasPrefix(where, "trust") || where == "trust/trusttest" || file == "../internal/document/node.go" {
			continue
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok && (s.Sel.Name == "Unmarshal" || s.Sel.Name == "NewDecoder") {
				t.Errorf("%s calls %s", file, s.Sel.Name)
			}
			return true
		})
	}
}

// room is a package's path, below internal/ where it is there.
func room(importPath string) string {
	return strings.TrimPrefix(strings.TrimPrefix(importPath, "bitbucket-oidc/"), "internal/")
}

func goList(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list"}, args...)...)
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// strangers are what a program must not link, directly or through other packages: each entry is a package or the beginning of its
// path. The process that holds the token has no expression language, no parser of foreign documents and no page writer in it.
func strangers() map[string][]string {
	return map[string][]string{
		"./pipe": {
			"cel.dev", "github.com/google/cel-go", "github.com/antlr4-go", "github.com/modelcontextprotocol",
			"bitbucket-oidc/internal/advisor", "bitbucket-oidc/internal/judge", "bitbucket-oidc/internal/trust", "bitbucket-oidc/internal/cel",
			"bitbucket-oidc/internal/finding", "bitbucket-oidc/internal/report", "bitbucket-oidc/internal/mcp",
			"net/rpc", "github.com/google/s2a-go/internal", // what internal/absent stands for
		},
		"./pipe/bitbucket-oidc": {
			"google.golang.org/grpc", "google.golang.org/api/sts", "bitbucket-oidc/internal/app",
			"bitbucket-oidc/internal/backends", "bitbucket-oidc/internal/federation", "bitbucket-oidc/internal/handoff",
			"bitbucket-oidc/internal/aws", "bitbucket-oidc/internal/gcp", "bitbucket-oidc/internal/vault",
			"bitbucket-oidc/internal/okta", "bitbucket-oidc/internal/oauth",
		},
	}
}

func TestProgramsLinkNoStrangers(t *testing.T) {
	for program, forbidden := range strangers() {
		for linked := range strings.Lines(goList(t, "-deps", program)) {
			linked = strings.TrimSpace(linked)
			for _, stranger := range forbidden {
				if linked == stranger || strings.HasPrefix(linked, stranger+"/") {
					t.Errorf("%s links %s", program, linked)
				}
			}
		}
	}
}

// TestProgramsHaveTheirCommands compares the list that both programs print with the commands that each of them has.
func TestProgramsHaveTheirCommands(t *testing.T) {
	has := map[string][]string{}
	for program, commands := range map[string][]cli.Command{cli.Pipe: app.Commands(nil), cli.Advisor: advisor.Commands()} {
		for _, command := range commands {
			has[command.Name] = append(has[command.Name], program)
		}
	}
	for _, entry := range cli.Entries() {
		got := has[entry.Name]
		delete(has, entry.Name)
		if slices.Sort(got); !slices.Equal(got, slices.Sorted(slices.Values(entry.Programs))) {
			t.Errorf("%s is listed as a command of %v, and %v have it", entry.Name, entry.Programs, got)
		}
	}
	for name, programs := range has {
		t.Errorf("%v have %s, which is not listed", programs, name)
	}
}

// reach is what each package uses outside of the program: its process, its environment, files, standard streams. A package
// without a row works only on what it is handed.
func reach() map[string][]string {
	return map[string][]string{
		"pipe":                {"os.Args", "os.Exit", "os.Stderr", "os.Stdout"},
		"pipe/bitbucket-oidc": {"os.Args", "os.Exit", "os.Stderr", "os.Stdout"},
		"process": {
			"log.SetOutput", "os.Environ", "exec.CommandContext", "exec.ExitError", "os.Executable", "os.Interrupt",
			"signal.NotifyContext", "syscall.Exec", "syscall.SIGTERM", "unix.PR_SET_DUMPABLE", "unix.Prctl", "unix.RLIMIT_CORE",
			"unix.Rlimit", "unix.Setrlimit",
		},
		"cli": {"os.Stdin"},
		"mcp": {"os.Root"}, // the folder of which it reads documents
		"config": { // the environment, and what stands where a variable says
			"filepath.Abs", "os.Environ", "os.Getenv", "os.Lstat", "os.Setenv", "os.Unsetenv",
		},
		"transport":           {"http.ProxyFromEnvironment"},
		"finding/findingtest": {"filepath.Glob", "os.ReadFile"}, // the files of the package under test
		"evidence": { // the folder of the package
			"os.CreateTemp", "os.File", "os.MkdirAll", "os.Open", "os.PathError", "os.ReadDir", "os.Remove", "os.Rename",
		},
		"handoff": { // its folder, by way of os.Root, and who it is
			"os.File", "os.Getegid", "os.Geteuid", "os.Getgroups", "os.Getwd", "os.LinkError", "os.O_CREATE", "os.O_EXCL", "os.O_WRONLY",
			"os.O_RDONLY", "os.Root", "os.SameFile", "os.Stat", "syscall.Stat_t",
			"unix.AT_EMPTY_PATH", "unix.AT_SYMLINK_NOFOLLOW", "unix.Close", "unix.Fchownat", "unix.Fstat", "unix.O_CLOEXEC", "unix.O_NOFOLLOW",
			"unix.O_PATH", "unix.Openat", "unix.S_IFLNK", "unix.S_IFMT", "unix.Stat_t",
		},
		"filelock": {"os.File", "syscall.Flock", "syscall.LOCK_EX", "syscall.LOCK_NB"},
		"record":   {"os.File", "os.Root", "syscall.Stat_t"}, // the file of records
		"nowait": { // whatever is read, what is appended to, and reports
			"os.File", "os.O_APPEND", "os.O_CREATE", "os.O_EXCL", "os.O_RDONLY", "os.O_RDWR", "os.O_TRUNC", "os.O_WRONLY", "os.OpenFile",
			"os.OpenRoot", "os.Root", "os.SameFile", "syscall.O_DIRECTORY", "syscall.O_NOFOLLOW", "syscall.O_NONBLOCK",
		},
	}
}

// reaches reports whether a package's name stands for something outside. Error numbers do not: they say what happened there.
func reaches(importPath, name string) bool {
	switch importPath {
	case "os", "os/exec", "os/signal", "os/user", "golang.org/x/sys/unix", "log":
		return true
	case "syscall":
		return name != "Errno" && !(strings.HasPrefix(name, "E") && name == strings.ToUpper(name))
	}
	return slices.Contains([]string{
		"fmt.Print", "fmt.Printf", "fmt.Println", "net/http.DefaultClient", "net/http.DefaultTransport", "net/http.Get", "net/http.Head",
		"net/http.Post", "net/http.PostForm", "net/http.ProxyFromEnvironment", "path/filepath.Abs", "path/filepath.EvalSymlinks",
		"path/filepath.Glob", "path/filepath.Walk", "path/filepath.WalkDir", "time.Sleep", "crypto/tls.LoadX509KeyPair",
		"crypto/x509.SystemCertPool",
	}, importPath+"."+name)
}

// opens reports whether a method of [os.Root] opens something that need not be a file: reading, or opening, may wait for ever.
// OpenFile is left to whoever makes a file, which handoff does.
func opens(method string) bool {
	return slices.Contains([]string{"Open", "OpenRoot", "ReadFile", "WriteFile", "Create", "FS"}, method)
}

// TestEffectsHaveOneAddress looks at each name by which the program's code reaches outside. What is allowed and not used fails
// here too.
func TestEffectsHaveOneAddress(t *testing.T) {
	allowed := reach()
	used := map[string]bool{}
	for file, parsed := range sources(t) {
		pkg, paths := room(path.Dir(strings.TrimPrefix(file, "../"))), importPaths(parsed)
		ast.Inspect(parsed, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				if n.Name.Name == "init" && n.Recv == nil {
					t.Errorf("%s has an init", file)
				}
			case *ast.CallExpr:
				if f, ok := n.Fun.(*ast.Ident); ok && slices.Contains([]string{"panic", "print", "println"}, f.Name) {
					t.Errorf("%s calls %s", file, f.Name)
				}
			case *ast.SelectorExpr:
				from, ok := n.X.(*ast.Ident)
				if (opens(n.Sel.Name) || n.Sel.Name == "OpenFile" && pkg != "handoff") && pkg != "nowait" && (!ok || paths[from.Name] == "") {
					t.Errorf("%s opens what may make it wait, with %s: package nowait does not", file, n.Sel.Name)
				}
				if !ok || !reaches(paths[from.Name], n.Sel.Name) {
					break
				}
				name := path.Base(paths[from.Name]) + "." + n.Sel.Name
				if !slices.Contains(allowed[pkg], name) {
					t.Errorf("%s has %s", file, name)
				}
				used[pkg+" "+name] = true
			}
			return true
		})
	}
	for pkg, names := range allowed {
		for _, name := range names {
			if !used[pkg+" "+name] {
				t.Errorf("%s may have %s, and does not", pkg, name)
			}
		}
	}
}

// sources are the files of the program, tests aside, for every system.
func sources(t *testing.T) map[string]*ast.File {
	t.Helper()
	files := map[string]*ast.File{}
	for _, root := range []string{"../pipe", "../internal"} {
		err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
				return err
			}
			files[file], err = parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// importPaths are what a file imports, by the name that it has there.
func importPaths(file *ast.File) map[string]string {
	paths := map[string]string{}
	for _, spec := range file.Imports {
		imported := strings.Trim(spec.Path.Value, `"`)
		name := path.Base(imported)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		paths[name] = imported
	}
	return paths
}
