package llmtest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/llm/llmtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func request(stream bool) *llm.Request {
	return &llm.Request{
		ID: "r", Endpoint: llm.Chat, Model: "m", Stream: stream,
		Dialect: llmtest.Dialect{}, Body: []byte("say some words"),
	}
}

// noticing passes on what a scripted provider's records say about cancelled calls.
type noticing struct {
	*llmtest.Provider
	cancelled chan struct{}
}

func (n noticing) Call(ctx context.Context, model string, req *llm.Request) (llm.Stream, error) {
	s, err := n.Provider.Call(ctx, model, req)
	n.notice()
	if err != nil {
		return nil, err
	}
	return noticingStream{s, n}, nil
}

func (n noticing) notice() {
	for _, c := range n.Calls() {
		if c.Cancelled {
			select {
			case n.cancelled <- struct{}{}:
			default:
			}
		}
	}
}

type noticingStream struct {
	llm.Stream
	n noticing
}

func (s noticingStream) Next() (llm.Chunk, error) {
	c, err := s.Stream.Next()
	if err != nil {
		s.n.notice()
	}
	return c, err
}

func (s noticingStream) Close() error {
	defer s.n.notice()
	return s.Stream.Close()
}

func TestConformance(t *testing.T) {
	llmtest.TestProvider(t, llmtest.Harness{
		Model:   "m",
		Request: request,
		New: func(t *testing.T, b llmtest.Behaviour) llmtest.Backend {
			step := map[llmtest.Does]llmtest.Step{
				llmtest.Answers: llmtest.OK("one two three four"),
				llmtest.Hangs:   llmtest.Hang(),
				llmtest.Stalls:  llmtest.StallAfter(b.After),
				llmtest.Cuts:    llmtest.CutAfter(b.After),
				llmtest.NoEnd:   llmtest.CutAfter(1000),
				llmtest.Refuses: llmtest.Fail(b.Status),
			}[b.Does]
			n := noticing{llmtest.Script(step), make(chan struct{}, 1)}
			return llmtest.Backend{
				Provider:  n,
				Cancelled: n.cancelled,
				Bodies: func() (bodies [][]byte) {
					for _, c := range n.Calls() {
						bodies = append(bodies, c.Request.Body)
					}
					return bodies
				},
			}
		},
	})
}

func TestSteps(t *testing.T) {
	// What a step delivers before which kind of end; "" is a complete answer.
	for _, c := range []struct {
		name   string
		step   llmtest.Step
		stream bool
		text   string
		kind   llm.Kind
		took   time.Duration
	}{
		{"ok", llmtest.OK("a b"), false, "a b", "", 0},
		{"ok streamed", llmtest.OK("a b"), true, "a b", "", 0},
		{"zero step", llmtest.Step{}, false, "", "", 0},
		{"echo", llmtest.Echo(), false, "say some words", "", 0},
		{"status", llmtest.Fail(429), false, "", llm.ProviderRateLimited, 0},
		{"status of Anthropic", llmtest.Fail(529), false, "", llm.ProviderOverloaded, 0},
		{"status not known", llmtest.Fail(599), false, "", llm.ProviderError, 0},
		{"gateway's timeout", llmtest.Fail(504), false, "", llm.ProviderTimeout, 0},
		{"forbidden", llmtest.Fail(403), false, "", llm.ProviderAuthFailed, 0},
		{"bad request", llmtest.Fail(422), false, "", llm.ProviderRejected, 0},
		{"kind", llmtest.Fail(llm.ProviderFiltered), false, "", llm.ProviderFiltered, 0},
		{"error", llmtest.Err(llm.Errorf(llm.ProviderTimeout, "x")), true, "", llm.ProviderTimeout, 0},
		{"hang", llmtest.Hang(), false, "", llm.CallerDeadline, time.Minute},
		{"stall", llmtest.StallAfter(2), true, "one two ", llm.CallerDeadline, time.Minute},
		{"stall whole", llmtest.StallAfter(2), false, "", llm.CallerDeadline, time.Minute},
		{"stall late", llmtest.StallAfter(100), true, llmtest.EightWords, llm.CallerDeadline, time.Minute},
		{"cut", llmtest.CutAfter(3), true, "one two three ", llm.ProviderTruncated, 0},
		{"cut whole", llmtest.CutAfter(3), false, "", llm.ProviderTruncated, 0},
		{"garbage", llmtest.Garbage(), true, "one ", llm.ProviderMalformed, 0},
		{"garbage whole", llmtest.Garbage(), false, "", llm.ProviderMalformed, 0},
		{"trickle", llmtest.Trickle(time.Second), true, llmtest.EightWords, "", 9 * time.Second},
		{"trickle whole", llmtest.Trickle(time.Second), false, llmtest.EightWords, "", time.Second},
		{"delay", llmtest.Delay(time.Second), true, llmtest.EightWords, "", time.Second},
		{"late failure", llmtest.Fail(500).After(time.Second), true, "", llm.ProviderError, time.Second},
		{"too late", llmtest.Delay(time.Hour), true, "", llm.CallerDeadline, time.Minute},
		{"saying", llmtest.CutAfter(1).Saying("x y z"), true, "x ", llm.ProviderTruncated, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, start := llmtest.Script(c.step), time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				var res llm.Response
				s, err := p.Call(ctx, "m", request(c.stream))
				if err == nil {
					res, err = llm.Collect(s)
				}
				if got := llm.KindOf(err); got != c.kind {
					t.Errorf("error %v, want kind %q", err, c.kind)
				}
				if got := llmtest.Text(res.Body); got != c.text {
					t.Errorf("text %q, want %q", got, c.text)
				}
				if got := time.Since(start); got != c.took {
					t.Errorf("took %v, want %v", got, c.took)
				}
				record := p.Calls()[0]
				if want := c.kind == llm.CallerDeadline; !record.Done || record.Cancelled != want {
					t.Errorf("record done %v, cancelled %v, want true, %v", record.Done, record.Cancelled, want)
				}
			})
		})
	}
}

