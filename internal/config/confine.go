package config

import (
	"slices"
	"strings"

	"bitbucket-oidc/internal/hint"
)

// Judged reports whether the variables of a backend are read: all are, unless BACKENDS names others.
func (v *Vars) Judged(backend string) bool {
	if !v.Given("BACKENDS") {
		return true
	}
	items, array := v.array("BACKENDS")
	if !array {
		items = split(v.value("BACKENDS"))
	}
	return slices.Contains(items, backend)
}

// Confined adds the problems of BACKENDS, and a problem for each backend that BACKENDS names and that is not configured.
func (v *Vars) Confined(configured []string) {
	if !v.Given("BACKENDS") {
		return
	}
	var names []string
	for _, g := range v.known {
		if g.Backend && !slices.Contains(names, g.Name) {
			names = append(names, g.Name)
		}
	}
	g := v.Group()
	items := g.List("BACKENDS")
	if g.Failed() {
		return
	}
	if len(items) == 0 {
		v.Add(hint.New("BACKENDS: an empty list", "name the backends, or remove the variable to sign in to each that is configured"))
	}
	for _, item := range Unique(items) {
		switch {
		case !slices.Contains(names, item):
			v.Wrong("BACKENDS", item, "names among "+strings.Join(names, ", "))
		case !slices.Contains(configured, item):
			v.Add(hint.New("BACKENDS: "+item+" is not configured", "set the variables of "+item+", "+strings.Join(v.required(item), " and ")+", or remove it from BACKENDS"))
		}
	}
}

// required are the main variables of a backend.
func (v *Vars) required(backend string) []string {
	var all []string
	for _, g := range v.known {
		for _, one := range g.Variables {
			if g.Name == backend && one.Main {
				all = append(all, one.Name)
			}
		}
	}
	return all
}

// Traces are the variables of a user who meant to configure a backend and configured none: variables that alone configure nothing, and
// misspelt variables.
func (v *Vars) Traces() []string {
	var all []string
	for _, m := range v.Misspelt() {
		all = append(all, m.Written+" is set: did you mean "+m.Known.Name+"?")
	}
	for _, g := range v.known {
		if !g.Backend || !v.Judged(g.Name) {
			continue
		}
		var set, missing []string
		for _, one := range g.Variables {
			switch {
			case v.IsSet(one.Name):
				set = append(set, one.Name)
			case one.Main:
				missing = append(missing, one.Name)
			}
		}
		if len(set) > 0 && len(missing) > 0 {
			verb := map[bool]string{true: " is", false: " are"}[len(set) == 1]
			all = append(all, strings.Join(set, " and ")+verb+" set, which configures nothing without "+strings.Join(missing, " and "))
		}
	}
	return all
}
