package report

import (
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"bitbucket-oidc/internal/accept"
	"bitbucket-oidc/internal/finding"
)

// schema is where SARIF is described. The log names it, nothing fetches it.
const schema = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"

// sourceRoot names the root of the repository, to which the paths of files are relative.
const sourceRoot = "SRCROOT"

// object is a JSON object. SARIF has so many small ones, each used once, that types of their own would say less.
type object = map[string]any

// text is a SARIF message. Braces need no escape: only a message with arguments doubles them. A link that others wrote into the text is
// taken apart, because viewers would show it as a link.
func text(s string) object { return object{"text": strings.ReplaceAll(s, "](", "] (")} }

// writeSARIF is the report in the form that code scanners exchange: SARIF 2.1.0 (OASIS). Each finding is a result; verdicts, for which
// SARIF has no place, are in the run's properties: a result of kind pass would be shown as an alert.
func writeSARIF(r *Report, _ bool) string {
	rules := slices.Concat(r.Rules, missing(accept.Rules(), r.Rules))
	index := map[string]int{}
	described := []object{}
	for i, rule := range rules {
		index[rule.Name] = i
		described = append(described, describe(rule))
	}
	results := []object{}
	for _, f := range r.Findings() {
		one := r.result(f, index)
		if len(r.Accepted) > 0 { // where one result has suppressions, the others say that they have none
			one["suppressions"] = []object{}
		}
		results = append(results, one)
	}
	for _, a := range r.Accepted {
		one := r.result(a.Finding, index)
		kind := "external"
		if a.Comment {
			kind = "inSource"
		}
		one["suppressions"] = []object{{"kind": kind, "status": "accepted", "justification": a.Why}}
		results = append(results, one)
	}
	verdicts := []object{}
	for _, v := range r.Verdicts {
		verdicts = append(verdicts, object{"file": v.File, "kind": v.Kind, "name": v.Name, "verdict": v.Verdict, "reason": v.Reason})
	}
	invocation := object{"executionSuccessful": true, "endTimeUtc": r.Now.UTC().Format(time.RFC3339)}
	if len(r.Unjudged) > 0 { // a log without results must not look like a judgement
		var notes []object
		for _, u := range r.Unjudged {
			notes = append(notes, object{
				"level": "note", "message": text(u.Reason),
				"locations": []object{{"physicalLocation": object{"artifactLocation": artifact(u.File)}}},
			})
		}
		invocation["toolExecutionNotifications"] = notes
	}
	run := object{
		"tool":               object{"driver": driver(r.Version, described)},
		"automationDetails":  object{"id": "bitbucket-oidc/" + r.Command + "/"},
		"invocations":        []object{invocation},
		"originalUriBaseIds": object{sourceRoot: object{"description": object{"text": "The root of the repository."}}},
		"columnKind":         "unicodeCodePoints",
		"results":            results,
		"properties":         object{"verdicts": verdicts},
	}
	if p := r.Origin.provenance(); p != nil {
		run["versionControlProvenance"] = []object{p}
	}
	return visibleJSON(object{"$schema": schema, "version": "2.1.0", "runs": []object{run}})
}

// missing are the rules of all that are not in have.
func missing(all, have []finding.Rule) []finding.Rule {
	return slices.DeleteFunc(all, func(rule finding.Rule) bool {
		return slices.ContainsFunc(have, func(h finding.Rule) bool { return h.Name == rule.Name })
	})
}

// driver is the program. A version that is not a number, as in a build by hand, becomes one that can be compared.
func driver(version string, rules []object) object {
	if version == "" || version[0] < '0' || version[0] > '9' {
		version = "0.0.0-" + version
	}
	return object{
		"name": "bitbucket-oidc", "fullName": "bitbucket-oidc " + version, "organization": "bitbucket-oidc",
		"version": version, "semanticVersion": version, "informationUri": "https://bitbucket.org/ACCOUNT/bitbucket-oidc", "rules": rules,
	}
}

// describe is a rule. GitHub shows name, descriptions and help, and ranks by security-severity; DefectDojo takes its CWE from the tags.
func describe(rule finding.Rule) object {
	severity := map[finding.Severity]string{finding.Error: "8.1", finding.Warning: "5.5", finding.Note: "2.0"}[rule.Severity]
	if rule.Anyone {
		severity = "9.1"
	}
	help := rule.Why + "\n\nFix: " + rule.Fix
	return object{
		"id": rule.Name, "name": pascal(rule.Name), "helpUri": finding.Docs(rule.Name),
		"shortDescription":     object{"text": sentence(rule.Finds)},
		"fullDescription":      object{"text": rule.Why},
		"help":                 object{"text": help, "markdown": help},
		"defaultConfiguration": object{"level": rule.Severity}, // SARIF's levels have the same names
		"properties": object{
			"tags": []string{"security", "oidc", "external/cwe/cwe-284"}, "precision": "high", "security-severity": severity,
			"problem.severity": map[finding.Severity]string{finding.Error: "error", finding.Warning: "warning", finding.Note: "recommendation"}[rule.Severity],
		},
	}
}

