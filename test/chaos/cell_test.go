package chaos

import (
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"bitbucket-oidc/test/cloud"
)

// A cell is one request that meets one fault: once, or always.
type cell struct {
	*stand
	request
	fault
	once bool

	endpoint  string   // of the request's server, as the program's variables have it
	variables []string // beside those of the request
	through   []string // what starts the program, if not the test itself
	onFailure func()   // is called after each attempt that failed
}

// A skip is why a cell cannot be run here.
type skip string

func (s skip) Error() string { return string(s) }

const needsMounts skip = "only root can give a program a hosts file and a resolver of its own, and not in most containers"

func (c *cell) String() string {
	how := "always"
	if c.once {
		how = "once"
	}
	return fmt.Sprintf("%s / %s: %s, %s", c.request.name, c.fault.group, c.fault.name, how)
}

// calm is a TIMEOUT that a busy machine keeps as well, for runs that no fault of theirs may end.
const calm = 20 * time.Second

// limit is TIMEOUT for this cell. Five attempts pause 7.5 seconds at most.
func (c *cell) limit() time.Duration {
	switch {
	case c.verdict == passes && c.timeout == 0:
		return calm
	case c.once && c.verdict == hangs:
		return 25 * time.Second // an attempt lasts 15 seconds at most
	case c.timeout != 0:
		return c.timeout + c.before
	}
	return 10 * time.Second
}

// An outcome is how a cell went.
type outcome struct {
	cell
	run
	skipped string
	failure error
}

// play makes the world, lets the program meet the fault, and judges.
func (c cell) play(k kit) outcome {
	o := outcome{cell: c}
	var err error
	if c.stand, err = k.stand(c.skew); err != nil {
		o.failure = err
		return o
	}
	defer func() { o.failure = errors.Join(o.failure, c.end()) }()
	configure(c.stand, c.request)
	o.run, o.failure = c.meet()
	var s skip
	if errors.As(o.failure, &s) {
		o.skipped, o.failure = string(s), nil
	}
	return o
}

func (c *cell) meet() (run, error) {
	name := "login"
	if c.logout {
		name = "logout"
	}
	// Half of the logins are second ones: what the first one wrote must stay. A logout has a login to undo.
	if c.logout || c.second() {
		if err := c.direct(); err != nil {
			return run{}, err
		}
		if r, err := c.start("login", calm); err != nil || r.status != 0 {
			return r, fmt.Errorf("the login before: status %d: %w\n%s", r.status, err, r.stderr)
		}
		c.variables = nil
	}
	before, err := tree(c.clone())
	if err != nil {
		return run{}, err
	}
	if c.fault.body && c.request.empty {
		return run{}, skip("its answer has no body to spoil")
	}
	if err := c.arrange(c); err != nil {
		return run{}, err
	}
	r, err := c.start(name, c.limit())
	if err != nil {
		return r, err
	}
	return r, errors.Join(c.judge(r, before), c.checkSecrets(r))
}

func (c *cell) second() bool {
	h := fnv.New32a()
	_, _ = h.Write([]byte(c.String()))
	return h.Sum32()%2 == 0
}

func (c *cell) start(name string, limit time.Duration) (run, error) {
	variables := append(c.request.variables(c.stand, c.endpoint), "TIMEOUT="+limit.String())
	return c.run(append(variables, c.variables...), c.through, name, limit, c.onFailure)
}

// judge holds the run against the fault's verdict.
func (c *cell) judge(r run, before string) error {
	succeeds, attempts := false, 0
	switch c.verdict {
	case harmless:
		succeeds, attempts = true, 1
	case ends:
		attempts = 1
	case passes:
		succeeds, attempts = c.once, 5
	case throttles:
		succeeds = c.once
	case hangs:
		succeeds, attempts = c.once, 1
	}
	if c.once {
		attempts = 2
	}
	if r.attempts != attempts && attempts != 0 && !(c.once && c.late && r.attempts > attempts) && !(c.shared && r.attempts < attempts) {
		return fmt.Errorf("%d attempts, want %d:\n%s", r.attempts, attempts, r.stderr)
	}
	if c.verdict == throttles && !c.once && !c.shared && (r.attempts < 2 || r.attempts > 5) {
		return fmt.Errorf("%d attempts, want 2 to 5:\n%s", r.attempts, r.stderr)
	}
	after, err := tree(c.clone())
	if err != nil {
		return err
	}
	if c.logout && after != "" {
		return fmt.Errorf("logout left:\n%s", after)
	}
	if !succeeds {
		if !c.logout && after != before {
			return fmt.Errorf("it failed and changed the files:\n%s\nbefore:\n%s", after, before)
		}
		return r.checkFailure(1, c.report())
	}
	if r.status != 0 || !strings.Contains(r.stdout, "✔ ") || strings.Contains(r.stderr, "✖") {
		return fmt.Errorf("exit status %d, want 0:\n%s%s", r.status, r.stdout, r.stderr)
	}
	if !c.logout && after == before {
		return errors.New("it succeeded and wrote nothing")
	}
	return r.checkCalm()
}

