package live

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"bitbucket-oidc/internal/transport"
)

// An asker sends requests with one credential to one service.
type asker struct {
	client *http.Client
	header http.Header
	reason func(body []byte) string // what a refusal gives as its code, or empty
}

// errAbsent is the error of an answer that there is nothing of this name.
var errAbsent = errors.New("status 404")

// get sends a request without a body and reads the answer's JSON. The error begins with doing and repeats nothing that a server sent
// but a code.
func (a asker) get(ctx context.Context, method, url, doing string, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return errors.New(doing + ": the address cannot be used")
	}
	req.Header = a.header.Clone()
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "bitbucket-oidc")
	resp, err := a.client.Do(req)
	if err != nil {
		if e := transport.Unreachable(ctx, url, err); e != nil {
			return fmt.Errorf("%s: %w", doing, e)
		}
		return errors.New(doing + ": the request failed")
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body) // the transport has read and capped it
	switch {
	case err != nil:
		return errors.New(doing + ": the answer cannot be read")
	case resp.StatusCode == http.StatusNotFound:
		return fmt.Errorf("%s: %w", doing, errAbsent)
	case resp.StatusCode != http.StatusOK:
		text := "status " + strconv.Itoa(resp.StatusCode)
		if code := a.reason(data); word.MatchString(code) {
			text += " " + code
		}
		return errors.New(doing + ": " + text)
	}
	if json.Unmarshal(data, into) != nil {
		return errors.New(doing + ": the answer is not the JSON that it should be")
	}
	return nil
}
