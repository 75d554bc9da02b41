package test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"strings"
	"testing"
	"time"

	"bitbucket-oidc/test/cloud"
)

// A said is one request and its answer as the stand-in of a cloud had them. Values are flat; one that has no list has its name alone
// as well.
type said struct {
	server   *cloud.Server
	path     string
	header   http.Header // of the request
	asked    map[string]string
	status   int
	answer   http.Header
	answered map[string]string
	from, to time.Time
}

// listen notes what a server is asked and what it answers, for as many requests as a case makes.
func (tr *truth) listen(server *cloud.Server) {
	server.Inject(cloud.Repeat(32, func(w http.ResponseWriter, r *http.Request, fake http.Handler) {
		one := said{server: server, path: r.URL.Path, header: r.Header.Clone(), from: time.Now()}
		body, _ := io.ReadAll(r.Body)
		one.asked = values(body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		answer := httptest.NewRecorder()
		fake.ServeHTTP(answer, r)
		one.status, one.answer, one.answered, one.to = answer.Code, answer.Header(), values(answer.Body.Bytes()), time.Now()
		tr.mu.Lock()
		tr.heard = append(tr.heard, one)
		tr.mu.Unlock()
		maps.Copy(w.Header(), answer.Header())
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes())
	})...)
}

// values are those of a form, of JSON or of XML.
func values(body []byte) map[string]string {
	all := map[string]string{}
	switch text := strings.TrimSpace(string(body)); {
	case strings.HasPrefix(text, "{"):
		all = flat(body)
	case strings.HasPrefix(text, "<"):
		var name string
		for dec := xml.NewDecoder(bytes.NewReader(body)); ; {
			token, err := dec.Token()
			if err != nil {
				break
			}
			switch token := token.(type) {
			case xml.StartElement:
				name = token.Name.Local
			case xml.CharData:
				all[name] += strings.TrimSpace(string(token))
			}
		}
	default:
		form, _ := url.ParseQuery(text)
		for name := range form {
			all[name] = form.Get(name)
		}
	}
	return all
}

// flat is a JSON object by the path of each value. An empty list is one value.
func flat(data []byte) map[string]string {
	var value any
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if dec.Decode(&value) != nil {
		return map[string]string{"": string(data)}
	}
	one := map[string]string{}
	flatten(one, "", value)
	return one
}

func flatten(into map[string]string, path string, value any) {
	switch v := value.(type) {
	case map[string]any:
		for name, inner := range v {
			flatten(into, strings.TrimPrefix(path+"/"+name, "/"), inner)
		}
	case []any:
		for i, inner := range v {
			flatten(into, fmt.Sprintf("%s/%d", path, i), inner)
		}
		if len(v) == 0 {
			into[path] = "[]"
		}
	default:
		into[path] = fmt.Sprint(v)
	}
}

// last is the last exchange of the run with an operation.
func (tr *truth) last(operation string) said {
	tr.t.Helper()
	tr.mu.Lock()
	defer tr.mu.Unlock()
	for i := len(tr.heard) - 1; i >= 0; i-- {
		if tr.heard[i].operation() == operation {
			return tr.heard[i]
		}
	}
	tr.t.Fatalf("no cloud was asked for %s", operation)
	return said{}
}

// all are the exchanges of the run with an operation, in their order.
func (tr *truth) all(operation string) []said {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	var all []said
	for _, one := range tr.heard {
		if one.operation() == operation {
			all = append(all, one)
		}
	}
	return all
}

// operation is the cloud's name for what it was asked.
func (s said) operation() string {
	_, target, _ := strings.Cut(s.header.Get("X-Amz-Target"), ".")
	word := path.Base(s.path)
	_, method, _ := strings.Cut(word, ":")
	for _, name := range []string{s.asked["Action"], target, method, word} {
		if name != "" {
			return strings.ToUpper(name[:1]) + name[1:]
		}
	}
	return ""
}

// at is where the token went.
func (s said) at() map[string]string {
	u, _ := url.Parse(s.server.URL)
	return map[string]string{"dst_endpoint/hostname": u.Hostname(), "dst_endpoint/port": u.Port()}
}

// decided is when, and how long it took: never less than the stand-in took over all of it, and never more than the run.
func (tr *truth) decided(first, last said) map[string]string {
	return map[string]string{
		"time":     span(last.to.UnixMilli(), tr.to.UnixMilli()),
		"duration": span(last.to.Sub(first.from).Milliseconds(), tr.to.Sub(tr.from).Milliseconds()),
	}
}

// span is what a number must lie within.
func span(from, to int64) string { return fmt.Sprintf("%d…%d", from, to) }

// within reports whether a value is what is wanted.
func within(got, want string) bool {
	from, to, is := strings.Cut(want, "…")
	if !is {
		return got == want
	}
	var n, least, most int64
	if _, err := fmt.Sscan(got+" "+from+" "+to, &n, &least, &most); err != nil {
		return false
	}
	return least <= n && n <= most
}

// until is the end of what was handed out for so many seconds, in whole seconds from when the answer was given or read.
func (tr *truth) until(s said, seconds string) string {
	lasts, err := time.ParseDuration(seconds + "s")
	if err != nil {
		tr.t.Fatal(err)
	}
	return span(s.from.Add(lasts).Truncate(time.Second).UnixMilli(), tr.to.Add(lasts).UnixMilli())
}

// exactly is a point in time that an answer names.
func exactly(t *testing.T, text string) string {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(at.UnixMilli())
}
