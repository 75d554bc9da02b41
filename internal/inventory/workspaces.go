package inventory

import (
	"net/url"
	"slices"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/pattern"
	"bitbucket-oidc/internal/trust"
)

var (
	issuer   = pattern.New(`api\.bitbucket\.org/2\.0/workspaces/([A-Za-z0-9._-]+)/pipelines-config/identity/oidc`)
	audience = pattern.New(`ari:cloud:bitbucket::workspace/([0-9a-fA-F-]{36})`)
)

// Workspaces are the slugs and the UUIDs, in braces, of Bitbucket's workspaces that files name anywhere, each once.
func Workspaces(files []trust.File) (slugs, uuids []string) {
	for _, file := range files {
		text := string(file.Data)
		if decoded, err := url.PathUnescape(text); err == nil {
			text = decoded
		}
		for _, m := range issuer.FindAllStringSubmatch(text, -1) {
			slugs = append(slugs, m[1])
		}
		for _, m := range audience.FindAllStringSubmatch(text, -1) {
			uuids = append(uuids, bitbucket.Braced(m[1]))
		}
	}
	slices.Sort(slugs)
	slices.Sort(uuids)
	return slices.Compact(slugs), slices.Compact(uuids)
}
