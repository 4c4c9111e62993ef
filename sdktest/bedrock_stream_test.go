package sdktest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
)

// TestBedrockStream: every event arrives as it was sent, with the usage behind it.
func TestBedrockStream(t *testing.T) {
	t.Parallel()
	s := newBedrock(t, true)
	r := newRig(t, setup{bedrock: s})
	client := r.aws(t)
	got := hear(client.ConverseStream(ended(t), streaming(haiku, "one two three")))
	if got.err != nil || got.text != "You said: one two three" || got.deltas != 5 || got.stop != "end_turn" ||
		got.usage == nil || *got.usage.InputTokens != 30 || *got.usage.CacheWriteInputTokens != 2 {
		t.Errorf("%+v", got)
	}
	if calls := s.took(); len(calls) != 1 || calls[0].Action != "converse-stream" {
		t.Errorf("the provider got %+v", calls)
	}
}

// TestBedrockStreamInPieces: the first words are there before the last ones were made.
func TestBedrockStreamInPieces(t *testing.T) {
	t.Parallel()
	s := newBedrock(t, true)
	r := newRig(t, setup{bedrock: s, config: "retry: {max: 0}"})
	s.plans(trouble{stall: true, after: 3})
	out, err := r.aws(t).ConverseStream(ended(t), streaming(haiku, "one two three"))
	if err != nil {
		t.Fatal(err)
	}
	events := out.GetStream().Events()
	<-events // messageStart
	first := (<-events).(*types.ConverseStreamOutputMemberContentBlockDelta).Value.Delta.(*types.ContentBlockDeltaMemberText).Value
	if first != "You " || s.inFlight() != 1 {
		t.Errorf("%q while %d calls run", first, s.inFlight())
	}
	if err := out.GetStream().Close(); err != nil {
		t.Error(err)
	}
	eventually(t, 10*time.Second, "the provider's call is over when the caller has left", func() bool { return s.inFlight() == 0 })
}

// brokenEvents is every way in which Bedrock's stream can end early, and what the caller's
// SDK has to call it.
var brokenEvents = []struct {
	name  string
	wrong trouble
	code  string
	typed func(error) bool
}{
	{"an end between events", trouble{cut: true, after: 3}, "ModelStreamErrorException", is[*types.ModelStreamErrorException]},
	{"an end before the usage", trouble{cut: true, after: 7}, "ModelStreamErrorException", is[*types.ModelStreamErrorException]},
	{"a broken connection", trouble{broken: true, after: 3}, "ModelStreamErrorException", is[*types.ModelStreamErrorException]},
	{"silence", trouble{stall: true, after: 3}, "modelTimeoutException", nil},
	{"an exception of the model's", trouble{errorType: "modelStreamErrorException", after: 3}, "ModelStreamErrorException", is[*types.ModelStreamErrorException]},
	{"throttling", trouble{errorType: "throttlingException", after: 3}, "ThrottlingException", is[*types.ThrottlingException]},
	{"no service", trouble{errorType: "serviceUnavailableException", after: 3}, "ServiceUnavailableException", is[*types.ServiceUnavailableException]},
	{"validation", trouble{errorType: "validationException", after: 3}, "ValidationException", is[*types.ValidationException]},
}

// TestBedrockBrokenStream: the SDK takes a stream that ends early for a normal one, unless
// it is told. So it is told, with the type that the failure has.
func TestBedrockBrokenStream(t *testing.T) {
	t.Parallel()
	s := newBedrock(t, true)
	r := newRig(t, setup{bedrock: s, config: quick, target: ", idle_timeout: 400ms"})
	client := r.aws(t)
	for _, c := range brokenEvents {
		t.Run(c.name, func(t *testing.T) {
			words := "one two three, " + c.name
			s.plans(c.wrong)
			got := hear(client.ConverseStream(ended(t), streaming(haiku, words)))
			if got.err == nil || code(got.err) != c.code || c.typed != nil && !c.typed(got.err) {
				t.Errorf("%T %v, want %s", got.err, got.err, c.code)
			}
			if whole := "You said: " + words; got.text == "" || !strings.HasPrefix(whole, got.text) {
				t.Errorf("%q came before, which is not the beginning of %q", got.text, whole)
			}
			client.wantAttempts(t, 1)
			r.mustBreakFrames(t, words)
			s.plans()
			again := hear(client.ConverseStream(ended(t), streaming(haiku, words)))
			if again.err != nil || again.text != "You said: "+words {
				t.Errorf("once mended: %+v: half an answer must not be kept", again)
			}
			client.wantAttempts(t, 1)
		})
	}
}

