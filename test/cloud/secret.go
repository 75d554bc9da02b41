package cloud

import (
	"crypto/rand"
	"encoding/base64"
	"strings"
)

// A Secret is a value that a fake handed out. Its kind decides which file may hold it.
type Secret struct {
	Kind  SecretKind
	Value string
}

// String keeps the value out of test logs.
func (s Secret) String() string { return string(s.Kind) }

// GoString keeps the value out of test logs under %#v as well.
func (s Secret) GoString() string { return string(s.Kind) }

// A SecretKind says what a secret opens.
type SecretKind string

// The kinds of secret.
const (
	StepToken      SecretKind = "step token"
	AWSKey         SecretKind = "AWS key"
	SinkKey        SecretKind = "records' authorization"
	AWSKeyID       SecretKind = "AWS key's id" // no secret by itself: records hold it, and logs do not
	ECRPassword    SecretKind = "ECR password"
	FederatedToken SecretKind = "Google federated token"
	AccessToken    SecretKind = "Google access token"
	IDToken        SecretKind = "Google ID token"
)

// newAccessKeyID is shaped like the id of a temporary key: `ASIA` and 16 more.
// [IAM User Guide, IAM identifiers, unique ID prefixes]
func newAccessKeyID() string { return "ASIA" + rand.Text()[:16] }

// newSecretKey has 40 characters, among them the two that trip up quoting.
func newSecretKey() string { return randomBase64(27) + "/+" + rand.Text()[:2] }

// newSessionToken is long and holds every character that trips up quoting and parsing: `/`, `+`, `=`.
func newSessionToken() string { return "IQoJb3JpZ2luX2VjE/+" + randomBase64(601) }

// newGoogleToken is shaped like Google's opaque tokens; part names what it is for, as real ones hint.
func newGoogleToken(part string) string {
	return "ya29." + part + "." + strings.NewReplacer("+", "-", "/", "_", "=", "").Replace(randomBase64(200))
}

// randomBase64 is n random bytes in standard base64; n%3 says how much padding ends it.
func randomBase64(n int) string {
	data := make([]byte, n)
	_, _ = rand.Read(data) // never fails, [crypto/rand.Read]
	return base64.StdEncoding.EncodeToString(data)
}
