package openai_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/forebay-ai/forebay/dialect/openai"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/llm/llmtest"
)

func sample(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const (
	hello = `{"model":"m","choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":null}]}`
	bye   = `{"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`
)

// streams are bodies and what reading them must give, whatever the cuts.
var streams = []struct {
	name, body string
	opts       openai.ReaderOptions
	want       outcome // Raw empty: all of body
}{
	{
		name: "lf", body: "data: " + hello + "\n\ndata: " + bye + "\n\ndata: [DONE]\n\n",
		want: outcome{Text: "hi", Events: 3, Useful: true, Finish: "stop", Model: "m"},
	},
	{
		name: "crlf", body: "data: " + hello + "\r\n\r\ndata: " + bye + "\r\n\r\ndata: [DONE]\r\n\r\n",
		want: outcome{Text: "hi", Events: 3, Useful: true, Finish: "stop", Model: "m"},
	},
	{
		name: "cr", body: "data: " + hello + "\r\rdata: " + bye + "\r\rdata: [DONE]\r\r",
		want: outcome{Text: "hi", Events: 3, Useful: true, Finish: "stop", Model: "m"},
	},
	{
		name: "mixed ends", body: "data: " + hello + "\n\r\ndata: " + bye + "\r\n\ndata: [DONE]\n\r",
		want: outcome{Text: "hi", Events: 3, Useful: true, Finish: "stop", Model: "m"},
	},
	{
		name: "no space after colon", body: "data:" + hello + "\n\ndata:[DONE]\n\n",
		want: outcome{Text: "hi", Events: 2, Useful: true, Model: "m"},
	},
	{
		name: "byte order mark", body: "\xef\xbb\xbfdata: " + hello + "\n\ndata: [DONE]\n\n",
		want: outcome{Text: "hi", Events: 2, Useful: true, Model: "m"},
	},
	{
		name: "comments and fields", body: ": ping\n\nid: 7\nevent: chunk\nretry: 10\ndata: " + hello + "\n: in between\nunknown\n\n: ping\n\n\n\ndata: [DONE]\n\n",
		want: outcome{Text: "hi", Events: 2, Useful: true, Model: "m"},
	},
	{
		name: "data in several lines", body: "data: {\"choices\":[{\"delta\":\ndata: {\"content\":\"a\\nb\"}\r\ndata\ndata: }]}\n\ndata: [DONE]\n\n",
		want: outcome{Text: "a\nb", Events: 2, Useful: true},
	},
	{
		name: "empty data is no event", body: "data:\n\ndata: \n\ndata: " + hello + "\n\ndata: [DONE]\n\n",
		want: outcome{Text: "hi", Events: 2, Useful: true, Model: "m"},
	},
	{
		name: "end mark without empty line", body: "data: " + hello + "\n\ndata: [DONE]",
		want: outcome{Text: "hi", Events: 2, Useful: true, Model: "m"},
	},
	{
		name: "end mark with half an end", body: "data: " + hello + "\n\ndata: [DONE]\r\n",
		want: outcome{Text: "hi", Events: 2, Useful: true, Model: "m"},
	},
	{
		name: "nothing counts after the end mark", body: "data: [DONE]\n\ndata: {\"error\":{}}\n\ngarbage",
		want: outcome{Raw: "data: [DONE]\n\n", Events: 1},
	},
	{
		name: "usage", body: "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":20,\"completion_tokens\":5,\"prompt_tokens_details\":{\"cached_tokens\":8}}}\n\ndata: [DONE]\n\n",
		want: outcome{Events: 2, Usage: llm.Usage{Input: 12, CacheRead: 8, Output: 5}},
	},
	{
		name: "usage with what was written", body: "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":20,\"completion_tokens\":5,\"prompt_tokens_details\":{\"cached_tokens\":8,\"cache_creation_tokens\":9}}}\n\ndata: [DONE]\n\n",
		want: outcome{Events: 2, Usage: llm.Usage{Input: 3, CacheRead: 8, CacheWrite: 9, Output: 5}},
	},
	{
		name: "more written than sent", body: "data: {\"usage\":{\"prompt_tokens\":5,\"prompt_tokens_details\":{\"cache_creation_tokens\":85,\"cached_tokens\":4}}}\n\ndata: [DONE]\n\n",
		want: outcome{Events: 2, Usage: llm.Usage{CacheRead: 4, CacheWrite: 1}},
	},
	{
		name: "more cached than sent", body: "data: {\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":-5,\"prompt_tokens_details\":{\"cached_tokens\":8.5e1}}}\n\ndata: [DONE]\n\n",
		want: outcome{Events: 2, Usage: llm.Usage{CacheRead: 5}},
	},
	{
		name: "role and pings are not useful", body: "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null,\"tool_calls\":[ ],\"index\":0}}]}\n\ndata: [DONE]\n\n",
		want: outcome{Events: 2},
	},
	{
		name: "tool call is useful", body: "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0}]}}]}\n\ndata: [DONE]\n\n",
		want: outcome{Events: 2, Useful: true},
	},
	{
		name: "reasoning is useful", body: "data: {\"choices\":[{\"delta\":{\"content\":null,\"reasoning_content\":\"hm\"}}]}\n\ndata: [DONE]\n\n",
		want: outcome{Events: 2, Useful: true},
	},
	{
		name: "second choice", body: "data: {\"choices\":[{\"delta\":{\"content\":\"b\"},\"finish_reason\":\"length\",\"index\":1}]}\n\ndata: [DONE]\n\n",
		want: outcome{Events: 2, Useful: true},
	},
	{
		name: "unknown finish", body: "data: {\"choices\":[{\"finish_reason\":\"end\\u005fturn\"}]}\n\ndata: [DONE]\n\n",
		want: outcome{Events: 2, Finish: "end_turn"},
	},
	{
		name: "of two reasons the stricter", body: "data: {\"choices\":[{\"finish_reason\":\"content_filter\"}]}\n\ndata: {\"choices\":[{\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n",
		want: outcome{Events: 3, Finish: llm.FinishFilter},
	},
	{
		name: "null error is none", body: "data: {\"error\":null,\"choices\":[]}\n\ndata: [DONE]\n\n",
		want: outcome{Events: 2},
	},
	{
		name: "same opening, other rest", body: "data: {\"model\":\"m\",\"choices\":[]}\n\ndata: {\"model\":\"m\",\"choices\":[],\"model\":\"n\"}\n\ndata: {\"model\":\"m\",\"usage\":null}\n\ndata: [DONE]\n\n",
		want: outcome{Events: 4, Model: "m"},
	},
	{
		name: "cut before the end mark", body: "data: " + hello + "\n\ndata: " + bye + "\n\n",
		want: outcome{Text: "hi", Events: 2, Useful: true, Model: "m", Kind: llm.ProviderTruncated},
	},
	{
		name: "cut inside an event", body: "data: " + hello + "\n\ndata: {\"ch",
		want: outcome{Raw: "data: " + hello + "\n\n", Text: "hi", Events: 1, Useful: true, Model: "m", Kind: llm.ProviderTruncated},
	},
	{name: "empty body", body: "", want: outcome{Kind: llm.ProviderTruncated}},
	{
		name: "error event", body: "data: " + hello + "\n\ndata: {\"error\":{\"message\":\"slow down\",\"type\":\"rate_limit_error\"}}\n\ndata: [DONE]\n\n",
		want: outcome{Raw: "data: " + hello + "\n\n", Text: "hi", Events: 1, Useful: true, Model: "m", Kind: llm.ProviderRateLimited},
	},
	{
		name: "error as the first event", body: "data: {\"error\":{\"code\":503}}\n\n",
		want: outcome{Kind: llm.ProviderOverloaded},
	},
	{
		name: "error by object", body: "data: {\"object\":\"error\",\"message\":\"no\",\"code\":400}\n\n",
		want: outcome{Kind: llm.ProviderRejected},
	},
	{
		name: "error by event type", body: "event: error\ndata: {\"message\":\"no\"}\n\n",
		want: outcome{Kind: llm.ProviderError},
	},
	{
		name: "error by event type, plain", body: "event: error\ndata: boom\n\n",
		want: outcome{Kind: llm.ProviderError},
	},
	{
		name: "not JSON", body: "data: " + hello + "\n\ndata: {\"choices\":[}\n\n",
		want: outcome{Raw: "data: " + hello + "\n\n", Text: "hi", Events: 1, Useful: true, Model: "m", Kind: llm.ProviderMalformed},
	},
	{name: "not an object", body: "data: [1]\n\ndata: [DONE]\n\n", want: outcome{Kind: llm.ProviderMalformed}},
	{name: "two values", body: "data: {}{}\n\ndata: [DONE]\n\n", want: outcome{Kind: llm.ProviderMalformed}},
	{name: "nested too deep", body: "data: {\"a\":" + strings.Repeat("[", 999) + strings.Repeat("]", 999) + "}\n\n", want: outcome{Kind: llm.ProviderMalformed}},
	{
		name: "event over the bound", body: "data: {}\n\ndata: {\"a\":\"" + strings.Repeat("x", 80) + "\"}\n\ndata: [DONE]\n\n",
		opts: openai.ReaderOptions{MaxEvent: 64},
		want: outcome{Raw: "data: {}\n\n", Events: 1, Kind: llm.ProviderMalformed, Limit: "max_event_bytes"},
	},
	{
		name: "endless line", body: "data: {}\n\ndata: " + strings.Repeat("x", 200),
		opts: openai.ReaderOptions{MaxEvent: 64},
		want: outcome{Raw: "data: {}\n\n", Events: 1, Kind: llm.ProviderMalformed, Limit: "max_event_bytes"},
	},
	{
		name: "event over both bounds, its own first", body: "data: " + strings.Repeat("x", 200),
		opts: openai.ReaderOptions{MaxEvent: 64, MaxTotal: 100},
		want: outcome{Kind: llm.ProviderMalformed, Limit: "max_event_bytes"},
	},
	{
		name: "event over both bounds, the stream's first", body: "data: " + strings.Repeat("x", 200) + "\n\n",
		opts: openai.ReaderOptions{MaxEvent: 100, MaxTotal: 64},
		want: outcome{Kind: llm.ProviderMalformed, Limit: "max_stream_bytes"},
	},
	{
		name: "event at the bound", body: "data: {\"a\":\"12345\"}\n\ndata: [DONE]\n\n",
		opts: openai.ReaderOptions{MaxEvent: 21, MaxTotal: 35}, want: outcome{Events: 2},
	},
	{
		name: "stream over the bound", body: "data: {}\n\ndata: {}\n\ndata: [DONE]\n\n",
		opts: openai.ReaderOptions{MaxTotal: 25},
		want: outcome{Raw: "data: {}\n\ndata: {}\n\n", Events: 2, Kind: llm.ProviderMalformed, Limit: "max_stream_bytes"},
	},
}

// Every cut into two parts, and one byte a read, must give what one read gives.
func TestReaderDoesNotDependOnCuts(t *testing.T) {
	for _, test := range streams {
		t.Run(test.name, func(t *testing.T) {
			want := test.want
			if want.Raw == "" && want.Kind == "" || strings.HasPrefix(test.name, "cut before") {
				want.Raw = test.body
			}
			body := []byte(test.body)
			if diff := cmp.Diff(want, read(test.opts, body)); diff != "" {
				t.Fatalf("in one read (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(want, read(test.opts, bytes.SplitAfter(body, nil)...)); diff != "" {
				t.Errorf("one byte a read (-want +got):\n%s", diff)
			}
			for at := range body {
				if diff := cmp.Diff(want, read(test.opts, body[:at], body[at:])); diff != "" {
					t.Fatalf("cut at %d (-want +got):\n%s", at, diff)
				}
			}
		})
	}
}

func TestReaderGoldenStreams(t *testing.T) {
	got := read(openai.ReaderOptions{}, sample(t, "stream.sse"))
	want := outcome{
		Raw: string(sample(t, "stream.sse")), Text: "Grüße, Wörld ☃", Events: 6, Useful: true,
		Usage: llm.Usage{Input: 12, CacheRead: 8, Output: 5}, Finish: llm.FinishStop, Model: "gpt-test",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("stream.sse (-want +got):\n%s", diff)
	}
	got = read(openai.ReaderOptions{}, sample(t, "tools.sse"))
	want = outcome{
		Raw: string(sample(t, "tools.sse")), Events: 6, Useful: true,
		Usage: llm.Usage{Input: 3, Output: 9}, Finish: llm.FinishToolCalls, Model: "m",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("tools.sse (-want +got):\n%s", diff)
	}
}

// A chunk is what a read brought: events are not held back, and not handed out one by one.
func TestReaderDeliversWhatOneReadCompletes(t *testing.T) {
	one := "data: " + hello + "\n\n"
	r := openai.NewReader(&pieces{parts: [][]byte{
		[]byte(one + one + one[:10]), []byte(one[10:]), []byte(": ping\n\n"), []byte("data: [DONE]\n\n"),
	}}, openai.ReaderOptions{})
	var got []string
	for {
		c, err := r.Next()
		if err != nil {
			break
		}
		got = append(got, fmt.Sprint(c.Events, c.Useful, len(c.Raw)))
	}
	want := []string{
		fmt.Sprint(2, true, 2*len(one)), fmt.Sprint(1, true, len(one)), fmt.Sprint(0, false, 8), fmt.Sprint(1, false, 14),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("chunks (-want +got):\n%s", diff)
	}
}

func TestReaderNeverChangesWhatItDelivered(t *testing.T) {
	stream := sample(t, "stream.sse")
	r := openai.NewReader(&pieces{parts: bytes.SplitAfter(stream, []byte("\n"))}, openai.ReaderOptions{})
	var raws [][]byte
	for {
		c, err := r.Next()
		if err != nil {
			break
		}
		raws = append(raws, c.Raw)
	}
	if got := bytes.Join(raws, nil); !bytes.Equal(got, stream) {
		t.Errorf("chunks together differ from the stream:\n%s", got)
	}
}

// Who waits apart from reading gets the same chunks: it waits at most once for what is next.
func TestReaderAwaits(t *testing.T) {
	one := "data: " + hello + "\n\n"
	src := &pieces{parts: [][]byte{[]byte(one + one[:10]), []byte(one[10:20]), []byte(one[20:]), []byte("data: [DONE]\n\n")}}
	r := openai.NewReader(src, openai.ReaderOptions{})
	var got []string
	for err := error(nil); err == nil; {
		for range 3 {
			r.Await()
		}
		var c llm.Chunk
		if c, err = r.Next(); err == nil {
			got = append(got, fmt.Sprint(c.Events, len(c.Raw), len(src.parts)))
		}
	}
	want := []string{fmt.Sprint(1, len(one), 4), fmt.Sprint(1, len(one), 2), fmt.Sprint(1, 14, 1)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events, bytes, pieces that are left with the last one read (-want +got):\n%s", diff)
	}
	r.Await()
	if _, err := r.Next(); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}

func TestReaderKeepsReturningItsError(t *testing.T) {
	r := openai.NewReader(strings.NewReader("data: [DONE]\n\n"), openai.ReaderOptions{})
	if _, err := r.Next(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := r.Next(); !errors.Is(err, io.EOF) {
			t.Fatalf("got %v, want io.EOF", err)
		}
	}
}

func TestReaderReadErrors(t *testing.T) {
	own := llm.Errorf(llm.ProviderTimeout, "no token in time")
	for _, test := range []struct {
		name string
		err  error
		want llm.Kind
	}{
		{"reset", errors.New("connection reset by peer"), llm.ProviderTruncated},
		{"unexpected end", io.ErrUnexpectedEOF, llm.ProviderTruncated},
		{"cancelled", fmt.Errorf("read: %w", context.Canceled), llm.CallerCancelled},
		{"deadline", context.DeadlineExceeded, llm.CallerDeadline},
		{"an error of ours", fmt.Errorf("read: %w", own), llm.ProviderTimeout},
	} {
		t.Run(test.name, func(t *testing.T) {
			src := &pieces{parts: [][]byte{[]byte("data: " + hello + "\n\n")}, err: test.err}
			r := openai.NewReader(src, openai.ReaderOptions{})
			if c, err := r.Next(); err != nil || c.Text() != "hi" {
				t.Fatalf("what came before: %q, %v", c.Raw, err)
			}
			_, err := r.Next()
			if got := llm.KindOf(err); got != test.want {
				t.Errorf("kind %s, want %s", got, test.want)
			}
			if !errors.Is(err, test.err) && !errors.Is(test.err, err) {
				t.Errorf("%v does not have the cause %v", err, test.err)
			}
		})
	}
}

type idle struct{}

func (idle) Read([]byte) (int, error) { return 0, nil }

func TestReaderGivesUpOnAReaderThatNeverReads(t *testing.T) {
	_, err := openai.NewReader(idle{}, openai.ReaderOptions{}).Next()
	if llm.KindOf(err) != llm.ProviderTruncated || !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("got %v", err)
	}
}

// The cost of a chunk does not depend on how many events are in it.
func TestReaderAllocatesPerReadNotPerEvent(t *testing.T) {
	count := func(events int) float64 {
		stream := []byte(strings.Repeat("data: "+hello+"\n\n", events) + "data: [DONE]\n\n")
		return testing.AllocsPerRun(50, func() { read1(stream) })
	}
	few := count(2)
	if many := count(4); many > few {
		t.Errorf("%v allocations for 2 events, %v for 4", few, many)
	}
	// More than the first buffer holds: a larger one, and the chunk of one more read.
	if many := count(80); many > few+3 {
		t.Errorf("%v allocations for 2 events, %v for 80", few, many)
	}
}

// heldWhile is how many bytes a reader holds that has delivered all of parts and waits.
func heldWhile(parts ...[]byte) int {
	return llmtest.HeldWhileWaiting(func(r io.Reader) *openai.Reader { return openai.NewReader(r, openai.ReaderOptions{}) }, parts...)
}

// Ten thousand streams that wait for their next event hold some ten megabytes: a stream
// holds little before its first event, after events of the usual size, and after one with
// a file in it, be it in several lines.
func TestReaderHoldsLittleWhileItWaits(t *testing.T) {
	event := []byte("data: " + hello + "\n\n")
	large := []byte("data: {\ndata: \"choices\":[{\"delta\":{\"content\":\"" + strings.Repeat("x", 200<<10) + "\"}}]}\n\n")
	for _, test := range []struct {
		name  string
		parts [][]byte
		most  int
	}{
		{"before the first event", nil, 1400},
		{"after small events", [][]byte{event, event, event}, 1800},
		{"after a burst", [][]byte{bytes.Repeat(event, 100), event}, 4000},
		{"after a large event", [][]byte{event, large}, 4000},
		{"small again", [][]byte{event, large, event, event}, 1800},
	} {
		got := heldWhile(test.parts...)
		t.Logf("%s: %d bytes", test.name, got)
		if got > test.most {
			t.Errorf("%s: a stream holds %d bytes", test.name, got)
		}
	}
}

func read1(stream []byte) {
	r := openai.NewReader(bytes.NewReader(stream), openai.ReaderOptions{})
	for {
		if _, err := r.Next(); err != nil {
			return
		}
	}
}

func FuzzReader(f *testing.F) {
	for _, s := range streams {
		f.Add([]byte(s.body), uint16(7), uint16(30), uint16(s.opts.MaxEvent), uint16(s.opts.MaxTotal))
	}
	f.Add(sample(f, "stream.sse"), uint16(100), uint16(300), uint16(0), uint16(0))
	f.Add(sample(f, "tools.sse"), uint16(0), uint16(1000), uint16(0), uint16(0))
	f.Fuzz(func(t *testing.T, body []byte, a, b, maxEvent, maxTotal uint16) {
		opts := openai.ReaderOptions{MaxEvent: int(maxEvent), MaxTotal: int64(maxTotal)}
		whole := read(opts, body)
		x := min(int(a), len(body))
		y := min(max(int(b), x), len(body))
		if diff := cmp.Diff(whole, read(opts, body[:x], body[x:y], body[y:])); diff != "" {
			t.Errorf("cut at %d and %d (-whole +cut):\n%s", x, y, diff)
		}
		if len(body) < 4096 {
			if diff := cmp.Diff(whole, read(opts, bytes.SplitAfter(body, nil)...)); diff != "" {
				t.Errorf("one byte a read (-whole +cut):\n%s", diff)
			}
		}
		if !strings.HasPrefix(string(body), whole.Raw) {
			t.Errorf("what was delivered is not what came: %q", whole.Raw)
		}
	})
}
