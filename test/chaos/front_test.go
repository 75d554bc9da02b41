package chaos

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// serverLimit bounds each connection and each wait of a server: a forgotten client ends no later.
const serverLimit = 60 * time.Second

// A front stands before a server and spoils connections.
type front struct {
	listener net.Listener
	after    int            // connections that are served before the first one is spoiled
	spoiled  int            // how many are
	spoil    func(net.Conn) // nil: none
	serve    func(net.Conn)
}

// listen begins at an address of the loopback interface and ends with the function that it gives.
func (f front) listen(address string) (string, func(), error) {
	var err error
	if f.listener, err = net.Listen("tcp", address); err != nil {
		return "", nil, err
	}
	go func() {
		for n := 0; ; n++ {
			conn, err := f.listener.Accept()
			if err != nil {
				return // closed
			}
			_ = conn.SetDeadline(time.Now().Add(serverLimit))
			serve := f.serve
			if f.spoil != nil && n >= f.after && n < f.after+f.spoiled {
				serve = f.spoil
			}
			go func() {
				defer conn.Close()
				serve(conn)
			}()
		}
	}()
	return f.listener.Addr().String(), func() { _ = f.listener.Close() }, nil
}

// forward joins connections with an address.
func forward(to string) func(net.Conn) {
	return func(here net.Conn) {
		there, err := net.Dial("tcp", to)
		if err != nil {
			return
		}
		defer there.Close()
		var both sync.WaitGroup
		both.Go(func() { _, _ = io.Copy(there, here); _ = there.Close() })
		both.Go(func() { _, _ = io.Copy(here, there); _ = here.Close() })
		both.Wait()
	}
}

// secured takes TLS off connections before they are served.
func secured(config *tls.Config, serve func(net.Conn)) func(net.Conn) {
	return func(conn net.Conn) {
		secure := tls.Server(conn, config)
		if secure.Handshake() == nil {
			serve(secure)
		}
		_ = secure.Close()
	}
}

// tunnelled is a proxy's work [RFC 9110, section 9.3.6], for any host.
func tunnelled(serve func(net.Conn)) func(net.Conn) {
	return func(conn net.Conn) {
		request, err := http.ReadRequest(bufio.NewReader(conn))
		if err != nil || request.Method != http.MethodConnect {
			return
		}
		if _, err := io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\n"); err == nil {
			serve(conn)
		}
	}
}

// reset ends a connection without a goodbye.
func reset(conn net.Conn) {
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// silent says nothing until the client leaves.
func silent(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }

// says sends a text instead of serving.
func says(text string) func(net.Conn) {
	return func(conn net.Conn) {
		_, _ = io.WriteString(conn, text)
		silent(conn)
	}
}

// private gives addresses of the loopback network that nothing else uses.
type private struct{ last atomic.Uint32 }

func (p *private) next() string {
	n := p.last.Add(1)
	return net.IPv4(127, 8, byte(n>>8), byte(n)).String()
}

// An authority makes the certificates of servers.
type authority struct {
	key         *ecdsa.PrivateKey
	certificate *x509.Certificate
	pem         []byte
}

func newAuthority() (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test/chaos"},
		NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageCertSign, BasicConstraintsValid: true, IsCA: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	return &authority{key, certificate, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}, err
}

// issue makes one for a host, from a time on, for an hour.
func (a *authority) issue(host string, from time.Time) (tls.Certificate, error) {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: host}, NotBefore: from, NotAfter: from.Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if ip := net.ParseIP(host); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{host}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, &a.key.PublicKey, a.key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: a.key}, err
}

// A resolver answers DNS queries by UDP [RFC 1035]: with a code until it is mended, and then with an address.
type resolver struct {
	conn   *net.UDPConn
	code   byte // 2: server failure, 3: no such name; silence for any other
	mended atomic.Bool
	ip     net.IP
}

func newResolver(code byte, at, ip string) (*resolver, error) {
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(at), Port: 53})
	if err != nil {
		return nil, err
	}
	r := &resolver{conn: conn, code: code, ip: net.ParseIP(ip).To4()}
	go r.serve()
	return r, nil
}

func (r *resolver) serve() {
	query := make([]byte, 512)
	for {
		n, from, err := r.conn.ReadFromUDP(query)
		if err != nil {
			return // closed
		}
		if answer := r.answer(query[:n]); answer != nil {
			_, _ = r.conn.WriteToUDP(answer, from)
		}
	}
}

// answer repeats the question behind a header, and adds one record if it asks for an address of version 4.
func (r *resolver) answer(query []byte) []byte {
	end := 12
	for end < len(query) && query[end] != 0 {
		end += 1 + int(query[end])
	}
	end += 5
	if end > len(query) {
		return nil
	}
	header := []byte{query[0], query[1], 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0} // a recursive answer to one question
	if !r.mended.Load() {
		if r.code != 2 && r.code != 3 {
			return nil
		}
		header[3] |= r.code
		return append(header, query[12:end]...)
	}
	answer := append(header, query[12:end]...)
	if query[end-3] == 1 { // type A
		answer[7] = 1
		answer = append(answer, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4)
		answer = append(answer, r.ip...)
	}
	return answer
}

// isRoot reports whether the test may act as any user.
func isRoot() bool { return syscall.Geteuid() == 0 }

// mayMount reports whether the test may change what its programs see of the system: as root, and in no container that forbids it.
var mayMount = sync.OnceValue(func() bool {
	return isRoot() && exec.Command("unshare", "--mount", "mount", "--bind", "/etc/hosts", "/etc/hosts").Run() == nil
})
