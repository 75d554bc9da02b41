package mcp

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"bitbucket-oidc/internal/bitbucket"
	"bitbucket-oidc/internal/hint"
	"bitbucket-oidc/internal/nowait"
	"bitbucket-oidc/internal/pattern"
	"bitbucket-oidc/internal/trust"
)

const (
	// mostContent bounds a document that is given as content: more of it costs the client's model too much.
	mostContent = 262_144

	// mostOfFile bounds a document that is read from a file, as the command line does.
	mostOfFile = 32 << 20

	// mostDocuments bounds the documents of a call.
	mostDocuments = 200

	// mostClaims bounds an identity's claims, in bytes of JSON: answers repeat them with each witness. A token of Bitbucket's takes
	// about 800.
	mostClaims = 4096
)

// An identity is the step that a call is about.
type identity struct {
	Claims          map[string]any `json:"claims,omitempty" jsonschema:"the claims of a token, decoded; never the token itself"`
	Workspace       string         `json:"workspace,omitempty" jsonschema:"instead of claims: the workspace as in bitbucket.org/WORKSPACE"`
	WorkspaceUUID   string         `json:"workspace_uuid,omitempty" jsonschema:"the UUID of the workspace, with or without braces"`
	RepositoryUUID  string         `json:"repository_uuid,omitempty" jsonschema:"the UUID of the repository, with or without braces"`
	EnvironmentUUID string         `json:"environment_uuid,omitempty" jsonschema:"the UUID of the step's deployment environment, if it has one"`
	Branch          string         `json:"branch,omitempty" jsonschema:"the branch that the pipeline runs on"`
	Audiences       []string       `json:"audiences,omitempty" jsonschema:"audiences that the step asks for in addition to the audience of the workspace"`
}

// given reports whether a call has an identity.
func (i *identity) given() bool {
	return i != nil && (i.Claims != nil || i.Workspace+i.WorkspaceUUID+i.RepositoryUUID+i.EnvironmentUUID+i.Branch != "" || len(i.Audiences) > 0)
}

var (
	uuid = pattern.New(`^(?i)(\{[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$`)
	slug = pattern.New(`^[0-9A-Za-z._-]+$`)
)

