package exchange

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// The defaults, and the bounds that are not worth a configuration key.
const (
	// defaultConnect: a SYN that nobody answers is given up before its second
	// repetition (at 1 s and 3 s on Linux).
	defaultConnect = 3 * time.Second
	// defaultFirstByte: the slowest of 280 recorded whole chats took 27.7 s
	// (openai-processing-ms); reasoning models of today take about four times that.
	defaultFirstByte = 120 * time.Second
	// defaultIdle: tokens come every 16 ms (median of the same recordings), and
	// servers that think longer send comments at least every 15 s.
	defaultIdle = 30 * time.Second

	defaultMaxBody   = 32 << 20  // 2,048 vectors of 1,536 numbers are 30 MB of JSON
	defaultMaxStream = 256 << 20 // a million chunks
	defaultMaxIdle   = 1024      // more than the calls that two cores keep in progress

	idleConnTimeout = 50 * time.Second // below the 60 s after which AWS load balancers hang up
	maxHeaderBytes  = 64 << 10         // answers of OpenAI have 2 KB of headers
	maxErrorBody    = 64 << 10         // error bodies are read this far and cut there
	longestError    = 2 * time.Second  // and this long: they come with their head, or a packet later
	readBuffer      = 8 << 10          // an answer of 4 KB with its head in one read; net/http has 4 KB
	pingAfter       = 15 * time.Second // finds dead HTTP/2 connections within defaultIdle
)

// Bounds are the bounds of the calls over a line. Zero values mean the defaults that each
// field states.
type Bounds struct {
	// Connect bounds the TCP connection, and again the TLS handshake. Zero means 3 s.
	Connect time.Duration
	// FirstByte bounds the time from the start of a call to the head of its answer,
	// waiting for a connection included. -1 means no bound. Zero means 120 s.
	FirstByte time.Duration
	// Idle bounds the silence within an answer, from its head on. Each read starts it
	// anew, and time between reads does not count. -1 means no bound. Zero means 30 s.
	Idle time.Duration

	// MaxBody bounds a whole answer in bytes. Zero means 32 MiB.
	MaxBody int64
	// MaxStream bounds a streamed answer in bytes. Zero means 256 MiB.
	MaxStream int64
	// MaxEvent bounds one event of a stream in bytes. Zero means the dialect's default.
	MaxEvent int
	// MaxIdleConns bounds the idle connections that are kept. Zero means 1,024.
	MaxIdleConns int
	// MaxConns bounds the connections; calls over it wait for one. Zero means no bound.
	MaxConns int
}

// Check returns every fault of the bounds at once, each with its configuration key.
func (b Bounds) Check() error {
	var faults []error
	for _, d := range []struct {
		key   string
		value time.Duration
		least time.Duration
	}{
		{"connect_timeout", b.Connect, 0},
		{"first_byte_timeout", b.FirstByte, -1},
		{"idle_timeout", b.Idle, -1},
	} {
		if d.value < d.least {
			faults = append(faults, fmt.Errorf("%s: %v is below zero", d.key, d.value))
		}
	}
	for _, n := range []struct {
		key   string
		value int64
	}{
		{"max_body_bytes", b.MaxBody},
		{"max_stream_bytes", b.MaxStream},
		{"max_event_bytes", int64(b.MaxEvent)},
		{"max_idle_conns", int64(b.MaxIdleConns)},
		{"max_conns", int64(b.MaxConns)},
	} {
		if n.value < 0 {
			faults = append(faults, fmt.Errorf("%s: %d is below zero", n.key, n.value))
		}
	}
	return errors.Join(faults...)
}

// withDefaults fills in what is zero.
func (b Bounds) withDefaults() Bounds {
	b.Connect = cmp.Or(b.Connect, defaultConnect)
	b.FirstByte = cmp.Or(b.FirstByte, defaultFirstByte)
	b.Idle = cmp.Or(b.Idle, defaultIdle)
	b.MaxBody = cmp.Or(b.MaxBody, defaultMaxBody)
	b.MaxStream = cmp.Or(b.MaxStream, defaultMaxStream)
	b.MaxIdleConns = cmp.Or(b.MaxIdleConns, defaultMaxIdle)
	return b
}

// transport makes a transport with the bounds. Compression is off: it would
// cost more than loopback and data centre links save, and a small body could
// unpack to a large one. handshake is told of every TLS handshake.
func (b *Bounds) transport(handshake func(tls.ConnectionState) error) *http.Transport {
	return &http.Transport{
		DialContext:            (&net.Dialer{Timeout: b.Connect, KeepAlive: pingAfter}).DialContext,
		TLSHandshakeTimeout:    b.Connect,
		DisableCompression:     true,
		MaxIdleConns:           b.MaxIdleConns,
		MaxIdleConnsPerHost:    b.MaxIdleConns,
		MaxConnsPerHost:        b.MaxConns,
		IdleConnTimeout:        idleConnTimeout,
		MaxResponseHeaderBytes: maxHeaderBytes,
		ReadBufferSize:         readBuffer,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, VerifyConnection: handshake},
		ForceAttemptHTTP2:      true,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingAfter},
	}
}
