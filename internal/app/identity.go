package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"bitbucket-oidc/internal/config"
	"bitbucket-oidc/internal/hint"
	"bitbucket-oidc/internal/nowait"
	"bitbucket-oidc/internal/oidc"
	"bitbucket-oidc/internal/trust"
)

// identityOptions say whose trust explain and check are about.
func identityOptions() []option {
	const uuid, isUUID = `(?i)\{?[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\}?`, "a UUID, with or without braces"
	return []option{
		{name: "token-file", value: "FILE", usage: "the identity that the token in FILE states; - is standard input"},
		{name: "claims", value: "FILE", usage: "the identity of a token's claims, as JSON in FILE"},
		{name: "workspace", value: "SLUG", pattern: `[0-9A-Za-z_-]+`, expected: "the workspace as in bitbucket.org/WORKSPACE", usage: "or an identity put together: the workspace,"},
		{name: "workspace-uuid", value: "UUID", pattern: uuid, expected: isUUID, usage: "its UUID,"},
		{name: "repository-uuid", value: "UUID", pattern: uuid, expected: isUUID, usage: "the repository's,"},
		{name: "environment-uuid", value: "UUID", pattern: uuid, expected: isUUID, usage: "that of the step's deployment environment, if it has one,"},
		{name: "branch", value: "NAME", usage: "the branch, if there is one,"},
		{name: "audience", value: "AUD", many: true, pattern: `\S+`, expected: "an audience", usage: "and what the step has under audiences:"},
		{name: "now", value: "TIME", usage: "the time to judge at, such as 2026-11-22T23:00:00Z; without it: now"},
		{name: "duration", value: "DURATION", usage: "the session duration that will be asked for; without it: 1h"},
	}
}

// identity finds the one identity that the command line, or else the step's token, gives. What is wrong is added to the
// arguments' problems.
func (a *arguments) identity(ctx context.Context, now time.Time) trust.Identity {
	var ways []string
	for _, name := range []string{"token-file", "claims"} {
		if a.given(name) {
			ways = append(ways, "--"+name)
		}
	}
	parts := []string{"workspace", "workspace-uuid", "repository-uuid", "environment-uuid", "branch", "audience"}
	for _, name := range parts {
		if a.given(name) {
			ways = append(ways, "--"+name+" and the flags that go with it")
			break
		}
	}
	var id trust.Identity
	var err error
	switch {
	case len(ways) > 1:
		err = hint.New("more than one identity: "+strings.Join(ways, ", "), "give one of --token-file, --claims, or --workspace and the flags that go with it")
	case a.given("token-file"):
		id, err = a.fromTokenFile(ctx)
	case a.given("claims"):
		id, err = a.fromClaims(ctx)
	case len(ways) == 1:
		id, err = a.fromParts(now)
	default:
		var token oidc.Token
		token, err = config.LoadToken()
		err = hint.With(err, "or name the identity with --token-file, --claims, or --workspace and the flags that go with it")
		id = trust.FromToken(token)
	}
	if err != nil {
		a.problems = append(a.problems, err)
	}
	return id
}

func (a *arguments) fromTokenFile(ctx context.Context) (trust.Identity, error) {
	data, err := read(ctx, a.text("token-file"))
	if err != nil {
		return trust.Identity{}, err
	}
	token, err := oidc.Parse(string(data))
	if err != nil {
		return trust.Identity{}, hint.With(fmt.Errorf("--token-file: %w", err), "the file must hold a step's token as Bitbucket sets it; claims go to --claims")
	}
	return trust.FromToken(token), nil
}

func (a *arguments) fromClaims(ctx context.Context) (trust.Identity, error) {
	data, err := read(ctx, a.text("claims"))
	if err != nil {
		return trust.Identity{}, err
	}
	id, err := trust.FromClaims(data)
	if err != nil {
		return trust.Identity{}, hint.With(fmt.Errorf("--claims: %w", err), "the file must hold a token's claims as a JSON object; a token goes to --token-file")
	}
	return id, nil
}

func (a *arguments) fromParts(now time.Time) (trust.Identity, error) {
	var missing []string
	for _, name := range []string{"workspace", "workspace-uuid", "repository-uuid"} {
		if !a.given(name) {
			missing = append(missing, "--"+name)
		}
	}
	if len(missing) > 0 {
		return trust.Identity{}, hint.New("half an identity: "+strings.Join(missing, " and ")+" missing",
			"Repository settings → Pipelines → OpenID Connect shows the UUIDs")
	}
	if len(a.problems) > 0 {
		return trust.Identity{}, nil // they say more than the claims would
	}
	return trust.Parts{
		Workspace: a.text("workspace"), WorkspaceUUID: a.text("workspace-uuid"), RepositoryUUID: a.text("repository-uuid"),
		EnvironmentUUID: a.text("environment-uuid"), Branch: a.text("branch"), Audiences: a.values["audience"], Now: now,
	}.Identity()
}

// maxFile bounds what is read. The trust policies of an account's 5,000 roles, the most that AWS grants, take less.
const maxFile = 32 << 20

// read reads a file, or standard input for a dash. Standard input, pipes and devices may never end: ctx bounds the wait.
func read(ctx context.Context, name string) ([]byte, error) {
	type result struct {
		data []byte
		err  error
	}
	got := make(chan result, 1)
	go func() {
		data, err := readAll(name)
		got <- result{data, err}
	}()
	select {
	case r := <-got:
		return r.data, unreadable(name, r.err)
	case <-ctx.Done():
		return nil, unreadable(name, errors.New(ended(ctx, "its end did not come within TIMEOUT")))
	}
}

func readAll(name string) ([]byte, error) {
	file := os.Stdin
	if name != "-" {
		f, err := nowait.Open(name) // a named pipe that nobody writes to is empty
		if err != nil {
			return nil, err
		}
		defer f.Close()
		file = f
	}
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	switch {
	case err != nil:
		return nil, err
	case len(data) > maxFile:
		return nil, fmt.Errorf("more than %d MiB", maxFile>>20)
	case len(bytes.TrimSpace(data)) == 0:
		return nil, errors.New("empty")
	}
	return bytes.TrimPrefix(data, []byte("\ufeff")), nil
}

// unreadable says which file, and why, without the operation and the name that package os adds.
func unreadable(name string, err error) error {
	if err == nil {
		return nil
	}
	if path := (*fs.PathError)(nil); errors.As(err, &path) {
		err = path.Err
	}
	if name == "-" {
		name = "standard input"
	}
	return hint.With(fmt.Errorf("%s: %w", visible(name), err), "give a file that can be read whole, or - for standard input")
}

// sayExpired tells that the token is judged though no cloud would take it any more.
func (c *console) sayExpired(id trust.Identity, now time.Time) {
	if e := expiry(id, now); e != "" {
		c.warn(e + ": it is judged as it was")
	}
}

// expiry says since when the token is expired, or is empty.
func expiry(id trust.Identity, now time.Time) string {
	if id.Claims.Expires.IsZero() || now.Before(id.Claims.Expires) {
		return ""
	}
	return "the token expired at " + id.Claims.Expires.Format(time.RFC3339)
}
