package peers

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/document"
	"bitbucket-oidc/internal/trust/iam"
	"bitbucket-oidc/test/cloud"
)

// iamPolicies is how many policies the two are asked about.
const iamPolicies = 6000

// TestIAMSimulator compares `check` with a simulator of IAM, on policies that are made up.
func TestIAMSimulator(t *testing.T) {
	const name = "iam-simulate"
	program, err := iamSimulator()
	if err != nil {
		verdicts.skip(t, name, err.Error())
	}
	verdicts.ran(name)
	const batches = 12
	compared, allowed := 0, 0
	for batch := range batches {
		r := rand.New(rand.NewPCG(uint64(batch), 1))
		identity := newIAMIdentity(r)
		policies := make([]iamPolicy, iamPolicies/batches)
		for i := range policies {
			policies[i] = identity.policy(r)
		}
		ours := identity.check(t, policies)
		theirs := identity.simulate(t, program, policies)
		for i, p := range policies {
			want, decided := map[string]string{"Allowed": "allow", "ExplicitlyDenied": "deny", "ImplicitlyDenied": "deny"}[theirs[i]]
			if decided && ours[i] == "undecided" {
				continue // the simulator decides everything, also what AWS does not say
			}
			compared++
			if want == "allow" {
				allowed++
			}
			if ours[i] != want {
				data, _ := json.MarshalIndent(p, "", "  ")
				t.Errorf("check: %s, simulator: %s, subject %s, audience %q, policy\n%s", ours[i], theirs[i], identity.subject, identity.audience, data)
			}
		}
	}
	t.Logf("%d of %d policies compared, %d allowed", compared, iamPolicies, allowed)
	if compared < 5000 || allowed < 1000 {
		t.Error("too few for a comparison")
	}
}

