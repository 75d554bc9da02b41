package wif

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"bitbucket-oidc/internal/document"
	"bitbucket-oidc/internal/trust"
	"bitbucket-oidc/internal/trust/trusttest"
)

// more asks for as many random configurations as the search is worth.
var more = flag.Bool("more", false, "judge many random configurations")

// No pair of the random search that check passes lets in a stranger.
func TestGCPPassedPairsLetInNoStranger(t *testing.T) {
	pairs := 400
	if *more {
		pairs = 8000
	}
	const r = trusttest.Repository
	rnd := rand.New(rand.NewPCG(31, 32))
	pick := func(from ...string) string { return from[rnd.IntN(len(from))] }
	term := func() string {
		field := pick(
			"assertion.repositoryUuid", "assertion.repositoryUuid", "assertion.sub", "assertion.branchName", "assertion.workspaceUuid",
			"attribute.repository_uuid", "attribute.x", "google.subject",
		)
		value := pick(r, r, r+":", "main", "{2e9e", "", trusttest.Other)
		return pick(
			fmt.Sprintf("%s == '%s'", field, value), fmt.Sprintf("%s == '%s'", field, value), fmt.Sprintf("%s != '%s'", field, value),
			fmt.Sprintf("%s.startsWith('%s')", field, value), fmt.Sprintf("%s.contains('%s')", field, value),
			fmt.Sprintf("%s.matches('%s')", field, strings.NewReplacer("{", `\\{`, "}", `\\}`).Replace(value)),
			fmt.Sprintf("%s in ['%s', '%s']", field, value, r), fmt.Sprintf("size(%s) > 3", field),
			"true", "'x' in assertion.aud", "has(assertion.deploymentEnvironmentUuid)",
		)
	}
	passed := 0
	for range pairs {
		mapping := map[string]string{
			"google.subject": "assertion.sub", "attribute.repository_uuid": "assertion.repositoryUuid",
			"attribute.x": pick(
				"assertion.branchName", "'all'", "assertion.repositoryUuid", "assertion.sub.split(':')[0]",
				"assertion.repositoryUuid.startsWith('{') ? 'all' : 'no'", "assertion.repositoryUuid + ':' + assertion.branchName",
			),
		}
		condition := term()
		for range rnd.IntN(3) {
			condition = pick("(%s) && (%s)", "(%s) || (%s)", "!(%s) || (%s)", "(%s) ? (%s) : false")
			condition = fmt.Sprintf(condition, term(), term())
		}
		if rnd.IntN(4) == 0 {
			condition = ""
		}
		provider := providerWith(t, `{"attributeMapping":`+document.Compact(mapping)+`,"attributeCondition":`+document.Compact(condition)+`}`)
		policy := ""
		if rnd.IntN(3) > 0 {
			policy = policyWith(trusttest.Set(pick(
				"attribute.repository_uuid/"+r, "attribute.x/main", "attribute.x/all", "attribute.x/"+r, "attribute.x/"+r+":main", "*",
			)))
		}
		a, b := pairOf(t, provider, policy)
		id := trusttest.ClaimsWith(t, "")
		results := []trust.Result{a.Judge(id, trusttest.Options())}
		if b != nil {
			results = append(results, b.Judge(id, trusttest.Options()))
		}
		if slices.ContainsFunc(results, func(r trust.Result) bool { return r.Verdict != trust.Allow }) || len(failing(results...)) > 0 {
			continue
		}
		passed++
		for _, stranger := range trusttest.Strangers() {
			last := a.Judge(stranger, trusttest.Options())
			if b != nil {
				last = b.Judge(stranger, trusttest.Options())
			}
			if last.Verdict != trust.Deny {
				t.Fatalf("passed, and %s of %q with %q is %s\n%s\n%s",
					stranger.Claims.Subject, stranger.Claims.BranchName, stranger.Claims.Audience, last.Verdict, provider, policy)
			}
		}
	}
	t.Logf("%d of %d pairs passed", passed, pairs)
	if passed < pairs/20 {
		t.Error("too few passed for the search to say much")
	}
}
