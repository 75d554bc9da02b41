// Package oidc reads the identity token of a Bitbucket step. It decodes the token and never verifies it: the cloud does.
package oidc

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"

	"bitbucket-oidc/internal/charset"
	"bitbucket-oidc/internal/secret"
)

// maxLength bounds a token. AWS takes at most 20,000 characters (AssumeRoleWithWebIdentity), and a Bitbucket token has
// about 1,500.
const maxLength = 64 << 10

// Token is a step's identity token. Like every [secret.Text] it prints as a placeholder.
type Token struct {
	Claims Claims
	raw    secret.Text
}

// Claims are what a token says about its step. Only Issuer, Subject, Audience and Expires are always present.
//
// Source: Atlassian, "Integrate Pipelines with resource servers using OIDC". UUIDs are in braces, except in the audience.
type Claims struct {
	// Issuer is https://api.bitbucket.org/2.0/workspaces/SLUG/pipelines-config/identity/oidc: one for each workspace, and
	// it changes when the workspace is renamed.
	Issuer string
	// Audience is the workspace's ari:cloud:bitbucket::workspace/UUID, without braces, and after it the audiences that the
	// step asked for.
	Audience []string
	// Subject is {repository}:{step}, or {repository}:{environment}:{step} on a deployment step. Every step run has a
	// new one.
	Subject string
	Expires time.Time
	// IssuedAt is zero if the token does not say.
	IssuedAt time.Time

	RepositoryUUID string
	WorkspaceUUID  string
	PipelineUUID   string
	StepUUID       string
	// DeploymentEnvironmentUUID is present on steps with `deployment:` only.
	DeploymentEnvironmentUUID string
	// BranchName is present on branch builds. Whether other builds have it is not confirmed.
	BranchName string
}

// payload is the wire form. Claims that are not needed are not read, so that an unexpected type in one of them cannot
// break a login.
type payload struct {
	Issuer      string      `json:"iss"`
	Audience    audience    `json:"aud"`
	Subject     string      `json:"sub"`
	Expires     numericDate `json:"exp"`
	IssuedAt    numericDate `json:"iat"`
	Repository  string      `json:"repositoryUuid"`
	Workspace   string      `json:"workspaceUuid"`
	Pipeline    string      `json:"pipelineUuid"`
	Step        string      `json:"stepUuid"`
	Environment string      `json:"deploymentEnvironmentUuid"`
	Branch      string      `json:"branchName"`
}

// Parse decodes a compact JWS. Its errors never quote the token.
func Parse(raw string) (Token, error) {
	raw = strings.TrimSpace(raw)
	if len(raw) > maxLength {
		return Token{}, fmt.Errorf("token: %d characters, more than %d", len(raw), maxLength)
	}
	if strings.ContainsAny(raw, "\r\n") { // package base64 would ignore it
		return Token{}, errors.New("token: a line break inside it")
	}
	parts := strings.Split(raw, ".")
	if len(parts) == 3 && parts[2] == "" {
		return Token{}, errors.New("token: signature: none")
	}
	if len(parts) != 3 {
		return Token{}, fmt.Errorf("token: %d parts between dots, not the 3 of a signed JWT", len(parts))
	}
	var header struct {
		Algorithm string `json:"alg"`
	}
	if err := decode(parts[0], &header); err != nil {
		return Token{}, fmt.Errorf("token: header: %w", err)
	}
	if header.Algorithm == "" {
		return Token{}, errors.New("token: header: no alg")
	}
	if _, err := base64.RawURLEncoding.DecodeString(parts[2]); err != nil {
		return Token{}, errors.New("token: signature: not base64url")
	}
	data, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return Token{}, errors.New("token: claims: not base64url")
	}
	claims, err := parseClaims(data)
	if err != nil {
		return Token{}, fmt.Errorf("token: %w", err)
	}
	if claims.Expires.IsZero() {
		return Token{}, errors.New("token: claims: no exp")
	}
	return Token{raw: secret.New(raw), Claims: claims}, nil
}

