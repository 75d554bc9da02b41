package cloud

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/xml"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// An awsError is an error of the Query protocol. STS blames every 4xx on the sender.
type awsError struct {
	status  int
	code    string
	message string
}

func writeAWSError(w http.ResponseWriter, e *awsError) {
	type errorXML struct {
		Type    string
		Code    string
		Message string
	}
	fault := "Sender"
	if e.status >= http.StatusInternalServerError {
		fault = "Receiver"
	}
	writeXML(w, e.status, struct {
		XMLName   xml.Name `xml:"https://sts.amazonaws.com/doc/2011-06-15/ ErrorResponse"`
		Error     errorXML
		RequestID string `xml:"RequestId"`
	}{Error: errorXML{fault, e.code, e.message}, RequestID: newRequestID()})
}

// invalid is the error of a parameter that is wrong in itself.
func invalid(format string, args ...any) *awsError {
	return &awsError{http.StatusBadRequest, "ValidationError", fmt.Sprintf(format, args...)}
}

// parameters are those of a Query request that no one has taken yet. Taking checks, and collects what is wrong: STS
// reports all of it in one message.
type parameters struct {
	left     map[string]string
	problems []string
}

// parseQuery refuses what is ambiguous: another content type, a parameter sent twice.
func parseQuery(contentType string, body []byte) (*parameters, *awsError) {
	mediaType, options, err := mime.ParseMediaType(contentType)
	charset := strings.ToLower(options["charset"])
	if err != nil || mediaType != "application/x-www-form-urlencoded" || charset != "" && charset != "utf-8" {
		return nil, &awsError{http.StatusBadRequest, "MalformedQueryString", "The content type is not a form's."}
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, &awsError{http.StatusBadRequest, "MalformedQueryString", "The query string contains a syntax error."}
	}
	p := &parameters{left: map[string]string{}}
	for name, values := range form {
		if len(values) > 1 {
			return nil, &awsError{http.StatusBadRequest, "MalformedQueryString", "Duplicate parameter: " + name}
		}
		p.left[name] = values[0]
	}
	return p, nil
}

// take is a parameter as it is, empty if missing.
func (p *parameters) take(name string) string {
	value := p.left[name]
	delete(p.left, name)
	return value
}

// A limit is what the service model says of a string.
type limit struct {
	min, max int
	pattern  *regexp.Regexp // must match the whole; nil: anything
	words    string         // the pattern as AWS writes it
	secret   bool           // not to be quoted
}

// required is a parameter that must be there and within its limit.
func (p *parameters) required(name string, l limit) string {
	value, ok := p.left[name]
	if !ok {
		p.problem("Value null at '%s' failed to satisfy constraint: Member must not be null", memberName(name))
		return ""
	}
	delete(p.left, name)
	p.check(name, value, l)
	return value
}

// optional is a parameter that must be within its limit if it is there.
func (p *parameters) optional(name string, l limit) string {
	value, ok := p.left[name]
	if !ok {
		return ""
	}
	delete(p.left, name)
	p.check(name, value, l)
	return value
}

func (p *parameters) check(name, value string, l limit) {
	shown := "'" + value + "'"
	if l.secret {
		shown = "'***'"
	}
	const failed = "Value %s at '%s' failed to satisfy constraint: "
	switch n := utf8.RuneCountInString(value); {
	case n < l.min:
		p.problem(failed+"Member must have length greater than or equal to %d", shown, memberName(name), l.min)
	case l.max > 0 && n > l.max:
		p.problem(failed+"Member must have length less than or equal to %d", shown, memberName(name), l.max)
	}
	if l.pattern != nil && !l.pattern.MatchString(value) {
		p.problem(failed+"Member must satisfy regular expression pattern: %s", shown, memberName(name), l.words)
	}
}

// number is a whole number between two bounds, otherwise the default.
func (p *parameters) number(name string, least, most, otherwise int) int {
	text, ok := p.left[name]
	if !ok {
		return otherwise
	}
	delete(p.left, name)
	n, err := strconv.Atoi(text)
	const failed = "Value '%s' at '%s' failed to satisfy constraint: "
	switch {
	case err != nil:
		p.problem(failed+"Member must be an integer", text, memberName(name))
	case n < least:
		p.problem(failed+"Member must have value greater than or equal to %d", text, memberName(name), least)
	case n > most:
		p.problem(failed+"Member must have value less than or equal to %d", text, memberName(name), most)
	}
	return n
}

// list is `Name.member.1.Field`, `Name.member.2.Field`, … without gaps; the items of a list without fields have none.
func (p *parameters) list(name string, most int, fields ...string) []map[string]string {
	var list []map[string]string
	for {
		prefix := fmt.Sprintf("%s.member.%d", name, len(list)+1)
		item := map[string]string{}
		if value, ok := p.left[prefix]; ok && len(fields) == 0 {
			delete(p.left, prefix)
			item[""] = value
		}
		for _, field := range fields {
			if value, ok := p.left[prefix+"."+field]; ok {
				delete(p.left, prefix+"."+field)
				item[field] = value
			}
		}
		if len(item) == 0 {
			break
		}
		list = append(list, item)
	}
	if len(list) > most {
		p.problem("Value at '%s' failed to satisfy constraint: Member must have length less than or equal to %d",
			memberName(name), most)
	}
	return list
}

func (p *parameters) problem(format string, args ...any) {
	p.problems = append(p.problems, fmt.Sprintf(format, args...))
}

// failure is what is wrong with the parameters, those included that the action does not have.
func (p *parameters) failure() *awsError {
	if len(p.left) > 0 {
		return invalid("Unexpected parameters: %s", strings.Join(slices.Sorted(maps.Keys(p.left)), ", "))
	}
	switch n := len(p.problems); n {
	case 0:
		return nil
	case 1:
		return invalid("1 validation error detected: %s", p.problems[0])
	default:
		return invalid("%d validation errors detected: %s", n, strings.Join(p.problems, "; "))
	}
}

// memberName is a parameter as AWS's messages spell it: roleSessionName.
func memberName(name string) string { return strings.ToLower(name[:1]) + name[1:] }

// roleID is the stable unique id of a role. [IAM User Guide, IAM identifiers, unique ID prefixes]
func roleID(arn string) string {
	sum := sha256.Sum256([]byte(arn))
	return "AROA" + base32.StdEncoding.EncodeToString(sum[:])[:17]
}

func newRequestID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails, [crypto/rand.Read]
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:])
}
