package chaos

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"time"

	"bitbucket-oidc/test/cloud"
)

// A verdict is what a login must make of a fault.
type verdict int

const (
	passes    verdict = iota // tried again: once, it costs an attempt; always, it ends with the fifth
	throttles                // the same, with pauses that may lead past TIMEOUT before the fifth
	ends                     // no use in trying again: it ends with the first attempt
	hangs                    // only time ends it: TIMEOUT, or before that the attempt's own
	harmless                 // the answer is as good as any
)

// A fault is a row of the matrix.
type fault struct {
	group, name string
	verdict     verdict

	// arrange makes the cell's request meet it.
	arrange func(*cell) error

	// only tells which requests can meet it; nil: all.
	only func(request) bool

	// late is a fault that goes away when the first attempt has failed, however soon the second comes.
	late bool

	body    bool          // it spoils the body of the answer
	timeout time.Duration // TIMEOUT, where the fault wants another
	skew    time.Duration // how far the clouds' clock is ahead of the runner's
}

// answers are faults of one request: of all requests to the server, it alone meets them.
func answers(fault cloud.Fault) func(*cell) error {
	return func(c *cell) error {
		inject(c.server(), c.request, c.once, fault)
		return c.direct()
	}
}

// connections are faults of the request's connection.
func connections(spoil func(net.Conn)) func(*cell) error {
	return func(c *cell) error {
		inject(c.server(), c.request, true, cloud.Pass) // its connection is its own
		return c.behind(spoil)
	}
}

// status is an answer with a status and nothing else. The server asks not to wait.
func status(code int) cloud.Fault {
	return cloud.Answer(code, http.Header{"Retry-After": {"0"}}, "")
}

