package record

import (
	"encoding/json"
	"testing"

	"bitbucket-oidc/internal/record/ocsftest"
)

// TestSchemaFindsMistakes holds the validator to finding what it is there for.
func TestSchemaFindsMistakes(t *testing.T) {
	good := sample(t)[0].Line()
	if found := ocsftest.Problems(good); len(found) > 0 {
		t.Fatal(found)
	}
	for name, spoil := range map[string]func(map[string]any){
		"unknown attribute":    func(e map[string]any) { e["colour"] = "red" },
		"unknown in an object": func(e map[string]any) { e["user"].(map[string]any)["colour"] = "red" },
		"type":                 func(e map[string]any) { e["time"] = "now" },
		"fraction":             func(e map[string]any) { e["time"] = 1.5 },
		"enumeration":          func(e map[string]any) { e["activity_id"] = 8 },
		"required":             func(e map[string]any) { delete(e, "user") },
		"constraint":           func(e map[string]any) { delete(e, "service"); delete(e, "dst_endpoint") },
		"profile":              func(e map[string]any) { e["metadata"].(map[string]any)["profiles"] = []any{"cloud"} },
	} {
		t.Run(name, func(t *testing.T) {
			var event map[string]any
			if err := json.Unmarshal(good, &event); err != nil {
				t.Fatal(err)
			}
			spoil(event)
			line, _ := json.Marshal(event)
			if len(ocsftest.Problems(line)) == 0 {
				t.Error("nothing found")
			}
		})
	}
}