// pascal is a rule's name without its hyphens.
func pascal(name string) string {
	var b strings.Builder
	for word := range strings.SplitSeq(name, "-") {
		b.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return b.String()
}

// sentence begins with a capital and ends with a full stop.
func sentence(s string) string {
	return strings.ToUpper(s[:1]) + strings.TrimSuffix(s[1:], ".") + "."
}

func (r *Report) result(f finding.Finding, index map[string]int) object {
	message := f.Message
	if f.Replace == nil && f.Fix.Text != "" {
		message += "\n\nFix: " + f.Fix.Text
	}
	one := object{
		"ruleId": f.Rule, "ruleIndex": index[f.Rule], "level": f.Severity, "kind": "fail", "message": text(message),
		"locations": []object{r.location(f)},
		"partialFingerprints": object{
			"primaryLocationLineHash": lineHash(f), // the only one that GitHub looks at
			"bitbucketOidcFinding/v1": f.ID,
		},
	}
	if len(f.Related) > 0 {
		one["relatedLocations"] = related(f.Related)
	}
	if f.New != nil {
		one["baselineState"] = map[bool]string{true: "new", false: "unchanged"}[*f.New]
	}
	if f.Replace != nil {
		one["fixes"] = []object{{
			"description": text(f.Fix.Text), // DefectDojo refuses a fix without one
			"artifactChanges": []object{{
				"artifactLocation": artifact(f.File),
				"replacements":     []object{{"deletedRegion": region(f.Replace.At), "insertedContent": object{"text": f.Replace.Text}}},
			}},
		}}
	}
	return one
}

func related(all []finding.Related) []object {
	var locations []object
	for i, one := range all {
		locations = append(locations, object{
			"id": i, "message": text(one.Message),
			"physicalLocation": object{"artifactLocation": artifact(one.File), "region": region(one.At)},
		})
	}
	return locations
}

// lineHash is in the form in which GitHub computes such a hash by itself.
func lineHash(f finding.Finding) string {
	sum := sha256.Sum256([]byte(f.Rule + "\x00" + f.File + "\x00" + f.ID))
	return hex.EncodeToString(sum[:8]) + ":1"
}

func (r *Report) location(f finding.Finding) object {
	physical := object{"artifactLocation": artifact(f.File)}
	if f.Line > 0 {
		at := finding.Place{Line: f.Line, Column: f.Column, EndLine: f.End.Line, EndColumn: f.End.Column}
		if source, ok := r.source(f); ok && at.EndLine == 0 {
			_, end := span([]rune(source), f)
			at.EndLine, at.EndColumn = f.Line, end+1
		}
		physical["region"] = region(at)
	}
	l := object{"physicalLocation": physical}
	if f.Path != "" {
		l["logicalLocations"] = []object{{"fullyQualifiedName": f.Path}}
	}
	return l
}

// region is a range. GitHub wants all four numbers.
func region(p finding.Place) object {
	one := object{"startLine": p.Line}
	if p.Column > 0 {
		one["startColumn"] = p.Column
	}
	if p.EndLine > 0 && p.EndColumn > 0 {
		one["endLine"], one["endColumn"] = p.EndLine, p.EndColumn
	}
	return one
}

// artifact is a file. Standard input has no name, and is named after what it is. A file below the working directory is relative to
// the root of the repository, where steps run.
func artifact(file string) object {
	clean := path.Clean(file)
	switch {
	case file == "-":
		return object{"uri": "stdin"}
	case path.IsAbs(clean):
		return object{"uri": (&url.URL{Scheme: "file", Path: clean}).String()}
	case strings.HasPrefix(clean, "../"):
		return object{"uri": (&url.URL{Path: clean}).String()}
	}
	return object{"uri": (&url.URL{Path: clean}).String(), "uriBaseId": sourceRoot}
}

// provenance is where the files are kept, or nil.
func (o Origin) provenance() object {
	if o.Repository == "" || o.Commit == "" {
		return nil
	}
	p := object{"repositoryUri": o.Repository, "revisionId": o.Commit, "mappedTo": object{"uriBaseId": sourceRoot}}
	if o.Branch != "" {
		p["branch"] = o.Branch
	}
	return p
}
