// Package ocsftest compares records with the schema of OCSF. Only tests import it.
package ocsftest

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
)

//go:embed ocsf-1.6.0-authentication.json
var compiled []byte

// schema is what OCSF 1.6.0 says of class 3002 and of the objects that a record uses, cut down from
// https://github.com/ocsf/ocsf-schema (Apache-2.0): t is a type, o an object, a an array, r required, p the profiles that an attribute
// belongs to, e the numbers or words of an enumeration, d deprecated.
type schema struct {
	object
	ClassUID int               `json:"class_uid"`
	Objects  map[string]object `json:"objects"`
}

type object struct {
	Attributes  map[string]attribute `json:"attributes"`
	Constraints struct {
		AtLeastOne []string `json:"at_least_one"`
		JustOne    []string `json:"just_one"`
	} `json:"constraints"`
}

type attribute struct {
	Type       string   `json:"t"`
	Object     string   `json:"o"`
	Array      int      `json:"a"`
	Required   int      `json:"r"`
	Profiles   []string `json:"p"`
	Enum       []string `json:"e"`
	Deprecated int      `json:"d"`
}

// Problems are the places where a line departs from the schema, each with the reason.
func Problems(line []byte) []string {
	var s schema
	if err := json.Unmarshal(compiled, &s); err != nil {
		return []string{err.Error()}
	}
	return s.problems(line)
}

// problems are the places where a line departs from the schema.
func (s schema) problems(line []byte) []string {
	var event map[string]any
	if err := json.Unmarshal(line, &event); err != nil {
		return []string{err.Error()}
	}
	var profiles []string
	if metadata, ok := event["metadata"].(map[string]any); ok {
		named, _ := metadata["profiles"].([]any)
		for _, p := range named {
			profiles = append(profiles, fmt.Sprint(p))
		}
	}
	return s.check("", s.object, event, profiles)
}

func (s schema) check(path string, o object, value map[string]any, profiles []string) []string {
	var found []string
	wrong := func(name, what string) { found = append(found, path+name+": "+what) }
	for name, v := range value {
		a, known := o.Attributes[name]
		switch {
		case !known:
			wrong(name, "unknown")
			continue
		case len(a.Profiles) > 0 && !slices.ContainsFunc(a.Profiles, func(p string) bool { return slices.Contains(profiles, p) }):
			wrong(name, "belongs to a profile that is not named")
			continue
		case a.Deprecated == 1:
			wrong(name, "deprecated")
		}
		items := []any{v}
		if a.Array == 1 {
			list, ok := v.([]any)
			if !ok {
				wrong(name, "no list")
			}
			items = list
		}
		for i, item := range items {
			found = append(found, s.checkValue(fmt.Sprintf("%s%s[%d]", path, name, i), a, item, profiles)...)
		}
	}
	for name, a := range o.Attributes {
		applies := len(a.Profiles) == 0 || slices.ContainsFunc(a.Profiles, func(p string) bool { return slices.Contains(profiles, p) })
		if _, there := value[name]; a.Required == 1 && applies && !there {
			wrong(name, "required")
		}
	}
	there := func(name string) bool { _, ok := value[name]; return ok }
	if want := o.Constraints.AtLeastOne; len(want) > 0 && !slices.ContainsFunc(want, there) {
		wrong("", fmt.Sprintf("none of %v", want))
	}
	return found
}

func (s schema) checkValue(path string, a attribute, v any, profiles []string) []string {
	if a.Object != "" {
		value, ok := v.(map[string]any)
		o, known := s.Objects[a.Object]
		switch {
		case !ok || !known:
			return []string{path + ": not an object " + a.Object}
		case a.Object == "object":
			return nil // unmapped takes anything
		}
		return s.check(path+".", o, value, profiles)
	}
	text := fmt.Sprint(v)
	ok := false
	switch a.Type {
	case "string_t":
		text, ok = v.(string)
	case "boolean_t":
		_, ok = v.(bool)
	case "integer_t", "long_t":
		var number float64
		number, ok = v.(float64)
		ok = ok && number == float64(int64(number))
		text = strconv.FormatInt(int64(number), 10)
	case "json_t":
		ok = true
	}
	if !ok {
		return []string{path + ": not a " + a.Type}
	}
	if len(a.Enum) > 0 && !slices.Contains(a.Enum, text) {
		return []string{path + ": " + text + " is none of the enumeration"}
	}
	return nil
}
