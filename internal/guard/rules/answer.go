package rules

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"bitbucket-oidc/internal/access"
	"bitbucket-oidc/internal/guard"
	"bitbucket-oidc/internal/hint"
	"bitbucket-oidc/internal/nowait"
)

// Answer answers a question. Files that cannot be used are mistakes of the answer; an error never is.
func Answer(ctx context.Context, q guard.Question) guard.Answer {
	a := guard.Answer{Nonce: q.Nonce}
	files, m, err := open(q)
	if err != nil {
		for _, failure := range hint.Failures(err) {
			a.Mistakes = append(a.Mistakes, failure.Error())
		}
		return a
	}
	for _, f := range files {
		a.Sources = append(a.Sources, guard.Source{Name: f.Name, SHA256: f.SHA256, Audit: f.Audit})
		for i, in := range q.Inputs {
			for _, d := range f.Judge(ctx, in) {
				a.Decisions = append(a.Decisions, decision(d, len(a.Sources)-1, i))
			}
		}
		for _, r := range f.Rules {
			if r.Advisory() {
				a.Advisory = append(a.Advisory, r.Name)
			}
			a.After = a.After || r.After()
		}
	}
	if m != nil {
		a.Sources = append(a.Sources, guard.Source{Name: m.File, SHA256: m.SHA256})
		for i, in := range q.Inputs {
			if in.Credential == nil {
				a.Decisions = append(a.Decisions, fromMap(m, in, len(a.Sources)-1, i))
			}
		}
	}
	a.Judged = len(q.Inputs)
	return a
}

func decision(d Decision, source, input int) guard.Decision {
	return guard.Decision{
		Source: source, Input: input, Rule: d.Rule.Name, Outcome: string(d.Outcome), Action: string(d.Action), Refuses: d.Refuses(),
		Message: d.Rule.Message, Detail: d.Detail, Fix: d.Rule.Fix, Link: d.Rule.Link,
	}
}

func fromMap(m *access.Map, in guard.Input, source, input int) guard.Decision {
	d := guard.Decision{Source: source, Input: input, Rule: mapRule, Outcome: string(Pass), Action: string(Deny)}
	if why := Granted(m, in); why != "" {
		d.Outcome, d.Refuses, d.Message, d.Detail = string(Fail), true, "The access map does not grant this.", why
		d.Fix = "add a grant to " + m.File + " by pull request, or sign in to what it grants"
	}
	return d
}

// open reads every file that the question names.
func open(q guard.Question) ([]*File, *access.Map, error) {
	var files []*File
	var errs []error
	read := func(name string, data []byte, err error) {
		if err == nil {
			var f *File
			if f, err = Read(name, data); err == nil {
				files = append(files, f)
				return
			}
		}
		errs = append(errs, err)
	}
	if q.Baked != "" {
		data, err := from(filepath.Dir(q.Baked), q.Baked, MaxFile)
		read(q.Baked, data, unreadable(q.Baked, err))
	}
	if q.File != "" {
		name := named(q.Clone, q.File)
		data, err := from(q.Clone, q.File, MaxFile)
		read(name, data, unreadable(name, err))
	}
	var m *access.Map
	if q.Map != "" {
		name := named(q.Clone, q.Map)
		data, err := from(q.Clone, q.Map, access.MaxFile)
		if err = unreadable(name, err); err == nil {
			m, err = access.Parse(name, data)
		}
		if err != nil {
			errs = append(errs, err)
		}
	}
	return files, m, errors.Join(errs...)
}

// named is a file by its path from the build directory.
func named(folder, path string) string {
	if inside, err := filepath.Rel(folder, path); err == nil && filepath.IsLocal(inside) {
		return inside
	}
	return path
}

// from reads a regular file inside a folder, through no link that leaves it.
func from(folder, path string, most int64) ([]byte, error) {
	inside, err := filepath.Rel(folder, path)
	if err != nil || !filepath.IsLocal(inside) {
		return nil, errors.New("outside the build directory")
	}
	root, err := nowait.Folder(folder)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return nowait.ReadIn(root, inside, most)
}

// unreadable says which file, without the operation that package os adds.
func unreadable(name string, err error) error {
	if err == nil {
		return nil
	}
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	return fmt.Errorf("%s: %w", name, err)
}