// tree describes all that lies below a folder: modes, contents, where links lead.
func tree(dir string) (string, error) {
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		what := ""
		switch {
		case info.Mode().IsRegular():
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			what = fmt.Sprintf("%x", sha256.Sum256(data))
		case info.Mode()&fs.ModeSymlink != 0:
			if what, err = os.Readlink(path); err != nil {
				return err
			}
		}
		fmt.Fprintf(&b, "%s %v %s\n", strings.TrimPrefix(path, dir), info.Mode(), what)
		return nil
	})
	return b.String(), err
}

func (c *cell) server() *cloud.Server { return c.fake(c.stand) }

// name is what the server is known by.
func (c *cell) name() string {
	if c.request.host != "" {
		return c.request.host
	}
	return "127.0.0.1"
}

// trust makes the program believe the test's authority and nobody else's.
func (c *cell) trust() error {
	file := filepath.Join(c.dir, "trusted.pem")
	c.variables = append(c.variables, "SSL_CERT_FILE="+file)
	return os.WriteFile(file, c.trusted.pem, 0o600)
}

// direct leads the program to the server itself: through a proxy if it knows a public host only.
func (c *cell) direct() error {
	c.endpoint = c.server().URL
	if c.request.host != "" {
		c.variables = append(c.variables, "HTTPS_PROXY="+c.others.Gateway.Proxy, "SSL_CERT_FILE="+c.authority())
	}
	return nil
}

// address is where the server listens, which may be one that others know by a public host.
func (c *cell) address() (string, error) {
	if c.request.host == "" {
		u, err := url.Parse(c.server().URL)
		return u.Host, err
	}
	server, err := cloud.Serve(c.server())
	if err != nil {
		return "", err
	}
	c.close = append(c.close, server.Close)
	u, err := url.Parse(server.URL)
	return u.Host, err
}

// serving is how connections to the server are served.
func (c *cell) serving() (func(net.Conn), error) {
	to, err := c.address()
	return forward(to), err
}

// certified is TLS with a certificate that the program accepts.
func (c *cell) certified(host string) (*tls.Config, error) {
	certificate, err := c.trusted.issue(host, time.Now().Add(-time.Minute))
	return &tls.Config{Certificates: []tls.Certificate{certificate}}, err
}

// behind puts a front before the server that spoils the request's connection, the first one or all. A server that is known
// by a public host has TLS, and what spoils is inside.
func (c *cell) behind(spoil func(net.Conn)) error {
	serve, err := c.serving()
	if err != nil {
		return err
	}
	secure := c.request.host != ""
	if secure {
		config, err := c.certified(c.name())
		if err != nil {
			return err
		}
		spoil, serve = secured(config, spoil), secured(config, serve)
	}
	return c.reach(c.spoiling(spoil, serve), secure)
}

func (c *cell) spoiling(spoil, serve func(net.Conn)) front {
	f := front{after: c.after, spoiled: 1 << 20, spoil: spoil, serve: serve}
	if c.once {
		f.spoiled = 1
	}
	return f
}

// reach leads the program to a front, by a hosts file if it knows a public host only.
func (c *cell) reach(f front, secure bool) error {
	at := "127.0.0.1:0"
	if c.request.host != "" {
		ip := c.private.next()
		at = ip + ":443"
		if err := c.hosts(ip, c.request.host); err != nil {
			return err
		}
	}
	address, end, err := f.listen(at)
	if err != nil {
		return err
	}
	c.close = append(c.close, end)
	c.endpoint = "http://" + address
	if secure {
		c.endpoint = "https://" + address
		return c.trust()
	}
	return nil
}

// hosts gives the program a hosts file of its own.
func (c *cell) hosts(ip, host string) error {
	if !mayMount() {
		return needsMounts
	}
	file := filepath.Join(c.dir, "hosts")
	c.through = inPlaceOf("/etc/hosts", file)
	return os.WriteFile(file, []byte(ip+" "+host+"\n"), 0o644)
}

// inPlaceOf starts a program that sees one file in the place of another.
func inPlaceOf(system, file string) []string {
	return []string{"unshare", "--mount", "sh", "-euc", `mount --bind "$0" "$1"; shift; exec "$@"`, file, system}
}

