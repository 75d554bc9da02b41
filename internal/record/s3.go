package record

import (
	"context"
	"crypto/md5" //nolint:gosec // S3 wants it beside Object Lock; SHA-256 is there as well
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"path"
	"strings"
	"time"

	"bitbucket-oidc/internal/charset"
	"bitbucket-oidc/internal/hint"
	"bitbucket-oidc/internal/transport"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// S3 takes one object a command, signed with the credential that the command obtained.
type S3 struct {
	Bucket, Prefix string
	Retention      time.Duration // nobody can remove the object before (Object Lock); zero for the bucket's own rule
	Endpoint       string        // base URL, or empty for the region's own

	FIPS, DualStack bool // of the region's own endpoint
	Client          transport.Config
}

// ErrNoKeys is the error of [S3] without a credential: a bucket cannot get the record of a refusal.
var ErrNoKeys = hint.New("no credential of AWS to sign the request with, so the bucket gets no record of this",
	"name another place as well, such as RECORD_URL or RECORD_OTLP, for the records of refusals and logouts")

func (s *S3) take(ctx context.Context, b batch) error {
	if b.keys == nil {
		return ErrNoKeys
	}
	body := b.lines()
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, s.address(b.keys.Region, s.key(b)), strings.NewReader(string(body)))
	if err != nil {
		return errors.New("the bucket's address cannot be used")
	}
	sum, md5Sum := sha256.Sum256(body), md5.Sum(body) //nolint:gosec // see above
	digest := hex.EncodeToString(sum[:])
	for name, value := range map[string]string{
		"Content-Type":          "application/x-ndjson",
		"Content-Md5":           base64.StdEncoding.EncodeToString(md5Sum[:]),
		"X-Amz-Content-Sha256":  digest,
		"X-Amz-Checksum-Sha256": base64.StdEncoding.EncodeToString(sum[:]),
		"If-None-Match":         "*", // never writes over a record
		"User-Agent":            programName,
	} {
		req.Header.Set(name, value)
	}
	if s.Retention > 0 {
		req.Header.Set("X-Amz-Object-Lock-Mode", "COMPLIANCE")
		req.Header.Set("X-Amz-Object-Lock-Retain-Until-Date", time.Now().Add(s.Retention).UTC().Format("2006-01-02T15:04:05Z"))
	}
	keys := sdk.Credentials{AccessKeyID: b.keys.ID.Reveal(), SecretAccessKey: b.keys.Secret.Reveal(), SessionToken: b.keys.Session.Reveal()}
	// The path is signed as it is sent: S3 does not encode it a second time. It has no characters over which the two could differ.
	err = v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }).
		SignHTTP(ctx, keys, req, digest, "s3", b.keys.Region, time.Now())
	if err != nil {
		return errors.New("the request cannot be signed")
	}
	config := s.Client
	config.Trace = b.trace
	status, answer, err := do(ctx, transport.New(config), req)
	switch {
	case err != nil && ctx.Err() != nil:
		return err
	case err != nil:
		return hint.With(err, "S3 redirects to the bucket's region: AWS_REGION must be that one")
	case status == http.StatusPreconditionFailed:
		return nil // the key has the record's own id: an earlier attempt, whose answer was lost, has stored it
	}
	err = refusedBy(req.URL.String(), status, answer, "RECORD_S3 and AWS_REGION")
	if code := codeIn(answer); err != nil && code != "" {
		err = hint.With(errors.New(err.Error()+" "+code), s.advice(code))
	}
	return err
}

// key is the name of the object, a different one for every command, sorted by day:
// PREFIX/WORKSPACE/REPOSITORY/2026/11/28/STEP-RECORD.jsonl.
func (s *S3) key(b batch) string {
	first := b.events[0]
	step := strings.Trim(b.facts.stepUUID(), "{}")
	workspace, repository, _ := strings.Cut(b.facts.Step.Repository, "/")
	var parts []string
	for _, part := range []string{s.Prefix, plain(workspace), plain(repository), time.UnixMilli(first.Time).UTC().Format("2006/01/02")} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return path.Join(path.Join(parts...), plain(strings.TrimPrefix(step+"-", "-")+first.Metadata.UID)+".jsonl")
}

// plain is a name with only those characters that both sides of a signature encode alike.
func plain(name string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x80 && charset.Only(string(r), charset.Word+".-", 1, 1) {
			return r
		}
		return '-'
	}, name)
}

// address is that of an object. A bucket with dots has no certificate under its own name, and a server of one's own no such hosts.
func (s *S3) address(region, key string) string {
	key = strings.ReplaceAll(key, "=", "%3D") // as S3 signs it; Go leaves it as it is
	if s.Endpoint != "" {
		return strings.TrimSuffix(s.Endpoint, "/") + "/" + s.Bucket + "/" + key
	}
	host := "s3"
	if s.FIPS {
		host += "-fips"
	}
	if s.DualStack {
		host += ".dualstack"
	}
	host += "." + region + "." + suffix(region)
	if strings.Contains(s.Bucket, ".") {
		return "https://" + host + "/" + s.Bucket + "/" + key
	}
	return "https://" + s.Bucket + "." + host + "/" + key
}

// suffix ends the names of a region's hosts. Source: botocore, partitions.json.
func suffix(region string) string {
	for _, partition := range []struct{ prefix, suffix string }{
		{"cn-", "amazonaws.com.cn"}, {"eusc-", "amazonaws.eu"}, {"us-iso-", "c2s.ic.gov"}, {"us-isob-", "sc2s.sgov.gov"},
		{"us-isof-", "csp.hci.ic.gov"}, {"eu-isoe-", "cloud.adc-e.uk"},
	} {
		if strings.HasPrefix(region, partition.prefix) {
			return partition.suffix
		}
	}
	return "amazonaws.com"
}

// codeIn is S3's error code, if the answer is one of S3's and the code is a word.
func codeIn(answer []byte) string {
	_, rest, _ := strings.Cut(string(answer), "<Code>")
	code, _, found := strings.Cut(rest, "</Code>")
	if !found || !charset.Only(code, charset.Word, 1, 64) {
		return ""
	}
	return code
}

func (s *S3) advice(code string) string {
	switch code {
	case "AccessDenied":
		action := "s3:PutObject"
		if s.Retention > 0 {
			action += " and s3:PutObjectRetention"
		}
		return "the role needs " + action + " on arn:aws:s3:::" + s.Bucket + "/*"
	case "NoSuchBucket":
		return "make the bucket, or correct RECORD_S3"
	case "InvalidRequest":
		return "RECORD_S3_RETENTION needs a bucket with Object Lock"
	case "AuthorizationHeaderMalformed", "PermanentRedirect":
		return "AWS_REGION must be the bucket's region"
	}
	return "look at RECORD_S3, and at what the role may do with the bucket"
}
