package simulated_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	dialect "github.com/forebay-ai/forebay/dialect/openai"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/llm/llmtest"
	"github.com/forebay-ai/forebay/provider/simulated"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const chatModel = "any-model"

func chatBody(stream bool, more string) []byte {
	return fmt.Appendf(nil, `{"model":%q,"stream":%v,"stream_options":{"include_usage":true},`+
		`"messages":[{"role":"user","content":"What flows where?"}]%s}`, chatModel, stream, more)
}

func chat(stream bool, more ...string) *llm.Request {
	return &llm.Request{
		ID: "r-1", Endpoint: llm.Chat, Model: chatModel, Stream: stream,
		Dialect: dialect.Dialect{}, Body: chatBody(stream, strings.Join(more, "")),
	}
}

func provider(t *testing.T, cfg simulated.Config) *simulated.Provider {
	t.Helper()
	p, err := simulated.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func fault(t *testing.T, text string) simulated.Fault {
	t.Helper()
	f, err := simulated.ParseFault(text)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func collect(t *testing.T, p llm.Provider, req *llm.Request) (llm.Response, error) {
	t.Helper()
	s, err := p.Call(t.Context(), req.Model, req)
	if err != nil {
		return llm.Response{}, err
	}
	return llm.Collect(s)
}

// faultFor is the fault that makes a back end behave as the suite wants it.
func faultFor(b llmtest.Behaviour) string {
	return map[llmtest.Does]string{
		llmtest.Hangs:   "hang",
		llmtest.Stalls:  fmt.Sprintf("stall=%d", b.After),
		llmtest.Cuts:    fmt.Sprintf("cut=%d", b.After),
		llmtest.NoEnd:   "no_end",
		llmtest.Refuses: fmt.Sprintf("status=%d", b.Status),
	}[b.Does]
}

func TestConformanceWithinTheProcess(t *testing.T) {
	llmtest.TestProvider(t, llmtest.Harness{
		Model:   chatModel,
		Request: func(stream bool) *llm.Request { return chat(stream) },
		New: func(t *testing.T, b llmtest.Behaviour) llmtest.Backend {
			var cfg simulated.Config
			if b.Does != llmtest.Answers {
				cfg.Faults = []simulated.Fault{fault(t, faultFor(b))}
			}
			return llmtest.Backend{Provider: provider(t, cfg)}
		},
	})
}

func TestAnswersAreDeterministic(t *testing.T) {
	one, err := collect(t, provider(t, simulated.Config{}), chat(false))
	if err != nil {
		t.Fatal(err)
	}
	// Other spelling, another instance, streamed: the same text and usage.
	req := chat(true)
	req.Body = []byte(`{"messages": [{"content":"What flows where?", "role":"user"}], "model":"any-model",
		"stream":true, "stream_options":{"include_usage":true}, "user":"someone"}`)
	other, err := collect(t, provider(t, simulated.Config{}), req)
	if err != nil {
		t.Fatal(err)
	}
	if one.Usage.Output != other.Usage.Output || one.Usage.Output < 20 {
		t.Errorf("usage %+v and %+v, want the same and 20 words at least", one.Usage, other.Usage)
	}
	reshaped, err := dialect.Dialect{}.Reshape(chat(false), other.Body, true)
	if err != nil {
		t.Fatal(err)
	}
	if a, b := text(t, one.Body), text(t, reshaped); a != b || !strings.HasPrefix(a, "[simulated] ") {
		t.Errorf("texts %q and %q, want the same and labelled", a, b)
	}
	for name, cfg := range map[string]simulated.Config{"seed": {Seed: 1}, "words": {Words: 5}} {
		res, err := collect(t, provider(t, cfg), chat(false))
		if err != nil || string(res.Body) == string(one.Body) {
			t.Errorf("another %s gives the same answer (error %v)", name, err)
		}
	}
	if !strings.Contains(string(one.Body), `"system_fingerprint":"simulated"`) {
		t.Errorf("no fingerprint in %s", one.Body)
	}
}

func text(t *testing.T, body []byte) string {
	t.Helper()
	c, err := dialect.ReadWhole(llm.Chat, body)
	if err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	return c.Text()
}

func TestTokenBounds(t *testing.T) {
	for _, c := range []struct {
		more   string
		output int64
		finish llm.FinishReason
	}{
		{`,"max_tokens":3`, 3, llm.FinishLength},
		{`,"max_completion_tokens":1`, 1, llm.FinishLength},
		{`,"max_tokens":10`, 10, llm.FinishStop},
		{`,"max_tokens":0`, 10, llm.FinishStop},
		{`,"max_tokens":4000`, 10, llm.FinishStop},
	} {
		res, err := collect(t, provider(t, simulated.Config{Words: 10}), chat(false, c.more))
		if err != nil {
			t.Fatal(err)
		}
		if res.Usage.Output != c.output || res.Finish != c.finish {
			t.Errorf("%s: %d tokens, %s, want %d, %s", c.more, res.Usage.Output, res.Finish, c.output, c.finish)
		}
		if words := len(strings.Fields(text(t, res.Body))); int64(words) != c.output {
			t.Errorf("%s: %d words, want %d", c.more, words, c.output)
		}
	}
}

func TestLatencyIsDrawnAndScaled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		took := func(cfg simulated.Config, req *llm.Request) (first, whole time.Duration) {
			start := time.Now()
			s, err := provider(t, cfg).Call(t.Context(), req.Model, req)
			if err != nil {
				t.Fatal(err)
			}
			first = time.Since(start)
			if _, err := llm.Collect(s); err != nil {
				t.Fatal(err)
			}
			return first, time.Since(start)
		}
		if _, d := took(simulated.Config{}, chat(true)); d != 0 {
			t.Errorf("scale 0 took %v", d)
		}
		slow := simulated.Config{Scale: 1, Words: 10, Latency: simulated.Latency{
			FirstToken: simulated.LogNormal{Median: time.Second},
			PerToken:   simulated.LogNormal{Median: 10 * time.Millisecond},
			Embedding:  simulated.LogNormal{Median: 3 * time.Second},
		}}
		// Role, ten words, finish, usage and end mark: 13 gaps.
		if first, all := took(slow, chat(true)); first != time.Second || all != 1130*time.Millisecond {
			t.Errorf("stream: head after %v, end after %v, want 1s and 1.13s", first, all)
		}
		if first, all := took(slow, chat(false)); first != 1100*time.Millisecond || all != first {
			t.Errorf("whole: head after %v, end after %v, want 1.1s", first, all)
		}
		if first, _ := took(slow, embeddings(`"a"`)); first != 3*time.Second {
			t.Errorf("vectors after %v, want 3s", first)
		}
		slow.Faults = []simulated.Fault{fault(t, "latency=2"), fault(t, "delay=5s")}
		slow.Scale = 0.5
		if first, _ := took(slow, chat(true)); first != 6*time.Second {
			t.Errorf("head after %v with scale 0.5, latency=2 and delay=5s, want 6s", first)
		}
		a, _ := took(simulated.Config{Scale: 1}, chat(true))
		b, _ := took(simulated.Config{Scale: 1}, chat(true))
		c, _ := took(simulated.Config{Scale: 1, Seed: 7}, chat(true))
		if a != b || a == c || a == 0 {
			t.Errorf("drawn latencies %v, %v and with another seed %v: want same, same, other", a, b, c)
		}
	})
}

