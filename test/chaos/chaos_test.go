// Package chaos lets the program meet what networks, servers, disks and hosts do to it: a matrix of faults and requests,
// each cell a real process. Whatever happens, a command ends within TIMEOUT and two seconds: with success after another
// attempt, or with a clean failure that changed and leaked nothing.
//
//	go test ./test/chaos                                   one or two cells of each row, and some of each column
//	go test ./test/chaos -full -write ../../docs/evidence/chaos.md  all of them, and the page
//	go test ./test/chaos -full -only 'Vault.*Proxy'        those whose name fits
package chaos

import (
	"flag"
	"maps"
	"regexp"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"bitbucket-oidc/test/cloud"
	"bitbucket-oidc/test/program"
)

var (
	full  = flag.Bool("full", false, "every cell")
	only  = flag.String("only", "", "cells whose name this `expression` fits")
	seed  = flag.Uint64("seed", uint64(time.Now().UnixNano()), "of all random moments")
	write = flag.String("write", "", "write the page to this `file`")
)

// rounds is a number for the short form, or one for the full form.
func rounds(short, long int) int {
	if *full {
		return long
	}
	return short
}

// beside is how many cells are played side by side, which wait most of the time. The short form has a busy machine.
func beside() int { return rounds(48, 64) }

func newKit(t *testing.T) kit {
	t.Helper()
	if runtime.GOOS != "linux" {
		found.skip(t, "it takes Linux: loopback addresses by the dozen, mount namespaces, fault injection into system calls")
	}
	t.Setenv("CGO_ENABLED", "0") // as the image has it: the loader's calls are not the program's
	k := kit{dir: t.TempDir(), private: &private{}}
	var err error
	if k.pipe, err = program.Build(t.Context(), k.dir, "-ldflags=-w"); err != nil {
		t.Fatal(err)
	}
	if k.issuer, err = cloud.NewIssuer(cloud.WorkspaceIssuerURL(cloud.Workspace)); err != nil {
		t.Fatal(err)
	}
	if k.trusted, err = newAuthority(); err != nil {
		t.Fatal(err)
	}
	if k.stranger, err = newAuthority(); err != nil {
		t.Fatal(err)
	}
	return k
}

// matrix is every cell, or in the short form one or two of each row, the quick ones, in another column each time.
func matrix() []cell {
	var cells []cell
	for row, f := range faults() {
		columns := slices.DeleteFunc(requests(), func(q request) bool { return f.only != nil && !f.only(q) })
		if !*full {
			at := row % len(columns)
			columns = append(columns[at:], columns[:at]...)
			columns = columns[:min(2, len(columns))]
		}
		for _, q := range columns {
			f := q.meets(f)
			if f.verdict != harmless && f.verdict != ends && (f.verdict != hangs || *full) {
				cells = append(cells, cell{request: q, fault: f, once: true})
			}
			if *full || f.verdict == harmless || f.verdict == ends || f.verdict == hangs || f.group == "Status" {
				cells = append(cells, cell{request: q, fault: f})
			}
		}
	}
	expression := regexp.MustCompile(*only)
	return slices.DeleteFunc(cells, func(c cell) bool { return !expression.MatchString(c.String()) })
}

// TestMatrix: no row and no column is without a cell, in the short form either.
func TestMatrix(t *testing.T) {
	if *only != "" {
		t.Skip("-only asks for some cells")
	}
	played := map[string]bool{}
	for _, c := range matrix() {
		played[c.group+": "+c.fault.name] = true
		played[c.request.name] = true
	}
	for _, f := range faults() {
		if !played[f.group+": "+f.name] {
			t.Errorf("no cell for %s: %s", f.group, f.name)
		}
	}
	for _, q := range requests() {
		if !played[q.name] {
			t.Errorf("no cell for %s", q.name)
		}
	}
}

func TestRequests(t *testing.T) {
	k := newKit(t)
	cells := matrix()
	outcomes := make([]outcome, len(cells))
	start := time.Now()
	var all sync.WaitGroup
	places := make(chan struct{}, beside())
	for i, c := range cells {
		all.Go(func() {
			places <- struct{}{}
			outcomes[i] = c.play(k)
			<-places
		})
	}
	all.Wait()
	found.play(outcomes)
	skipped := map[string]int{}
	failed := 0
	for _, o := range outcomes {
		switch {
		case o.failure != nil:
			failed++
			t.Errorf("%v: %v", &o.cell, o.failure)
		case o.skipped != "":
			skipped[o.skipped]++
		}
	}
	for _, reason := range slices.Sorted(maps.Keys(skipped)) {
		t.Logf("SKIP %d cells: %s", skipped[reason], reason)
	}
	t.Logf("%d cells in %v, %d failed; seed %d", len(cells), time.Since(start).Round(time.Second), failed, *seed)
}
