package collect

import "bitbucket-oidc/internal/document"

// vault is the configuration of a JWT auth method, as `vault read -format=json auth/MOUNT/config` prints it.
func (t *taker) vault(f *document.File, n *document.Node, _ bool) (bool, error) {
	config := n
	if data := n.Get("data"); data.Is(document.Object) {
		config = data
	}
	if !config.Has("bound_issuer", "oidc_discovery_url", "jwks_url", "jwt_validation_pubkeys") {
		return false, nil
	}
	t.add(Document{File: f.With(config), Kind: Mount})
	return true, nil
}
