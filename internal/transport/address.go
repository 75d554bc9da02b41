package transport

import (
	"errors"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"unicode"
)

// CheckEndpoint returns why raw cannot be the base URL of a service, or returns nil. The reason does not quote raw.
func CheckEndpoint(raw string) error {
	u, err := checkURL(raw)
	switch {
	case err != nil:
		return err
	case u.RawQuery != "", u.ForceQuery:
		return errors.New("a URL with a query")
	case u.Path != "" && u.Path != "/":
		return errors.New("a URL with a path")
	}
	return nil
}

// CheckURL returns why raw cannot be the address of a request, or returns nil. The reason does not quote raw. It may have a query
// (RFC 6749, section 3.2).
func CheckURL(raw string) error {
	_, err := checkURL(raw)
	return err
}

func checkURL(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil, u.Host == "", u.Hostname() == "":
		return nil, errors.New("not a URL")
	case strings.ContainsFunc(raw, func(r rune) bool { return !unicode.IsPrint(r) }): // a host would look like another one
		return nil, errors.New("a URL with characters that cannot be printed")
	case u.Port() != "" && !isPort(u.Port()):
		return nil, errors.New("a URL with a port that does not exist")
	case u.User != nil:
		return nil, errors.New("a URL with a user name")
	case strings.Contains(raw, "#"): // an empty fragment leaves no trace in u
		return nil, errors.New("a URL with a fragment")
	}
	return u, checkScheme(u)
}

func isPort(s string) bool {
	number, err := strconv.ParseUint(s, 10, 16)
	return err == nil && number > 0
}

func checkScheme(u *url.URL) error {
	if u.Scheme == "https" || u.Scheme == "http" && loopback(u.Hostname()) {
		return nil
	}
	return errors.New("not https")
}

func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
