package collect

import (
	"errors"
	"strings"

	"bitbucket-oidc/internal/document"
	"bitbucket-oidc/internal/pattern"
)

var (
	poolName    = pattern.New(`^projects/[^/]+/locations/global/workloadIdentityPools/[^/]+$`)
	accountName = pattern.New(`/serviceAccounts/([^/]+@[^/]+)$`)
)

func (t *taker) google(f *document.File, n *document.Node, _ bool) (bool, error) {
	switch {
	case n.Get("results").Is(document.List): // Cloud Asset's own answer
		return true, t.each(f, n.Get("results"))
	case n.Get("workloadIdentityPoolProviders").Is(document.List):
		return true, t.each(f, n.Get("workloadIdentityPoolProviders"))
	case n.Get("workloadIdentityPools").Is(document.List):
		return true, t.each(f, n.Get("workloadIdentityPools"))
	case n.Has("resource") && n.Get("policy").Is(document.Object): // gcloud asset search-all-iam-policies
		t.policy(f, text(n.Get("resource")), n.Get("policy"))
	case n.Has("name") && n.Get("iamPolicy").Is(document.Object): // gcloud asset export --content-type=iam-policy
		t.policy(f, text(n.Get("name")), n.Get("iamPolicy"))
	case poolName.MatchString(text(n.Get("name"))) && !n.Has("oidc", "attributeMapping"):
		t.add(Document{File: f.With(n), Kind: Pool})
	default:
		return false, nil
	}
	return true, nil
}

func (t *taker) each(f *document.File, list *document.Node) error {
	if len(list.Items) == 0 {
		return errEmpty
	}
	for _, item := range list.Items {
		if !item.Is(document.Object) {
			return errors.New("an item that is no object")
		}
		if err := t.value(f, item, true); err != nil {
			return err
		}
	}
	return nil
}

// policy adds the policy of a resource. The policy of a service account says who may become it. Members of a pool can have roles on
// other resources as well, without becoming anybody: the name of the resource shows that.
func (t *taker) policy(f *document.File, resource string, policy *document.Node) {
	d := Document{File: f.With(policy), Target: resource, Kind: Direct}
	if m := accountName.FindStringSubmatch(resource); m != nil {
		d.Target, d.Kind = m[1], ""
	}
	t.add(d)
}

// Closed says why the pool of a provider lets nobody in, if one of the documents is that pool: it is disabled, or deleted. Otherwise
// the result is empty.
func Closed(pools []Document, provider string) string {
	pool, _, ok := strings.Cut(provider, "/providers/")
	for _, d := range pools {
		if !ok || text(d.Root.Get("name")) != pool {
			continue
		}
		if disabled := d.Root.Get("disabled"); disabled.Is(document.Bool) && disabled.Text == "true" {
			return "disabled"
		}
		if text(d.Root.Get("state")) == "DELETED" {
			return "deleted"
		}
	}
	return ""
}
