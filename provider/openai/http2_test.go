package openai_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/provider/openai"
)

// The frames and errors of RFC 9113 that the tests need.
const (
	frameData, frameHeaders, frameReset, frameSettings, framePing, frameGoAway = 0x0, 0x1, 0x3, 0x4, 0x6, 0x7

	endStream, endHeaders, ack = 0x1, 0x4, 0x1

	protocolError, internalError, refusedStream = 0x1, 0x2, 0x7
)

// frames is an HTTP/2 back end that does to each call what a test tells it to.
type frames struct {
	calls atomic.Int32
	serve func(c *frameConn, stream uint32, n int32)
}

type frameConn struct {
	net.Conn
	settings []byte
}

func (c *frameConn) write(kind, flags byte, stream uint32, payload []byte) {
	head := binary.BigEndian.AppendUint32(nil, uint32(len(payload))<<8|uint32(kind))
	head = binary.BigEndian.AppendUint32(append(head, flags), stream)
	_, _ = c.Write(append(head, payload...))
}

// head answers with 200 and a content type, as HPACK has it (RFC 7541, appendix A).
func (c *frameConn) head(stream uint32, contentType string) {
	block := append([]byte{0x88, 0x0f, 0x10, byte(len(contentType))}, contentType...)
	c.write(frameHeaders, endHeaders, stream, block)
}

func (c *frameConn) reset(stream, code uint32) {
	c.write(frameReset, 0, stream, binary.BigEndian.AppendUint32(nil, code))
}

func (c *frameConn) goAway(last, code uint32) {
	c.write(frameGoAway, 0, 0, binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, last), code))
}

// talk reads what a client sends, and serves each call whose body has come.
func (f *frames) talk(c *frameConn) {
	defer c.Close()
	in := bufio.NewReader(c)
	if _, err := in.Discard(len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")); err != nil {
		return
	}
	c.write(frameSettings, 0, 0, c.settings)
	for {
		var head [9]byte
		if _, err := io.ReadFull(in, head[:]); err != nil {
			return
		}
		size := int(head[0])<<16 | int(head[1])<<8 | int(head[2])
		payload := make([]byte, size)
		if _, err := io.ReadFull(in, payload); err != nil {
			return
		}
		kind, flags, stream := head[3], head[4], binary.BigEndian.Uint32(head[5:])
		switch {
		case kind == frameSettings && flags&ack == 0:
			c.write(frameSettings, ack, 0, nil)
		case kind == framePing && flags&ack == 0:
			c.write(framePing, ack, 0, payload)
		case (kind == frameHeaders || kind == frameData) && flags&endStream != 0:
			f.serve(c, stream, f.calls.Add(1))
		}
	}
}

// startFrames returns a provider with a transport of its own whose back end is f.
func startFrames(t *testing.T, f *frames, settings []byte) *openai.Provider {
	t.Helper()
	certificate, roots := certificates(t, "127.0.0.1", time.Now().Add(time.Hour))
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate}, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			context.AfterFunc(ctx, func() { _ = c.Close() })
			running.Go(func() { f.talk(&frameConn{Conn: c, settings: settings}) })
		}
	})
	p := open(t, openai.Config{BaseURL: "https://" + l.Addr().String(), APIKey: key, FirstByteTimeout: 5 * time.Second, IdleTimeout: 5 * time.Second})
	openai.Trust(p, roots)
	t.Cleanup(func() {
		_ = l.Close()
		_ = p.Close()
		end() // a connection with a ping under way is not idle, and outlives the provider
		running.Wait()
	})
	return p
}

func wellOverHTTP2(c *frameConn, stream uint32, _ int32) {
	c.head(stream, "text/event-stream")
	c.write(frameData, endStream, stream, []byte(allEvents()))
}

func TestHTTP2Answers(t *testing.T) {
	f := &frames{serve: wellOverHTTP2}
	p := startFrames(t, f, nil)
	for range 3 {
		if _, err := collect(t, p, chat(true)); err != nil {
			t.Fatal(err)
		}
	}
}

