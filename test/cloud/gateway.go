package cloud

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"maps"
	"math/big"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// A Gateway leads to fakes behind TLS: those that a client knows by their public host through a proxy, the one that it
// knows by address directly.
type Gateway struct {
	URL       string // https://127.0.0.1:PORT, of the fake under the host 127.0.0.1
	Proxy     string // http://127.0.0.1:PORT, takes CONNECT for the hosts and nothing else [RFC 9110, section 9.3.6]
	Authority []byte // the certificate to trust, PEM

	servers []*http.Server
}

// ServeGateway leads to these fakes, by host.
func ServeGateway(hosts map[string]http.Handler) (*Gateway, error) {
	certificate, err := selfSigned(slices.Sorted(maps.Keys(hosts)))
	if err != nil {
		return nil, err
	}
	secure, err1 := net.Listen("tcp", loopback)
	plain, err2 := net.Listen("tcp", loopback)
	if err := errors.Join(err1, err2); err != nil {
		for _, l := range []net.Listener{secure, plain} {
			if l != nil {
				_ = l.Close()
			}
		}
		return nil, err
	}
	silent := log.New(io.Discard, "", 0) // clients that do not trust the certificate
	g := &Gateway{
		URL: "https://" + secure.Addr().String(), Proxy: "http://" + plain.Addr().String(),
		Authority: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate[0]}),
		servers: []*http.Server{
			{ErrorLog: silent, ReadHeaderTimeout: serverLimit, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				host := r.Host
				if name, _, err := net.SplitHostPort(host); err == nil {
					host = name
				}
				if fake, ok := hosts[host]; ok {
					fake.ServeHTTP(w, r)
					return
				}
				http.NotFound(w, r)
			})},
			{ErrorLog: silent, ReadHeaderTimeout: serverLimit, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				name, port, _ := net.SplitHostPort(r.Host)
				if _, ok := hosts[name]; r.Method != http.MethodConnect || !ok || port != "443" {
					http.Error(w, "no way to this host", http.StatusForbidden)
					return
				}
				tunnel(w, secure.Addr().String())
			})},
		},
	}
	go func() { // both end with Close
		_ = g.servers[0].Serve(tls.NewListener(secure, &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}))
	}()
	go func() { _ = g.servers[1].Serve(plain) }()
	return g, nil
}

// Close ends the servers, and so the tunnels.
func (g *Gateway) Close() {
	for _, s := range g.servers {
		_ = s.Close()
	}
}

// tunnel joins the client with an address until one of them closes.
func tunnel(w http.ResponseWriter, address string) {
	there, err := net.Dial("tcp", address)
	if err != nil {
		http.Error(w, "", http.StatusBadGateway)
		return
	}
	defer there.Close()
	here, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer here.Close()
	if _, err := io.WriteString(here, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { _, _ = io.Copy(there, buffered); _ = there.Close() })
	both.Go(func() { _, _ = io.Copy(here, there); _ = here.Close() })
	both.Wait()
}

// selfSigned is a certificate for these hosts that is its own authority.
func selfSigned(hosts []string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test/cloud"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true, IsCA: true,
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}
