// Command reader is the Go clients of AWS and Google: each signs in as its library does by default, from the environment
// and the files that it names, and makes one call.
//
// It is a program of its own, because the libraries read the environment of the process.
package main

import (
	"context"
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
	"golang.org/x/oauth2/google"
)

const scope = "https://www.googleapis.com/auth/cloud-platform"

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: reader sts|sts-twice|s3|auth|oauth2 URL")
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
	case "s3":
		return putAndGet(ctx, url)
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
