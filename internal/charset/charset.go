// Package charset checks values by their length and characters. It is used instead of regular expressions with counted
// repetitions, because compiling those takes milliseconds at each start of the program.
package charset

import (
	"net/netip"
	"strings"
)

// Sets that many names share.
const (
	Digit     = "0-9"
	LowerName = "a-z0-9-"
	Word      = "A-Za-z0-9_"
	Visible   = "!-~" // of ASCII
)

// Only reports whether s has from least to most bytes, each of them in set: single characters and ranges such as "a-z". A dash at the
// end of set stands for itself.
func Only(s, set string, least, most int) bool {
	if len(s) < least || len(s) > most {
		return false
	}
	for i := range len(s) {
		if !in(s[i], set) {
			return false
		}
	}
	return true
}

func in(c byte, set string) bool {
	for i := 0; i < len(set); i++ {
		if i+2 < len(set) && set[i+1] == '-' {
			if c >= set[i] && c <= set[i+2] {
				return true
			}
			i += 2
		} else if c == set[i] {
			return true
		}
	}
	return false
}

// IsDomain reports whether s is a domain name of at least two labels, in lower case (RFC 1123, section 2.1).
func IsDomain(s string) bool {
	labels := strings.Split(s, ".")
	if len(labels) < 2 || len(s) > 253 || Only(labels[len(labels)-1], Digit, 1, 63) {
		return false
	}
	for _, label := range labels {
		if !Only(label, LowerName, 1, 63) || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
	}
	return true
}

// IsHost reports whether s is the host of a service, by name or IPv4 address, with or without a port.
func IsHost(s string) bool {
	host, port, ok := strings.Cut(s, ":")
	ip, err := netip.ParseAddr(host)
	return (IsDomain(host) || host == "localhost" || err == nil && ip.Is4()) && (!ok || Only(port, Digit, 1, 5))
}
