package aws

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/protocol/restjson"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// An authorization is what Docker logs in to a registry with, as ECR gives it (Amazon ECR API Reference, AuthorizationData).
type authorization struct {
	Token     string  `json:"authorizationToken"`
	ExpiresAt float64 `json:"expiresAt"` // seconds since 1970
}

// authorization asks the registry's service with the session, and also returns the id of the request. It is the only request to ECR
// that a login needs, in AWS's JSON 1.1: the SDK's clients for ECR have 80 more, and their tables take 1 ms of every start.
// Its errors are those that the SDK would make. If the answer is not exactly one login, the authorization is zero.
func (b *Backend) authorization(ctx context.Context, r Registry, from session) (authorization, string, error) {
	req, err := b.authorizationRequest(ctx, r, from)
	if err != nil {
		return authorization{}, "", err
	}
	resp, err := b.client.Do(req)
	if err != nil {
		return authorization{}, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body) // the transport has read and capped it
	if err != nil {
		return authorization{}, "", err
	}
	id := checkedRequest(resp.Header.Get("X-Amzn-Requestid"))
	if resp.StatusCode != http.StatusOK {
		return authorization{}, id, refusedBy(resp, body, id)
	}
	logins := make([]authorization, 1)
	var data any = &logins
	if r.public() { // which answers with one object, the others with a list
		data = &logins[0]
	}
	if err := json.Unmarshal(body, &struct {
		Data any `json:"authorizationData"`
	}{data}); err != nil {
		return authorization{}, id, failed(resp, id, err)
	}
	if len(logins) != 1 {
		return authorization{}, id, nil
	}
	return logins[0], id, nil
}

// authorizationRequest is signed with the session.
func (b *Backend) authorizationRequest(ctx context.Context, r Registry, from session) (*http.Request, error) {
	service, interfaceName, endpoint := b.registryService(r)
	if endpoint == "" {
		host, err := b.registryHost(service, r.Region)
		if err != nil {
			return nil, err
		}
		endpoint = "https://" + host
	}
	const everything = "{}" // the registry of the session's account, which is the only one that the session may ask for
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(endpoint, "/")+"/", strings.NewReader(everything))
	if err != nil {
		return nil, errors.New("the address cannot be used")
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	req.Header.Set("X-Amz-Target", interfaceName+".GetAuthorizationToken")
	req.Header.Set("User-Agent", "bitbucket-oidc")
	keys, err := from.provider().Retrieve(ctx)
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256([]byte(everything))
	return req, v4.NewSigner().SignHTTP(ctx, keys, req, hex.EncodeToString(digest[:]), service, r.Region, time.Now())
}

// registryService is the service that is asked for a registry's login: its name for signatures, its interface, and its address if
// the configuration names one.
func (b *Backend) registryService(r Registry) (name, interfaceName, endpoint string) {
	if r.public() {
		return "ecr-public", "SpencerFrontendService", b.ECRPublicEndpoint
	}
	return "ecr", "AmazonEC2ContainerRegistry_V20150921", b.ECREndpoint
}

// registryAt is the host that is asked for a registry's login; empty if the host is not known.
func (b *Backend) registryAt(r Registry) string {
	name, _, endpoint := b.registryService(r)
	if endpoint != "" {
		return hostOf(endpoint)
	}
	host, _ := b.registryHost(name, r.Region)
	return host
}

// registryHost is the host of a service for registries in a region. The region and what follows are as in STS's host; the beginning
// differs for FIPS and dual stack. Source: the rules of the SDK's clients for ECR; TestRegistryHosts compares the two.
func (b *Backend) registryHost(service, region string) (string, error) {
	sts, err := b.stsHost(region)
	if err != nil {
		return "", err
	}
	_, rest, _ := strings.Cut(sts, ".")
	if b.fips() {
		service += "-fips"
	}
	if !b.dualStack() {
		service = "api." + service
	}
	return service + "." + rest, nil
}

// refusedBy is the error of a refusal by ECR: the code is in a header or in the body.
func refusedBy(resp *http.Response, body []byte, id string) error {
	said, err := restjson.GetSmithyGenericAPIError(json.NewDecoder(bytes.NewReader(body)), restjson.SanitizeErrorCode(resp.Header.Get("X-Amzn-Errortype")))
	if err != nil {
		return failed(resp, id, err)
	}
	return failed(resp, id, said)
}

func failed(resp *http.Response, id string, err error) error {
	return &awshttp.ResponseError{
		RequestID:     id,
		ResponseError: &smithyhttp.ResponseError{Response: &smithyhttp.Response{Response: resp}, Err: err},
	}
}