// TestIAMSimulatorReach compares who gets in, as a set, with the simulator: of random policies, everybody who is shown as one who gets in
// or as one who is refused.
func TestIAMSimulatorReach(t *testing.T) {
	const name = "iam-simulate, who gets in"
	program, err := iamSimulator()
	if err != nil {
		verdicts.skip(t, name, err.Error())
	}
	verdicts.ran(name)
	const policies = 60
	r := rand.New(rand.NewPCG(22, 7))
	var questions []iamQuestion
	var want []bool
	allowed := 0
	for range policies {
		identity := newIAMIdentity(r)
		policy := identity.policy(r)
		data, err := json.Marshal(policy)
		if err != nil {
			t.Fatal(err)
		}
		universe := bitbucket.Universe{Issuer: issuer.URL(), WorkspaceUUID: identity.step.WorkspaceUUID, Repositories: []bitbucket.Repository{
			{UUID: identity.step.RepositoryUUID, Environments: []bitbucket.Environment{{UUID: iamEnvironment}}},
		}}
		file, err := document.Read("trust.json", data)
		if err != nil {
			t.Fatal(err)
		}
		roles, _, err := iam.Read(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, role := range roles {
			for _, cell := range role.Reach(t.Context(), universe) {
				if w := cell.Reach.Witness; w != nil && cell.Reach.Some {
					questions, want = append(questions, identity.question(w.Claims.Subject, w.Claims.Audience, policy)), append(want, true)
					allowed++
				}
				if w := cell.Reach.Refused; w != nil {
					questions, want = append(questions, identity.question(w.Claims.Subject, w.Claims.Audience, policy)), append(want, false)
				}
			}
		}
	}
	for i, answer := range simulate(t, program, questions) {
		if got, decided := map[string]bool{"Allowed": true, "ExplicitlyDenied": false, "ImplicitlyDenied": false}[answer]; !decided || got != want[i] {
			data, _ := json.MarshalIndent(questions[i], "", "  ")
			t.Errorf("reach: %t, simulator: %s, question\n%s", want[i], answer, data)
		}
	}
	t.Logf("%d subjects of %d policies compared, %d get in", len(questions), policies, allowed)
	if len(questions) < 200 || allowed < 50 {
		t.Error("too few for a comparison")
	}
}

// iamSimulator finds node, and the simulator in the version that package-lock.json pins.
func iamSimulator() ([]string, error) {
	path, err := exec.LookPath("node")
	if err != nil {
		return nil, fmt.Errorf("not installed: %w", err)
	}
	lock, err := os.ReadFile(script("iam/package-lock.json"))
	if err != nil {
		return nil, err
	}
	dir, err := cached(fmt.Sprintf("iam-%.8x", sha256.Sum256(lock)), func(dir string) error {
		if err := os.CopyFS(dir, os.DirFS(script("iam"))); err != nil {
			return err
		}
		install := exec.Command("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
		install.Dir = dir
		return quietly(install)
	})
	if err != nil {
		return nil, fmt.Errorf("not installed: %w", err)
	}
	return []string{"env", "NODE_PATH=" + filepath.Join(dir, "node_modules"), path, script("iam/simulate.js")}, nil
}

// An iamIdentity is the token that policies are about.
type iamIdentity struct {
	step     cloud.Step
	subject  string
	audience []string
}

type (
	iamPolicy    map[string]any
	iamStatement map[string]any
)

const (
	iamEnvironment = "{bd715740-c970-486b-b68a-b421ec2a1f8b}"
	iamAccount     = "123456789012"
)

// newIAMIdentity is a step of a repository. Its audiences make sense to more operators than those of strings.
func newIAMIdentity(r *rand.Rand) iamIdentity {
	step := cloud.DefaultStep()
	if r.IntN(2) == 0 {
		step.EnvironmentUUID = iamEnvironment
	}
	audience := []string{step.WorkspaceAudience()}
	switch r.IntN(3) {
	case 0:
		audience = append(audience, "https://gateway.example.com", "42")
	case 1:
		audience = []string{pick(r, "42", "203.0.113.7", "2026-02-01T00:00:00Z", "arn:aws:sqs:eu-west-1:123456789012:a/b", "true", "2001:db8::1")}
	}
	return iamIdentity{step, step.Subject(), audience}
}

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

// policy is one of up to three statements.
func (id iamIdentity) policy(r *rand.Rand) iamPolicy {
	p := iamPolicy{"Version": "2012-10-17"}
	switch r.IntN(8) {
	case 0:
		p["Version"] = "2008-10-17"
	case 1:
		delete(p, "Version")
	}
	g := iamStatements{id, r, p["Version"] == "2012-10-17"}
	statements := []iamStatement{g.statement("Allow")}
	for range r.IntN(3) {
		statements = append(statements, g.statement(pick(r, "Allow", "Deny", "Deny")))
	}
	r.Shuffle(len(statements), func(i, j int) { statements[i], statements[j] = statements[j], statements[i] })
	p["Statement"] = statements
	if len(statements) == 1 && r.IntN(3) == 0 {
		p["Statement"] = statements[0]
	}
	return p
}

// iamStatements makes statements up.
type iamStatements struct {
	iamIdentity
	*rand.Rand

	// variables are for the policy version that knows them: the simulator replaces them in all.
	variables bool
}

func (g iamStatements) statement(effect string) iamStatement {
	r := g.Rand
	provider := "arn:aws:iam::" + iamAccount + ":oidc-provider/" + g.path()
	s := iamStatement{"Effect": effect, "Principal": map[string]any{"Federated": provider}, "Action": "sts:AssumeRoleWithWebIdentity"}
	switch r.IntN(12) {
	case 0:
		s["Principal"] = map[string]any{"Federated": []string{"www.amazon.com", provider}}
	case 1:
		s["Principal"] = map[string]any{"Federated": "www.amazon.com"}
	case 2:
		s["Principal"] = map[string]any{"AWS": "arn:aws:iam::" + iamAccount + ":role/other"}
	}
	switch r.IntN(12) {
	case 0:
		s["Action"] = []string{"sts:TagSession", "STS:assumeROLEwith*Identity"}
	case 1:
		s["Action"] = pick(r, "sts:*", "sts:AssumeRole", "sts:AssumeRoleWith???Identity")
	case 2:
		delete(s, "Action")
		s["NotAction"] = pick(r, "sts:TagSession", "sts:AssumeRoleWithWebIdentity", "sts:Assume*")
	}
	condition := map[string]map[string]any{}
	for range r.IntN(4) {
		operator := iamOperator(r)
		if condition[operator] == nil {
			condition[operator] = map[string]any{}
		}
		condition[operator][g.key()] = g.values(operator)
	}
	if len(condition) > 0 {
		s["Condition"] = condition
	}
	return s
}

// path is the issuer without its scheme.
func (id iamIdentity) path() string { return strings.TrimPrefix(issuer.URL(), "https://") }

// iamOperator is an operator with the words around it, strings more often than what Bitbucket's claims never are.
func iamOperator(r *rand.Rand) string {
	base := pick(
		r, "StringEquals", "StringNotEquals", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase", "StringLike",
		"StringNotLike", "StringEquals", "StringLike", "StringLike", "StringNotLike", "ArnEquals", "ArnLike", "ArnNotEquals",
		"ArnNotLike", "Null", "Bool", "BinaryEquals", "IpAddress", "NotIpAddress",
		pick(r, "Numeric", "Date")+
			pick(r, "Equals", "NotEquals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals"),
	)
	if base != "Null" {
		base = pick(r, "", "", "ForAnyValue:", "ForAllValues:") + base + pick(r, "", "", "", "IfExists")
	}
	return base
}

func (g iamStatements) key() string {
	path := g.path()
	return pick(g.Rand, path+":sub", path+":aud", path+":sub", path+":aud", path+":Sub", strings.ToUpper(path)+":AUD",
		path+":branchName", "aws:PrincipalTag/team", "aws:username", "aws:SecureTransport")
}

// values are such as make sense to the operator, sometimes.
func (g iamStatements) values(operator string) any {
	var values []any
	for len(values) == 0 || g.IntN(3) == 0 {
		values = append(values, g.value(operator))
	}
	if len(values) == 1 && g.IntN(2) == 0 {
		return values[0]
	}
	return values
}

func (g iamStatements) value(operator string) any {
	r := g.Rand
	switch {
	case operator == "Null", strings.Contains(operator, "Bool"):
		return pick[any](r, "true", "false", "True", true, false)
	case strings.Contains(operator, "Numeric"):
		return pick[any](r, "42", 42, "41.5", 43, "-1")
	case strings.Contains(operator, "Date"):
		return pick[any](r, "2026-02-01T00:00:00Z", "2026-02-01T01:00:00+01:00", "2026-01-31", "2027-01-01T00:00:00Z", "1769904000")
	case strings.Contains(operator, "IpAddress"):
		return pick[any](r, "203.0.113.0/24", "203.0.113.7", "10.0.0.0/8", "2001:db8::/32")
	case strings.Contains(operator, "Binary"):
		return pick[any](r, "NDI=", "eA==")
	case strings.Contains(operator, "Arn"):
		return pick[any](r, "arn:aws:sqs:*:123456789012:a/*", "arn:aws:sqs:eu-west-1:*", "arn:aws:*:*:*:*", "arn:aws:sns:eu-west-1:123456789012:a")
	case g.variables && g.IntN(3) == 0:
		return g.variable(strings.Contains(operator, "Not"))
	}
	return g.text()
}

// variable is a text with a variable. One without a value makes the simulator fail a negated operator as well, where the User
// Guide ("IAM policy elements: Variables and tags", policy variables with no value) has it hold.
func (g iamStatements) variable(negated bool) string {
	texts := []string{"${" + g.path() + ":sub}", "${aws:username, 'main'}", "*${*}", "{*}:${aws:username, '{'}*"}
	if !negated {
		texts = append(texts, "${aws:username}", "*${aws:PrincipalTag/team}*")
	}
	return pick(g.Rand, texts...)
}

// text is a pattern near the subject or an audience.
func (g iamStatements) text() string {
	r := g.Rand
	text := pick(r, g.subject, g.subject, g.step.RepositoryUUID+":*", "*", pick(r, g.audience...))
	for r.IntN(3) == 0 && text != "" {
		at := r.IntN(len(text))
		text = text[:at] + pick(r, "*", "?", "x", "**", "?*") + text[min(len(text), at+r.IntN(20)):]
	}
	return pick(r, text, text, text, strings.ToUpper(text))
}

// check asks the pipe, about all in one list of roles.
func (id iamIdentity) check(t *testing.T, policies []iamPolicy) []string {
	t.Helper()
	type role struct {
		RoleName                 string
		AssumeRolePolicyDocument iamPolicy
	}
	var list struct{ Roles []role }
	for i, p := range policies {
		list.Roles = append(list.Roles, role{fmt.Sprint(i), p})
	}
	claims := id.step.Claims(issuer.URL())
	claims["aud"] = id.audience
	dir := t.TempDir()
	write := func(name string, value any) string {
		data, err := json.Marshal(value)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		return filepath.Join(dir, name)
	}
	ctx, cancel := context.WithTimeout(t.Context(), readerLimit)
	defer cancel()
	check := exec.CommandContext(ctx, pipe, "check", "--format", "json", "--claims", write("claims.json", claims), write("roles.json", list))
	check.Env = []string{}
	var stderr bytes.Buffer
	check.Stderr = &stderr
	out, _ := check.Output() // some policy denies: the status is not 0
	var answer struct {
		Results []struct{ Name, Verdict string }
	}
	if err := json.Unmarshal(out, &answer); err != nil {
		t.Fatalf("%v\n%s%s", err, out, &stderr)
	}
	verdicts := map[string]string{}
	for _, r := range answer.Results {
		verdicts[r.Name] = r.Verdict
	}
	var ours []string
	for i := range policies {
		verdict, judged := verdicts[fmt.Sprint(i)]
		if !judged {
			verdict = "deny" // it names no provider of Bitbucket
		}
		ours = append(ours, verdict)
	}
	return ours
}

// simulate asks the simulator about one identity.
func (id iamIdentity) simulate(t *testing.T, program []string, policies []iamPolicy) []string {
	t.Helper()
	var questions []iamQuestion
	for _, p := range policies {
		questions = append(questions, id.question(id.subject, id.audience, p))
	}
	return simulate(t, program, questions)
}

// An iamQuestion is one that the simulator answers.
type iamQuestion struct {
	Issuer  string         `json:"issuer"`
	Context map[string]any `json:"context"`
	Policy  iamPolicy      `json:"policy"`
}

func (id iamIdentity) question(subject string, audience []string, p iamPolicy) iamQuestion {
	var aud any = audience
	if len(audience) == 1 {
		aud = audience[0]
	}
	return iamQuestion{id.path(), map[string]any{id.path() + ":sub": subject, id.path() + ":aud": aud, "aws:SecureTransport": "true"}, p}
}

// simulate asks the simulator.
func simulate(t *testing.T, program []string, questions []iamQuestion) []string {
	t.Helper()
	var lines bytes.Buffer
	enc := json.NewEncoder(&lines)
	for _, q := range questions {
		if err := enc.Encode(q); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), readerLimit)
	defer cancel()
	simulate := exec.CommandContext(ctx, program[0], program[1:]...)
	var stderr bytes.Buffer
	simulate.Stdin, simulate.Stderr = &lines, &stderr
	out, err := simulate.Output()
	answers := strings.Split(strings.TrimSpace(string(out)), "\n")
	if err != nil || len(answers) != len(questions) {
		t.Fatalf("simulator: %v: %d answers for %d questions\n%s", err, len(answers), len(questions), &stderr)
	}
	return answers
}
