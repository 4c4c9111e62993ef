package bedrock_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/forebay-ai/forebay/dialect/bedrock"
	"github.com/forebay-ai/forebay/llm"
)

const vectors = "aws-eventstream-vectors/testdata.tar.gz"

// TestEventStreamVectors reads AWS's own vectors: the good ones whole, byte by byte and
// behind one another, the damaged ones not at all.
func TestEventStreamVectors(t *testing.T) {
	decoded := snapshots(t, filepath.FromSlash(vectors), "decoded/positive")
	good := snapshots(t, filepath.FromSlash(vectors), "encoded/positive")
	if len(good) != 5 {
		t.Fatalf("%d vectors", len(good))
	}
	for name, message := range good {
		var want struct {
			Payload []byte `json:"payload"`
		}
		if err := json.Unmarshal(decoded[name], &want); err != nil {
			t.Fatal(err)
		}
		for cut := range len(message) {
			if e, n, err := bedrock.NextEvent(message[:cut]); n != 0 || err != nil || e.Payload != nil {
				t.Errorf("%s cut at %d: %v, %d, %v", name, cut, e, n, err)
			}
		}
		e, n, err := bedrock.NextEvent(append(bytes.Clone(message), message...))
		if err != nil || n != len(message) || !bytes.Equal(e.Payload, want.Payload) || e.Exception {
			t.Errorf("%s: %q, %d of %d, %v; want %q", name, e.Payload, n, len(message), err, want.Payload)
		}
	}
	bad := snapshots(t, filepath.FromSlash(vectors), "encoded/negative")
	if len(bad) != 4 {
		t.Fatalf("%d vectors", len(bad))
	}
	for name, message := range bad {
		if e, n, err := bedrock.NextEvent(message); llm.KindOf(err) != llm.ProviderMalformed || n != 0 {
			t.Errorf("%s: %v, %d, %v", name, e, n, err)
		}
	}
}

// TestNextEventDamaged changes each byte of a message in turn: the message is refused, or
// said to be longer than it is, whether its headers were seen before or not.
func TestNextEventDamaged(t *testing.T) {
	good := bedrock.AppendEvent(nil, "contentBlockDelta", []byte(`{"contentBlockIndex":0,"delta":{"text":"hello"}}`))
	for at := range good {
		for _, flip := range []byte{1, 0x80, 0xff} {
			bad := bytes.Clone(good)
			bad[at] ^= flip
			if e, n, err := bedrock.NextEvent(bad); n != 0 {
				t.Errorf("byte %d ^ %#x: %+v, %v", at, flip, e, err)
			}
			stream := append(bytes.Clone(good), bad...)
			if _, err := readStream(bytes.NewReader(stream), bedrock.ReaderOptions{}); err == nil {
				t.Errorf("byte %d ^ %#x: the stream is taken", at, flip)
			} else if kind := llm.KindOf(err); kind != llm.ProviderMalformed && kind != llm.ProviderTruncated {
				t.Errorf("byte %d ^ %#x: %v", at, flip, err)
			}
		}
	}
}

func TestNextEventSizes(t *testing.T) {
	head := func(total, headers uint32) []byte {
		b := binary.BigEndian.AppendUint32(nil, total)
		b = binary.BigEndian.AppendUint32(b, headers)
		return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	}
	for name, b := range map[string][]byte{
		"shorter than a message":          head(15, 0),
		"nothing":                         head(0, 0),
		"headers longer than the message": head(16, 1),
		"headers that wrap around":        head(100, 0xffffffff),
		"over the bound":                  head(bedrock.MaxMessage+1, 0),
		"4 GiB":                           head(0xffffffff, 0),
	} {
		if _, n, err := bedrock.NextEvent(b); llm.KindOf(err) != llm.ProviderMalformed || n != 0 {
			t.Errorf("%s: %d, %v", name, n, err)
		}
	}
	for _, b := range [][]byte{nil, {}, head(bedrock.MaxMessage, 0), head(16, 0)} {
		if _, n, err := bedrock.NextEvent(b); n != 0 || err != nil {
			t.Errorf("%x: %d, %v", b, n, err)
		}
	}
	for _, name := range []string{"chunk", "other"} {
		if b := bedrock.AppendEvent([]byte("x"), name, make([]byte, bedrock.MaxMessage+1)); string(b) != "x" {
			t.Errorf("%s: %d bytes", name, len(b))
		}
	}
	large := bedrock.AppendEvent(nil, "chunk", make([]byte, 1<<20))
	if e, n, err := bedrock.NextEvent(large); err != nil || n != len(large) || len(e.Payload) != 1<<20 {
		t.Errorf("%d, %v", n, err)
	}
}

