package cloud

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Why a token is refused before anybody looks at its claims.
var (
	errNotJWT       = errors.New("not a signed JWT")
	errAlgorithm    = errors.New("algorithm is not RS256")
	errKeyID        = errors.New("no key of this id")
	errSignature    = errors.New("signature does not verify")
	errNotTimestamp = errors.New("timestamp is not an integer")
)

// An assertion is a token taken apart. Nothing in it can be relied on before verify.
type assertion struct {
	header struct {
		Algorithm string          `json:"alg"`
		KeyID     string          `json:"kid"`
		Critical  json.RawMessage `json:"crit"`
	}
	claims    map[string]any
	signed    string
	signature []byte
}

// parseAssertion takes a compact JWS apart as [RFC 7515] has it: three parts, base64url without padding, no white space.
func parseAssertion(token string) (assertion, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return assertion{}, errNotJWT
	}
	var decoded [3][]byte
	for i, part := range parts {
		data, err := base64.RawURLEncoding.Strict().DecodeString(part)
		if err != nil || strings.ContainsAny(part, "\r\n") { // the decoder skips line breaks
			return assertion{}, errNotJWT
		}
		decoded[i] = data
	}
	a := assertion{signed: parts[0] + "." + parts[1], signature: decoded[2]}
	if json.Unmarshal(decoded[0], &a.header) != nil || a.header.Critical != nil {
		return assertion{}, errNotJWT
	}
	decoder := json.NewDecoder(strings.NewReader(string(decoded[1])))
	decoder.UseNumber()
	if decoder.Decode(&a.claims) != nil || a.claims == nil {
		return assertion{}, errNotJWT
	}
	return a, nil
}

// verify checks the signature by one key and one algorithm: what the header asks for is compared, never obeyed.
func (a assertion) verify(key *signingKey) error {
	if a.header.Algorithm != "RS256" {
		return errAlgorithm
	}
	if a.header.KeyID != key.id {
		return errKeyID
	}
	digest := sha256.Sum256([]byte(a.signed))
	if rsa.VerifyPKCS1v15(&key.private.PublicKey, crypto.SHA256, digest[:], a.signature) != nil {
		return errSignature
	}
	return nil
}

// text is a claim of type string, or empty.
func (a assertion) text(claim string) string {
	s, _ := a.claims[claim].(string)
	return s
}

// audience is `aud` as a list, whether it came as one string or several, [RFC 7519, section 4.1.3].
func (a assertion) audience() []string {
	switch aud := a.claims["aud"].(type) {
	case string:
		return []string{aud}
	case []any:
		var list []string
		for _, v := range aud {
			s, ok := v.(string)
			if !ok {
				return nil
			}
			list = append(list, s)
		}
		return list
	}
	return nil
}

// timestamp is a NumericDate that both clouds want whole.
func (a assertion) timestamp(claim string) (time.Time, error) {
	number, ok := a.claims[claim].(json.Number)
	if !ok {
		return time.Time{}, fmt.Errorf("%s: %w", claim, errNotTimestamp)
	}
	seconds, err := number.Int64()
	if err != nil {
		return time.Time{}, fmt.Errorf("%s: %w", claim, errNotTimestamp)
	}
	return time.Unix(seconds, 0), nil
}
