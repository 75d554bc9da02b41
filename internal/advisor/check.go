package advisor

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"bitbucket-oidc/internal/cli"
	"bitbucket-oidc/internal/collect"
	"bitbucket-oidc/internal/hint"
	"bitbucket-oidc/internal/identity"
	"bitbucket-oidc/internal/inventory"
	"bitbucket-oidc/internal/judge"
	"bitbucket-oidc/internal/trust"
	"bitbucket-oidc/internal/visible"
)

func checkCommand() cli.Command {
	return cli.Command{Name: "check", Usage: checkUsage, Options: checkOptions(), Run: runCheck}
}

func checkOptions() []cli.Option {
	return slices.Concat(outputOptions(), []cli.Option{reachOption(), targetOption()}, identity.Options())
}

// documentKinds are what check judges, with the commands that print them.
const documentKinds = `  aws-role      a role's trust policy, aws iam get-role, aws iam list-roles
  aws-provider  aws iam get-open-id-connect-provider
  gcp-provider  gcloud iam workload-identity-pools providers describe --format=json
  gcp-policy    gcloud iam service-accounts get-iam-policy --format=json (give the gcp-provider with it)
  vault-role    vault read -format=json auth/jwt/role/NAME
  of many       aws iam get-account-authorization-details, AWS Config query results, terraform show -json (state or
                plan), steampipe query --output json, gcloud asset search-all-iam-policies --format=json
  beside them   gcloud iam workload-identity-pools describe, vault read -format=json auth/jwt/config, resource control
                policies (aws organizations describe-policy, or the policy itself)
  of any        one JSON value a line
`

func checkUsage(program string) string {
	return "Usage: " + program + ` check [FLAG…] FILE…

Judges trust configurations against an identity, offline. A file's kind is recognised by its content; - is standard input:

` + documentKinds + `
Without a flag that says otherwise the identity is the one of BITBUCKET_STEP_OIDC_TOKEN. Flags:

` + cli.Describe(checkOptions()) + `
Exit status: 0 every verdict is allow and there is no error among the findings; 1 otherwise; 2 a file cannot be read or
its kind told, or the command line is wrong. It sends only what --insights publishes. Variables: BITBUCKET_STEP_OIDC_TOKEN, TIMEOUT, DEBUG.
`
}

func runCheck(ctx context.Context, c *cli.Console, a *cli.Arguments) int {
	if a.Given("reach") {
		return checkReach(ctx, c, a)
	}
	options := trust.Options{Now: a.Moment("now", time.Now()), Duration: identity.Duration(a)}
	id := identity.Read(ctx, a, options.Now)
	files := readFiles(ctx, a, a.Files)
	out := readOutput(ctx, c, a)
	if err := a.Err(); err != nil {
		return c.Fail(err, cli.Misused)
	}
	results, err := judging(ctx, func() ([]trust.Result, error) {
		results, err := judge.Judge(files, id, options)
		return results, unknownKinds(err)
	})
	if err != nil {
		return c.Fail(err, cli.Misused)
	}
	identity.WarnExpired(c, id, options.Now)
	return out.put(ctx, c, checked{id, files, results, options.Now}.report(c.Version))
}

// judging awaits a judgement: a small file can be made to take long.
func judging[T any](ctx context.Context, judge func() (T, error)) (T, error) {
	judgement, err := cli.Await(ctx, judge)
	if errors.Is(err, cli.ErrUnfinished) {
		err = tooSlow(ctx)
	}
	return judgement, err
}

func tooSlow(ctx context.Context) error {
	return hint.New("judging the files: "+cli.Ended(ctx, "not done before TIMEOUT ran out"), "give fewer files or smaller ones, or raise TIMEOUT")
}

// targetOption says what a file is about, for a file that does not say so itself.
func targetOption() cli.Option {
	return cli.Option{Name: "target", Value: "NAME=FILE", Many: true, Usage: "a file, and the service account, Vault role or mount that it is of"}
}

// readFiles reads the files that arguments and --target name.
func readFiles(ctx context.Context, a *cli.Arguments, names []string) []trust.File {
	if len(names) == 0 && !a.Given("target") && !a.Given("live") {
		a.Add(hint.New("no file to judge", "give at least one of these:\n"+strings.TrimRight(documentKinds, "\n")))
	}
	var files []trust.File
	read := func(name, target string) {
		data, err := cli.ReadLines(ctx, name, collect.Cut)
		a.Add(err)
		files = append(files, trust.File{Name: name, Data: data, Target: target})
	}
	for _, name := range names {
		read(name, "")
	}
	for _, text := range a.Texts("target") {
		target, file, ok := inventory.Named(text)
		if !ok {
			a.Wrong("target", "expected NAME=FILE, with the name as an access map has it: name@project.iam.gserviceaccount.com, or https://HOST/v1/auth/MOUNT[/role/NAME]")
			continue
		}
		read(file, target)
	}
	return files
}

// unknownKinds advises on files that cannot be judged. It is nil if err is.
func unknownKinds(err error) error {
	var all []error
	for _, failure := range hint.Failures(err) {
		all = append(all, hint.New(visible.Text(failure.Error()), "give files as these tools print them:\n"+strings.TrimRight(documentKinds, "\n")))
	}
	return errors.Join(all...)
}
