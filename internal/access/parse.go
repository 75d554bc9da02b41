package access

import (
	"slices"
	"strings"
	"time"

	"bitbucket-oidc/internal/accept"
	"bitbucket-oidc/internal/pattern"
	"bitbucket-oidc/internal/strictyaml"
)

// A parser reads a map and reports what is wrong with it to the file.
type parser struct {
	m        *Map
	uuids    map[string]string // the place where each is used
	sessions map[string]session
}

// A session is how long a target's sessions may last, by the first grant that says it.
type session struct {
	length time.Duration
	path   string
}

var (
	slugForm = pattern.New(`^[A-Za-z0-9._-]+$`)
	uuidForm = pattern.New(`^(?:\{([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})\}|([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}))$`)
	idForm   = pattern.New(`^[0-9a-f]{12}$`)
	account  = pattern.New(`^\d{12}$`)

	// providerForm is the resource name of a workload identity provider. The project is its number. Shorter ids than Google makes
	// today are read: a map also says what is not there yet.
	providerForm = pattern.New(`^projects/\d+/locations/global/workloadIdentityPools/[a-z][a-z0-9-]{0,30}[a-z0-9]/providers/[a-z][a-z0-9-]{0,30}[a-z0-9]$`)
)

func (p *parser) file(root strictyaml.Value) {
	field := root.Fields("version", "workspace", "repositories", "read", "grants", "accept")
	version := field("version").Required(root, "version")
	if version.Present() && version.Whole() != 1 {
		version.Problem("expected 1")
	}
	workspace := field("workspace").Required(root, "workspace")
	of := workspace.Fields("slug", "uuid")
	p.m.Workspace = Workspace{
		Slug: p.slug(of("slug").Required(workspace, "slug")),
		UUID: p.uuid(of("uuid").Required(workspace, "uuid")),
	}
	for _, e := range field("repositories").Required(root, "repositories").Entries() {
		p.repository(e)
	}
	p.read(field("read"))
	line, column := root.KeyOf("grants")
	p.m.places["grants"] = Place{line, column}
	for i, v := range field("grants").Required(root, "grants").Items() {
		p.grant(i, v)
	}
	for _, v := range field("accept").Items() {
		p.accept(v)
	}
}

func (p *parser) slug(v strictyaml.Value) string {
	text := v.Text()
	if !slugForm.MatchString(text) {
		v.Problem("expected a slug, as in bitbucket.org/SLUG")
	}
	return text
}

// uuid reads a UUID, with or without its braces. Each may occur in the file once: two names of one thing would hide one of the two.
func (p *parser) uuid(v strictyaml.Value) string {
	if !v.Present() {
		return ""
	}
	m := uuidForm.FindStringSubmatch(v.Scalar())
	if m == nil {
		v.Problem(`expected a UUID such as "{2e9e429c-7b8b-404f-8648-8c40c27c9ebd}", in quotes if it has braces`)
		return ""
	}
	uuid := "{" + strings.ToLower(m[1]+m[2]) + "}"
	if first, again := p.uuids[uuid]; again {
		v.Problem("the UUID %s is already used at %s", uuid, first)
	}
	p.uuids[uuid] = v.Path()
	return uuid
}

func (p *parser) repository(e strictyaml.Entry) {
	r := Repository{Name: e.Key, Line: e.Line, Column: e.Column}
	if !slugForm.MatchString(e.Key) {
		e.Value.Problem("the name of a repository has letters, digits, dots, dashes and underscores only")
	}
	field := e.Value.Fields("uuid", "environments")
	r.UUID = p.uuid(field("uuid").Required(e.Value, "uuid"))
	for _, env := range field("environments").Entries() {
		if env.Key == NoEnvironment || env.Key == AnyEnvironment || env.Key == "" || strings.Contains(env.Key, "/") {
			env.Value.Problem("an environment cannot have this name here: none and * have a meaning of their own, / ends a name")
		}
		r.Environments = append(r.Environments, Environment{env.Key, p.uuid(env.Value.Required(env.Value, "uuid")), env.Line, env.Column})
	}
	p.m.Repositories = append(p.m.Repositories, r)
}

func (p *parser) read(v strictyaml.Value) {
	field := v.Fields("aws", "gcp", "vault")
	p.m.Read = Read{
		AWS:   p.listed("aws", field("aws"), account.MatchString, "an AWS account of 12 digits, in quotes"),
		GCP:   p.listed("gcp", field("gcp"), providerForm.MatchString, "projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER"),
		Vault: p.listed("vault", field("vault"), isMount, "a mount such as https://vault.example.com/v1/auth/jwt"),
	}
}

