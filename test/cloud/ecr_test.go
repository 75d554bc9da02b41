package cloud

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

func TestECR(t *testing.T) {
	world := testWorld(t)
	c := askSTS(t, world.STS, webIdentity(stepToken(world.Issuer, nil)), nil).Web.Credentials
	ask := func(c credentialsXML, service string) (int, string) {
		const body = `{}`
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, world.STS.URL+"/", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-amz-json-1.1")
		r.Header.Set("X-Amz-Target", ecrTarget)
		signed(c, service, body, "x-amz-target")(r)
		return do(t, r)
	}
	status, body := ask(c, "ecr")
	var answer struct {
		AuthorizationData []struct{ AuthorizationToken, ProxyEndpoint string }
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil || status != http.StatusOK || len(answer.AuthorizationData) != 1 {
		t.Fatalf("%d %s", status, body)
	}
	data := answer.AuthorizationData[0]
	if login, _ := base64.StdEncoding.DecodeString(data.AuthorizationToken); !strings.HasPrefix(string(login), "AWS:") {
		t.Error("the token is no login of user AWS")
	}
	if want := "https://123456789012.dkr.ecr.eu-west-1.amazonaws.com"; data.ProxyEndpoint != want {
		t.Errorf("endpoint = %s, want %s", data.ProxyEndpoint, want)
	}

	if status, body := ask(c, "sts"); status != http.StatusBadRequest || !strings.Contains(body, "InvalidSignatureException") {
		t.Errorf("signed for another service: %d %s", status, body)
	}
	c.SecretAccessKey = newSecretKey()
	if status, body := ask(c, "ecr"); status != http.StatusBadRequest || !strings.Contains(body, "InvalidSignatureException") {
		t.Errorf("wrong secret: %d %s", status, body)
	}
}
