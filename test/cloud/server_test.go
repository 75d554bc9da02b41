package cloud

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// post is one request to a server and what came of it; redirects are not followed.
func post(t *testing.T, server *Server, form url.Values, patience time.Duration) (status int, body string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL+"/", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	return response.StatusCode, string(data), err
}

func TestFaults(t *testing.T) {
	world := testWorld(t)
	form := webIdentity(stepToken(world.Issuer, nil))
	const patience = 10 * time.Second

	world.STS.Inject(Repeat(2, Answer(http.StatusServiceUnavailable, http.Header{"Retry-After": {"1"}}, "busy"))...)
	world.STS.Inject(Pass, HTML, Redirect(world.GoogleSTS.URL), AWSError(http.StatusBadRequest, "IDPCommunicationError", "slow"))
	for i, want := range []int{503, 503, 200, 200, 307, 400, 200} {
		if status, _, err := post(t, world.STS, form, patience); status != want || err != nil {
			t.Errorf("request %d: %d %v, want %d", i+1, status, err, want)
		}
	}

	world.STS.Inject(HangUp)
	if _, _, err := post(t, world.STS, form, patience); err == nil {
		t.Error("no error from a connection that was closed")
	}
	world.STS.Inject(Truncate)
	if status, _, err := post(t, world.STS, form, patience); status != http.StatusOK || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("truncated: %d %v", status, err)
	}
	world.STS.Inject(Hang)
	if _, _, err := post(t, world.STS, form, 50*time.Millisecond); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("hang: %v", err)
	}
	world.STS.Inject(Oversize(1 << 20))
	status, body, err := post(t, world.STS, form, patience)
	if status != http.StatusOK || err != nil || len(body) < 1<<20 || !strings.Contains(body, "AssumedRoleUser") {
		t.Errorf("oversize: %d %v, %d bytes", status, err, len(body))
	}
	world.STS.Inject(Echo(http.StatusBadRequest))
	if _, body, _ := post(t, world.STS, form, patience); !strings.Contains(body, form.Get("WebIdentityToken")) {
		t.Error("echo does not repeat the request")
	}

	if n := len(world.STS.Requests()); n != 12 {
		t.Errorf("%d requests on record, want 12: failed ones count", n)
	}
	if n := len(world.GoogleSTS.Requests()); n != 0 {
		t.Errorf("%d requests where the redirect led, want 0", n)
	}
}