// mustBreakFrames asks with a bearer key and no SDK, and checks what lies below: the
// exception is the last message, and then the connection breaks.
func (r *rig) mustBreakFrames(t *testing.T, words string) {
	t.Helper()
	req, err := http.NewRequestWithContext(ended(t), http.MethodPost, r.gateway.url+"/bedrock/model/"+haiku+"/converse-stream",
		strings.NewReader(`{"messages":[{"role":"user","content":[{"text":`+quoted(words)+`}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+operatorKey)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("the connection ends with %v, want a break", err)
	}
	last := ""
	for b := bytes.NewReader(body); b.Len() > 0; {
		m, err := eventstream.NewDecoder().Decode(b, nil)
		if err != nil {
			t.Fatal(err)
		}
		last = m.Headers.Get(":message-type").String() + " " + string(m.Payload)
	}
	says(t, "the last message", last, "exception {", `"error_type":"provider_`, `"support_id":"`+res.Header.Get("X-Request-Id")+`"`)
}

// TestBedrockBrokenChunks is the same for streams of InvokeModel.
func TestBedrockBrokenChunks(t *testing.T) {
	t.Parallel()
	s := newBedrock(t, true)
	r := newRig(t, setup{bedrock: s, config: quick})
	client := r.aws(t)
	for name, wrong := range map[string]trouble{
		"ModelStreamErrorException": {cut: true, after: 4}, "ThrottlingException": {errorType: "throttlingException", after: 4},
	} {
		s.plans(wrong)
		out, err := client.InvokeModelWithResponseStream(ended(t), &bedrockruntime.InvokeModelWithResponseStreamInput{
			ModelId: aws.String(haiku), Body: []byte(strings.Replace(claudeHello, "hello", name, 1)),
		})
		if err != nil {
			t.Fatal(err)
		}
		text, err := chunks(out)
		if text == "" || code(err) != name {
			t.Errorf("%q, %v, want %s", text, err, name)
		}
	}
}

// TestBedrockBrokenTranslated: a translated stream that breaks is an exception too.
func TestBedrockBrokenTranslated(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{config: quick, target: `, idle_timeout: 300ms`})
	client := r.aws(t)
	for _, c := range []struct{ fault, code string }{
		{"cut=6", "ModelStreamErrorException"},
		{"no_end", "ModelStreamErrorException"},
		{"garbage=6", "ModelStreamErrorException"},
		{"error_event=6", "ModelStreamErrorException"},
		{"stall=6", "modelTimeoutException"},
	} {
		t.Run(c.fault, func(t *testing.T) {
			r.faults(t, c.fault)
			got := hear(client.ConverseStream(ended(t), streaming("m1", "Hello "+c.fault)))
			if got.err == nil || code(got.err) != c.code || got.text == "" || got.stop != "" {
				t.Errorf("%+v, want %s", got, c.code)
			}
			client.wantAttempts(t, 1)
		})
	}
}

// TestBedrockLeave: who leaves a stream ends the provider's call.
func TestBedrockLeave(t *testing.T) {
	t.Parallel()
	s := newBedrock(t, true)
	r := newRig(t, setup{bedrock: s})
	s.plans(trouble{stall: true, after: 2})
	ctx, leave := context.WithCancel(ended(t))
	defer leave()
	out, err := r.aws(t, once).ConverseStream(ctx, streaming(haiku, "one two three"))
	if err != nil {
		t.Fatal(err)
	}
	<-out.GetStream().Events()
	leave()
	eventually(t, 10*time.Second, "the provider's call is over", func() bool { return s.inFlight() == 0 })
	_ = out.GetStream().Close() // its context is over
}
