package cloud

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// serveReads answers the reads of Google's IAM and of Cloud Asset Inventory that the program makes, and reports whether the request
// is one. [IAM API v1, Cloud Asset API v1, discovery documents]
func (g *GCP) serveReads(w http.ResponseWriter, r *http.Request) bool {
	path, found := strings.CutPrefix(r.URL.Path, "/v1/")
	if !found {
		return false
	}
	parts := strings.Split(path, "/")
	query := r.URL.Query()
	var serve func() (any, *googleError)
	switch {
	case r.Method == http.MethodGet && len(parts) == 6 && parts[4] == "workloadIdentityPools":
		serve = func() (any, *googleError) { return g.pool(path) }
	case r.Method == http.MethodGet && len(parts) == 7 && parts[6] == "providers":
		serve = func() (any, *googleError) {
			return g.paged(query, "workloadIdentityPoolProviders", g.providersOf(strings.TrimSuffix(path, "/providers"), query.Get("showDeleted") == "true"), 50, 100)
		}
	case r.Method == http.MethodGet && len(parts) == 3 && parts[2] == "serviceAccounts":
		serve = func() (any, *googleError) { return g.paged(query, "accounts", g.accountsOf(parts[1]), 20, 100) }
	case r.Method == http.MethodPost && len(parts) == 4 && parts[2] == "serviceAccounts" && strings.HasSuffix(parts[3], ":getIamPolicy"):
		serve = func() (any, *googleError) { return g.policy(strings.TrimSuffix(parts[3], ":getIamPolicy"), query) }
	case r.Method == http.MethodGet && len(parts) == 2 && strings.HasSuffix(parts[1], ":searchAllIamPolicies"):
		serve = func() (any, *googleError) { return g.search(query) }
	default:
		return false
	}
	writeGoogle(w, func() (any, *googleError) {
		if _, failure := g.bearer(r); failure != nil {
			return nil, failure
		}
		return serve()
	})
	return true
}

func notFound() *googleError {
	return &googleError{code: http.StatusNotFound, status: "NOT_FOUND", message: "Requested entity was not found."}
}

// pool is a pool that has a provider.
func (g *GCP) pool(name string) (any, *googleError) {
	if !slices.ContainsFunc(g.config.Providers, func(p WorkloadProvider) bool { return strings.HasPrefix(p.Name, name+"/") }) {
		return nil, notFound()
	}
	pool := map[string]any{"name": name, "displayName": "Pipelines", "state": "ACTIVE", "mode": "FEDERATION_ONLY"}
	if g.config.PoolDisabled {
		pool["disabled"] = true
	}
	return pool, nil
}

func (g *GCP) providersOf(pool string, deleted bool) []any {
	all := []any{}
	for _, p := range g.config.Providers {
		if !strings.HasPrefix(p.Name, pool+"/providers/") || p.State == ProviderDeleted && !deleted {
			continue
		}
		shown := map[string]any{
			"name": p.Name, "state": "ACTIVE",
			"attributeMapping": p.Shown,
			"oidc":             map[string]any{"issuerUri": p.Issuer.URL(), "allowedAudiences": p.AllowedAudiences},
		}
		if p.ShownCondition != "" {
			shown["attributeCondition"] = p.ShownCondition
		}
		switch p.State {
		case ProviderDeleted:
			shown["state"] = "DELETED"
		case ProviderDisabled:
			shown["disabled"] = true
		}
		all = append(all, shown)
	}
	return all
}

func (g *GCP) accountsOf(project string) []any {
	all := []any{}
	for _, a := range g.config.ServiceAccounts {
		if strings.HasSuffix(a.Email, "@"+project+".iam.gserviceaccount.com") {
			all = append(all, map[string]any{"name": "projects/" + project + "/serviceAccounts/" + a.Email, "email": a.Email, "uniqueId": uniqueID(a.Email)})
		}
	}
	return all
}

// policy is the policy of a service account. Conditions are shown only to a caller who asks for version 3.
func (g *GCP) policy(email string, query url.Values) (any, *googleError) {
	if query.Get("options.requestedPolicyVersion") != "3" {
		return nil, invalidArgument()
	}
	for _, a := range g.config.ServiceAccounts {
		if a.Email == email {
			return bindings(a), nil
		}
	}
	return nil, notFound()
}

func bindings(a ServiceAccount) map[string]any {
	policy := map[string]any{"version": 1, "etag": "BwYz"}
	if len(a.Members) > 0 {
		policy["bindings"] = []any{map[string]any{"role": "roles/iam.workloadIdentityUser", "members": a.Members}}
	}
	return policy
}

// search finds the policies that name a pool. Only those have a row.
func (g *GCP) search(query url.Values) (any, *googleError) {
	if query.Get("query") != "policy:workloadIdentityPools" {
		return nil, invalidArgument()
	}
	rows := []any{}
	for _, a := range g.config.ServiceAccounts {
		if slices.ContainsFunc(a.Members, func(m string) bool { return strings.Contains(m, "workloadIdentityPools") }) {
			_, project, _ := strings.Cut(strings.TrimSuffix(a.Email, ".iam.gserviceaccount.com"), "@")
			rows = append(rows, map[string]any{
				"resource": "//iam.googleapis.com/projects/" + project + "/serviceAccounts/" + a.Email, "project": "projects/210987654321",
				"assetType": "iam.googleapis.com/ServiceAccount", "policy": bindings(a),
			})
		}
	}
	return g.paged(query, "results", rows, 100, 500)
}

// paged is a page of a list, with a token for the next one, that only holds for this list.
func (g *GCP) paged(query url.Values, name string, all []any, otherwise, most int) (any, *googleError) {
	size := otherwise
	if text := query.Get("pageSize"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return nil, invalidArgument()
		}
		size = min(n, most)
	}
	if g.config.Page > 0 {
		size = min(size, g.config.Page)
	}
	from := 0
	if token := query.Get("pageToken"); token != "" {
		n, err := strconv.Atoi(strings.TrimPrefix(token, name+"-"))
		if err != nil || n >= len(all) || !strings.HasPrefix(token, name+"-") {
			return nil, invalidArgument()
		}
		from = n
	}
	to := min(from+size, len(all))
	answer := map[string]any{}
	if from < to { // an empty list is left out, as everywhere in Google's JSON
		answer[name] = all[from:to]
	}
	if to < len(all) {
		answer["nextPageToken"] = name + "-" + strconv.Itoa(to)
	}
	return answer, nil
}