func TestCallRefuses(t *testing.T) {
	p := provider(t, simulated.Config{})
	foreign := chat(false)
	foreign.Dialect = llmtest.Dialect{}
	function := chat(false)
	function.Endpoint = llm.Function
	broken := chat(false)
	broken.Body = []byte(`{"model":`)
	for name, c := range map[string]struct {
		req  *llm.Request
		kind llm.Kind
	}{
		"dialect":  {foreign, llm.ForebayInternal},
		"endpoint": {function, llm.ProviderRejected},
		"body":     {broken, llm.ProviderRejected},
		"numbers":  {embeddings(`["a","b"],"dimensions":4194304`), llm.ProviderRejected},
	} {
		_, err := collect(t, p, c.req)
		if llm.KindOf(err) != c.kind {
			t.Errorf("%s: %v, want kind %s", name, err, c.kind)
		}
	}
	if n := p.Calls().Outcomes[simulated.Invalid]; n != 3 {
		t.Errorf("%d invalid calls in the log, want 3", n)
	}
}

func TestLogIsARing(t *testing.T) {
	p := provider(t, simulated.Config{CallLog: 3})
	for range 5 {
		if _, err := collect(t, p, chat(false)); err != nil {
			t.Fatal(err)
		}
	}
	log := p.Calls()
	var numbers []int64
	for _, c := range log.Calls {
		numbers = append(numbers, c.Number)
	}
	if fmt.Sprint(numbers) != "[3 4 5]" || log.Total != 5 || log.Outcomes[simulated.Answered] != 5 {
		t.Errorf("numbers %v, log %+v", numbers, log)
	}
	p.ResetCalls()
	if _, err := collect(t, p, chat(false)); err != nil {
		t.Fatal(err)
	}
	if log := p.Calls(); log.Total != 1 || len(log.Calls) != 1 || log.Calls[0].Number != 1 {
		t.Errorf("after the reset: %+v", log)
	}
}

