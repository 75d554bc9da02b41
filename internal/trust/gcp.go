package trust

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"bitbucket-oidc/internal/oidc"
)

// objectOf reads a document as a JSON object, member by member, so that its kind can be told.
func objectOf(data []byte) map[string]json.RawMessage {
	var members map[string]json.RawMessage
	if json.Unmarshal(data, &members) != nil {
		return nil
	}
	return members
}

// hasAny tells whether an object has one of the members.
func hasAny(object map[string]json.RawMessage, names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool { _, ok := object[name]; return ok })
}

// misfit words an error of encoding/json without quoting the document.
func misfit(err error) error {
	var other misnamed
	if errors.As(err, &other) {
		return other
	}
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		kind, _, _ := strings.Cut(wrong.Value, " ")
		return fmt.Errorf("%s: a JSON %s does not belong there", wrong.Field, kind)
	}
	return errors.New("not the JSON of such a document")
}

// A gcpName is what a provider or a member names. An empty part is one that the file does not say.
type gcpName struct {
	project  string // the number
	pool     string
	provider string // empty in a member's name
}

// gcpParseName reads projects/NUMBER/locations/global/workloadIdentityPools/POOL[/providers/PROVIDER], and what stands behind.
func gcpParseName(s string) (name gcpName, rest string, ok bool) {
	parts := strings.SplitN(s, "/", 7)
	if len(parts) < 6 || parts[0] != "projects" || parts[2] != "locations" || parts[3] != "global" || parts[4] != "workloadIdentityPools" {
		return gcpName{}, "", false
	}
	name = gcpName{project: parts[1], pool: parts[5]}
	if len(parts) == 7 {
		rest = parts[6]
	}
	if provider, found := strings.CutPrefix(rest, "providers/"); found && !strings.Contains(provider, "/") {
		name.provider, rest = provider, ""
	}
	return name, rest, true
}

// fits tells whether two names can be of the same thing. A placeholder stands for any value, and so does what a file does not say.
func (n gcpName) fits(other gcpName) bool {
	same := func(a, b, placeholder string) bool {
		return a == b || a == "" || b == "" || a == placeholder || b == placeholder
	}
	return same(n.project, other.project, ProjectNumber) && same(n.pool, other.pool, Pool) && same(n.provider, other.provider, Provider)
}

// numbered tells whether the project is a number, or the placeholder of one.
func (n gcpName) numbered() bool {
	return n.project == ProjectNumber || n.project != "" && strings.Trim(n.project, "0123456789") == ""
}

// known fills in placeholders for what is not known.
func (n gcpName) known() gcpName {
	p := Places{GCPProjectNumber: n.project, GCPPool: n.pool, GCPProvider: n.provider}.Known()
	return gcpName{project: p.GCPProjectNumber, pool: p.GCPPool, provider: p.GCPProvider}
}

// command is a gcloud command for the provider.
func (n gcpName) command(verb string, flags ...string) string {
	n = n.known()
	return GCPProviderCommand(verb, GCPPoolName(n.project, n.pool)+"/providers/"+n.provider, flags...)
}

// GCPPoolName is the resource name of a workload identity pool.
func GCPPoolName(projectNumber, pool string) string {
	return "projects/" + projectNumber + "/locations/global/workloadIdentityPools/" + pool
}

// GCPProviderCommand is a gcloud command for the provider with this resource name. Only in a resource name does gcloud take the
// project's number: as --project it refuses it, and wants the id, which neither token nor provider tell. Flags are words of a shell.
func GCPProviderCommand(verb, name string, flags ...string) string {
	return strings.Join(append([]string{"gcloud iam workload-identity-pools providers", verb, ShellWord(name)}, flags...), " ")
}

// GCPProviderFlags are the flags of gcloud that make a provider let in exactly this repository.
func GCPProviderFlags(c oidc.Claims) []string {
	return []string{
		"--issuer-uri=" + ShellWord(c.Issuer), "--allowed-audiences=" + ShellWord(WorkspaceAudience(c)),
		"--attribute-mapping=" + ShellWord(gcpMappingFor(c)), "--attribute-condition=" + ShellWord(gcpConditionFor(c)),
	}
}

// GCPBinding is the command that lets a member act as a service account.
func GCPBinding(account, member string) string {
	return bindingCommand("add", account, workloadIdentityUser, member)
}

// revoke is the command that takes a role from a member.
func revoke(role, member string) string {
	return bindingCommand("remove", ServiceAccount, role, member)
}

// bindingCommand changes who holds a role on a service account. Without the account's project gcloud takes the one that it is
// configured with, or stops.
func bindingCommand(verb, account, role, member string) string {
	command := "gcloud iam service-accounts " + verb + "-iam-policy-binding " + ShellWord(account) +
		" --role=" + ShellWord(role) + " \\\n  --member=" + ShellWord(member)
	if project, ok := GCPProjectOf(account); ok {
		command += " --project=" + ShellWord(project)
	}
	return command
}

// GCPProjectOf is the project in a service account's e-mail. A project of a domain of its own,
// name@project.example.com.iam.gserviceaccount.com, is example.com:project.
func GCPProjectOf(email string) (project string, ok bool) {
	_, host, _ := strings.Cut(email, "@")
	id, ok := strings.CutSuffix(host, ".iam.gserviceaccount.com")
	if project, domain, scoped := strings.Cut(id, "."); scoped {
		id = domain + ":" + project
	}
	return id, ok
}

// stepUUID is the step's UUID without braces: the claim, or else the subject's last part.
func stepUUID(c oidc.Claims) string {
	step := c.StepUUID
	if i := strings.LastIndex(c.Subject, ":"); step == "" && i >= 0 {
		step = c.Subject[i+1:]
	}
	return unbraced(step)
}

// A uuidSpan is where in a text a UUID stands, and whether in braces.
type uuidSpan struct {
	start, end int // without braces
	braces     bool
}

// uuidsIn finds the UUIDs in s.
func uuidsIn(s string) []uuidSpan {
	var all []uuidSpan
	const length = 36
	for i := 0; i+length <= len(s); i++ {
		if !isUUID(s[i : i+length]) {
			continue
		}
		span := uuidSpan{start: i, end: i + length}
		span.braces = i > 0 && s[i-1] == '{' && span.end < len(s) && s[span.end] == '}'
		all = append(all, span)
		i = span.end - 1
	}
	return all
}

func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		dash := i == 8 || i == 13 || i == 18 || i == 23
		if dash != (s[i] == '-') || !dash && !strings.ContainsRune("0123456789abcdefABCDEF", rune(s[i])) {
			return false
		}
	}
	return true
}

// likeSubject tells whether a text has the form of the whole subject of some step, {repository}:{step} or
// {repository}:{environment}:{step}, with or without braces. {repository}:{environment} of this step is none.
func likeSubject(s string, c oidc.Claims) bool {
	parts := strings.Split(unbraced(s), ":")
	if slices.ContainsFunc(parts, func(part string) bool { return !isUUID(part) }) {
		return false
	}
	return len(parts) == 3 || len(parts) == 2 && !strings.EqualFold(parts[1], unbraced(c.Environment()))
}

func unbraced(s string) string { return strings.NewReplacer("{", "", "}", "").Replace(s) }

// quotedAll shows values side by side in a message.
func quotedAll(values []string) string {
	shown := make([]string, len(values))
	for i, v := range values {
		shown[i] = fmt.Sprintf("%q", v)
	}
	return strings.Join(shown, " and ")
}
