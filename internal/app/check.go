package app

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"bitbucket-oidc/internal/hint"
	"bitbucket-oidc/internal/sarif"
	"bitbucket-oidc/internal/trust"
)

func checkOptions() []option {
	return append([]option{
		{name: "format", value: "FORMAT", pattern: "text|json|sarif", expected: "text, json or sarif", usage: "text (the default), json, or sarif (2.1.0)"},
	}, identityOptions()...)
}

// documentKinds are what check judges, with the commands that print them.
const documentKinds = `  aws-role      a role's trust policy, aws iam get-role, aws iam list-roles
  aws-provider  aws iam get-open-id-connect-provider
  gcp-provider  gcloud iam workload-identity-pools providers describe --format=json
  gcp-policy    gcloud iam service-accounts get-iam-policy --format=json (give the gcp-provider with it)
  vault-role    vault read -format=json auth/jwt/role/NAME
`

func checkUsage() string {
	return `Usage: pipe check [FLAG…] FILE…

Judges trust configurations against an identity, offline. A file's kind is told by its content; - is standard input:

` + documentKinds + `
Without a flag that says otherwise the identity is the one of BITBUCKET_STEP_OIDC_TOKEN. Flags:

` + describe(checkOptions()) + `
Exit status: 0 every verdict is allow and there is no error among the findings; 1 otherwise; 2 a file cannot be read or
its kind told, or the command line is wrong. It never sends anything. Variables: BITBUCKET_STEP_OIDC_TOKEN, TIMEOUT, DEBUG.
`
}

// check judges files.
func check(ctx context.Context, c *console, a *arguments) int {
	options := trust.Options{Now: a.moment("now", time.Now()), Duration: a.duration("duration", time.Hour)}
	id := a.identity(ctx, options.Now)
	files := a.read(ctx)
	if err := a.wrongs(); err != nil {
		return c.fail(err, misused)
	}
	// A small document can be made to take long.
	type outcome struct {
		results []trust.Result
		text    string
		err     error
	}
	got := make(chan outcome, 1)
	go func() {
		results, err := trust.Judge(files, id, options)
		if err != nil {
			got <- outcome{err: unknownKinds(err)}
			return
		}
		got <- outcome{results: results, text: formats()[a.text("format")](judged{c.version, id, files, results, options.Now})}
	}()
	select {
	case o := <-got:
		if o.err != nil {
			return c.fail(o.err, misused)
		}
		c.sayExpired(id, options.Now)
		c.lines(o.text)
		return status(o.results)
	case <-ctx.Done():
		return c.fail(hint.New("judging the files: "+ended(ctx, "not done before TIMEOUT ran out"), "give fewer files or smaller ones, or raise TIMEOUT"), misused)
	}
}

// ended says what ended a context: late, or that a signal stopped the program.
func ended(ctx context.Context, late string) string {
	if errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
		return late
	}
	return "stopped"
}

// judged is what check has to print.
type judged struct {
	version string
	id      trust.Identity
	files   []trust.File
	results []trust.Result
	now     time.Time
}

// read reads the files to judge.
func (a *arguments) read(ctx context.Context) []trust.File {
	if len(a.files) == 0 {
		a.problems = append(a.problems, hint.New("no file to judge", "give at least one of these:\n"+strings.TrimRight(documentKinds, "\n")))
	}
	var files []trust.File
	for _, name := range a.files {
		data, err := read(ctx, name)
		if err != nil {
			a.problems = append(a.problems, err)
		}
		files = append(files, trust.File{Name: name, Data: data})
	}
	return files
}

// unknownKinds advises on files that cannot be judged.
func unknownKinds(err error) error {
	var all []error
	for _, failure := range hint.Failures(err) {
		all = append(all, hint.New(visible(failure.Error()), "give files as these tools print them:\n"+strings.TrimRight(documentKinds, "\n")))
	}
	return errors.Join(all...)
}

// status is 0 only if everything lets the identity in and nothing is badly wrong.
func status(results []trust.Result) int {
	for _, r := range results {
		if r.Verdict != trust.Allow || slices.ContainsFunc(r.Findings, func(f trust.Finding) bool { return f.Severity == trust.Error }) {
			return failed
		}
	}
	return done
}

// formats are what check prints, by the value of --format.
func formats() map[string]func(judged) string {
	return map[string]func(judged) string{"": judged.text, "text": judged.text, "json": judged.json, "sarif": judged.sarif}
}

func (j judged) json() string {
	type identity struct {
		Issuer   string         `json:"issuer"`
		Audience []string       `json:"audience"`
		Subject  string         `json:"subject"`
		Claims   map[string]any `json:"claims"`
	}
	return pretty(struct {
		Version  int            `json:"version"`
		Identity identity       `json:"identity"`
		Results  []trust.Result `json:"results"`
	}{1, identity{j.id.Claims.Issuer, j.id.Claims.Audience, j.id.Claims.Subject, j.id.All}, append([]trust.Result{}, j.results...)})
}

func (j judged) sarif() string { return pretty(sarif.New(j.version, j.files, j.results)) }
