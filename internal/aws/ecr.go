package aws

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	smithytime "github.com/aws/smithy-go/time"

	"bitbucket-oidc/internal/charset"
	"bitbucket-oidc/internal/federation"
	"bitbucket-oidc/internal/hint"
	"bitbucket-oidc/internal/secret"
)

// Registry is a private ECR registry or Amazon ECR Public. Each account has one private registry in each region.
type Registry struct {
	Host, Account, Region string // Account is empty for the public one
}

// PublicRegistry is the host of Amazon ECR Public. Its logins come from one region (Amazon ECR Public user guide, "Registry
// authentication").
const (
	PublicRegistry = "public.ecr.aws"
	publicRegion   = "us-east-1"
)

func (r Registry) public() bool { return r.Host == PublicRegistry }

// registryPattern is the host of a private registry (Amazon ECR user guide, "Amazon ECR private registries" and "dual
// stack endpoints").
const registryPattern = `^([0-9]{12})\.dkr(?:\.ecr(?:-fips)?\.([a-z0-9-]+)\.(?:amazonaws\.com(?:\.cn)?|amazonaws\.eu|c2s\.ic\.gov|sc2s\.sgov\.gov)|-ecr(?:-fips)?\.([a-z0-9-]+)\.on\.(?:aws|amazonwebservices\.(?:com\.cn|eu)))$`

// ParseRegistry reads a registry's host. Its errors say what is wrong and do not quote s.
func ParseRegistry(s string) (Registry, error) {
	if s == PublicRegistry {
		return Registry{Host: s, Region: publicRegion}, nil
	}
	m := regexp.MustCompile(registryPattern).FindStringSubmatch(s)
	if m == nil {
		return Registry{}, errors.New("not the host of an ECR registry")
	}
	r := Registry{Host: s, Account: m[1], Region: m[2] + m[3]}
	if !IsRegion(r.Region) {
		return Registry{}, errors.New("a host without a valid region")
	}
	return r, nil
}

// roleFor is the role that logs in to a registry: the role in the registry's account, or else the first role.
func (b *Backend) roleFor(r Registry) Role { return b.Roles[b.indexFor(r)] }

func (b *Backend) indexFor(r Registry) int {
	return max(0, slices.IndexFunc(b.Roles, func(role Role) bool { return role.last().Account == r.Account }))
}

// A login is what Docker gets for a registry.
type login struct {
	credential federation.Credential
	registry   federation.Registry
}

// logInAll gets Docker's password for each registry.
func (b *Backend) logInAll(ctx context.Context, sessions []session, targets []federation.Target) ([]login, []federation.Outcome, error) {
	return sideBySide(targets, func(i int, way *federation.Attempt) (login, error) {
		r := b.Registries[i]
		l, call, err := b.logIn(ctx, r, sessions[b.indexFor(r)])
		way.Called(call)
		return l, err
	})
}

func (b *Backend) logIn(ctx context.Context, r Registry, from session) (login, federation.Call, error) {
	call := federation.Call{Operation: "GetAuthorizationToken"}
	doing := "getting a Docker login with profile " + from.role.Profile
	data, id, err := b.authorization(ctx, r, from)
	if call.RequestID = id; err != nil {
		call.RequestID = failedRequest(err)
		return login{}, call, noted(err, explainRegistry(ctx, doing, r, from.principal, err))
	}
	if data.ExpiresAt == 0 {
		return login{}, call, hint.New(doing+": ECR's answer cannot be used: not one login", otherServer)
	}
	plain, err := base64.StdEncoding.DecodeString(data.Token)
	user, password, ok := strings.Cut(string(plain), ":")
	if err != nil || !ok || user != "AWS" || !charset.Only(password, charset.Visible, 1, maxPassword) {
		return login{}, call, hint.New(doing+": ECR's answer cannot be used: no password", otherServer)
	}
	expires := smithytime.ParseEpochSeconds(data.ExpiresAt).UTC()
	if from.expires.Before(expires) {
		expires = from.expires // the login ends with the session that it came from
	}
	call.Principal, call.Expires, call.CredentialID = from.principal, expires, secret.New(from.accessKeyID)
	call.Account, _ = accountOf(from.principal)
	return login{
		federation.Credential{
			Name: r.Host, Principal: from.principal, Expires: expires, Files: []string{federation.DockerConfig},
			Lengthen: "call the pipe again before Docker needs the registry",
		},
		federation.Registry{Host: r.Host, Username: user, Password: secret.New(password)},
	}, call, nil
}

// maxPassword is more than any password of ECR, which has about 2,500 characters.
const maxPassword = 64 << 10

func explainRegistry(ctx context.Context, doing string, r Registry, principal string, err error) error {
	if unreachable := unreachable(ctx, doing, "Amazon ECR in "+r.Region, err); unreachable != nil {
		return unreachable
	}
	said := answer(err)
	if e := (request{principal: principal, public: r.public()}).lookUp(registryRefusals(), doing, said); e != nil {
		return e
	}
	switch {
	case throttled(said.Code) || said.Status == 429 || said.Status >= 500:
		return hint.New(fmt.Sprintf("%s: ECR answered with status %d", doing, said.Status), "this is usually temporary: run the step again, or raise TIMEOUT")
	case said.Code != "":
		return hint.New(fmt.Sprintf("%s: %s (status %d)", doing, said.Code, said.Status), "the code is explained in the Amazon ECR API Reference, GetAuthorizationToken")
	}
	return hint.New(fmt.Sprintf("%s: the response is not from Amazon ECR (status %d)", doing, said.Status), otherServer)
}
