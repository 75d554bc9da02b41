// Package drifttest compares the documents of a case with the access map of the case.
package drifttest

import (
	"testing"
	"time"

	"bitbucket-oidc/internal/access"
	"bitbucket-oidc/internal/drift"
	"bitbucket-oidc/internal/finding/findingtest"
	"bitbucket-oidc/internal/inventory"
	"bitbucket-oidc/internal/trust"
)

// Now is the day of the cases.
func Now() time.Time { return time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC) }

const mapFile = "access.yaml"

// Map is the map of a case.
func Map(t testing.TB, c findingtest.Case) *access.Map {
	t.Helper()
	m, err := access.Parse(mapFile, c.File(mapFile))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// State is what is deployed, by the documents of a case: all of its files except the map. A name with = in it is NAME=FILE, as for the
// flag --target.
func State(t testing.TB, c findingtest.Case) drift.State {
	t.Helper()
	m := Map(t, c)
	given := inventory.Given{Map: m}
	for _, f := range c.Without(mapFile) {
		file := trust.File{Name: f.Name, Data: f.Data}
		if target, name, ok := inventory.Named(f.Name); ok {
			file.Target, file.Name = target, name
		}
		given.Files = append(given.Files, file)
	}
	state, err := inventory.Read(t.Context(), given, drift.Universe(m, Now()))
	if err != nil {
		t.Fatal(err)
	}
	return state
}

// Compare returns the differences between the documents of a case and its map.
func Compare(t testing.TB, c findingtest.Case) []drift.Difference {
	t.Helper()
	return drift.Compare(Map(t, c), State(t, c), Now())
}