func faults() []fault {
	var all []fault
	group := ""
	add := func(name string, v verdict, arrange func(*cell) error) {
		all = append(all, fault{group: group, name: name, verdict: v, arrange: arrange})
	}
	within := func(timeout time.Duration) { all[len(all)-1].timeout = timeout }
	skewed := func(skew time.Duration) { all[len(all)-1].skew = skew }
	late := func() { all[len(all)-1].late = true }
	body := func() { all[len(all)-1].body = true }
	const brief = 1200 * time.Millisecond // for what only TIMEOUT ends

	group = "Connection"
	add("refused", passes, refused)
	late()
	add("reset at once", passes, connections(reset))
	add("closed at once", passes, connections(func(net.Conn) {}))
	add("another protocol", passes, connections(says("SSH-2.0-OpenSSH_9.2\r\n")))
	add("silent", hangs, connections(silent))
	within(brief)
	add("closed before the answer", passes, answers(cloud.HangUp))
	add("reset before the answer", passes, answers(raw("", reset)))
	add("reset inside the status", passes, answers(raw("HTTP/1.1 2", reset)))
	add("reset inside the headers", passes, answers(raw("HTTP/1.1 200 OK\r\nContent-Type: applic", reset)))
	add("reset inside the body", passes, answers(raw("HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n{\"access_token\": \"", reset)))

	group = "Answer"
	add("cut short", passes, answers(cloud.Truncate))
	body()
	add("cut short, in chunks", passes, answers(raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n{\"a\"\r\n", closed)))
	add("cut short, a failure", passes, answers(raw("HTTP/1.1 403 Forbidden\r\nContent-Length: 4000\r\n\r\n{\"error\"", closed)))
	add("64 MiB before the end", ends, answers(cloud.Oversize(64<<20)))
	body()
	add("without end", ends, answers(endless(http.StatusOK)))
	add("a refusal without end", ends, answers(endless(http.StatusForbidden)))
	add("gzip that unpacks to 1 GiB", ends, answers(bomb))
	add("1 MiB of headers", passes, answers(wideHeaders))
	add("103 without end", passes, answers(hints))
	add("101 Switching Protocols", ends, answers(raw("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n", closed)))
	add("a sign-in page", ends, answers(cloud.HTML))
	add("empty", ends, answers(cloud.Answer(http.StatusOK, nil, "")))
	body()
	add("null", ends, answers(cloud.Answer(http.StatusOK, jsonType(), "null")))
	add("{}", ends, answers(cloud.Answer(http.StatusOK, jsonType(), "{}")))
	add("a list", ends, answers(cloud.Answer(http.StatusOK, jsonType(), "[]")))
	add("100,000 brackets", ends, answers(cloud.Answer(http.StatusOK, jsonType(), strings.Repeat("[", 100_000))))
	add("an XML entity that grows", ends, answers(cloud.Answer(http.StatusOK, http.Header{"Content-Type": {"text/xml"}}, entities())))
	add("UTF-16", ends, answers(recoded(utf16)))
	body()
	add("another content type", harmless, answers(retyped("text/html; charset=utf-8")))
	add("no content type", harmless, answers(retyped("")))
	add("gzip, and so labelled", harmless, answers(zipped))
	add("labelled as gzip, and is not", passes, answers(labelled("gzip")))
	body()
	add("all that was asked, 200", ends, answers(cloud.Echo(http.StatusOK)))
	add("all that was asked, 403", ends, answers(cloud.Echo(http.StatusForbidden)))
	add("all that was asked, 500", passes, answers(cloud.Echo(http.StatusInternalServerError)))
	add("all that was asked, behind the answer", passes, answers(cloud.EchoBehind(http.StatusInternalServerError)))

	group = "Time"
	add("headers by the byte, one second", harmless, answers(slowHeaders(time.Second)))
	add("body by the byte, one second", harmless, answers(slowBody(time.Second)))
	body()
	add("no answer", hangs, answers(cloud.Hang))
	within(brief)
	add("headers by the byte, without end", hangs, answers(slowHeaders(serverLimit)))
	within(brief)
	add("silent after the headers", hangs, answers(raw("HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n", silent)))
	within(brief)
	add("body by the byte, without end", hangs, answers(slowBody(serverLimit)))
	body()
	within(brief)

	group = "Redirect"
	for _, code := range []int{301, 302, 303, 307, 308} {
		add(fmt.Sprintf("%d, same host", code), ends, answers(redirect(code, "/elsewhere")))
		add(fmt.Sprintf("%d, other host", code), ends, answers(redirect(code, "https://other.chaos.example/")))
		add(fmt.Sprintf("%d, http", code), ends, answers(redirect(code, "http://other.chaos.example/")))
	}
	add("307, nowhere", ends, answers(cloud.Answer(http.StatusTemporaryRedirect, nil, "")))
	add("300", ends, answers(status(http.StatusMultipleChoices)))
	add("304", ends, answers(status(http.StatusNotModified)))

	group = "TLS"
	add("unknown authority", ends, certificate(func(c *cell) (*authority, string, time.Time) { return c.stranger, c.name(), time.Now() }))
	add("expired", ends, certificate(func(c *cell) (*authority, string, time.Time) {
		return c.trusted, c.name(), time.Now().Add(-2 * time.Hour)
	}))
	add("not valid yet", ends, certificate(func(c *cell) (*authority, string, time.Time) { return c.trusted, c.name(), time.Now().Add(time.Hour) }))
	add("another name", ends, certificate(func(c *cell) (*authority, string, time.Time) {
		return c.trusted, "other.chaos.example", time.Now().Add(-time.Minute)
	}))
	add("TLS 1.1 at most", passes, oldTLS)
	add("plain http", ends, unsecured(says("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")))
	add("silent in the handshake", hangs, unsecured(silent))
	within(brief)
	add("HTTP/2, and a frame that locks Go's client up", passes, windowOverflow)
	add("reset in the handshake", passes, unsecured(func(conn net.Conn) {
		_, _ = conn.Read(make([]byte, 1))
		reset(conn)
	}))

	group = "Proxy"
	for _, code := range []int{401, 403, 407} {
		add(fmt.Sprintf("refuses with %d", code), ends, proxy(says(fmt.Sprintf("HTTP/1.1 %d No\r\nContent-Length: 0\r\n\r\n", code))))
	}
	for _, code := range []int{502, 503, 504} {
		add(fmt.Sprintf("refuses with %d", code), passes, proxy(says(fmt.Sprintf("HTTP/1.1 %d No\r\nContent-Length: 0\r\n\r\n", code))))
	}
	add("not there", passes, noProxy)
	late()
	add("reset at once", passes, proxy(reset))
	add("another protocol", passes, proxy(says("SSH-2.0-OpenSSH_9.2\r\n")))
	add("silent", hangs, proxy(silent))
	within(brief)

	group = "DNS"
	add("no such name", passes, names(3))
	late()
	add("server failure", passes, names(2))
	late()
	add("silent", hangs, names(0))
	within(brief)

	group = "Clock"
	add("the runner is 10 minutes behind", harmless, (*cell).direct)
	skewed(10 * time.Minute)
	add("the runner is 10 minutes ahead", harmless, (*cell).direct)
	skewed(-10 * time.Minute)

	group = "Retry-After"
	for _, code := range []int{429, 503} {
		v := passes
		if code == http.StatusTooManyRequests {
			v = throttles
		}
		after := func(value string) func(*cell) error {
			return answers(cloud.Answer(code, http.Header{"Retry-After": {value}}, ""))
		}
		add(fmt.Sprintf("%d, none", code), v, answers(cloud.Answer(code, nil, "")))
		add(fmt.Sprintf("%d, 1 second", code), v, after("1"))
		add(fmt.Sprintf("%d, a date that is over", code), passes, after("Wed, 21 Oct 2015 07:28:00 GMT"))
		add(fmt.Sprintf("%d, no number and no date", code), v, after("soon"))
		add(fmt.Sprintf("%d, less than nothing", code), v, after("-1"))
		add(fmt.Sprintf("%d, past TIMEOUT", code), ends, after("3600"))
		add(fmt.Sprintf("%d, a number beyond all", code), ends, after("99999999999999999999"))
	}

	group = "Status"
	for _, code := range registered() {
		v := ends
		if code == 408 || code == 425 || code == 429 || code >= 500 {
			v = passes
		}
		add(strconv.Itoa(code), v, answers(status(code)))
	}
	for _, d := range documentedFailures() {
		all = append(all, d.fault())
	}
	return all
}

