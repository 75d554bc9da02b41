package config

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"bitbucket-oidc/internal/charset"
)

// ours begins the names that are watched for misspellings.
func ours(name string) bool {
	return slices.ContainsFunc([]string{"AWS_", "GCP_", "OKTA_", "OAUTH_", "VAULT_"}, func(prefix string) bool {
		return strings.HasPrefix(name, prefix)
	})
}

// foreign tells of variables of the SDKs and tools that are at most two letters from one of the pipe's.
func foreign(name string) bool { return strings.HasPrefix(name, "AWS_ENDPOINT_URL_") }

// misspelt warns of each variable that is set, unknown, and at most two letters away from a known one. The items of a list are told
// by the list's name, which is what the user wrote.
func misspelt() []string {
	known := Variables()
	isKnown := map[string]bool{}
	for _, v := range known {
		isKnown[v.Name] = true
	}
	var warnings []string
	for _, entry := range os.Environ() {
		name, value, _ := strings.Cut(entry, "=")
		if !ours(name) || isKnown[name] || foreign(name) || strings.TrimSpace(value) == "" {
			continue
		}
		nearest, best := "", 3
		for _, v := range known {
			written := name
			if v.List {
				written = listOf(name)
			}
			if d := distance(written, v.Name); d < best {
				nearest, best = fmt.Sprintf("%s is not a variable of this pipe: did you mean %s?", written, v.Name), d
			}
		}
		if best > 0 && nearest != "" {
			warnings = append(warnings, nearest)
		}
	}
	slices.Sort(warnings)
	return slices.Compact(warnings)
}

// listOf is the name of the list of which a variable can be an item or the count, or else the variable's own.
func listOf(name string) string {
	if i := strings.LastIndexByte(name, '_'); i > 0 && (name[i+1:] == "COUNT" || charset.Only(name[i+1:], charset.Digit, 1, 4)) {
		return name[:i]
	}
	return name
}

// distance counts the letters to insert, remove, replace or swap with a neighbour (optimal string alignment).
func distance(a, b string) int {
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