func TestScriptRepeatsLastStep(t *testing.T) {
	p := llmtest.Script(llmtest.Fail(503), llmtest.OK("fine"))
	for i, want := range []llm.Kind{llm.ProviderOverloaded, "", ""} {
		s, err := p.Call(t.Context(), "m", request(false))
		if err == nil {
			_, err = llm.Collect(s)
		}
		if llm.KindOf(err) != want {
			t.Errorf("call %d: %v, want kind %q", i, err, want)
		}
	}
	p.Set(llmtest.Fail(llm.ProviderTimeout))
	if _, err := p.Call(t.Context(), "m", request(false)); llm.KindOf(err) != llm.ProviderTimeout {
		t.Errorf("after Set: %v", err)
	}
	if n := len(p.Calls()); n != 4 {
		t.Errorf("%d records of 4 calls", n)
	}
}

func TestRecordsAndInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := llmtest.Script(llmtest.StallAfter(1))
		ctx, cancel := context.WithCancel(t.Context())
		var streams []llm.Stream
		for range 2 {
			s, err := p.Call(ctx, "m", request(true))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Next(); err != nil {
				t.Fatal(err)
			}
			streams = append(streams, s)
		}
		if now, most := p.InFlight(); now != 2 || most != 2 {
			t.Errorf("in flight %d, most %d, want 2, 2", now, most)
		}
		cancel() // nobody is in Next: the record must know all the same
		synctest.Wait()
		if now, most := p.InFlight(); now != 0 || most != 2 {
			t.Errorf("in flight %d, most %d after the cancel, want 0, 2", now, most)
		}
		for _, c := range p.Calls() {
			if !c.Cancelled || c.Delivered != 1 || c.Model != "m" {
				t.Errorf("record %+v, want cancelled after 1 chunk", c)
			}
		}
		for _, s := range streams {
			_ = s.Close()
		}
	})
}

func TestDo(t *testing.T) {
	want := errors.New("own")
	p := llmtest.Script(llmtest.Do(func(context.Context, string, *llm.Request) (llm.Stream, error) { return nil, want }))
	if _, err := p.Call(t.Context(), "m", request(false)); !errors.Is(err, want) {
		t.Errorf("error %v", err)
	}
	if models, err := p.Models(t.Context()); err != nil || len(models) != 1 {
		t.Errorf("models %v, %v", models, err)
	}
}

