// Command reader is the Go clients of AWS, Google and Docker: each signs in as its library does by default, from the environment
// and the files that it names, and makes one call.
//
// It is a program of its own, because the libraries read the environment of the process.
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"cloud.google.com/go/auth/credentials"
	"cloud.google.com/go/auth/httptransport"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	awsv1 "github.com/aws/aws-sdk-go/aws"
	"github.com/aws/aws-sdk-go/aws/endpoints"
	"github.com/aws/aws-sdk-go/aws/session"
	stsv1 "github.com/aws/aws-sdk-go/service/sts"
	dockerconfig "github.com/docker/cli/cli/config"
	"golang.org/x/oauth2/google"
)

const scope = "https://www.googleapis.com/auth/cloud-platform"

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: reader sts|sts-twice|sts-v1|s3|docker|auth|oauth2 URL")
		os.Exit(2)
	}
	if err := read(context.Background(), os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "reader:", err)
		os.Exit(1)
	}
}

func read(ctx context.Context, client, url string) error {
	switch client {
	case "sts":
		return callerIdentity(ctx, url, 0)
	case "sts-twice":
		return callerIdentity(ctx, url, 4*time.Second)
	case "sts-v1":
		return callerIdentityV1(url)
	case "s3":
		return putAndGet(ctx, url)
	case "docker":
		return registry(ctx, url)
	case "auth":
		return withAuth(ctx, url)
	case "oauth2":
		return withOAuth2(ctx, url)
	}
	return errors.New("no such client: " + client)
}

// callerIdentity asks once, and again with the same client after a pause, if there is one.
func callerIdentity(ctx context.Context, url string, pause time.Duration) error {
	c, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return err
	}
	client := sts.NewFromConfig(c, func(o *sts.Options) { o.BaseEndpoint = &url })
	if _, err := client.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{}); err != nil || pause == 0 {
		return err
	}
	time.Sleep(pause)
	_, err = client.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	return err
}

// callerIdentityV1 asks with the SDK that came before, which many tools have in them. It does not take the URL of STS from the
// environment, neither for the call nor for an exchange of its own.
func callerIdentityV1(url string) error {
	resolve := func(service, region string, options ...func(*endpoints.Options)) (endpoints.ResolvedEndpoint, error) {
		if service == endpoints.StsServiceID {
			return endpoints.ResolvedEndpoint{URL: url, SigningRegion: region}, nil
		}
		return endpoints.DefaultResolver().EndpointFor(service, region, options...)
	}
	s, err := session.NewSession(&awsv1.Config{EndpointResolver: endpoints.ResolverFunc(resolve), MaxRetries: awsv1.Int(0)})
	if err != nil {
		return err
	}
	_, err = stsv1.New(s).GetCallerIdentity(&stsv1.GetCallerIdentityInput{})
	return err
}

// putAndGet writes an object and reads it again.
func putAndGet(ctx context.Context, url string) error {
	c, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return err
	}
	client := s3.NewFromConfig(c, func(o *s3.Options) {
		o.BaseEndpoint = &url
		o.UsePathStyle = true
	})
	bucket, key, text := aws.String("peers"), aws.String("from-go"), "hello"
	put := &s3.PutObjectInput{Bucket: bucket, Key: key, Body: strings.NewReader(text)}
	if _, err := client.PutObject(ctx, put); err != nil {
		return err
	}
	object, err := client.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: key})
	if err != nil {
		return err
	}
	defer object.Body.Close()
	got, err := io.ReadAll(object.Body)
	if err != nil {
		return err
	}
	if string(got) != text {
		return fmt.Errorf("read %q, wrote %q", got, text)
	}
	return nil
}

// registry asks a registry with the user name and password that Docker's library finds for it. Its certificate is one of a test.
func registry(ctx context.Context, url string) error {
	files := dockerconfig.LoadDefaultConfigFile(os.Stderr)
	login, err := files.GetAuthConfig(strings.TrimPrefix(url, "https://"))
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/v2/", nil)
	if err != nil {
		return err
	}
	request.SetBasicAuth(login.Username, login.Password)
	client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusUnauthorized {
		return errors.New(response.Status)
	}
	return nil
}

func withAuth(ctx context.Context, url string) error {
	c, err := credentials.DetectDefault(&credentials.DetectOptions{Scopes: []string{scope}})
	if err != nil {
		return err
	}
	client, err := httptransport.NewClient(&httptransport.Options{Credentials: c})
	if err != nil {
		return err
	}
	return listBuckets(ctx, client, url)
}

func withOAuth2(ctx context.Context, url string) error {
	client, err := google.DefaultClient(ctx, scope)
	if err != nil {
		return err
	}
	return listBuckets(ctx, client, url)
}

func listBuckets(ctx context.Context, client *http.Client, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/storage/v1/b", nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return errors.New(response.Status)
	}
	return nil
}
