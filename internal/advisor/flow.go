package advisor

import (
	"cmp"
	"strings"

	"bitbucket-oidc/internal/audit"
	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/report"
	"bitbucket-oidc/internal/trust"
)

// checkFlow is the way of one identity through each document.
func checkFlow(id bitbucket.Identity, results []trust.Result) []report.Edge {
	step := report.Node{Layer: report.Step, Name: id.Claims.Subject}
	token := report.Node{Layer: report.Token, Name: strings.Join(id.Claims.Audience, " ")}
	provider := report.Node{Layer: report.Provider, Name: strings.TrimPrefix(id.Claims.Issuer, "https://")}
	edges := []report.Edge{{From: step, To: token}, {From: token, To: provider}}
	for _, res := range results {
		name := cmp.Or(res.Name, res.File)
		verdict := string(res.Verdict)
		if res.Kind == trust.AWSProvider || res.Kind == trust.GCPProvider {
			edges = append(edges, report.Edge{From: token, To: report.Node{Layer: report.Provider, Name: name}, Verdict: verdict})
			continue
		}
		role := report.Node{Layer: report.Role, Name: name}
		edges = append(edges, report.Edge{From: provider, To: role, Verdict: verdict})
		edges = append(edges, toAccount(role)...)
	}
	return edges
}

// auditFlow is the way of each step that has a token.
func auditFlow(files []audited) []report.Edge {
	var edges []report.Edge
	for _, f := range files {
		for _, s := range f.Steps {
			if s.Token {
				edges = append(edges, stepFlow(f.File, len(files) > 1, s)...)
			}
		}
	}
	return edges
}

func stepFlow(file string, several bool, s audit.Step) []report.Edge {
	name := s.Path
	if s.Name != "" {
		name = s.Name + " (" + s.Path + ")"
	}
	if several {
		name = file + ": " + name
	}
	token := report.Node{Layer: report.Token, Name: *s.Subject}
	edges := []report.Edge{{From: report.Node{Layer: report.Step, Name: name}, To: token}}
	for _, c := range s.Clouds {
		if c.How == "static-keys" {
			continue
		}
		provider := report.Node{Layer: report.Provider, Name: c.Cloud}
		edges = append(edges, report.Edge{From: token, To: provider})
		if c.Who == nil {
			continue
		}
		role := report.Node{Layer: report.Role, Name: *c.Who}
		edges = append(edges, report.Edge{From: provider, To: role, Verdict: verdictOf(s, *c.Who)})
		edges = append(edges, toAccount(role)...)
	}
	return edges
}

// verdictOf is what the documents say about a step that becomes somebody; empty where none does.
func verdictOf(s audit.Step, who string) string {
	for _, v := range s.Verdicts {
		if v.Name != "" && (v.Name == who || strings.HasSuffix(who, "/"+v.Name)) {
			return v.Verdict
		}
	}
	return ""
}

// toAccount leads to the account or the project that a name of a role or a service account shows.
func toAccount(role report.Node) []report.Edge {
	account := ""
	if parts := strings.SplitN(role.Name, ":", 6); len(parts) == 6 && parts[0] == "arn" {
		account = parts[4]
	} else if _, domain, ok := strings.Cut(role.Name, "@"); ok {
		account, _, _ = strings.Cut(domain, ".")
	}
	if account == "" {
		return nil
	}
	return []report.Edge{{From: role, To: report.Node{Layer: report.Account, Name: account}}}
}