// sse is a dialect that the package cannot read.
type sse struct{ llmtest.Dialect }

func (sse) Compose(req *llm.Request, text string) []byte {
	if req.Stream {
		return []byte("data: role\n\ndata: " + text + "\n\ndata: [DONE]\n\n")
	}
	return []byte(text)
}

func TestForeignDialect(t *testing.T) {
	for _, stream := range []bool{false, true} {
		req := request(stream)
		req.Dialect = sse{}
		s, err := llmtest.Script(llmtest.OK("hello you")).Call(t.Context(), "m", req)
		if err != nil {
			t.Fatal(err)
		}
		var text string
		var res llm.Response
		for first := true; ; first = false {
			c, err := s.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if c.Text != nil {
				text += c.Text()
			}
			res.Add(c, first)
		}
		if text != "hello you" || res.Finish != llm.FinishStop {
			t.Errorf("stream %v: text %q, finish %q", stream, text, res.Finish)
		}
		if want := (sse{}).Compose(req, "hello you"); string(res.Body) != string(want) {
			t.Errorf("stream %v: body %q, want %q", stream, res.Body, want)
		}
	}
}

func TestDialectReshapes(t *testing.T) {
	var d llmtest.Dialect
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "text")
		usage := llm.Usage{Input: rapid.Int64Range(0, 99).Draw(t, "in"), Output: rapid.Int64Range(0, 99).Draw(t, "out")}
		whole, events := llmtest.Whole(text, usage), llmtest.Events(text, usage)
		forms := map[bool][]byte{false: whole, true: events}
		for has, answer := range forms {
			if got := llmtest.Text(answer); got != text {
				t.Fatalf("text %q, want %q", got, text)
			}
			for asked, want := range forms {
				got, err := d.Reshape(request(asked), answer, has)
				if err != nil || string(got) != string(want) {
					t.Fatalf("reshape of %q to stream %v: %q, %v", answer, asked, got, err)
				}
			}
		}
	})
}

func TestDialectRefuses(t *testing.T) {
	var d llmtest.Dialect
	for _, bad := range []string{"", "text \"a\"\n", "text a\nEND\n", "END", "usage x\nEND\n", "hello\nEND\n", "whole \"a\"\nEND\n"} {
		if _, err := d.Reshape(request(true), []byte(bad), true); llm.KindOf(err) != llm.ForebayInternal {
			t.Errorf("%q: %v, want it refused", bad, err)
		}
	}
	if _, err := d.Canonical(nil, &llm.Request{Endpoint: llm.Chat, Body: []byte(" \n")}, false); llm.KindOf(err) != llm.CallerInvalidRequest {
		t.Errorf("empty body: %v", err)
	}
	a, _ := d.Canonical(nil, &llm.Request{Endpoint: llm.Chat, Body: []byte(" say  it\n")}, false)
	b, _ := d.Canonical(nil, &llm.Request{Endpoint: llm.Chat, Body: []byte("say it")}, false)
	if diff := cmp.Diff(string(a), string(b)); diff != "" {
		t.Error(diff)
	}
	if c, _ := d.Canonical(nil, &llm.Request{Endpoint: llm.Chat, Body: []byte(" say  it\n")}, true); string(c) != "chat  say  it\n" {
		t.Errorf("verbatim: %q", c)
	}
	if got := llmtest.Text([]byte("nonsense\n")); got != "" {
		t.Errorf("text of nonsense: %q", got)
	}
}

func ExampleScript() {
	p := llmtest.Script(llmtest.Fail(503), llmtest.CutAfter(2), llmtest.OK("all is well"))
	req := &llm.Request{Endpoint: llm.Chat, Dialect: llmtest.Dialect{}, Body: []byte("how is it?"), Stream: true}
	for range 3 {
		s, err := p.Call(context.Background(), "any", req)
		if err != nil {
			fmt.Println(err)
			continue
		}
		res, err := llm.Collect(s)
		fmt.Printf("%q %v\n", llmtest.Text(res.Body), err)
	}
	// Output:
	// provider_overloaded: scripted status 503
	// "one two " provider_truncated: scripted cut
	// "all is well" <nil>
}
