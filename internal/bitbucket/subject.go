package bitbucket

import (
	"cmp"
	"slices"
	"strings"

	"bitbucket-oidc/internal/oidc"
)

// WorkspaceUUID is the UUID of the workspace: the claim, or else the end of the workspace's audience.
func WorkspaceUUID(c oidc.Claims) string {
	if c.WorkspaceUUID != "" {
		return c.WorkspaceUUID
	}
	for _, audience := range c.Audience {
		if uuid, ok := strings.CutPrefix(audience, WorkspaceARI); ok {
			return uuid
		}
	}
	return ""
}

// CutLast splits a text at its last colon.
func CutLast(s string) (before, after string, found bool) {
	i := strings.LastIndex(s, ":")
	if i < 0 {
		return "", s, false
	}
	return s[:i], s[i+1:], true
}

// Slug is the name of the workspace in the issuer.
func Slug(c oidc.Claims) string {
	_, rest, _ := strings.Cut(c.Issuer, "/workspaces/")
	name, _, _ := strings.Cut(rest, "/")
	return cmp.Or(name, "workspace")
}

// LikeSubject reports whether a text has the form of a whole subject, {repository}:{step} or {repository}:{environment}:{step}, with or
// without braces. The {repository}:{environment} of these claims is not a whole subject.
func LikeSubject(s string, c oidc.Claims) bool {
	parts := strings.Split(Unbraced(s), ":")
	if slices.ContainsFunc(parts, func(part string) bool { return !IsUUID(part) }) {
		return false
	}
	return len(parts) == 3 || len(parts) == 2 && !strings.EqualFold(parts[1], Unbraced(c.Environment()))
}

// WorkspaceARI, followed by the UUID of the workspace without braces, is the audience of the workspace's tokens.
const WorkspaceARI = "ari:cloud:bitbucket::workspace/"

// WorkspaceAudience is the audience that every token of the workspace has. If these claims do not have it, it is their first audience.
func WorkspaceAudience(c oidc.Claims) string {
	for _, a := range c.Audience {
		if strings.HasPrefix(a, WorkspaceARI) {
			return a
		}
	}
	return c.Audience[0]
}

// Subject is the part of the subject that is the same in every step: {repository}, or {repository}:{environment}.
func Subject(c oidc.Claims) string {
	if env := c.Environment(); env != "" {
		return c.Repository() + ":" + env
	}
	return c.Repository()
}
