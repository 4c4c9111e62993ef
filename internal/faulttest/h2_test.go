//go:build linux

package faulttest_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// Types and flags of frames, and codes of errors, of RFC 9113.
const (
	frameData, frameHeaders, frameReset, frameSettings = 0, 1, 3, 4
	framePing, frameGoAway, frameWindow, frameMore     = 6, 7, 8, 9
	flagEndStream, flagAck, flagEndHeaders             = 1, 1, 4
	codeNone, codeInternal, codeRefused, codeCalm      = 0, 2, 7, 11
	settingWindow, settingFrame                        = 4, 5
	preface                                            = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
)

// h2 is an upstream that speaks HTTP/2 over TLS, frame by frame.
type h2 struct {
	url      string
	listener net.Listener
	wg       sync.WaitGroup
	play     func(c *h2conn, stream uint32) // answers a request that has come whole
	settings []byte                         // of the first frame
	deaf     bool                           // the request's body has no window

	mu       sync.Mutex // guards what follows
	requests int        // headers that came, whatever became of them
	conns    map[net.Conn]bool
}

// h2conn is one connection. Its scripts run one after another.
type h2conn struct {
	net.Conn
	up *h2

	mu   sync.Mutex // guards writes
	gone chan struct{}
}

func newH2(t *testing.T, cert tls.Certificate, play func(*h2conn, uint32)) *h2 {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	u := &h2{url: "https://" + l.Addr().String(), listener: l, play: play, conns: map[net.Conn]bool{}}
	u.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			u.mu.Lock()
			u.conns[c] = true
			u.mu.Unlock()
			u.wg.Go(func() { u.serve(&h2conn{Conn: c, up: u, gone: make(chan struct{})}) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		u.mu.Lock()
		for c := range u.conns {
			c.Close()
		}
		u.mu.Unlock()
		u.wg.Wait()
	})
	return u
}

// serve reads frames and plays the script of each request that has come whole.
func (u *h2) serve(c *h2conn) {
	defer c.Close()
	defer close(c.gone)
	first := make([]byte, len(preface))
	if _, err := io.ReadFull(c, first); err != nil || string(first) != preface {
		return
	}
	c.frame(frameSettings, 0, 0, u.settings)
	head := make([]byte, 9)
	for {
		if _, err := io.ReadFull(c, head); err != nil {
			return
		}
		n := int(head[0])<<16 | int(head[1])<<8 | int(head[2])
		body := make([]byte, n)
		if _, err := io.ReadFull(c, body); err != nil {
			return
		}
		stream := binary.BigEndian.Uint32(head[5:]) & 0x7fffffff
		switch head[3] {
		case frameSettings:
			if head[4]&flagAck == 0 {
				c.frame(frameSettings, flagAck, 0, nil)
			}
		case framePing:
			if head[4]&flagAck == 0 {
				c.frame(framePing, flagAck, 0, body)
			}
		case frameHeaders:
			u.mu.Lock()
			u.requests++
			u.mu.Unlock()
		}
		ended := (head[3] == frameData || head[3] == frameHeaders) && head[4]&flagEndStream != 0
		if ended || head[3] == frameHeaders && u.deaf {
			u.wg.Go(func() { u.play(c, stream) })
		}
	}
}

func (u *h2) seen() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.requests
}

// frame writes a frame.
func (c *h2conn) frame(kind, flags byte, stream uint32, body []byte) {
	head := []byte{byte(len(body) >> 16), byte(len(body) >> 8), byte(len(body)), kind, flags}
	head = binary.BigEndian.AppendUint32(head, stream)
	c.mu.Lock()
	defer c.mu.Unlock()
	_, _ = c.Write(append(head, body...)) // a script goes on whatever becomes of it
}

// header is one that no table has, as HPACK writes it in full.
func header(name, value string) []byte {
	b := append([]byte{0, byte(len(name))}, name...)
	return append(append(b, byte(len(value))), value...)
}

// head answers with status 200 (0x88 in HPACK's table) and a content type.
func (c *h2conn) head(stream uint32, contentType string) {
	c.frame(frameHeaders, flagEndHeaders, stream, append([]byte{0x88}, header("content-type", contentType)...))
}

func (c *h2conn) data(stream uint32, text string) { c.frame(frameData, 0, stream, []byte(text)) }

func (c *h2conn) end(stream uint32) { c.frame(frameData, flagEndStream, stream, nil) }

func (c *h2conn) reset(stream, code uint32) {
	c.frame(frameReset, 0, stream, binary.BigEndian.AppendUint32(nil, code))
}

func (c *h2conn) goAway(last, code uint32) {
	c.frame(frameGoAway, 0, 0, binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, last), code))
}

