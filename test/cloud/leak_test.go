package cloud

import (
	"encoding/base64"
	"net/url"
	"testing"
)

func TestSecretIn(t *testing.T) {
	secret := Secret{Kind: AWSKey, Value: "IQoJb3Jp/Z2lu+X2VjE="}
	for _, text := range []string{
		"key " + secret.Value + ".",
		"?X-Amz-Security-Token=" + url.QueryEscape(secret.Value),
		base64.StdEncoding.EncodeToString([]byte(secret.Value)),
		base64.StdEncoding.EncodeToString([]byte("AWS:" + secret.Value)),
		base64.StdEncoding.EncodeToString([]byte("user:" + secret.Value + ":more")),
		base64.StdEncoding.EncodeToString([]byte("token:" + secret.Value + ".")),
	} {
		if !secret.In(text) {
			t.Errorf("not found in %q", text)
		}
	}
	if secret.In("key " + secret.Value[1:]) {
		t.Error("found where it is not")
	}
}
