package live

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"bitbucket-oidc/internal/pattern"
	"bitbucket-oidc/internal/secret"
)

// Google says which providers and service accounts to read.
type Google struct {
	Token secret.Text // an access token

	Providers []string // resource names
	Projects  []string // their service accounts are read

	// Scope is an organisation, a folder or a project, such as organizations/123. One search of Cloud Asset Inventory there replaces the
	// policies of each service account. Empty for none.
	Scope string

	// Endpoint and AssetEndpoint are base URLs of IAM and of Cloud Asset Inventory; empty for Google's own.
	Endpoint, AssetEndpoint string
}

const (
	policiesAtOnce   = 8
	providersAtOnce  = "100" // the most that a page may have
	accountsInPage   = "100"
	policiesInPage   = "500"
	mostPages        = 10_000
	searchedPolicies = "policy:workloadIdentityPools"
)

var poolOf = pattern.New(`^(projects/[^/]+/locations/global/workloadIdentityPools/[^/]+)/providers/[^/]+$`)

// Read reports whether there is anything to read.
func (g Google) Read() bool { return len(g.Providers) > 0 || len(g.Projects) > 0 || g.Scope != "" }

func readGoogle(ctx context.Context, c Config) []Reading {
	g := googleReader{Config: c, asker: asker{client: c.client(nil, nil), reason: googleReason, header: http.Header{}}}
	if !c.Google.Read() {
		return nil
	}
	g.header.Set("Authorization", "Bearer "+c.Google.Token.Reveal())
	var readings []Reading
	if c.Google.Token.Reveal() == "" {
		err := errNoCredential("Google")
		for _, name := range slices.Concat(c.Google.Providers, c.Google.Projects) {
			readings = append(readings, Reading{Source: "gcp:" + name, Err: err})
		}
		return readings
	}
	readings = append(readings, g.pools(ctx)...)
	if c.Google.Scope != "" {
		return append(readings, g.search(ctx)...)
	}
	for _, project := range c.Google.Projects {
		readings = append(readings, g.project(ctx, project))
	}
	return readings
}

type googleReader struct {
	Config
	asker
}

func googleReason(body []byte) string {
	var answer struct {
		Error struct{ Status string }
	}
	_ = json.Unmarshal(body, &answer) // whatever else it is has no code
	return answer.Error.Status
}

// pools reads each pool once, and the providers in it. What a pool has is in the reading of the first provider that is asked for.
func (g googleReader) pools(ctx context.Context) []Reading {
	var readings []Reading
	read := map[string]error{}
	for _, name := range g.Google.Providers {
		m := poolOf.FindStringSubmatch(name)
		if m == nil {
			readings = append(readings, Reading{Source: "gcp:" + name, Err: errors.New("not the resource name of a provider")})
			continue
		}
		r := Reading{Source: "gcp:" + name}
		if _, again := read[m[1]]; !again {
			r.Documents, read[m[1]] = g.pool(ctx, m[1])
		}
		r.Err = read[m[1]]
		readings = append(readings, r)
	}
	return readings
}

func (g googleReader) pool(ctx context.Context, name string) ([]Document, error) {
	base := g.iam() + "/v1/" + name
	var pool json.RawMessage
	if err := g.get(ctx, http.MethodGet, base, "reading the pool", &pool); err != nil {
		return nil, err
	}
	documents := []Document{{Data: line(pool)}}
	err := g.pages(ctx, pagedList{
		address: base + "/providers",
		query:   url.Values{"pageSize": {providersAtOnce}, "showDeleted": {"true"}},
		items:   "workloadIdentityPoolProviders", doing: "listing the pool's providers",
	}, func(item json.RawMessage) { documents = append(documents, Document{Data: line(item)}) })
	return documents, err
}