// half sends the beginning of a stream of events.
func (c *h2conn) half(stream uint32) {
	c.head(stream, "text/event-stream")
	c.data(stream, opening()+content("alpha0 ")+content("alpha1 "))
}

// whole sends a stream of events from beginning to end.
func (c *h2conn) whole(stream uint32) {
	c.head(stream, "text/event-stream")
	c.data(stream, events("alpha"))
	c.end(stream)
}

func setting(id uint16, value uint32) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint16(nil, id), value)
}

// h2fault is a fault of row 25: what becomes of a stream is told by want.
type h2fault struct {
	name     string
	play     func(c *h2conn, stream uint32)
	settings []byte
	deaf     bool
	fromA    bool // the answer is A's, complete
	after    bool // useful tokens came before
	most     int  // requests that A may see; 0: one
}

func h2faults() []h2fault {
	var once sync.Map
	first := func(c *h2conn) bool { // of this upstream
		_, again := once.LoadOrStore(c.up, true)
		return !again
	}
	return []h2fault{
		{name: "healthy", play: (*h2conn).whole, fromA: true},
		// A GOAWAY that counts the stream in lets it end.
		{name: "goaway-then-end", play: func(c *h2conn, s uint32) {
			c.half(s)
			c.goAway(s, codeNone)
			for _, p := range pieces("alpha")[2:] {
				c.data(s, content(p))
			}
			c.data(s, ending())
			c.end(s)
		}, fromA: true},
		{name: "goaway-then-close", play: func(c *h2conn, s uint32) { c.half(s); c.goAway(s, codeNone); c.rest(); c.Close() }, after: true},
		// The server says that it has not looked at the request: another try is safe. It is
		// for us to make, not for the transport below, and B comes first.
		{name: "goaway-unprocessed-once", play: func(c *h2conn, s uint32) {
			if first(c) {
				c.goAway(0, codeNone)
				c.rest()
				c.Close()
				return
			}
			c.whole(s)
		}, most: 2},
		{name: "goaway-unprocessed-ever", play: func(c *h2conn, _ uint32) { c.goAway(0, codeNone); c.rest(); c.Close() }, most: 4},
		{name: "refused-once", play: func(c *h2conn, s uint32) {
			if first(c) {
				c.reset(s, codeRefused)
				return
			}
			c.whole(s)
		}, most: 2},
		{name: "refused-ever", play: func(c *h2conn, s uint32) { c.reset(s, codeRefused) }, most: 4},
		{name: "reset-before-head", play: func(c *h2conn, s uint32) { c.reset(s, codeInternal) }},
		{name: "reset-mid-stream", play: func(c *h2conn, s uint32) { c.half(s); c.rest(); c.reset(s, codeInternal) }, after: true},
		{name: "end-mid-stream", play: func(c *h2conn, s uint32) { c.half(s); c.end(s) }, after: true},
		{name: "close-mid-stream", play: func(c *h2conn, s uint32) { c.half(s); c.rest(); c.Close() }, after: true},
		{name: "enhance-your-calm", play: func(c *h2conn, s uint32) { c.reset(s, codeCalm) }},
		{name: "silence", play: func(c *h2conn, _ uint32) { <-c.gone }},
		{name: "silence-mid-stream", play: func(c *h2conn, s uint32) { c.half(s); <-c.gone }, after: true},
		{name: "window-too-large", play: (*h2conn).whole, settings: setting(settingWindow, 1<<31)},
		{name: "frame-size-0", play: (*h2conn).whole, settings: setting(settingFrame, 0)},
		{name: "frame-size-too-large", play: (*h2conn).whole, settings: setting(settingFrame, 1<<31)},
		{name: "window-0", play: func(c *h2conn, _ uint32) { <-c.gone }, settings: setting(settingWindow, 0), deaf: true},
		{name: "window-overflow", play: func(c *h2conn, s uint32) {
			for range 2 {
				c.frame(frameWindow, 0, 0, binary.BigEndian.AppendUint32(nil, 1<<31-1))
			}
			c.rest()
			c.whole(s)
		}},
	}
}