// refused is that nobody listens. For the cell that ends well, somebody does after the first failure.
func refused(c *cell) error {
	inject(c.server(), c.request, true, cloud.Pass)
	ip, port, secure := c.private.next(), "4080", c.request.host != ""
	serve, err := c.serving()
	c.endpoint = "http://" + ip + ":" + port
	if secure && err == nil {
		var config *tls.Config
		config, err = c.certified(c.name())
		port, serve = "443", secured(config, serve)
		err = errors.Join(err, c.hosts(ip, c.request.host), c.trust())
	}
	if err != nil {
		return err
	}
	if c.after > 0 {
		return skip("its server has to answer another request before it")
	}
	if c.once {
		c.onFailure = sync.OnceFunc(func() {
			if _, end, err := (front{serve: serve}).listen(ip + ":" + port); err == nil {
				c.close = append(c.close, end)
			}
		})
	}
	return nil
}

// certificate is a server whose certificate is not what it should be.
func certificate(of func(*cell) (by *authority, host string, from time.Time)) func(*cell) error {
	return func(c *cell) error {
		by, host, from := of(c)
		bad, err := by.issue(host, from)
		if err != nil {
			return err
		}
		serve, err := c.serving()
		if err != nil {
			return err
		}
		return c.insecure(secured(&tls.Config{Certificates: []tls.Certificate{bad}}, serve))
	}
}

// insecure is a server with TLS that spoils the connection of the request.
func (c *cell) insecure(spoil func(net.Conn)) error {
	inject(c.server(), c.request, true, cloud.Pass)
	serve, err := c.serving()
	if err != nil {
		return err
	}
	config, err := c.certified(c.name())
	if err != nil {
		return err
	}
	return c.reach(c.spoiling(spoil, secured(config, serve)), true)
}

func unsecured(spoil func(net.Conn)) func(*cell) error {
	return func(c *cell) error { return c.insecure(spoil) }
}

func oldTLS(c *cell) error {
	serve, err := c.serving()
	if err != nil {
		return err
	}
	config, err := c.certified(c.name())
	if err != nil {
		return err
	}
	config.MinVersion, config.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	return c.insecure(secured(config, serve))
}

// publicHost is a name that only a proxy or a resolver of the test's own knows.
const publicHost = "service.chaos.example"

// named leads the program to the server by a name.
func (c *cell) named() (serve func(net.Conn), err error) {
	host := publicHost
	if c.request.host != "" {
		host = c.request.host
	}
	c.endpoint = "https://" + host
	if serve, err = c.serving(); err != nil {
		return nil, err
	}
	config, err := c.certified(host)
	return secured(config, serve), errors.Join(err, c.trust())
}

// proxy is one that spoils the request's connection.
func proxy(spoil func(net.Conn)) func(*cell) error {
	return func(c *cell) error {
		inject(c.server(), c.request, true, cloud.Pass)
		serve, err := c.named()
		if err != nil {
			return err
		}
		address, end, err := c.spoiling(spoil, tunnelled(serve)).listen("127.0.0.1:0")
		if err != nil {
			return err
		}
		c.close = append(c.close, end)
		c.variables = append(c.variables, "HTTPS_PROXY=http://"+address)
		return nil
	}
}

// noProxy is a proxy where nobody listens, or not before the first failure.
func noProxy(c *cell) error {
	if c.after > 0 {
		return skip("its server has to answer another request before it")
	}
	serve, err := c.named()
	if err != nil {
		return err
	}
	address := c.private.next() + ":4080"
	c.variables = append(c.variables, "HTTPS_PROXY=http://"+address)
	if c.once {
		c.onFailure = sync.OnceFunc(func() {
			if _, end, err := (front{serve: tunnelled(serve)}).listen(address); err == nil {
				c.close = append(c.close, end)
			}
		})
	}
	return nil
}

// names is a resolver that answers with a code, or not at all, until the first failure or for good.
func names(code byte) func(*cell) error {
	return func(c *cell) error {
		if !mayMount() {
			return needsMounts
		}
		if c.after > 0 {
			return skip("its server's name is known from the request before it")
		}
		serve, err := c.named()
		if err != nil {
			return err
		}
		at, ip := c.private.next(), c.private.next()
		_, end, err := front{serve: serve}.listen(ip + ":443")
		if err != nil {
			return err
		}
		c.close = append(c.close, end)
		r, err := newResolver(code, at, ip)
		if err != nil {
			return err
		}
		c.close = append(c.close, func() { _ = r.conn.Close() })
		if c.once {
			c.onFailure = func() { r.mended.Store(true) }
		}
		file := filepath.Join(c.dir, "resolv.conf")
		c.through = inPlaceOf("/etc/resolv.conf", file)
		return os.WriteFile(file, []byte("nameserver "+at+"\n"), 0o644)
	}
}