// registered are all statuses of failures that IANA's registry has, those of Vault [Vault, API, HTTP status codes], and two
// that nobody registered.
func registered() []int {
	var all []int
	for code := 400; code < 600; code++ {
		if http.StatusText(code) != "" {
			all = append(all, code)
		}
	}
	return append(all, 472, 473, 499, 520)
}

func jsonType() http.Header { return http.Header{"Content-Type": {"application/json"}} }

// raw sends text as it is in place of an answer, and then does as said with the connection.
func raw(text string, then func(net.Conn)) cloud.Fault {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(serverLimit))
		_, _ = io.WriteString(conn, text)
		then(conn)
	}
}

func closed(conn net.Conn) { _ = conn.Close() }

// endless goes on until the client leaves.
func endless(code int) cloud.Fault {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.WriteHeader(code)
		block := bytes.Repeat([]byte(" "), 1<<16)
		for end := time.Now().Add(serverLimit); time.Now().Before(end); {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	}
}

// bomb is small on the wire and large in memory.
func bomb(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Encoding", "gzip")
	zip := gzip.NewWriter(w)
	block := bytes.Repeat([]byte(" "), 1<<20)
	for range 1 << 10 {
		if _, err := zip.Write(block); err != nil {
			return
		}
	}
	_ = zip.Close()
}

func wideHeaders(w http.ResponseWriter, r *http.Request, fake http.Handler) {
	for i := range 1 << 10 {
		w.Header().Set(fmt.Sprintf("X-Filler-%d", i), strings.Repeat("x", 1<<10))
	}
	fake.ServeHTTP(w, r)
}

// hints are answers before the answer, of which HTTP sets no limit [RFC 9110, section 15.2].
func hints(w http.ResponseWriter, r *http.Request, fake http.Handler) {
	raw("", func(conn net.Conn) {
		for end := time.Now().Add(serverLimit); time.Now().Before(end); {
			if _, err := io.WriteString(conn, "HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n"); err != nil {
				return
			}
		}
	})(w, r, fake)
}

