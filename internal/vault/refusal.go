package vault

import (
	"cmp"
	"fmt"
	"net/http"
	"strings"
	"time"

	"bitbucket-oidc/internal/clock"
	"bitbucket-oidc/internal/hint"
	"bitbucket-oidc/internal/oidc"
	"bitbucket-oidc/internal/refusal"
	"bitbucket-oidc/internal/shell"
	"bitbucket-oidc/internal/wire"
)

// A request is what is known about a request that Vault refused.
type request struct {
	b      *Backend
	claims oidc.Claims
}

// Refusals are the messages of the table.
func Refusals() []string { return refusals().Said() }

// Meanings are the rows of the table, for a step with these claims and with placeholders for the role.
func Meanings(c oidc.Claims) []refusal.Meaning {
	about := request{&Backend{Config: Config{Mount: "MOUNT", Role: "ROLE_NAME"}}, c}
	var all []refusal.Meaning
	c.PipelineUUID, c.BranchName = "{PIPELINE_UUID}", "BRANCH_NAME"
	for _, claim := range boundClaims(c) {
		all = append(all, refusal.Meaning{Texts: []string{"claim \"" + claim.name + "\" does not match"}, Means: claim.otherwise(), Advice: about.bound(claim)})
	}
	all = append(all, refusals().Meanings(func(refusal.Row[request]) request { return about })...)
	all[len(all)-1].Texts = []string{"error validating token"} // what fits every answer of a login does not fit every text
	return all
}

// refusals is the table. Vault has no codes, only texts. Source: hashicorp/vault-plugin-auth-jwt, path_login.go.
func refusals() refusal.Table[request] {
	return refusal.Table[request]{
		{Texts: []string{"could not be found"}, Means: "the role does not exist", Do: func(r request) []string {
			return r.advise("correct VAULT_ROLE and VAULT_AUTH_MOUNT; see the roles: vault list " + shell.Word("auth/"+r.b.Mount+"/role"))
		}},
		{Texts: []string{"invalid audience (aud) claim"}, Means: "the role does not bind the token's audience", Do: func(r request) []string {
			return r.advise(fmt.Sprintf("the token's audience is %s; add it to the audiences of the role%s", r.audience(), r.write("bound_audiences="+shell.Word(r.claims.Audience[0])+",…")))
		}},
		{Texts: []string{"audience claim found in JWT but no audiences bound"}, Means: "the role binds no audience", Do: func(r request) []string {
			return r.advise(fmt.Sprintf("the token's audience is %s; bind it%s", r.audience(), r.write("bound_audiences="+shell.Word(r.claims.Audience[0]))))
		}},
		{Texts: []string{"invalid subject (sub) claim"}, Means: "the role binds another subject", Do: func(r request) []string {
			return r.advise("every step run has a new subject: bind repositoryUuid with bound_claims instead of bound_subject")
		}},
		{Texts: []string{"invalid issuer (iss) claim"}, Means: "the mount trusts another issuer", Do: func(r request) []string {
			issuer := shell.Word(r.claims.Issuer)
			return r.advise(fmt.Sprintf("set the mount's issuer: vault write %s oidc_discovery_url=%s bound_issuer=%s", shell.Word("auth/"+r.b.Mount+"/config"), issuer, issuer))
		}},
		{Texts: refusal.Expired(), Means: "the token has expired", Clock: clock.Behind, Do: func(r request) []string { return []string{r.claims.Age(time.Now())} }},
		{Texts: refusal.TooNew(), Means: "the token is not valid yet", Clock: clock.Ahead, Do: func(r request) []string {
			return r.advise("run the step again, and look at the clock of the Vault server")
		}},
		{Texts: []string{"not found in token"}, Means: "the token lacks the role's user_claim", Do: func(r request) []string {
			return r.advise("name a claim that every step has" + r.write("user_claim=repositoryUuid"))
		}},
		{Texts: []string{"oidc role_type is not allowed"}, Means: "the role is for sign-in with a browser", Do: func(r request) []string {
			return r.advise("make it a role for tokens, or name another role in VAULT_ROLE" + r.write())
		}},
		{Texts: []string{"permission denied"}, Means: "Vault refuses the login", Do: func(r request) []string {
			return r.advise("the mount may not exist in this namespace: look at VAULT_AUTH_MOUNT and VAULT_NAMESPACE")
		}},
		{Means: "Vault does not accept the token", Do: func(r request) []string {
			return r.advise(fmt.Sprintf("the mount must trust the issuer %s; see what the role wants: %s", r.claims.Issuer, r.read()))
		}},
	}
}

func (r request) advise(what string) []string { return []string{what, r.claims.Identity()} }

func (r request) audience() string { return strings.Join(r.claims.Audience, " and ") }

// read shows the role on the command line of vault.
func (r request) read() string { return "vault read " + shell.Word(r.b.path()) }

// write ends a sentence with the change of the role on the command line of vault. Without role_type a role becomes one for
// browsers, and without bound_claims_type it no longer compares with patterns. Source: hashicorp/vault-plugin-auth-jwt, path_role.go.
func (r request) write(fields ...string) string {
	return ", with bound_claims_type=glob as well if the role has that: vault write " +
		strings.Join(append([]string{shell.Word(r.b.path()), "role_type=jwt"}, fields...), " ")
}

// explain turns an error into a message. The only text of Vault in it is the name of a claim that the token has.
func (r request) explain(doing string, a wire.Answer) error {
	var answer struct {
		Errors []string `json:"errors"`
	}
	if a.Status >= 500 || a.Status == http.StatusTooManyRequests || !a.Into(&answer) || len(answer.Errors) == 0 {
		return wire.Refused(doing, a, "VAULT_ADDR")
	}
	said := refusal.Answer{Status: a.Status, Text: strings.Join(answer.Errors, "\n")}
	for _, claim := range boundClaims(r.claims) {
		if strings.Contains(said.Text, "claim \""+claim.name+"\" ") && !strings.Contains(said.Text, "not found in token") {
			return hint.New(doing+": "+claim.otherwise(), r.bound(claim)...)
		}
	}
	row, _ := refusals().Find(said) // the last row fits every answer
	return row.Err(doing, said, r)
}

// A boundClaim is a claim of a step's token that a role may bind.
type boundClaim struct{ name, value string }

func boundClaims(c oidc.Claims) []boundClaim {
	return []boundClaim{
		{"repositoryUuid", c.Repository()}, {"workspaceUuid", c.WorkspaceUUID}, {"pipelineUuid", c.PipelineUUID}, {"stepUuid", c.StepUUID},
		{"deploymentEnvironmentUuid", c.Environment()}, {"branchName", c.BranchName},
	}
}

func (c boundClaim) otherwise() string {
	return "the role binds another " + c.name + " than the token's"
}

// bound is what to do where the role binds another value of a claim.
func (r request) bound(c boundClaim) []string {
	return []string{
		fmt.Sprintf("the token's %s is %s; see bound_claims of the role: %s", c.name, cmp.Or(c.value, "missing"), r.read()),
		"UUIDs keep their braces in bound_claims; a pattern needs bound_claims_type=glob",
	}
}
