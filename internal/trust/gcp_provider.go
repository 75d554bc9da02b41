package trust

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types/ref"

	"bitbucket-oidc/internal/oidc"
)

// Limits of a provider. Source: IAM API, WorkloadIdentityPoolProvider, attributeMapping and attributeCondition.
const (
	gcpExpressionLength = 2048 // characters
	gcpConditionLength  = 4096 // characters
	gcpCustomAttributes = 50
	gcpAttributeName    = 100
	gcpSubjectSize      = 127  // bytes
	gcpMappedSize       = 8192 // bytes of all values
)

// gcpProviderFile is what `gcloud iam workload-identity-pools providers describe --format=json` prints.
type gcpProviderFile struct {
	Name               string            `json:"name"`  // projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/ID
	State              string            `json:"state"` // ACTIVE or DELETED
	Disabled           bool              `json:"disabled"`
	ExpireTime         *time.Time        `json:"expireTime"` // when a deleted provider is gone for good
	AttributeMapping   map[string]string `json:"attributeMapping"`
	AttributeCondition string            `json:"attributeCondition"`
	OIDC               *struct {         // absent where the provider is for AWS, SAML or X.509
		IssuerURI        string   `json:"issuerUri"`
		AllowedAudiences []string `json:"allowedAudiences"` // where empty, the provider's own name
	} `json:"oidc"`
}

// A gcpAttribute is what a key of the mapping comes to for an identity.
type gcpAttribute struct {
	values []string // one, except for google.groups
	known  bool
	reads  []string // of the assertion
}

// A providerJudgement is a provider and what it makes of an identity.
type providerJudgement struct {
	// Result judges the provider by itself, and beside the policies that it was bound to.
	Result Result

	ruling
	file       gcpProviderFile
	name       gcpName
	id         Identity
	now        time.Time
	env        *cel.Env
	right      map[string]string       // what is right of the mapping
	attributes map[string]gcpAttribute // by key, such as google.subject
	scoped     bool                    // the condition reads what only this repository's tokens have
	narrowed   bool                    // a policy has a member that is narrower than the pool
	relied     bool                    // a policy has a member that other repositories can be
}

// gcpProvider judges a provider. It returns false if the document is of another kind.
func gcpProvider(data []byte, id Identity, o Options) (providerJudgement, bool, error) {
	object := objectOf(data)
	var name string
	_ = json.Unmarshal(object["name"], &name) // of another type: not a provider's
	parsed, _, named := gcpParseName(name)
	if !hasAny(object, "oidc", "attributeMapping") && (!named || parsed.provider == "") {
		return providerJudgement{}, false, nil
	}
	p := providerJudgement{id: id, now: o.Now, name: parsed, attributes: map[string]gcpAttribute{}}
	if !named {
		p.name.provider = name // without its pool, as in a file that a person wrote
	}
	if err := decode(data, &p.file); err != nil {
		return providerJudgement{}, true, fmt.Errorf("gcp-provider: %w", misfit(err))
	}
	var err error
	if p.env, err = celEnvironment("assertion", "attribute", "google"); err != nil {
		return providerJudgement{}, true, err
	}
	for _, check := range []func(*providerJudgement){
		(*providerJudgement).state, (*providerJudgement).issuer, (*providerJudgement).audience,
		(*providerJudgement).mapping, (*providerJudgement).condition,
	} {
		check(&p)
	}
	p.conclude()
	return p, true, nil
}

// conclude words the result. What is found beside policies is added to what the provider shows by itself.
func (p *providerJudgement) conclude() {
	beside := p.ruling
	beside.findings = slices.Clone(p.findings)
	fix := p.name.command("update-oidc", "--attribute-condition="+ShellWord(gcpConditionFor(p.id.Claims)))
	const path = "attributeCondition"
	switch missing := strings.TrimSpace(p.file.AttributeCondition) == ""; {
	case missing && !p.narrowed:
		beside.find(Error, "gcp-condition-missing", path,
			"no attribute condition and no binding narrower than the pool: every repository of the workspace gets in", fix)
	case missing && p.relied:
		beside.find(Warning, "gcp-condition-unscoped", path,
			"no attribute condition, while a binding admits more than one repository", fix)
	case !missing && p.relied && !p.scoped:
		beside.find(Warning, "gcp-condition-unscoped", path,
			"the condition reads neither the repository's nor the environment's UUID, while a binding leaves it to the condition to tell repositories apart", fix)
	}
	p.Result = beside.result("gcp-provider", p.name.provider, "the provider accepts this token: issuer, audience, mapping and condition fit")
}

