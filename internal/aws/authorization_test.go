package aws

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecrpublic"

	"bitbucket-oidc/internal/secret"
)

// TestRegistryHosts asks the SDK's clients for ECR, which the program does not have, where they would send the request.
func TestRegistryHosts(t *testing.T) {
	regions := []string{
		"us-east-1", "eu-west-1", "cn-north-1", "us-gov-west-1", "eusc-de-east-1", "us-iso-east-1", "us-isob-east-1", "us-isof-south-1", "eu-isoe-west-1",
	}
	for _, region := range regions {
		for _, fips := range []bool{false, true} {
			for _, dualStack := range []bool{false, true} {
				b := &Backend{}
				if fips {
					b.SDK.UseFIPSEndpoint = sdk.FIPSEndpointStateEnabled
				}
				if dualStack {
					b.SDK.UseDualStackEndpoint = sdk.DualStackEndpointStateEnabled
				}
				name := fmt.Sprintf("%s, FIPS %t, dual stack %t", region, fips, dualStack)
				want, wantErr := ecr.NewDefaultEndpointResolverV2().ResolveEndpoint(
					t.Context(), ecr.EndpointParameters{Region: &region, UseFIPS: &fips, UseDualStack: &dualStack},
				)
				if got, err := b.registryHost("ecr", region); got != want.URI.Host || (err == nil) != (wantErr == nil) {
					t.Errorf("%s: %s (%v), the SDK has %s (%v)", name, got, err, want.URI.Host, wantErr)
				}
				if region != publicRegion || fips && dualStack { // for which the SDK has a host that no page of AWS names
					continue
				}
				public, err := ecrpublic.NewDefaultEndpointResolverV2().ResolveEndpoint(
					t.Context(), ecrpublic.EndpointParameters{Region: &region, UseFIPS: &fips, UseDualStack: &dualStack},
				)
				if err != nil {
					t.Fatal(err)
				}
				if got, err := b.registryHost("ecr-public", region); got != public.URI.Host || err != nil {
					t.Errorf("%s: %s (%v) for public.ecr.aws, the SDK has %s", name, got, err, public.URI.Host)
				}
			}
		}
	}
}

func TestAuthorizationAnswers(t *testing.T) {
	const login = `{"authorizationToken": "QVdTOng=", "expiresAt": 1.9e9}`
	private, public := Registry{
		Host: "123456789012.dkr.ecr.eu-west-1.amazonaws.com", Account: "123456789012", Region: "eu-west-1",
	}, Registry{
		Host: PublicRegistry, Region: publicRegion,
	}
	for _, c := range []struct {
		name           string
		registry       Registry
		status         int
		code, body     string // the code of the header
		token, refusal string
	}{
		{name: "a list", registry: private, status: 200, body: `{"authorizationData": [` + login + `]}`, token: "QVdTOng="},
		{name: "an object", registry: public, status: 200, body: `{"authorizationData": ` + login + `}`, token: "QVdTOng="},
		{name: "a list of two", registry: private, status: 200, body: `{"authorizationData": [` + login + "," + login + `]}`},
		{name: "no list", registry: private, status: 200, body: `{}`},
		{name: "no object", registry: public, status: 200, body: `{"authorizationData": null}`},
		{name: "the other's form", registry: private, status: 200, body: `{"authorizationData": ` + login + `}`, refusal: "200 "},
		{name: "not JSON", registry: private, status: 200, body: "<html>", refusal: "200 "},
		{
			name: "a code in the header", registry: private, status: 400, code: "ServerException:http://internal.amazon.com/",
			body: `{"__type": "Other"}`, refusal: "400 ServerException",
		},
		{
			name: "a code in the body", registry: private, status: 400,
			body:    `{"__type": "com.amazonaws.ecr#AccessDeniedException", "message": "no"}`,
			refusal: "400 AccessDeniedException",
		},
		{name: "no code", registry: private, status: 403, body: `{}`, refusal: "403 "},
		{name: "no answer of AWS's", registry: private, status: 403, body: "<html>", refusal: "403 "},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if c.code != "" {
					w.Header().Set("X-Amzn-Errortype", c.code)
				}
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			}))
			t.Cleanup(server.Close)
			b := New(Config{ECREndpoint: server.URL, ECRPublicEndpoint: server.URL})
			got, _, err := b.authorization(t.Context(), c.registry, session{accessKeyID: goodID, secretKey: secret.New(goodKey)})
			refusal := ""
			if err != nil {
				said := answer(err)
				refusal = fmt.Sprintf("%d %s", said.Status, said.Code)
			}
			if got.Token != c.token || refusal != c.refusal {
				t.Errorf("token %q, refusal %q (%v)", got.Token, refusal, err)
			}
		})
	}
}
