package openai_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/forebay-ai/forebay/dialect/openai"
	"github.com/forebay-ai/forebay/llm"
)

// chatBody makes a chat request of about size bytes.
func chatBody(size int) []byte {
	const frame = `{"model":"gpt-4o-mini","temperature":0.7,"max_tokens":256,"user":"u-1","stream":true,"stream_options":{"include_usage":true},"messages":[%s]}`
	var messages []string
	total := len(frame)
	for i := 0; total < size; i++ {
		text := strings.Repeat("The quick brown fox jumps. ", 8)
		m := fmt.Sprintf(`{"role":"user","content":"%d %s\n"}`, i, text[:min(len(text), max(size-total-40, 1))])
		messages = append(messages, m)
		total += len(m) + 1
	}
	return fmt.Appendf(nil, frame, strings.Join(messages, ","))
}

// streamOf makes a stream of 22 events: role, 18 texts, finish, usage, end mark.
func streamOf() []byte {
	a := &openai.Answer{
		ID: "chatcmpl-ASv9hB9He94oQyZr1CDC8coqvmn5U", Model: "gpt-4o-mini-2024-07-18", Created: 1731456253,
		Usage: llm.Usage{Input: 12, Output: 18},
	}
	b := openai.AppendRoleChunk(nil, a)
	for range 18 {
		b = openai.AppendTextChunk(b, a, " word")
	}
	b = openai.AppendFinishChunk(b, a)
	b = openai.AppendUsageChunk(b, a)
	return openai.AppendDone(b)
}

func benchmarkParseChat(b *testing.B, size int) {
	body := chatBody(size)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := openai.ParseChat(body); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseChat340B(b *testing.B) { benchmarkParseChat(b, 340) }
func BenchmarkParseChat2KB(b *testing.B)  { benchmarkParseChat(b, 2048) }

// untrimmed puts a full stop behind the white space at the end of each text.
func untrimmed(body []byte) []byte {
	return bytes.ReplaceAll(body, []byte(`\n"`), []byte(`\n."`))
}

func benchmarkCanonical(b *testing.B, body []byte) {
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	req := &llm.Request{Endpoint: llm.Chat, Body: body}
	var dst []byte
	var err error
	for b.Loop() {
		if dst, err = (openai.Dialect{}).Canonical(dst[:0], req, false); err != nil {
			b.Fatal(err)
		}
	}
}

// The texts of this body are ASCII without outer white space, as most are.
func BenchmarkCanonical2KB(b *testing.B) {
	benchmarkCanonical(b, untrimmed(chatBody(2048)))
}

// Each text of this body ends in white space.
func BenchmarkCanonical2KBTrimmed(b *testing.B) { benchmarkCanonical(b, chatBody(2048)) }

// Each text of this body has letters that are not ASCII, in NFC.
func BenchmarkCanonical2KBUnicode(b *testing.B) {
	benchmarkCanonical(b, bytes.ReplaceAll(untrimmed(chatBody(2048)), []byte("quick"), []byte("flinke, großzügige")))
}

// Each text of this body has a letter of two code points.
func BenchmarkCanonical2KBComposed(b *testing.B) {
	benchmarkCanonical(b, bytes.ReplaceAll(untrimmed(chatBody(2048)), []byte("quick"), []byte("qui\u0308k")))
}

func BenchmarkReaderStream22Events(b *testing.B) {
	stream := streamOf()
	b.SetBytes(int64(len(stream)))
	b.ReportAllocs()
	src := bytes.NewReader(nil)
	for b.Loop() {
		src.Reset(stream)
		r := openai.NewReader(src, openai.ReaderOptions{})
		for {
			if _, err := r.Next(); err != nil {
				break
			}
		}
	}
}

// BenchmarkReaderStream22Reads is the same stream with a read for each event.
func BenchmarkReaderStream22Reads(b *testing.B) {
	events := bytes.SplitAfter(streamOf(), []byte("\n\n"))
	b.ReportAllocs()
	for b.Loop() {
		r := openai.NewReader(&pieces{parts: events}, openai.ReaderOptions{})
		for {
			if _, err := r.Next(); err != nil {
				break
			}
		}
	}
}

func BenchmarkReadWhole(b *testing.B) {
	body := openai.AppendChatBody(nil, &openai.Answer{
		ID: "chatcmpl-1", Model: "gpt-4o-mini", Text: strings.Repeat("The quick brown fox jumps. ", 70),
		Usage: llm.Usage{Input: 12, Output: 400},
	})
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := openai.ReadWhole(llm.Chat, body); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSetModel2KB(b *testing.B) {
	body := chatBody(2048)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := openai.SetModel(body, "llama3.2"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReshapeDropUsage(b *testing.B) {
	stream := streamOf()
	req := &llm.Request{Endpoint: llm.Chat, Stream: true, Body: []byte(`{}`)}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := (openai.Dialect{}).Reshape(req, stream, true); err != nil {
			b.Fatal(err)
		}
	}
}