func (p *providerJudgement) state() {
	const rule = "gcp-provider-disabled"
	switch f := p.file; {
	case f.State == "DELETED":
		p.refuse(rule, "state", "the provider is deleted", p.name.command("undelete"))
	case f.State != "" && f.State != "ACTIVE":
		p.undecide("the provider's state is neither ACTIVE nor DELETED")
	}
	if p.file.Disabled {
		p.refuse(rule, "disabled", "the provider is disabled", p.name.command("update-oidc", "--no-disabled"))
	}
	if t := p.file.ExpireTime; t != nil && !p.now.Before(*t) {
		p.refuse(rule, "expireTime", "the provider expired at "+t.Format(time.RFC3339), p.name.command("create-oidc", GCPProviderFlags(p.id.Claims)...))
	}
}

func (p *providerJudgement) issuer() {
	const rule = "gcp-issuer-mismatch"
	want := p.id.Claims.Issuer
	if p.file.OIDC == nil {
		p.refuse(rule, "oidc", "the provider takes no OIDC tokens", p.name.command("create-oidc", GCPProviderFlags(p.id.Claims)...))
	} else if p.file.OIDC.IssuerURI != want {
		p.refuse(rule, "oidc.issuerUri", fmt.Sprintf("the provider's issuer is %q and the token's is %q", p.file.OIDC.IssuerURI, want),
			p.name.command("update-oidc", "--issuer-uri="+ShellWord(want)))
	}
}

// audience compares. Any of the token's audiences may be allowed; without a list it must be the provider's own name.
func (p *providerJudgement) audience() {
	if p.file.OIDC == nil {
		return
	}
	allowed, has := p.file.OIDC.AllowedAudiences, p.id.Claims.Audience
	fits := func(audience string) bool {
		name, named := gcpAudienceName(audience)
		if len(allowed) == 0 {
			return named && name.fits(p.name)
		}
		return slices.ContainsFunc(allowed, func(a string) bool {
			other, otherNamed := gcpAudienceName(a)
			return a == audience || named && otherNamed && name.fits(other) &&
				strings.HasPrefix(a, "https:") == strings.HasPrefix(audience, "https:")
		})
	}
	if slices.ContainsFunc(has, fits) {
		return
	}
	wanted := quotedAll(allowed)
	if len(allowed) == 0 {
		wanted = "only its own name"
	}
	list := append(slices.Clone(allowed), WorkspaceAudience(p.id.Claims))
	p.refuse("gcp-audience-mismatch", "oidc.allowedAudiences",
		fmt.Sprintf("the provider allows %s and the token's audience is %s", wanted, quotedAll(has)),
		p.name.command("update-oidc", "--allowed-audiences="+ShellWord(strings.Join(list, ","))))
}

// gcpAudienceName reads the default audience, which is the provider's name, with or without https:.
func gcpAudienceName(audience string) (gcpName, bool) {
	rest, ok := strings.CutPrefix(strings.TrimPrefix(audience, "https:"), "//iam.googleapis.com/")
	name, behind, named := gcpParseName(rest)
	return name, ok && named && behind == "" && name.provider != ""
}

