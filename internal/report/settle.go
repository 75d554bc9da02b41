package report

import (
	"encoding/json"
	"errors"
	"slices"
	"time"

	"bitbucket-oidc/internal/accept"
	"bitbucket-oidc/internal/finding"
)

// Accept sets apart the findings that a list accepts. What is wrong with the list is a finding too, in a section of its own.
func (r *Report) Accept(name string, data []byte, list []accept.Entry) {
	if !slices.ContainsFunc(r.Inputs, func(i Input) bool { return i.Name == name }) {
		r.Inputs = append(r.Inputs, Input{name, data})
	}
	own := Section{accepting: true}
	for _, e := range list {
		if rule, message, broken := e.Broken(r.Now, r.accept(e)); broken {
			own.add(acceptFinding(name, e), rule, message)
		}
	}
	if len(own.Findings) > 0 {
		r.Sections = append(r.Sections, own)
	}
}

// accept moves the findings that an entry accepts from the sections to the accepted findings, and reports whether there were any.
// Several entries may accept one finding.
func (r *Report) accept(e accept.Entry) bool {
	found := slices.ContainsFunc(r.Accepted, func(a Accepted) bool { return a.ID == e.ID })
	if !e.Accepts(r.Now) {
		return found
	}
	for i := range r.Sections {
		var stand []finding.Finding
		for _, f := range r.Sections[i].Findings {
			if f.ID != e.ID {
				stand = append(stand, f)
				continue
			}
			found = true
			r.Accepted = append(r.Accepted, Accepted{Finding: f, Why: e.Why, Until: e.Until.Format(time.DateOnly)})
		}
		r.Sections[i].Findings = stand
	}
	r.Sections = slices.DeleteFunc(r.Sections, func(s Section) bool { return s.Together && len(s.Findings) == 0 })
	return found
}

func acceptFinding(name string, e accept.Entry) finding.Finding {
	return finding.Finding{ID: e.ID, File: name, Line: e.Line, Column: e.Column}
}

// add adds a finding of a rule, about an entry or a comment that accepts.
func (s *Section) add(f finding.Finding, rule finding.Rule, message string) {
	f.ID = finding.Identify(rule.Name, f.File, f.ID)
	f.Rule, f.Severity, f.Message = rule.Name, rule.Severity, message
	f.Fix = finding.Fix{Kind: finding.Advice, Text: rule.Fix}
	f.Docs = finding.Docs(f.Rule)
	s.Findings = append(s.Findings, f)
}

// earlier is what is read of an earlier report in JSON, of any command.
type earlier struct {
	Version     int       `json:"version"`
	Findings    []counted `json:"findings"`
	Differences []counted `json:"differences"`
	Accepted    []counted `json:"accepted"`
	Results     []struct {
		File     string    `json:"file"`
		Kind     string    `json:"kind"`
		Name     string    `json:"name"`
		Verdict  string    `json:"verdict"`
		Findings []counted `json:"findings"`
	} `json:"results"`
	audited
	Files []audited `json:"files"`
}

// audited is a pipelines file in a report of audit.
type audited struct {
	Steps []struct {
		Path     string `json:"path"`
		Verdicts []struct {
			Document string `json:"document"`
			Name     string `json:"name"`
			Verdict  string `json:"verdict"`
		} `json:"verdicts"`
	} `json:"steps"`
}

// verdicts are what each document decides in an earlier report. Those of audit have the names that its verdicts have now.
func (e *earlier) verdicts() map[verdictKey]int {
	all := map[verdictKey]int{}
	for _, r := range e.Results {
		all[verdictKey{r.File, r.Kind, r.Name, r.Verdict}]++
	}
	for _, f := range append(e.Files, e.audited) {
		for _, s := range f.Steps {
			for _, v := range s.Verdicts {
				all[verdictKey{"", v.Document, StepVerdict(s.Path, v.Name), v.Verdict}]++
			}
		}
	}
	return all
}

type verdictKey struct{ file, kind, name, verdict string }

// key identifies a verdict. How the name of a pipelines file is spelled does not matter, as for its findings.
func (r *Report) key(v Verdict) verdictKey {
	if r.Command == "audit" {
		v.File = ""
	}
	return verdictKey{v.File, v.Kind, v.Name, v.Verdict}
}

// StepVerdict is the name of a verdict about a step of a pipelines file.
func StepVerdict(path, name string) string { return path + " " + name }

type counted struct {
	ID string `json:"id"`
}

// Compare marks the findings and verdicts that an earlier report of the same command in JSON does not have. If an id occurs more
// often than in the earlier report, the additional ones are new.
func (r *Report) Compare(baseline []byte) error {
	var old earlier
	if err := json.Unmarshal(baseline, &old); err != nil || old.Version != 1 || old.Findings == nil && old.Differences == nil && old.Results == nil {
		return errors.New("not a report in JSON of this program")
	}
	findings, verdicts := map[string]int{}, old.verdicts()
	count := func(all []counted) {
		for _, f := range all {
			findings[f.ID]++
		}
	}
	count(old.Findings)
	count(old.Differences)
	count(old.Accepted)
	for _, result := range old.Results {
		count(result.Findings)
	}
	for i := range r.Sections {
		for j := range r.Sections[i].Findings {
			f := &r.Sections[i].Findings[j]
			f.New = taken(findings, f.ID)
		}
	}
	for i := range r.Verdicts {
		v := &r.Verdicts[i]
		v.New = taken(verdicts, r.key(*v))
	}
	return nil
}

// taken removes one occurrence of key from what is left, and reports whether there was none.
func taken[K comparable](left map[K]int, key K) *bool {
	left[key]--
	none := left[key] < 0
	return &none
}