// ParseClaims reads claims without a token, as JSON. They need no expiry. It returns the claims that it knows, and all claims with numbers
// as [json.Number]. Its errors never quote the claims.
func ParseClaims(data []byte) (Claims, map[string]any, error) {
	if len(data) > maxLength {
		return Claims{}, nil, fmt.Errorf("claims: more than %d characters", maxLength)
	}
	claims, err := parseClaims(data)
	if err != nil {
		return Claims{}, nil, err
	}
	return claims, allClaims(data), nil
}

func parseClaims(data []byte) (Claims, error) {
	var p payload
	if err := object(data, &p); err != nil {
		return Claims{}, fmt.Errorf("claims: %w", err)
	}
	switch {
	case p.Issuer == "":
		return Claims{}, errors.New("claims: no iss")
	case p.Subject == "":
		return Claims{}, errors.New("claims: no sub")
	case len(p.Audience) == 0:
		return Claims{}, errors.New("claims: no aud")
	}
	// The branch's name is left out, because people choose it: an emoji can consist of several characters that do not print.
	for _, value := range append([]string{p.Issuer, p.Subject, p.Repository, p.Workspace, p.Pipeline, p.Step, p.Environment}, p.Audience...) {
		if strings.ContainsFunc(value, func(r rune) bool { return !unicode.IsPrint(r) }) {
			return Claims{}, errors.New("claims: a value with characters that cannot be printed")
		}
	}
	return Claims{
		Issuer: p.Issuer, Audience: p.Audience, Subject: p.Subject,
		Expires: p.Expires.Time, IssuedAt: p.IssuedAt.Time,
		RepositoryUUID: p.Repository, WorkspaceUUID: p.Workspace, PipelineUUID: p.Pipeline, StepUUID: p.Step,
		DeploymentEnvironmentUUID: p.Environment, BranchName: p.Branch,
	}, nil
}

// allClaims decodes claims that parseClaims accepted.
func allClaims(data []byte) map[string]any {
	var all map[string]any
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	_ = dec.Decode(&all)
	return all
}

// Reveal returns the token itself.
func (t Token) Reveal() string { return t.raw.Reveal() }

// All is every claim of the token, numbers as [json.Number]. None of them is secret.
func (t Token) All() map[string]any {
	parts := strings.Split(t.Reveal(), ".")
	if len(parts) != 3 {
		return nil // the zero Token
	}
	data, _ := base64.RawURLEncoding.DecodeString(parts[1])
	return allClaims(data)
}

// Format implements [fmt.Formatter] for every verb.
func (t Token) Format(f fmt.State, verb rune) { t.raw.Format(f, verb) }

// MarshalText implements [encoding.TextMarshaler], and so JSON.
func (t Token) MarshalText() ([]byte, error) { return t.raw.MarshalText() }

// Header is what a token says about its signature. The issuer wrote both texts.
type Header struct {
	Algorithm string `json:"alg"`
	KeyID     string `json:"kid"` // empty if the token does not say
}

// Header decodes the header of the token.
func (t Token) Header() Header {
	var h Header
	first, _, _ := strings.Cut(t.Reveal(), ".")
	_ = decode(first, &h) // Parse has decoded it once already; the zero Token has none
	return h
}

// SHA256 is the digest of the token in hexadecimal, so that an audit can recognise the token without having it.
func (t Token) SHA256() string {
	sum := sha256.Sum256([]byte(t.Reveal()))
	return hex.EncodeToString(sum[:])
}

// Repository is the UUID of the repository in braces: the claim, or else the first part of the subject.
func (c Claims) Repository() string {
	if c.RepositoryUUID != "" {
		return c.RepositoryUUID
	}
	first, _, _ := strings.Cut(c.Subject, ":")
	return first
}

// Environment is the UUID of the deployment environment in braces: the claim, or else the middle of a subject with three parts. It is
// empty when the step is not a deployment.
func (c Claims) Environment() string {
	if c.DeploymentEnvironmentUUID != "" {
		return c.DeploymentEnvironmentUUID
	}
	if parts := strings.Split(c.Subject, ":"); len(parts) == 3 {
		return parts[1]
	}
	return ""
}

