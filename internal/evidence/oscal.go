package evidence

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/google/uuid"
)

// object is a JSON object of OSCAL's.
type object map[string]any

// oscal is the package as assessment results of OSCAL 1.1.3. Its ids are made of what they name (UUID version 5), so the same
// input gives the same document. It finds nothing satisfied: that is the assessor's decision.
//
// Source: https://pages.nist.gov/OSCAL-Reference/models/v1.1.3/assessment-results/json-outline/
func (p *population) oscal(i ipe) object {
	content, _ := json.Marshal(i) // texts and numbers
	root := uuid.NewSHA1(uuid.NameSpaceURL, content)
	id := func(name string) string { return uuid.NewSHA1(root, []byte(name)).String() }
	start, end := stamp(p.config.From.UnixMilli()), stamp(p.config.end().UnixMilli()-1)
	plan := id("plan")

	var included []object
	for _, c := range controls() {
		for name := range strings.SplitSeq(c.soc2, "; ") {
			included = append(included, object{"control-id": strings.ToLower(name)})
		}
	}
	observe := func(name, title, text string) object {
		return object{
			"uuid": id(name), "title": title, "description": text, "methods": []string{"EXAMINE"}, "collected": end,
			"relevant-evidence": []object{{"href": "./" + name, "description": title}},
		}
	}
	counts := fmt.Sprintf("%d records were read; %d are in the period, %d are copies, %d cannot be read, %d lie outside of the period; %d commands have gaps.",
		i.RowsIn, i.RowsOut, i.Duplicates, i.Malformed, i.Outside, len(i.Gaps))
	result := object{
		"uuid": id("result"), "title": "Credentials of Bitbucket Pipelines", "start": start, "end": end,
		"description":       "Every credential that bitbucket-oidc obtained, and every one that was refused, as recorded.",
		"reviewed-controls": object{"control-selections": []object{{"include-controls": included}}},
		"observations": []object{
			observe("population.csv", "Population", fmt.Sprintf("%d records.", i.RowsOut)),
			observe("samples.csv", "Samples", fmt.Sprintf("%d records, drawn reproducibly.", i.Drawn)),
			observe("exceptions.csv", "Exceptions", fmt.Sprintf("%d rows.", p.exceptions())),
			observe("ipe.json", "Information produced by the entity", counts),
		},
	}
	if findings := p.findings(i, id); len(findings) > 0 {
		result["findings"] = findings
	}
	return object{"assessment-results": object{
		"uuid": root.String(),
		"metadata": object{
			"title": "Evidence of bitbucket-oidc, " + i.From + " to " + i.To, "last-modified": end,
			"version": "1.0", "oscal-version": "1.1.3",
		},
		"import-ap": object{"href": "#" + plan},
		"results":   []object{result},
		"back-matter": object{"resources": []object{{
			"uuid": plan, "title": "Assessment plan", "description": "There is no plan in OSCAL: the records are examined as a whole.",
		}}},
	}}
}

// findings are what speaks against a control. A refusal does not: there the control has worked.
func (p *population) findings(i ipe, id func(string) string) []object {
	var all []object
	add := func(name, text, control, evidence string) {
		all = append(all, object{
			"uuid": id("finding " + name), "title": name, "description": text,
			"target": object{
				"type": "objective-id", "target-id": control, "status": object{"state": "not-satisfied", "reason": "fail"},
			},
			"related-observations": []object{{"observation-uuid": id(evidence)}},
		})
	}
	for _, k := range kinds() {
		if n := i.Exceptions[k.name]; n > 0 && k.bit&(refused|denied) == 0 {
			add(k.name, fmt.Sprintf("%s %d rows.", k.means, n), "cc7.2", "exceptions.csv")
		}
	}
	if len(i.Gaps) > 0 {
		add("gaps", fmt.Sprintf("%d commands have records whose numbers are missing.", len(i.Gaps)), "cc7.2", "ipe.json")
	}
	if i.Malformed > 0 {
		add("malformed", fmt.Sprintf("%d lines cannot be read.", i.Malformed), "cc7.2", "ipe.json")
	}
	return all
}
