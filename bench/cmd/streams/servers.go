package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/forebay-ai/forebay/bench/internal/proc"
)

// anyPort is an address of this machine only.
const anyPort = "127.0.0.1:0"

// certificate makes a certificate for loopback, and gives its files.
func certificate(dir string) (certFile, keyFile string, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", err
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "streams"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	if err != nil {
		return "", "", err
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return "", "", err
	}
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	return certFile, keyFile, errors.Join(
		os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600),
		os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: private}), 0o600))
}

// wholeAnswer is what calls get that are not streamed: those that ask whether a system is ready.
const wholeAnswer = `{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"ready"},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":1,"total_tokens":6}}`

// stamp stands before the time at which an event was sent, in Unix nanoseconds.
const stamp = `"content":"`

// runUpstream serves streams over HTTP/2: certificate, key, events, gap.
func runUpstream(args []string) error {
	if len(args) != 4 {
		return errors.New("upstream needs certificate, key, events and gap")
	}
	events, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	gap, err := time.ParseDuration(args[3])
	if err != nil {
		return err
	}
	pair, err := tls.LoadX509KeyPair(args[0], args[1])
	if err != nil {
		return err
	}
	return serve(&http.Server{
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}},
		Handler:   http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answer(w, r, events, gap) }),
	}, func(s *http.Server, ln net.Listener) error { return s.ServeTLS(ln, "", "") })
}

// serve serves on a free port until the parent is done.
func serve(s *http.Server, on func(*http.Server, net.Listener) error) error {
	ln, err := net.Listen("tcp", anyPort)
	if err != nil {
		return err
	}
	var serving sync.WaitGroup
	serving.Go(func() { _ = on(s, ln) }) // ends with ErrServerClosed
	proc.Announce(ln.Addr().String())
	_ = s.Close()
	serving.Wait()
	return nil
}

// answer gives one stream, or a whole answer.
func answer(w http.ResponseWriter, r *http.Request, events int, gap time.Duration) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		return
	}
	if !bytes.Contains(body, []byte(`"stream":true`)) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, wholeAnswer)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	timer := time.NewTicker(gap)
	defer timer.Stop()
	flusher := w.(http.Flusher) // of net/http's server over HTTP/2
	for i := range events {
		fmt.Fprintf(w, "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{"+stamp+"%d event %d of a stream that is one of many \"},\"finish_reason\":null}]}\n\n", time.Now().UnixNano(), i)
		flusher.Flush()
		select {
		case <-timer.C:
		case <-r.Context().Done():
			return
		}
	}
	_, _ = io.WriteString(w, "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n")
}

// runProxy is httputil.ReverseProxy and nothing else: upstream's address, certificate.
func runProxy(args []string) error {
	if len(args) != 2 {
		return errors.New("proxy needs the upstream's address and certificate")
	}
	text, err := os.ReadFile(args[1])
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return errors.New("no certificate in " + args[1])
	}
	proxy := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "https", Host: args[0]}) },
		Transport:     &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true, DisableCompression: true},
		FlushInterval: -1,
		BufferPool:    &buffers{sync.Pool{New: func() any { return make([]byte, 32<<10) }}},
	}
	return serve(&http.Server{Handler: proxy}, func(s *http.Server, ln net.Listener) error { return s.Serve(ln) })
}

// buffers is a httputil.BufferPool.
type buffers struct{ pool sync.Pool }

func (b *buffers) Get() []byte { return b.pool.Get().([]byte) }

//lint:ignore SA6002 the interface hands over a slice; boxing its header costs 24 bytes, not the buffer
func (b *buffers) Put(p []byte) { b.pool.Put(p) }
