package sdktest

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/packages/ssestream"
)

// quick makes failures final at once: no retries, and a bound on silence that a test can wait for.
const quick = "retry: {max: 0}\nbreaker: {enabled: false}\n"

// broken is every way in which an answer can end early or wrong at the provider.
var broken = []struct {
	fault  string // of a stream that has begun; a whole answer breaks half-way
	kind   string // error_type of the stream
	whole  string // error_type of the whole answer
	status int    // of the error, where the answer had not begun
}{
	{"cut=6", "provider_truncated", "provider_truncated", http.StatusBadGateway},
	{"stall=6", "provider_timeout", "provider_timeout", http.StatusGatewayTimeout},
	// Half a whole answer whose connection ends cleanly is told by its JSON alone.
	{"no_end", "provider_truncated", "provider_malformed", http.StatusBadGateway},
	{"garbage=6", "provider_malformed", "provider_malformed", http.StatusBadGateway},
	{"error_event=6", "provider_error", "provider_error", http.StatusBadGateway},
}

// TestBrokenStream is the promise that no SDK takes half an answer for a whole one.
func TestBrokenStream(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{config: quick, target: `, idle_timeout: 300ms`})
	client := r.client(t)
	for _, c := range broken {
		t.Run(c.fault, func(t *testing.T) {
			r.faults(t)
			ask := question("m1", "Hello "+c.fault)
			want, err := r.direct(t).Chat.Completions.New(t.Context(), ask)
			if err != nil {
				t.Fatal(err)
			}
			text := choice(want).Message.Content
			r.faults(t, c.fault)
			got := listen(client.Chat.Completions.NewStreaming(t.Context(), ask))
			if got.err == nil {
				t.Fatalf("the SDK reports success after %d chunks: %q of %q", got.chunks, got.text, text)
			}
			var event *ssestream.StreamError
			if !errors.As(got.err, &event) {
				t.Errorf("the error is a %T, not an event of the stream: %v", got.err, got.err)
			} else {
				says(t, "the event", string(event.Event.Data), `"error_type":"`+c.kind+`"`, `"support_id":"`, `"message":"`)
			}
			if got.text == "" || !strings.HasPrefix(text, got.text) {
				t.Errorf("what came before the break is %q, not the beginning of %q", got.text, text)
			}
			r.mustBreak(t, ask.Messages[0].OfUser.Content.OfString.Value)

			r.faults(t)
			again := listen(client.Chat.Completions.NewStreaming(t.Context(), ask))
			if again.err != nil || again.text != text {
				t.Errorf("once mended: %v, %q, want %q: half an answer must not be kept", again.err, again.text, text)
			}
		})
	}
}

// mustBreak asks without an SDK and checks what lies below: the error is the last
// event, no end mark follows, and the connection breaks, so that readers which know
// no error events fail too.
func (r *rig) mustBreak(t *testing.T, words string) {
	t.Helper()
	body := `{"model":"m1","stream":true,"messages":[{"role":"user","content":"` + words + `"}]}`
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.gateway.url+"/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+apiKey)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var events []string
	lines := bufio.NewScanner(res.Body)
	for lines.Scan() {
		if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			events = append(events, data)
		}
	}
	if !errors.Is(lines.Err(), io.ErrUnexpectedEOF) {
		t.Errorf("the connection ends with %v, want a break", lines.Err())
	}
	if len(events) == 0 || !strings.HasPrefix(events[len(events)-1], `{"error":`) {
		t.Errorf("the last event is not the error: %q", events)
	}
	for _, event := range events {
		if event == "[DONE]" {
			t.Errorf("there is an end mark: %q", events)
		}
	}
}

// TestBrokenWhole is the same for answers that are not streamed: an error with a
// status, never a part of an answer.
func TestBrokenWhole(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{config: quick, target: `, idle_timeout: 300ms`})
	var count tries
	client := r.client(t, count.option())
	for _, c := range broken {
		t.Run(c.fault, func(t *testing.T) {
			ask := question("m1", "Hello "+c.fault)
			r.faults(t, c.fault)
			got, err := client.Chat.Completions.New(t.Context(), ask)
			if err == nil {
				t.Fatalf("the SDK reports success: %s", got.RawJSON())
			}
			e := apiError(t, err)
			if e.StatusCode != c.status || e.Type == "" || e.Message == "" || !strings.Contains(e.RawJSON(), `"error_type":"`+c.whole+`"`) {
				t.Errorf("status %d, want %d and %s: %s", e.StatusCode, c.status, c.whole, e.RawJSON())
			}
			count.want(t, "0") // our retries are used up: the SDK's would multiply them
			r.faults(t)
			if got, err = client.Chat.Completions.New(t.Context(), ask); err != nil || choice(got).FinishReason != "stop" {
				t.Errorf("once mended: %v, %v", got, err)
			}
			count.want(t, "0")
		})
	}
}

// TestBrokenBeforeTheFirstWord: what breaks before anything useful was sent is tried
// elsewhere, and the caller does not see it.
func TestBrokenBeforeTheFirstWord(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{
		config: quick, target: `, idle_timeout: 300ms, first_byte_timeout: 300ms`,
		models: `  chat: {targets: [{provider: sim, model: bad}, {provider: sim, model: good}]}`,
	})
	client := r.client(t)
	for _, fault := range []string{"cut=1", "stall=1", "garbage=1", "error_event=1", "cut=0", "hang", "refuse", "status=503"} {
		t.Run(fault, func(t *testing.T) {
			r.faults(t, fault+",model=bad")
			var res *http.Response
			got := listen(client.Chat.Completions.NewStreaming(t.Context(), question("chat", "Hello "+fault), option.WithResponseInto(&res)))
			if got.err != nil || got.finish != "stop" || got.text == "" {
				t.Fatalf("%v, finish %q, text %q", got.err, got.finish, got.text)
			}
			if n, model := res.Header.Get("X-Forebay-Attempts"), res.Header.Get("X-Forebay-Model"); n != "2" || model != "good" {
				t.Errorf("%s attempts, answered by %q; want 2 and good", n, model)
			}
		})
	}
}
