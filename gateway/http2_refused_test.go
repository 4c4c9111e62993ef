package gateway_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/gateway"
)

// TestHTTP2Refused: a request whose body is refused unread is answered, and its stream is not
// reset while its sender is still at it: curl would drop the answer.
func TestHTTP2Refused(t *testing.T) {
	const size = 300 << 10
	b := newBackend(wholly(converseAnswer))
	addr := serve(t, newGateway(t, b, func(c *gateway.Config) { c.Keys, c.MaxBody = pairKeys(), 200<<10 }))
	for name, key := range map[string]string{"too large": webKey, "a stranger's": "no-such-key"} {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		var block []byte // HPACK: literals that are not indexed
		for _, h := range [][2]string{
			{":method", "POST"},
			{":scheme", "http"},
			{":path", conversePath},
			{":authority", "x"},
			{"authorization", "Bearer " + key},
			{"content-type", "application/json"},
			{"content-length", fmt.Sprint(size)},
		} {
			block = append(append(block, 0, byte(len(h[0]))), h[0]...)
			block = append(append(block, byte(len(h[1]))), h[1]...)
		}
		_, _ = io.WriteString(c, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"+frame(4, 0, 0, nil)+frame(1, 4, 1, block))
		answered, ended := false, false
		for {
			var head [9]byte
			if _, err := io.ReadFull(c, head[:]); ended && errors.Is(err, os.ErrDeadlineExceeded) {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			length := int(head[0])<<16 | int(head[1])<<8 | int(head[2])
			if _, err := io.CopyN(io.Discard, c, int64(length)); err != nil {
				t.Fatal(err)
			}
			if binary.BigEndian.Uint32(head[5:]) != 1 {
				continue
			}
			switch kind, flags := head[3], head[4]; {
			case kind == 1: // its head: now the body comes
				answered = true
				for sent := 0; sent < size; sent += 10 << 10 {
					last := byte(0)
					if sent+10<<10 == size {
						last = 1
					}
					_, _ = io.WriteString(c, frame(0, last, 1, make([]byte, 10<<10)))
				}
			case kind == 3:
				t.Fatalf("%s: the stream is reset; answered: %v", name, answered)
			case kind == 0:
				if ended = flags&1 != 0; ended { // a reset would be right behind it
					_ = c.SetDeadline(time.Now().Add(300 * time.Millisecond))
				}
			}
		}
		if !answered {
			t.Errorf("%s: no answer", name)
		}
	}
}

// frame is a frame of HTTP/2.
func frame(kind, flags byte, stream uint32, payload []byte) string {
	n := len(payload)
	head := []byte{byte(n >> 16), byte(n >> 8), byte(n), kind, flags}
	return string(append(binary.BigEndian.AppendUint32(head, stream), payload...))
}