// entities is a document whose last entity is ten to the ninth times as long as its first.
func entities() string {
	var b strings.Builder
	b.WriteString(`<?xml version="1.0"?><!DOCTYPE a [<!ENTITY e0 "x">`)
	for i := range 9 {
		fmt.Fprintf(&b, `<!ENTITY e%d "%s">`, i+1, strings.Repeat(fmt.Sprintf("&e%d;", i), 10))
	}
	b.WriteString("]><a>&e9;</a>")
	return b.String()
}

// recoded is the fake's own answer in another form.
func recoded(change func(http.Header, []byte) []byte) cloud.Fault {
	return func(w http.ResponseWriter, r *http.Request, fake http.Handler) {
		answer := httptest.NewRecorder()
		fake.ServeHTTP(answer, r)
		maps.Copy(w.Header(), answer.Header())
		body := change(w.Header(), answer.Body.Bytes())
		w.WriteHeader(answer.Code)
		_, _ = w.Write(body)
	}
}

func utf16(_ http.Header, body []byte) []byte {
	wide := []byte{0xff, 0xfe}
	for _, b := range body {
		wide = append(wide, b, 0)
	}
	return wide
}

func retyped(contentType string) cloud.Fault {
	return recoded(func(h http.Header, body []byte) []byte {
		h["Content-Type"] = nil // nil keeps the server from guessing
		if contentType != "" {
			h.Set("Content-Type", contentType)
		}
		return body
	})
}

func labelled(encoding string) cloud.Fault {
	return recoded(func(h http.Header, body []byte) []byte {
		h.Set("Content-Encoding", encoding)
		return body
	})
}

// zipped packs the answer if the client said that it takes it, as servers do.
func zipped(w http.ResponseWriter, r *http.Request, fake http.Handler) {
	if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		fake.ServeHTTP(w, r)
		return
	}
	recoded(func(h http.Header, body []byte) []byte {
		h.Set("Content-Encoding", "gzip")
		var packed bytes.Buffer
		zip := gzip.NewWriter(&packed)
		_, _ = zip.Write(body)
		_ = zip.Close()
		return packed.Bytes()
	})(w, r, fake)
}

// slowHeaders is the fake's own answer whose first 20 bytes take as long as said.
func slowHeaders(lasts time.Duration) cloud.Fault { return dripping(0, lasts) }

// slowBody is the fake's own answer whose first 20 bytes of the body take as long as said.
func slowBody(lasts time.Duration) cloud.Fault { return dripping(1, lasts) }

func dripping(part int, lasts time.Duration) cloud.Fault {
	return func(w http.ResponseWriter, r *http.Request, fake http.Handler) {
		answer := httptest.NewRecorder()
		fake.ServeHTTP(answer, r)
		result := answer.Result()
		result.ContentLength = int64(answer.Body.Len())
		result.Proto, result.ProtoMajor, result.ProtoMinor = "HTTP/1.1", 1, 1
		var whole bytes.Buffer
		if err := result.Write(&whole); err != nil {
			panic(http.ErrAbortHandler)
		}
		headers, body, _ := strings.Cut(whole.String(), "\r\n\r\n")
		parts := [...]string{headers, "\r\n\r\n" + body}
		raw("", func(conn net.Conn) {
			gone := make(chan struct{})
			go func() { silent(conn); close(gone) }()
			for i, text := range parts {
				if i == part {
					slow := min(20, len(text))
					for _, b := range []byte(text[:slow]) {
						select {
						case <-time.After(lasts / 20):
						case <-gone:
							return
						}
						if _, err := conn.Write([]byte{b}); err != nil {
							return
						}
					}
					text = text[slow:]
				}
				_, _ = io.WriteString(conn, text)
			}
		})(w, r, fake)
	}
}

// windowOverflow is a server that would rather speak HTTP/2.
func windowOverflow(c *cell) error {
	config, err := c.certified(c.name())
	if err != nil {
		return err
	}
	config.NextProtos = []string{"h2", "http/1.1"}
	return c.insecure(secured(config, func(conn net.Conn) { cloud.OverflowWindow(conn, nil) }))
}

func redirect(code int, to string) cloud.Fault {
	return cloud.Answer(code, http.Header{"Location": {to}}, "")
}