func TestConfigReportsEveryFault(t *testing.T) {
	_, err := simulated.New(simulated.Config{
		Scale: -1, Capacity: -2, RetryAfter: -1, Words: -1, Dimensions: -1, CallLog: -1,
		Latency: simulated.Latency{PerToken: simulated.LogNormal{Sigma: -1}},
		Faults:  []simulated.Fault{{Kind: "explode"}, {Kind: simulated.FaultStatus, Status: 200}},
	})
	for _, want := range []string{
		"scale", "capacity", "retry_after", "words", "dimensions", "call_log", "latency.per_token",
		"faults[0]", "explode", "faults[1]", "status=200",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not name %s", err, want)
		}
	}
	p := provider(t, simulated.Config{})
	if err := p.SetFaults([]simulated.Fault{{Kind: simulated.FaultCut}, {}}); err == nil || len(p.Faults()) != 0 {
		t.Errorf("SetFaults: %v, and %d faults are set", err, len(p.Faults()))
	}
}

func TestCloseAfterEndMarkIsNotACancel(t *testing.T) {
	p := provider(t, simulated.Config{})
	s, err := p.Call(t.Context(), chatModel, chat(true))
	if err != nil {
		t.Fatal(err)
	}
	var raw []byte
	for !strings.HasSuffix(string(raw), "[DONE]\n\n") {
		c, err := s.Next()
		if err != nil {
			t.Fatal(err)
		}
		raw = append(raw, c.Raw...)
	}
	_ = s.Close()
	if n := p.Calls().Outcomes[simulated.Answered]; n != 1 {
		t.Errorf("log %+v", p.Calls())
	}
}

func Example() {
	p, err := simulated.New(simulated.Config{Words: 6})
	if err != nil {
		fmt.Println(err)
		return
	}
	req := &llm.Request{
		Endpoint: llm.Chat, Model: "simulated-chat", Dialect: dialect.Dialect{},
		Body: []byte(`{"model":"simulated-chat","messages":[{"role":"user","content":"Hello"}]}`),
	}
	s, err := p.Call(context.Background(), req.Model, req)
	if err != nil {
		fmt.Println(err)
		return
	}
	chunk, err := s.Next()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(chunk.Text())
	fmt.Println(chunk.Usage.Output, chunk.Finish)
	_, err = s.Next()
	fmt.Println(errors.Is(err, io.EOF))
	// Output:
	// [simulated] Before each toward reaches waits.
	// 6 stop
	// true
}