// TestAppendEvent compares what is written with what the SDK's codec reads of it.
func TestAppendEvent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.OneOf(rapid.StringMatching(`[a-zA-Z-]{0,40}`), rapid.SampledFrom([]string{
			"messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata", "chunk",
		})).Draw(t, "type")
		payload := rapid.SliceOf(rapid.Byte()).Draw(t, "payload")
		prefix := rapid.SliceOf(rapid.Byte()).Draw(t, "prefix")
		b := bedrock.AppendEvent(bytes.Clone(prefix), name, payload)
		if !bytes.HasPrefix(b, prefix) {
			t.Fatal("what was there before is not there any more")
		}
		m, err := eventstream.NewDecoder().Decode(bytes.NewReader(b[len(prefix):]), nil)
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]string{":event-type": name, ":content-type": "application/json", ":message-type": "event"}
		got := map[string]string{}
		for _, h := range m.Headers {
			got[h.Name] = h.Value.String()
		}
		if diff := cmp.Diff(want, got); diff != "" || !bytes.Equal(m.Payload, payload) {
			t.Fatalf("payload %q, headers (-want +got):\n%s", m.Payload, diff)
		}
		e, n, err := bedrock.NextEvent(b[len(prefix):])
		if err != nil || n != len(b)-len(prefix) || e.Type != name || e.Exception || !bytes.Equal(e.Payload, payload) {
			t.Fatalf("%+v, %d, %v", e, n, err)
		}
	})
}

func TestAppendException(t *testing.T) {
	b := bedrock.AppendException(nil, "throttlingException", "slow \"down\"\x80")
	e, n, err := bedrock.NextEvent(b)
	if err != nil || n != len(b) || !e.Exception || e.Type != "throttlingException" || string(e.Payload) != `{"message":"slow \"down\"`+"\ufffd"+`"}` {
		t.Errorf("%+v %s, %d, %v", e, e.Payload, n, err)
	}
	unmodelled := encode(t, eventstream.Headers{
		{Name: ":message-type", Value: eventstream.StringValue("error")},
		{Name: ":error-code", Value: eventstream.StringValue("InternalFailure")},
		{Name: ":error-message", Value: eventstream.StringValue("sorry")},
	}, nil)
	if e, _, err := bedrock.NextEvent(unmodelled); err != nil || !e.Exception || e.Type != "InternalFailure" {
		t.Errorf("%+v, %v", e, err)
	}
	if long := bedrock.AppendEvent(nil, strings.Repeat("x", 1<<17), nil); len(long) > 1<<10 {
		t.Errorf("%d bytes", len(long))
	}
}

// encode writes a message as the SDK does.
func encode(t testing.TB, headers eventstream.Headers, payload []byte) []byte {
	t.Helper()
	var w bytes.Buffer
	if err := eventstream.NewEncoder().Encode(&w, eventstream.Message{Headers: headers, Payload: payload}); err != nil {
		t.Fatal(err)
	}
	return w.Bytes()
}

// FuzzNextEvent compares what is read with what the SDK's codec reads.
func FuzzNextEvent(f *testing.F) {
	f.Add(bedrock.AppendEvent(nil, "messageStart", []byte(`{"role":"assistant"}`)))
	f.Add(bedrock.AppendException(nil, "throttlingException", "x"))
	f.Add([]byte("\x00\x00\x00\x10\x00\x00\x00\x00\x05\xc2\x48\xeb\x7d\x98\xc8\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, n, err := bedrock.NextEvent(b)
		switch {
		case err != nil:
			if n != 0 || llm.KindOf(err) != llm.ProviderMalformed {
				t.Fatalf("%d, %v", n, err)
			}
		case n > 0:
			m, err := eventstream.NewDecoder().Decode(bytes.NewReader(b[:n]), nil)
			if err != nil || !bytes.Equal(m.Payload, e.Payload) {
				t.Fatalf("the codec says %v, %q; read was %q", err, m.Payload, e.Payload)
			}
			// The same headers again, which the reader has seen by then, and a damaged payload.
			two := append(bytes.Clone(b[:n]), b[:n]...)
			two[len(two)-1] ^= 1
			if _, err := readStream(bytes.NewReader(two), bedrock.ReaderOptions{}); err == nil {
				t.Fatal("a damaged message was taken")
			}
		default:
			if len(b) >= 12 && int(binary.BigEndian.Uint32(b)) <= len(b) {
				t.Fatal("nothing came of a complete message")
			}
		}
	})
}