// read is the identity. It never comes from a token in the environment.
func (i *identity) read(now time.Time) (bitbucket.Identity, error) {
	const ask = "give identity: either claims, or workspace, workspace_uuid and repository_uuid"
	if !i.given() {
		return bitbucket.Identity{}, hint.New("no identity", ask)
	}
	parts := i.Workspace + i.WorkspaceUUID + i.RepositoryUUID + i.EnvironmentUUID + i.Branch
	if i.Claims != nil {
		if parts != "" || len(i.Audiences) > 0 {
			return bitbucket.Identity{}, hint.New("more than one identity", ask)
		}
		data, err := json.Marshal(i.Claims)
		switch {
		case err != nil:
			return bitbucket.Identity{}, fmt.Errorf("identity: claims: %w", err)
		case len(data) > mostClaims:
			return bitbucket.Identity{}, hint.New(fmt.Sprintf("identity: claims: more than %d bytes", mostClaims), "leave out what Bitbucket does not write")
		}
		id, err := bitbucket.FromClaims(data)
		if err != nil {
			return bitbucket.Identity{}, hint.With(fmt.Errorf("identity: %w", err), "give the decoded claims of a step's token, with iss, aud and sub; "+ask)
		}
		return id, nil
	}
	var errs []error
	for _, p := range []struct {
		name, value string
		form        *pattern.Pattern
		optional    bool
	}{
		{"workspace", i.Workspace, slug, false}, {"workspace_uuid", i.WorkspaceUUID, uuid, false}, {"repository_uuid", i.RepositoryUUID, uuid, false},
		{"environment_uuid", i.EnvironmentUUID, uuid, true},
	} {
		switch {
		case p.value == "" && !p.optional:
			errs = append(errs, hint.New("identity: "+p.name+" is missing", ask))
		case p.value != "" && !p.form.MatchString(p.value):
			errs = append(errs, hint.New("identity: "+p.name+" does not have the form that Bitbucket writes", "Repository settings → Pipelines → OpenID Connect shows the UUIDs"))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return bitbucket.Identity{}, err
	}
	return bitbucket.Parts{
		Workspace: i.Workspace, WorkspaceUUID: i.WorkspaceUUID, RepositoryUUID: i.RepositoryUUID, EnvironmentUUID: i.EnvironmentUUID,
		Branch: i.Branch, Audiences: i.Audiences, Now: now,
	}.Identity()
}

// A document is a file's name and content.
type document struct {
	Name    string `json:"name,omitempty" jsonschema:"what answers call the document"`
	Content string `json:"content" jsonschema:"the document's text, at most 262144 bytes; larger ones by paths"`
	Target  string `json:"target,omitempty" jsonschema:"what the document is of, where it does not say so: a service account's e-mail, or auth/MOUNT/role/NAME"`
}

// documents reads what a call gives: contents, and then files below the root. Every problem is reported at once.
func (s server) documents(given []document, paths []string) ([]trust.File, error) {
	if n := len(given) + len(paths); n > mostDocuments {
		return nil, hint.New(fmt.Sprintf("%d documents: at most %d", n, mostDocuments), "ask about fewer")
	}
	var files []trust.File
	var errs []error
	for i, d := range given {
		name := cmp.Or(d.Name, fmt.Sprintf("documents[%d]", i))
		data, err := content(short(name, 300), d.Content)
		files, errs = append(files, trust.File{Name: short(name, 300), Data: data, Target: d.Target}), append(errs, err)
	}
	for _, p := range paths {
		data, err := s.file(p)
		files, errs = append(files, trust.File{Name: p, Data: data}), append(errs, err)
	}
	if len(files) == 0 {
		errs = append(errs, hint.New("no document", "give documents as [{name, content}], or paths below --root"))
	}
	return files, errors.Join(errs...)
}

// content is a document that came as text.
func content(name, text string) ([]byte, error) {
	switch {
	case len(text) > mostContent:
		return nil, hint.New(fmt.Sprintf("%s: %d bytes: a document given as content has at most %d", name, len(text), mostContent),
			"put it into a file below --root and give its path")
	case strings.TrimSpace(text) == "":
		return nil, hint.New(name+": empty", "give the document's text")
	}
	return []byte(strings.TrimPrefix(text, "\ufeff")), nil
}

// file reads a file below the root.
func (s server) file(path string) ([]byte, error) {
	if path == "" {
		return nil, hint.New("a path is empty", "give the path of a file below --root, relative to it")
	}
	name := short(path, 300)
	if s.Root == nil {
		return nil, hint.New(name+": no file can be read", "start the server with --root FOLDER, or give the document as content")
	}
	data, err := nowait.ReadIn(s.Root, path, mostOfFile)
	var at *fs.PathError
	switch {
	case errors.As(err, &at):
		return nil, hint.With(fmt.Errorf("%s: %w", name, at.Err), "give the path of a file below --root, relative to it")
	case errors.Is(err, nowait.ErrSize):
		return nil, hint.New(fmt.Sprintf("%s: more than %d MiB", name, mostOfFile>>20), "split the document")
	case err != nil:
		return nil, hint.With(fmt.Errorf("%s: %w", name, err), "give the path of a regular file below --root, and of no link")
	case strings.TrimSpace(string(data)) == "":
		return nil, hint.New(name+": empty", "give a file with a document in it")
	}
	return []byte(strings.TrimPrefix(string(data), "\ufeff")), nil
}

// either is a text that came as content, or the file below the root that it names: a path has one line, and neither a colon nor a
// brace.
func (s server) either(name, text string) (file string, data []byte, err error) {
	if text != "" && !strings.ContainsAny(text, "\n:{") {
		data, err = s.file(text)
		return text, data, err
	}
	data, err = content(name, text)
	return name, data, err
}

// asked is the documents and the identity of check_trust. What is wrong with either is reported at once.
func (s server) asked(in checkTrust, now time.Time) ([]trust.File, bitbucket.Identity, error) {
	id, err := in.Identity.read(now)
	files, err2 := s.documents(in.Documents, in.Paths)
	return files, id, errors.Join(err, err2)
}

// unknown advises on documents that cannot be judged.
func unknown(err error) error {
	var all []error
	for _, failure := range hint.Failures(err) {
		all = append(all, hint.With(failure, "give documents as these print them: aws iam get-role or list-roles, aws iam get-open-id-connect-provider, "+
			"gcloud iam workload-identity-pools providers describe, gcloud iam service-accounts get-iam-policy, vault read -format=json auth/jwt/role/NAME"))
	}
	return errors.Join(all...)
}
