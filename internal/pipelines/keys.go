package pipelines

import (
	"fmt"
	"slices"
	"strings"
)

// unknownKeys finds keys of a step that Bitbucket ignores, although the author expects an effect.
func (w *walk) unknownKeys(fields *Fields, path string) {
	faults, known := w.known[fields]
	if !known {
		faults = unknownKeys(fields)
		w.known[fields] = faults
	}
	for _, f := range faults {
		w.fault(f.Kind, f.Place, path+f.Path, f.Text)
	}
}

func unknownKeys(fields *Fields) []Fault {
	var all []Fault
	keys := stepKeys()
	for _, f := range fields.all {
		name := f.Key.Value
		switch {
		case slices.Contains(keys, name):
		case slices.Contains([]string{"variables", "env", "environment-variables", "permissions", "id-token", "entrypoint"}, name):
			text := fmt.Sprintf("A step has no key `%s`: Bitbucket ignores it and everything below it.", name)
			all = append(all, Fault{Place: f.Place(), Kind: Ignored, Path: "." + name, Text: text})
		default:
			if meant := nearest(name); meant != "" {
				text := fmt.Sprintf("A step has no key `%s`: Bitbucket ignores it. It looks like `%s`.", name, meant)
				all = append(all, Fault{Place: f.Place(), Kind: Ignored, Path: "." + name, Text: text})
			}
		}
	}
	return all
}

// stepKeys are the keys of a step (schema of api.bitbucket.org, 2026-08).
func stepKeys() []string {
	return []string{
		"after-script", "artifacts", "auth", "caches", "clone", "concurrency-group", "condition", "custom", "deployment", "environment",
		"fail-fast", "image", "input-variables", "max-time", "name", "oidc", "on-fail", "output-variables", "runs-on", "runtime", "script",
		"services", "size", "step", "trigger", "type",
	}
}

// nearest is the key about the identity that a misspelt name probably means, or empty.
func nearest(name string) string {
	plain := strings.ToLower(strings.ReplaceAll(name, "_", "-"))
	for _, key := range []string{"oidc", "deployment", "environment"} {
		most := 1
		if len(key) > 6 {
			most = 2
		}
		if distance(plain, key) <= most {
			return key
		}
	}
	if anagram(plain, "oidc") || plain == "oidc-token" || plain == "open-id" || plain == "openid" {
		return "oidc"
	}
	return ""
}

// anagram reports whether two names have the same letters.
func anagram(a, b string) bool {
	x, y := []byte(a), []byte(b)
	slices.Sort(x)
	slices.Sort(y)
	return slices.Equal(x, y)
}

// distance is how many characters to insert, delete or replace (Levenshtein).
func distance(a, b string) int {
	if len(a) > 40 {
		return len(a)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := before
			if a[i] != b[j] {
				change++
			}
			before = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