func isMount(text string) bool {
	u, ok := address(text)
	return ok && strings.HasPrefix(u.Path, "/v1/auth/") && !strings.HasSuffix(u.Path, "/") && u.RawQuery == ""
}

// listed reads a list of sources that have a form, and notes their places.
func (p *parser) listed(cloud string, v strictyaml.Value, ok func(string) bool, expected string) []string {
	var all []string
	for _, item := range v.Items() {
		text := item.Text()
		if !ok(text) {
			item.Problem("expected %s", expected)
		}
		all = append(all, text)
		p.m.places[cloud+":"+text] = Place{item.Line(), item.Column()}
	}
	return all
}

func (p *parser) grant(i int, v strictyaml.Value) {
	field := v.WithCommas("owner", "why").Fields("become", "who", "session", "audiences", "branches", "through", "owner", "why", "until")
	g := Grant{
		Index: i, Line: v.Line(), Column: v.Column(),
		Session: field("session").Duration(), Audiences: field("audiences").Texts(), Branches: field("branches").Texts(),
		Owner: field("owner").Text(), Why: field("why").Text(), Until: field("until").Date(),
	}
	if through := field("through"); through.Line() > 0 {
		if g.Through = through.Text(); !providerForm.MatchString(g.Through) {
			through.Problem("expected projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER")
		}
	}
	for _, item := range field("become").Required(v, "become").Items() {
		if t, ok := p.target(item, g.Session); ok {
			g.Become = append(g.Become, t)
		}
	}
	for _, item := range field("who").Required(v, "who").Items() {
		if w, ok := p.who(item); ok {
			g.Who = append(g.Who, w)
		}
	}
	for _, name := range []string{"become", "who"} {
		if list := field(name); list.IsEmpty() {
			list.Problem("the list is empty")
		}
	}
	p.m.Grants = append(p.m.Grants, g)
}

func (p *parser) target(v strictyaml.Value, length time.Duration) (Target, bool) {
	t, ok := ParseTarget(v.Text())
	if !ok {
		v.Problem("expected the ARN of an AWS role, the e-mail of a Google service account, or the URL of a Vault role " +
			"(https://HOST/v1/auth/MOUNT/role/NAME) or of an Okta connection (https://ORG.pam.okta.com/TEAM/CONNECTION), without wildcards")
		return t, false
	}
	first, again := p.sessions[t.Name]
	switch {
	case length == 0:
	case !again:
		p.sessions[t.Name] = session{length, v.Path()}
	case first.length != length:
		v.Problem("the same target has another session at %s", first.path)
	}
	return t, true
}

// who reads a set of steps. Patterns are refused: a map with a pattern does not say who gets in.
func (p *parser) who(v strictyaml.Value) (Who, bool) {
	name, environment, ok := strings.Cut(v.Text(), "/")
	if !ok || name == "" || environment == "" {
		v.Problem("expected REPOSITORY/ENVIRONMENT, REPOSITORY/none or REPOSITORY/*")
		return Who{}, false
	}
	i := slices.IndexFunc(p.m.Repositories, func(r Repository) bool { return r.Name == name })
	if i < 0 {
		if strings.ContainsAny(name, "*?[") {
			v.Problem("expected one repository by its name: patterns are not allowed")
		} else {
			v.Problem("the repository is not among the map's repositories")
		}
		return Who{}, false
	}
	w := Who{Repository: p.m.Repositories[i], Environment: environment}
	if environment == NoEnvironment || environment == AnyEnvironment {
		return w, true
	}
	j := slices.IndexFunc(w.Repository.Environments, func(e Environment) bool { return e.Name == environment })
	if j < 0 {
		v.Problem("the environment is not among the environments of %s", name)
		return Who{}, false
	}
	w.UUID = w.Repository.Environments[j].UUID
	return w, true
}

func (p *parser) accept(v strictyaml.Value) {
	field := v.WithCommas("why").Fields("id", "until", "why")
	a := accept.Entry{
		ID: field("id").Required(v, "id").Text(), Until: field("until").Required(v, "until").Date(),
		Why: field("why").Required(v, "why").Text(), Line: v.Line(), Column: v.Column(),
	}
	if id := field("id"); id.Present() && !idForm.MatchString(a.ID) {
		id.Problem("expected the id of a difference: 12 hexadecimal digits, in quotes")
	}
	if why := field("why"); why.Present() && strings.TrimSpace(a.Why) == "" {
		why.Problem("expected a reason")
	}
	p.m.Accept = append(p.m.Accept, a)
}