// project reads the policies of a project's service accounts.
func (g googleReader) project(ctx context.Context, project string) Reading {
	r := Reading{Source: "gcp:" + project}
	var emails []string
	r.Err = g.pages(ctx, pagedList{
		address: g.iam() + "/v1/projects/" + url.PathEscape(project) + "/serviceAccounts",
		query:   url.Values{"pageSize": {accountsInPage}},
		items:   "accounts", doing: "listing the service accounts",
	}, func(item json.RawMessage) {
		var account struct{ Email string }
		_ = json.Unmarshal(item, &account) // an account without an address is refused below
		emails = append(emails, account.Email)
	})
	if r.Err != nil {
		return r
	}
	r.Documents = make([]Document, len(emails))
	errs := make([]error, len(emails))
	var mu sync.Mutex
	done := 0
	several(ctx, len(emails), policiesAtOnce, func(i int) {
		var policy json.RawMessage
		address := g.iam() + "/v1/projects/-/serviceAccounts/" + url.PathEscape(emails[i]) + ":getIamPolicy?options.requestedPolicyVersion=3"
		errs[i] = g.get(ctx, http.MethodPost, address, "reading the policy of the "+named("service account", emails[i]), &policy)
		if errs[i] == nil && !strings.Contains(emails[i], "@") {
			errs[i] = errors.New("listing the service accounts: one has no address")
		}
		r.Documents[i] = Document{Target: emails[i], Data: line(policy)}
		mu.Lock()
		defer mu.Unlock()
		done++
		g.progress("gcp:%s: %d of %d policies", project, done, len(emails))
	})
	r.Documents = slices.DeleteFunc(r.Documents, func(d Document) bool { return len(d.Data) == 0 })
	r.Err = first(errs)
	return r
}

// search asks Cloud Asset Inventory for every policy that names a pool. It replaces the reading of every project in the scope.
func (g googleReader) search(ctx context.Context) []Reading {
	var documents []Document
	err := g.pages(ctx, pagedList{
		address: g.asset() + "/v1/" + g.Google.Scope + ":searchAllIamPolicies",
		query:   url.Values{"pageSize": {policiesInPage}, "query": {searchedPolicies}},
		items:   "results", doing: "searching the policies",
	}, func(item json.RawMessage) { documents = append(documents, Document{Data: line(item)}) })
	readings := []Reading{{Source: "gcp:" + g.Google.Scope, Documents: documents, Err: err}}
	for _, project := range g.Google.Projects {
		readings = append(readings, Reading{Source: "gcp:" + project, Err: err})
	}
	return readings
}

// A paged list is something that Google returns in pages.
type pagedList struct {
	address string
	query   url.Values
	items   string // the member of a page that has the items
	doing   string // for errors
}

// pages follows every page of a list.
func (g googleReader) pages(ctx context.Context, l pagedList, add func(item json.RawMessage)) error {
	count := 0
	for range mostPages {
		var page map[string]json.RawMessage
		if err := g.get(ctx, http.MethodGet, l.address+"?"+l.query.Encode(), l.doing, &page); err != nil {
			return err
		}
		var all []json.RawMessage
		var next string
		wrong := func(member string, into any) bool {
			return page[member] != nil && json.Unmarshal(page[member], into) != nil
		}
		if wrong(l.items, &all) || wrong("nextPageToken", &next) {
			return errors.New(l.doing + ": the answer is not the JSON that it should be")
		}
		for _, item := range all {
			add(item)
		}
		count += len(all)
		g.progress("%s: %d", l.doing, count)
		if next == "" {
			return nil
		}
		if next == l.query.Get("pageToken") {
			return errors.New(l.doing + ": a page names itself as the next one")
		}
		l.query.Set("pageToken", next)
	}
	return fmt.Errorf("%s: more than %d pages", l.doing, mostPages)
}

func (g googleReader) iam() string {
	if g.Google.Endpoint != "" {
		return g.Google.Endpoint
	}
	return "https://iam.googleapis.com"
}

func (g googleReader) asset() string {
	if g.Google.AssetEndpoint != "" {
		return g.Google.AssetEndpoint
	}
	return "https://cloudasset.googleapis.com"
}

// line is JSON without white space around its parts.
func line(data json.RawMessage) []byte {
	var b bytes.Buffer
	if json.Compact(&b, data) != nil {
		return nil
	}
	return b.Bytes()
}

// first is the first error, with the number of those that follow it: a project in which nothing may be read has one reason.
func first(errs []error) error {
	errs = slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	switch len(errs) {
	case 0:
		return nil
	case 1:
		return errs[0]
	}
	return fmt.Errorf("%w, and %d more were not read", errs[0], len(errs)-1)
}