// Identity is a text with the claims that the trust configuration of a service must match.
func (c Claims) Identity() string {
	return fmt.Sprintf("the token says: issuer %s, audience %s, subject %s", c.Issuer, strings.Join(c.Audience, " and "), c.Subject)
}

// Odd replaces the value of a claim that does not have the form that Bitbucket writes.
const Odd = "NOT-AS-BITBUCKET-WRITES-IT"

// Pasteable are the claims with [Odd] instead of each value that must not get into a policy or a condition that people paste: a quote
// ends a string there, and a star is a wildcard. The branch's name stays, because no such text contains it.
func (c Claims) Pasteable() Claims {
	const uuid = charset.Word + "{}-"
	only := func(value *string, set string) {
		if *value != "" && !charset.Only(*value, set, 1, 2048) {
			*value = Odd
		}
	}
	only(&c.Issuer, charset.Word+".~:/-")
	c.Audience = slices.Clone(c.Audience)
	for i := range c.Audience {
		only(&c.Audience[i], charset.Word+".~:/@+=,#&%-") // a step chooses the audiences after the first one
	}
	only(&c.Subject, charset.Word+"{}:-")
	for _, value := range []*string{&c.RepositoryUUID, &c.WorkspaceUUID, &c.PipelineUUID, &c.StepUUID, &c.DeploymentEnvironmentUUID} {
		only(value, uuid)
	}
	return c
}

// Age is the advice about an expired token: when it expired, how old the step is, and what to do.
func (c Claims) Age(now time.Time) string {
	text := "the token expired at " + c.Expires.Format(time.RFC3339)
	if !c.IssuedAt.IsZero() {
		text += ", the step is " + now.Sub(c.IssuedAt).Truncate(time.Second).String() + " old"
	}
	return text + ": Bitbucket mints one token for each step and does not renew it, so call the pipe early in the step, or split the step"
}

// decode reads one part of a JWT.
func decode(part string, into any) error {
	data, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		return errors.New("not base64url")
	}
	return object(data, into)
}

// object reads a JSON object. It drops the causes of encoding/json, because they quote their input.
func object(data []byte, into any) error {
	if !bytes.HasPrefix(bytes.TrimSpace(data), []byte("{")) {
		return errors.New("not a JSON object")
	}
	var wrongType *json.UnmarshalTypeError
	switch err := json.Unmarshal(data, into); {
	case errors.As(err, &wrongType):
		return fmt.Errorf("%s: a JSON %s does not belong there", wrongType.Field, jsonKind(wrongType.Value))
	case err != nil:
		return errors.New("not the JSON of a token")
	}
	return nil
}

// jsonKind is the first word of an UnmarshalTypeError's Value. For numbers, the value itself follows.
func jsonKind(value string) string {
	kind, _, _ := strings.Cut(value, " ")
	return kind
}

// audience is a string, or a list of strings once a step asks for audiences of its own (BCLOUD-24028).
type audience []string

func (a *audience) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		if one != "" {
			*a = audience{one}
		}
		return nil
	}
	var list []string
	if json.Unmarshal(data, &list) != nil || slices.Contains(list, "") {
		return errors.New("aud is neither a string nor a list of strings")
	}
	*a = list
	return nil
}

// numericDate is seconds since 1970 (RFC 7519, section 2). AWS takes whole seconds only.
type numericDate struct{ time.Time }

// latest is 9999-12-31, the last day that RFC 3339 can write.
const latest = 253402300799

func (d *numericDate) UnmarshalJSON(data []byte) error {
	var seconds float64
	if json.Unmarshal(data, &seconds) != nil || seconds < 0 || seconds > latest {
		return errors.New("not a date in seconds")
	}
	if seconds > 0 {
		d.Time = time.Unix(int64(math.Floor(seconds)), 0).UTC()
	}
	return nil
}