// What an HTTP/2 server breaks off is sent once, whatever net/http would make of it: it
// repeats calls up to six times by itself, those reset with PROTOCOL_ERROR included.
func TestHTTP2CallsAreSentOnce(t *testing.T) {
	for name, serve := range map[string]func(*frameConn, uint32, int32){
		"refused":        func(c *frameConn, stream uint32, _ int32) { c.reset(stream, refusedStream) },
		"protocol error": func(c *frameConn, stream uint32, _ int32) { c.reset(stream, protocolError) },
		"internal error": func(c *frameConn, stream uint32, _ int32) { c.reset(stream, internalError) },
		"going away":     func(c *frameConn, _ uint32, _ int32) { c.goAway(0, 0) },
		"gone away":      func(c *frameConn, stream uint32, _ int32) { c.goAway(stream, 0); _ = c.Close() },
		"gone":           func(c *frameConn, _ uint32, _ int32) { _ = c.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			f := &frames{serve: serve}
			p := startFrames(t, f, nil)
			for calls := int32(1); calls <= 2; calls++ { // on a new connection, and on one that may be kept
				_, err := collect(t, p, chat(true))
				e := want(t, err, llm.ProviderConnectionFailed)
				if n := f.calls.Load(); n != calls {
					t.Fatalf("%d calls were made, the back end saw %d: %v", calls, n, e)
				}
			}
		})
	}
}

// A call that was cut within its answer over HTTP/2.
func TestHTTP2Cuts(t *testing.T) {
	for name, c := range map[string]struct {
		kind llm.Kind
		cut  func(*frameConn, uint32)
	}{
		"reset":         {llm.ProviderTruncated, func(c *frameConn, stream uint32) { c.reset(stream, internalError) }},
		"refused late":  {llm.ProviderTruncated, func(c *frameConn, stream uint32) { c.reset(stream, refusedStream) }},
		"gone away":     {llm.ProviderTruncated, func(c *frameConn, stream uint32) { c.goAway(stream, internalError); _ = c.Close() }},
		"never seen":    {llm.ProviderTruncated, func(c *frameConn, _ uint32) { c.goAway(0, 0) }},
		"closed":        {llm.ProviderTruncated, func(c *frameConn, _ uint32) { _ = c.Close() }},
		"ended cleanly": {llm.ProviderTruncated, func(c *frameConn, stream uint32) { c.write(frameData, endStream, stream, nil) }},
		"bad frame":     {llm.ProviderTruncated, func(c *frameConn, _ uint32) { c.write(framePing, 0, 0, []byte("short")) }},
	} {
		t.Run(name, func(t *testing.T) {
			f := &frames{serve: func(fc *frameConn, stream uint32, _ int32) {
				fc.head(stream, "text/event-stream")
				fc.write(frameData, 0, stream, []byte(eventList()[0]+eventList()[1]))
				time.Sleep(10 * time.Millisecond) // the client has read it
				c.cut(fc, stream)
			}}
			_, err := collect(t, startFrames(t, f, nil), chat(true))
			want(t, err, c.kind)
			if n := f.calls.Load(); n != 1 {
				t.Errorf("%d calls reached the back end", n)
			}
		})
	}
}

// Settings that make no sense end the connection; a flood of pings is answered and does
// no harm (CVE-2026-33814 and its like).
func TestHTTP2Hostility(t *testing.T) {
	bad := binary.BigEndian.AppendUint32([]byte{0, 5}, 1) // SETTINGS_MAX_FRAME_SIZE = 1
	_, err := collect(t, startFrames(t, &frames{serve: wellOverHTTP2}, bad), chat(true))
	want(t, err, llm.ProviderConnectionFailed)

	f := &frames{serve: func(c *frameConn, stream uint32, n int32) {
		for range 1000 {
			c.write(framePing, 0, 0, []byte("12345678"))
		}
		wellOverHTTP2(c, stream, n)
	}}
	if _, err := collect(t, startFrames(t, f, nil), chat(true)); err != nil {
		t.Errorf("after a thousand pings: %v", err)
	}
}
