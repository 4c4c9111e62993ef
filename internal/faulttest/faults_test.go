//go:build linux

package faulttest_test

import (
	"fmt"
	"net"
	"syscall"
	"testing"
	"time"
)

// The bounds of these tests. They are far below the defaults, so that a test can wait
// for them, and far enough from one another to tell which one was met.
const (
	connectBound    = 400 * time.Millisecond
	firstByteBound  = 600 * time.Millisecond
	firstTokenBound = 1200 * time.Millisecond
	idleBound       = 700 * time.Millisecond
	paceWindow      = 2 * time.Second // at 5 characters a second
	deadline        = 20 * time.Second
)

// bounds are the keys of a provider, and pace those of an operation.
var (
	bounds        = fmt.Sprintf("connect_timeout: %s, first_byte_timeout: %s, idle_timeout: %s", connectBound, firstByteBound, idleBound)
	patientBounds = "connect_timeout: 10s, first_byte_timeout: 10s, idle_timeout: 10s"
	pace          = fmt.Sprintf("deadline: %s, first_token_timeout: %s, min_throughput: 5, throughput_window: %s", deadline, firstTokenBound, paceWindow)
	// operations: the default holds a stream until its first token, held all of it.
	// brief has a short deadline.
	operations = fmt.Sprintf("defaults: {%s}\noperations: {held: {%s, hold: all}, brief: {deadline: 2s}}\n", pace, pace)
)

// sixteen are the faults of Failover Bench, the first of them twice: with another
// target, and with none.
func sixteen() []fault {
	const quick = 5 * time.Second // up to three retries with their pauses, and then B
	overload := errorBody("slow down", "rate_limit_error", "rate_limit_exceeded")
	return []fault{
		{name: "429-retry-after", play: status(429, overload, "Retry-After: 2"), most: 1, bound: time.Second},
		{name: "429-alone", play: func(x *exchange) {
			if x.Nth == 1 {
				status(429, overload, "Retry-After: 1")(x)
				return
			}
			speak("alpha")(x)
		}, alone: true, pause: time.Second, fine: textOf("alpha"), most: 2, bound: 3 * time.Second},
		{name: "500", play: status(500, errorBody("boom", "server_error", "")), bound: quick},
		{name: "503", play: status(503, errorBody("busy", "server_error", "")), bound: quick},
		{name: "connect-refused", bound: quick},
		{name: "connect-black-hole", bound: quick},
		{name: "headers-never", play: (*exchange).hang, bound: quick},
		// A whole answer has no first token: what bounds the silence behind its head is idle_timeout.
		{name: "ttft-too-long", play: silent, forms: "w", bound: quick},
		{name: "ttft-too-long", play: silent, keys: patientBounds, forms: "sh", bound: quick},
		{name: "cut-before-token", play: func(x *exchange) { x.begin("alpha", 0); x.cut() }, bound: quick},
		{name: "cut-after", play: func(x *exchange) { x.begin("alpha", 3); x.cut() }, after: true, kinds: []string{"provider_truncated"}, bound: quick},
		{name: "stalled", play: func(x *exchange) { x.begin("alpha", 3); x.hang() }, after: true, kinds: []string{"provider_timeout"}, bound: quick},
		// Nor has it a rate: what bounds a body that trickles in is the deadline.
		{name: "trickle", play: trickle, keys: patientBounds, forms: "w", operation: "brief", final: 504, kinds: []string{"provider_timeout"}, bound: quick},
		{name: "trickle", play: trickle, keys: patientBounds, forms: "sh", after: true, kinds: []string{"provider_timeout"}, bound: 10 * time.Second},
		{name: "garbage-chunk", play: garbage, after: true, kinds: []string{"provider_malformed"}, bound: quick},
		{name: "no-terminator", play: unterminated, after: true, kinds: []string{"provider_truncated"}, bound: quick},
		{name: "error-event", play: failing, after: true, kinds: []string{"provider_error", "provider_overloaded"}, bound: quick},
		{name: "200-error-body", play: status(200, errorBody("the engine is lost", "server_error", "")), bound: quick},
		{name: "content-filter", play: status(400, errorBody("filtered", "invalid_request_error", "content_filter")), final: 400, kinds: []string{"provider_filtered"}, bound: time.Second},
	}
}

// silent sends a head at once, and comments, but no token in time.
func silent(x *exchange) {
	if !x.Stream {
		x.head(200, "Content-Type: application/json", "Content-Length: 500")
		x.hang()
		return
	}
	x.head(200, eventType)
	x.chunk(opening())
	for x.rest(100 * time.Millisecond) {
		x.chunk(": still thinking\n\n")
	}
}

// garbage is an answer with a piece that is no JSON.
func garbage(x *exchange) {
	if !x.Stream {
		x.answer(200, "application/json", `{"id":"c1","object":"chat.completion","choices":[{"index":0,"mess`+"\x00\xff"+`age":nonsense}]}`)
		return
	}
	x.begin("alpha", 3)
	x.chunk("data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"conte\x00\xff nonsense\n\n")
	x.chunk(ending())
	x.done()
}

// unterminated ends cleanly, as HTTP has it, without the dialect's end mark.
func unterminated(x *exchange) {
	if !x.Stream {
		body := completion(textOf("alpha"), "stop")
		x.answer(200, "application/json", body[:len(body)-30])
		return
	}
	x.begin("alpha", tokens)
	x.chunk(event("{}", "stop"))
	x.done()
}

// failing tells of an error where the next token should be.
func failing(x *exchange) {
	if !x.Stream {
		x.answer(200, "application/json", errorBody("lost my thread", "server_error", ""))
		return
	}
	x.begin("alpha", 3)
	x.chunk("data: " + errorBody("lost my thread", "server_error", "") + "\n\n")
	x.done()
}

// TestFaults plays each fault at A, with B beside it, to whole requests, to streams
// that are held until their first token, and to streams that are held until their
// end. Whatever had not reached the client is repaired at B unseen; what had ends in
// an error event and a broken connection, and is not kept.
func TestFaults(t *testing.T) {
	f := newField(t)
	for _, fault := range sixteen() {
		switch fault.name {
		case "connect-refused":
			fault.at = boundPort(t)
		case "connect-black-hole":
			fault.at = blackHole(t)
		}
		f.add(fault)
	}
	t.Log(f.run(t))
}

// boundPort is an address that refuses connections: a port that is taken, and that
// nobody listens on.
func boundPort(t *testing.T) string {
	t.Helper()
	fd := socket(t)
	return "http://" + local(t, fd)
}

// blackHole is an address where connections are neither taken nor refused: a listener
// whose backlog is full.
func blackHole(t *testing.T) string {
	t.Helper()
	fd := socket(t)
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	address := local(t, fd)
	for range 64 {
		c, err := net.DialTimeout("tcp", address, 200*time.Millisecond)
		if err != nil {
			return "http://" + address
		}
		t.Cleanup(func() { c.Close() })
	}
	t.Fatal("the backlog does not fill")
	return ""
}

func socket(t *testing.T) int {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err == nil {
		t.Cleanup(func() { _ = syscall.Close(fd) })
		err = syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	}
	if err != nil {
		t.Fatal(err)
	}
	return fd
}

func local(t *testing.T, fd int) string {
	t.Helper()
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", name.(*syscall.SockaddrInet4).Port)
}