// mapping evaluates every expression of the mapping.
func (p *providerJudgement) mapping() {
	const rule = "gcp-mapping-invalid"
	fix := p.mappingFix(gcpAttributes(p.id.Claims))
	if _, ok := p.file.AttributeMapping["google.subject"]; !ok {
		p.refuse(rule, "attributeMapping", "the mapping has no google.subject, which an OIDC provider must map", fix)
	}
	custom := 0
	for key := range p.file.AttributeMapping {
		if strings.HasPrefix(key, "attribute.") {
			custom++
		}
	}
	if custom > gcpCustomAttributes {
		p.refuse(rule, "attributeMapping", fmt.Sprintf("the mapping has %d custom attributes, more than %d", custom, gcpCustomAttributes), fix)
		return
	}
	assertion, ok := celAssertion(p.id.All)
	if !ok {
		p.undecide(fmt.Sprintf("the claims are larger than the %d bytes that are evaluated here", celClaimSize))
	}
	p.right = p.valid(assertion)
	mended := gcpAttributes(p.id.Claims)
	maps.Copy(mended, p.right)
	fix, total := p.mappingFix(mended), 0
	for _, key := range slices.Sorted(maps.Keys(p.file.AttributeMapping)) {
		attribute := p.attribute(key, assertion, fix)
		p.attributes[key] = attribute
		for _, value := range attribute.values {
			total += len(value)
		}
	}
	if total > gcpMappedSize {
		p.refuse(rule, "attributeMapping", fmt.Sprintf("the mapped attributes have %d bytes together, more than %d", total, gcpMappedSize), fix)
	}
}

// valid is what is right of the mapping.
func (p *providerJudgement) valid(assertion map[string]any) map[string]string {
	valid := map[string]string{}
	for key, source := range p.file.AttributeMapping {
		tried := providerJudgement{file: p.file, id: p.id, name: p.name, env: p.env}
		tried.attribute(key, assertion, "")
		if !slices.ContainsFunc(tried.findings, func(f Finding) bool { return f.Rule == "gcp-mapping-invalid" }) {
			valid[key] = source
		}
	}
	return valid
}

// attribute evaluates one expression of the mapping. Where the claims are nil, nothing is known of them.
func (p *providerJudgement) attribute(key string, assertion map[string]any, fix string) gcpAttribute {
	const rule = "gcp-mapping-invalid"
	path, source := "attributeMapping."+key, p.file.AttributeMapping[key]
	invalid := func(format string, args ...any) gcpAttribute {
		p.refuse(rule, path, key+": "+fmt.Sprintf(format, args...), fix)
		return gcpAttribute{}
	}
	if !gcpMappable(key) {
		return invalid("not google.subject, google.groups or attribute.NAME with at most %d of a-z, 0-9 and _", gcpAttributeName)
	}
	if n := utf8.RuneCountInString(source); n > gcpExpressionLength {
		return invalid("an expression of %d characters, more than %d", n, gcpExpressionLength)
	}
	expression, err := celCompile(p.env, source)
	if err != nil {
		return invalid("%v", err)
	}
	got := gcpAttribute{}
	for _, field := range expression.reads() {
		if variable, _, _ := strings.Cut(field, "."); variable == "google" || variable == "attribute" {
			return invalid("it reads %s, and a mapping can read the assertion only", field)
		}
		got.reads = append(got.reads, field)
	}
	p.confirm(path, expression)
	if assertion == nil {
		return got
	}
	result := expression.eval(map[string]any{"assertion": assertion})
	switch result.outcome {
	case celAbsent:
		p.undecide(fmt.Sprintf("%s reads %s, which the token does not have, and Google does not say what follows", key, result.detail))
		if slices.Contains(got.reads, "assertion."+result.detail) {
			fix = p.guarded(key, result.detail)
		}
		p.find(Error, "gcp-mapping-absent-claim", path,
			fmt.Sprintf("%s reads %s, which the token does not have, without asking with has()", key, result.detail), fix)
		return got
	case celUnknown:
		p.undecide(key + ": " + result.detail)
		return got
	case celFailed:
		return invalid("it does not evaluate: %s", result.detail)
	}
	if got.values, got.known = gcpStrings(key, result.value); !got.known {
		return invalid("it comes to a value of type %s, not to %s", result.kind(), gcpType(key))
	}
	if key == "google.subject" {
		p.subject(got.values[0], path, fix)
	}
	return got
}

