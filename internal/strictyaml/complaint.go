package strictyaml

import (
	"errors"
	"fmt"
	"sort"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Complaint is what the library says of a file that is no YAML, and the line, from 1, at which it is known: the library reads a file
// from top to bottom, and names a line that is often not the one. The reason quotes nothing of the file but the name of an anchor
// that is not there.
func Complaint(err error, data []byte) (line int, reason string) {
	line, reason = library(err)
	lines := strings.Split(string(data), "\n")
	const small = 256 << 10 // larger files keep the library's line
	if len(data) <= small {
		line = 1 + sort.Search(len(lines)-1, func(n int) bool {
			var node yaml.Node
			err := yaml.Unmarshal([]byte(strings.Join(lines[:n+1], "\n")+"\n"), &node)
			if err == nil {
				return false
			}
			_, same := library(err)
			return same == reason
		})
	}
	return min(max(line, 1), len(lines)), reason
}

// library takes the library's error apart.
func library(err error) (line int, reason string) {
	text, _, _ := strings.Cut(err.Error(), "\n")
	reason = strings.TrimPrefix(text, "yaml: ")
	if number, rest, ok := strings.Cut(reason, ": "); ok && strings.HasPrefix(number, "line ") {
		line, _ = strconv.Atoi(strings.TrimPrefix(number, "line "))
		reason = rest
	}
	return line, reason
}

// notYAML is the error of a file that is no YAML.
func notYAML(err error, data []byte) error {
	line, reason := Complaint(err, data)
	switch {
	case strings.HasPrefix(reason, "unknown anchor"):
		return errors.New("not YAML: an alias without an anchor")
	case strings.HasPrefix(reason, "did not find expected"), strings.HasPrefix(reason, "mapping values"):
		reason += "; a text with brackets, quotes or colons in it needs quotes around it"
	}
	return fmt.Errorf("line %d: not YAML: %s", line, reason)
}