// h2floods are those with too much of something, or with what nobody asked for.
func h2floods() []h2fault {
	return []h2fault{
		{name: "ping-flood", play: func(c *h2conn, s uint32) {
			for range 5_000 {
				c.frame(framePing, 0, 0, make([]byte, 8))
			}
			c.whole(s)
		}, fromA: true},
		{name: "settings-flood", play: func(c *h2conn, s uint32) {
			for range 5_000 {
				c.frame(frameSettings, 0, 0, nil)
			}
			c.whole(s)
		}, fromA: true},
		{name: "continuation-flood", play: func(c *h2conn, s uint32) {
			c.frame(frameHeaders, 0, s, []byte{0x88})
			for range 2000 {
				c.frame(frameMore, 0, s, bytes.Repeat(header("x", "y"), 2000))
			}
			<-c.gone
		}},
		{name: "empty-data-flood", play: func(c *h2conn, s uint32) {
			c.half(s)
			for range 5_000 {
				c.data(s, "")
			}
			for _, p := range pieces("alpha")[2:] {
				c.data(s, content(p))
			}
			c.data(s, ending())
			c.end(s)
		}, fromA: true},
		{name: "more-than-the-window", play: func(c *h2conn, s uint32) {
			c.half(s)
			for range 100_000 {
				c.data(s, ": "+string(bytes.Repeat([]byte("x"), 16_000))+"\n\n")
				select {
				case <-c.gone:
					return
				default:
				}
			}
		}, after: true},
		{name: "unknown-frame", play: func(c *h2conn, s uint32) { c.frame(0xbe, 0xff, s, []byte("what?")); c.whole(s) }, fromA: true},
		{name: "frame-too-large", play: func(c *h2conn, s uint32) { c.half(s); c.data(s, string(make([]byte, 1<<24-1))); <-c.gone }, after: true},
		{name: "data-before-head", play: func(c *h2conn, s uint32) { c.data(s, events("alpha")); c.end(s) }},
		{name: "push", play: func(c *h2conn, s uint32) {
			c.frame(5, flagEndHeaders, s, append([]byte{0, 0, 0, 2}, 0x82))
			c.rest()
		}},
	}
}

// rest leaves time for what was sent.
func (c *h2conn) rest() { time.Sleep(20 * time.Millisecond) }

// TestHTTP2 is row 25, over TLS, with B beside it. The gateway trusts the test's
// certificate because its environment says so (SSL_CERT_FILE), as operators do it.
func TestHTTP2(t *testing.T) {
	b := newUpstream(t, "bravo")
	cert, file := certificate(t)
	ups := map[string]*h2{}
	models := map[string][]target{}
	faults := append(h2faults(), h2floods()...)
	for _, f := range faults {
		u := newH2(t, cert, f.play)
		u.settings, u.deaf = f.settings, f.deaf
		ups[f.name] = u
		keys := "connect_timeout: 5s, first_byte_timeout: 1s, idle_timeout: 1s"
		if f.fromA {
			keys = patientBounds // floods take their time
		}
		models[f.name] = []target{{url: u.url, keys: keys}, {url: b.url, keys: patientBounds}}
	}
	g := start(t, setup{models: models, extra: "breaker: {enabled: false}\ndefaults: {deadline: 20s}\n", env: []string{"SSL_CERT_FILE=" + file, "SSL_CERT_DIR=" + filepath.Dir(file)}})
	answers := make([]*answer, len(faults))
	var wg sync.WaitGroup
	for i, f := range faults {
		wg.Go(func() { answers[i] = g.ask(question{model: f.name, id: f.name, stream: true}) })
	}
	wg.Wait()
	for i, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			got, seen, most := answers[i], ups[f.name].seen(), max(f.most, 1)
			var wrong string
			switch {
			case f.fromA:
				wrong = got.complete(textOf("alpha"), true)
			case f.after:
				wrong = got.broken("provider_truncated", "provider_timeout", "provider_malformed")
			default:
				wrong = got.complete(textOf("bravo"), true)
			}
			if wrong != "" {
				t.Error(wrong)
			}
			if seen > most {
				t.Errorf("A saw %d requests, want at most %d", seen, most)
			}
			// All faults are at work at once, and some send tens of megabytes.
			if got.took() > 4*aMoment {
				t.Errorf("it took %s", got.took())
			}
			t.Logf("%s: A saw %d requests, %s", f.name, seen, got.took().Round(time.Millisecond))
		})
	}
	least := time.Hour
	for range 4 { // the quietest time counts: what the calls have left is collected now
		before := g.cpu(t)
		time.Sleep(500 * time.Millisecond)
		least = min(least, g.cpu(t)-before)
	}
	if least > 250*time.Millisecond {
		t.Errorf("the gateway used %s of CPU in 500 ms without a call: something turns in circles", least)
	}
	for _, u := range ups {
		u.hangUp()
	}
	if mb := g.peak(t); mb > 400 {
		t.Errorf("the gateway had %d MB", mb)
	}
	g.mustBeCalm(t, b)
}

// hangUp closes all connections.
func (u *h2) hangUp() {
	u.mu.Lock()
	defer u.mu.Unlock()
	for c := range u.conns {
		c.Close()
	}
}

// cpu is the CPU time that the gateway has used.
func (g *gateway) cpu(t *testing.T) time.Duration {
	t.Helper()
	return time.Duration(g.metrics(t)["process_cpu_seconds_total"] * float64(time.Second))
}

// certificate makes a certificate of the loopback address that signs itself, and a
// file with it.
func certificate(t *testing.T) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, path
}