func (p *providerJudgement) subject(value, path, fix string) {
	switch {
	case value == "":
		p.undecide("google.subject comes to nothing, and Google does not say what follows")
	case len(value) > gcpSubjectSize:
		p.refuse("gcp-mapping-invalid", path, fmt.Sprintf("google.subject: %d bytes, more than %d", len(value), gcpSubjectSize), fix)
	}
}

// guarded is the whole mapping with a claim of one expression asked for first.
func (p *providerJudgement) guarded(key, claim string) string {
	mapping := maps.Clone(p.file.AttributeMapping)
	expression, none := mapping[key], "'none'"
	if strings.Contains(expression, "?") {
		expression = "(" + expression + ")"
	}
	if key == "google.groups" {
		none = "[]"
	}
	mapping[key] = fmt.Sprintf("has(assertion.%s) ? %s : %s", claim, expression, none)
	return p.mappingFix(mapping)
}

// mappingFix is the command that sets the mapping, which gcloud replaces as a whole.
func (p *providerJudgement) mappingFix(mapping map[string]string) string {
	return p.name.command("update-oidc", "--attribute-mapping="+ShellWord(gcpMappingFlag(mapping)))
}

// gcpMappingFlag is a mapping in the form of gcloud's --attribute-mapping. Where an expression has a comma, another delimiter is
// named first (gcloud topic escaping).
func gcpMappingFlag(mapping map[string]string) string {
	var entries []string
	for _, key := range slices.Sorted(maps.Keys(mapping)) {
		entries = append(entries, key+"="+mapping[key])
	}
	all := strings.Join(entries, "")
	if !strings.Contains(all, ",") {
		return strings.Join(entries, ",")
	}
	delimiter := ";"
	for strings.Contains(all, delimiter) {
		delimiter += ";"
	}
	return "^" + delimiter + "^" + strings.Join(entries, delimiter)
}

// gcpMappable tells whether a mapping can have the key.
func gcpMappable(key string) bool {
	name, custom := strings.CutPrefix(key, "attribute.")
	if !custom {
		return key == "google.subject" || key == "google.groups"
	}
	return name != "" && len(name) <= gcpAttributeName && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == ""
}

// gcpType is what a key must come to.
func gcpType(key string) string {
	if key == "google.groups" {
		return "a list of strings"
	}
	return "a string"
}

// gcpStrings is a value of the type that the key must have.
func gcpStrings(key string, value ref.Val) ([]string, bool) {
	if key == "google.groups" {
		return celStrings(value)
	}
	text, ok := value.Value().(string)
	return []string{text}, ok
}

// confirm finds the functions that Google's documentation of workload identity does not have. Google took the expression when the
// provider was made, so that the verdict stands.
func (p *providerJudgement) confirm(path string, expression celExpression) {
	documented := []string{"has", "size", "startsWith", "endsWith", "contains", "matches", "extract", "split", "join"}
	for _, name := range expression.functions() {
		if !slices.Contains(documented, name) {
			p.find(Warning, "gcp-function-unconfirmed", path,
				fmt.Sprintf("CEL has %s(), and Google's documentation of workload identity does not", name),
				"use one of "+strings.Join(documented, ", "))
		}
	}
}

// condition evaluates the attribute condition.
func (p *providerJudgement) condition() {
	const rule, path = "gcp-condition-rejects", "attributeCondition"
	source := p.file.AttributeCondition
	if strings.TrimSpace(source) == "" {
		return
	}
	fix := p.name.command("update-oidc", "--attribute-condition="+ShellWord(gcpConditionFor(p.id.Claims)))
	if n := utf8.RuneCountInString(source); n > gcpConditionLength {
		p.refuse(rule, path, fmt.Sprintf("the condition has %d characters, more than %d", n, gcpConditionLength), fix)
		return
	}
	expression, err := celCompile(p.env, source)
	if err != nil {
		p.refuse(rule, path, fmt.Sprintf("the condition is not CEL: %v", err), fix)
		return
	}
	p.confirm(path, expression)
	p.scoped = p.tellsRepositories(expression.reads())
	known, unknown := p.variables()
	switch result := expression.eval(known, unknown...); result.outcome {
	case celUnknown:
		p.undecide("the condition cannot be told: " + result.detail)
	case celAbsent:
		p.refuse(rule, path, fmt.Sprintf("the condition does not evaluate: it reads %s, which the token does not have", result.detail), fix)
	case celFailed:
		p.refuse(rule, path, "the condition does not evaluate: "+result.detail, fix)
	case celKnown:
		if holds, ok := result.value.Value().(bool); !ok {
			p.refuse(rule, path, fmt.Sprintf("the condition comes to a value of type %s, not to true or false", result.kind()), fix)
		} else if !holds {
			p.refuse(rule, path, fmt.Sprintf("the condition %q is false for the token%s", source, p.having(expression.reads())), fix)
		}
	}
}

