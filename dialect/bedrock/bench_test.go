package bedrock_test

import (
	"bytes"
	"io"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"

	"github.com/forebay-ai/forebay/dialect/bedrock"
)

func BenchmarkReader(b *testing.B) {
	var body []byte
	body = append(body, stream("messageStart", `{"role":"assistant"}`)...)
	for range 200 {
		body = append(body, stream("contentBlockDelta", `{"contentBlockIndex":0,"delta":{"text":" token"},"p":"abcdefghijklmnop"}`)...)
	}
	body = append(body, stream("messageStop", `{"stopReason":"end_turn"}`, "metadata", `{"usage":{"inputTokens":3,"outputTokens":4}}`)...)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		r := bedrock.NewReader(bytes.NewReader(body), bedrock.ReaderOptions{})
		for {
			if _, err := r.Next(); err == io.EOF {
				break
			} else if err != nil {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkNextEvent(b *testing.B) {
	m := bedrock.AppendEvent(nil, "contentBlockDelta", []byte(`{"contentBlockIndex":0,"delta":{"text":" test"},"p":"abcdefghijklmnopqrstuvw"}`))
	b.ReportAllocs()
	for b.Loop() {
		if _, n, err := bedrock.NextEvent(m); n == 0 || err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendEvent(b *testing.B) {
	payload := []byte(`{"contentBlockIndex":0,"delta":{"text":" test"}}`)
	b.Run("ours", func(b *testing.B) {
		var dst []byte
		b.ReportAllocs()
		for b.Loop() {
			dst = bedrock.AppendEvent(dst[:0], "contentBlockDelta", payload)
		}
	})
	b.Run("codec", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			encode(b, eventstream.Headers{
				{Name: ":event-type", Value: eventstream.StringValue("contentBlockDelta")},
				{Name: ":content-type", Value: eventstream.StringValue("application/json")},
				{Name: ":message-type", Value: eventstream.StringValue("event")},
			}, payload)
		}
	})
}

func BenchmarkReadWhole(b *testing.B) {
	req := conversing(asked)
	body := bedrock.Converse{}.Compose(req, string(bytes.Repeat([]byte("eight by"), 1024)))
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := bedrock.ReadWhole(req, body); err != nil {
			b.Fatal(err)
		}
	}
}
