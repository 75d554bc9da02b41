package mcp

import (
	"context"
	"fmt"
	"slices"
	"strings"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"bitbucket-oidc/internal/audit"
	"bitbucket-oidc/internal/audit/judges"
	"bitbucket-oidc/internal/drift"
	"bitbucket-oidc/internal/finding"
	"bitbucket-oidc/internal/judge"
)

// rulesURI is where the rules are; each has its name behind it.
const rulesURI = "bitbucket-oidc://rules"

func allRules() []finding.Rule {
	return slices.Concat(judge.Rules(), audit.Rules(), judges.Rules(), drift.Rules())
}

func (s server) addRules() {
	const markdown = "text/markdown"
	s.AddResource(&sdk.Resource{URI: rulesURI, Name: "rules", Title: "All rules, one a line", MIMEType: markdown},
		func(context.Context, *sdk.ReadResourceRequest) (*sdk.ReadResourceResult, error) {
			var lines strings.Builder
			for _, r := range allRules() {
				fmt.Fprintf(&lines, "- `%s` (%s): %s\n", r.Name, r.Severity, r.Finds)
			}
			return resource(rulesURI, markdown, lines.String()), nil
		})
	s.AddResourceTemplate(&sdk.ResourceTemplate{
		URITemplate: rulesURI + "/{id}", Name: "rule", Title: "What a rule finds, why, and what to do", MIMEType: markdown,
	}, func(_ context.Context, req *sdk.ReadResourceRequest) (*sdk.ReadResourceResult, error) {
		id := strings.TrimPrefix(req.Params.URI, rulesURI+"/")
		all := allRules()
		i := slices.IndexFunc(all, func(r finding.Rule) bool { return r.Name == id })
		if i < 0 {
			return nil, sdk.ResourceNotFoundError(req.Params.URI)
		}
		r := all[i]
		severity := string(r.Severity)
		if r.Milder != "" {
			severity += ", in some cases " + string(r.Milder)
		}
		return resource(req.Params.URI, markdown, fmt.Sprintf("# %s\n\nSeverity: %s.\n\nFinds %s.\n\n%s\n\nWhat to do: %s\n",
			r.Name, severity, r.Finds, r.Why, r.Fix)), nil
	})
}

func resource(uri, kind, text string) *sdk.ReadResourceResult {
	return &sdk.ReadResourceResult{Contents: []*sdk.ResourceContents{{URI: uri, MIMEType: kind, Text: text}}}
}