// variables are what a condition can read, and which fields of it are unknown.
func (p *providerJudgement) variables() (known map[string]any, unknown [][]string) {
	attribute, google := map[string]any{}, map[string]any{}
	for key, a := range p.attributes {
		variable, name, _ := strings.Cut(key, ".")
		switch {
		case !a.known:
			unknown = append(unknown, []string{variable, name})
		case key == "google.groups":
			google[name] = a.values
		case variable == "google":
			google[name] = a.values[0]
		default:
			attribute[name] = a.values[0]
		}
	}
	known = map[string]any{"attribute": attribute, "google": google}
	assertion, ok := celAssertion(p.id.All)
	if !ok {
		unknown = append(unknown, []string{"assertion"})
	}
	known["assertion"] = assertion
	return known, unknown
}

// having shows what the token has for the fields that a condition reads.
func (p *providerJudgement) having(fields []string) string {
	var shown []string
	for _, field := range fields {
		variable, name, _ := strings.Cut(field, ".")
		if text, ok := p.id.All[name].(string); ok && variable == "assertion" {
			shown = append(shown, fmt.Sprintf("%s %q", name, text))
		} else if a := p.attributes[field]; a.known {
			shown = append(shown, fmt.Sprintf("%s %s", field, quotedAll(a.values)))
		}
	}
	if len(shown) == 0 {
		return ""
	}
	return ", which has " + strings.Join(shown, " and ")
}

// tellsRepositories tells whether fields hold the repository's or the environment's UUID, by themselves or through the mapping. The
// subject begins with the repository's.
func (p *providerJudgement) tellsRepositories(fields []string) bool {
	return slices.ContainsFunc(fields, func(field string) bool {
		switch field {
		case "assertion.repositoryUuid", "assertion.deploymentEnvironmentUuid", "assertion.sub":
			return true
		}
		return p.tellsRepositories(p.attributes[field].reads)
	})
}

// bind lets a file of the same call count: if it is a policy, its members decide whether the provider needs a condition.
func (p *providerJudgement) bind(file []byte) {
	policy, ok, err := parseGCPPolicy(file)
	if !ok || err != nil {
		return // reported with its own result
	}
	for _, m := range policy.granting() {
		name := gcpParseMember(m)
		if !p.name.fits(name.gcpName) {
			continue
		}
		switch {
		case name.kind == gcpPool:
			p.relied = true
		case name.kind != gcpOther:
			p.narrowed = true
			a := p.attributes[name.key]
			p.relied = p.relied || a.known && !p.tellsRepositories(a.reads)
		}
	}
	p.conclude()
}

// repositoryMember is a member that is the identity: on an attribute that the provider maps, or else on those of [gcpMappingFor].
func (p *providerJudgement) repositoryMember(c oidc.Claims) (member string, mapped bool) {
	name := p.name.known()
	for _, value := range []string{Subject(c), c.Repository()} {
		for _, key := range slices.Sorted(maps.Keys(p.attributes)) {
			if a := p.attributes[key]; strings.HasPrefix(key, "attribute.") && a.known && a.values[0] == value {
				return gcpMemberName(name, key, value), true
			}
		}
	}
	return GCPMember(c, name.project, name.pool), false
}
