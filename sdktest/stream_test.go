package sdktest

import (
	"net/http"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/shared/constant"
)

// TestStream asks for the same answer in all forms and orders: a stream from the
// provider and from the cache, of an entry that came whole and of one that came as
// a stream, with usage and without.
func TestStream(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{})
	want, err := r.direct(t).Chat.Completions.New(t.Context(), question("m1", "Hello"))
	if err != nil {
		t.Fatal(err)
	}
	client := r.client(t)
	const miss, hit = "fwd=uri-miss", "hit"
	type ask struct {
		stream, usage bool
		cache         string
	}
	for _, c := range []struct {
		name  string
		asks  []ask
		calls int
	}{
		{"whole first", []ask{{false, false, miss}, {true, false, hit}, {true, true, hit}, {false, false, hit}}, 1},
		// A stream without usage has none for a whole answer to report: that is asked for
		// anew, and serves everybody from then on.
		{"stream first", []ask{{true, false, miss}, {true, false, hit}, {false, false, miss}, {true, false, hit}, {true, true, hit}}, 2},
		{"stream with usage first", []ask{{true, true, miss}, {false, false, hit}, {true, false, hit}, {true, true, hit}}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			r.forget(t)
			for i, a := range c.asks {
				got := stream{client: client, namespace: c.name, usage: a.usage}
				if a.stream {
					got.streamed(t)
				} else {
					got.asked(t)
				}
				if got.text != choice(want).Message.Content || got.finish != "stop" || got.model != "m1" || got.id != want.ID {
					t.Errorf("ask %d: text %q, finish %q, model %q, id %q; want %s", i, got.text, got.finish, got.model, got.id, want.RawJSON())
				}
				says(t, "Cache-Status", got.header.Get("Cache-Status"), a.cache)
				wanted := a.usage || !a.stream
				if (len(got.reports) == 1) != wanted || len(got.reports) > 1 {
					t.Errorf("ask %d (%+v): %d reports of usage, asked for: %t", i, a, len(got.reports), wanted)
				}
				for _, u := range got.reports {
					if u.PromptTokens != want.Usage.PromptTokens || u.CompletionTokens != want.Usage.CompletionTokens || u.TotalTokens != want.Usage.TotalTokens {
						t.Errorf("ask %d (%+v): usage %s, want %s", i, a, u.RawJSON(), want.Usage.RawJSON())
					}
				}
			}
			if log := r.calls(t); log.Total != c.calls {
				t.Errorf("the provider got %d calls, want %d", log.Total, c.calls)
			}
		})
	}
}

// stream is one answer of TestStream, whatever its form.
type stream struct {
	client    *openai.Client
	namespace string // separates the cases' entries
	usage     bool

	text, finish, model, id string
	reports                 []openai.CompletionUsage
	header                  http.Header
}

func (s *stream) options(res **http.Response) []option.RequestOption {
	return []option.RequestOption{option.WithHeader("X-Forebay-Cache-Namespace", s.namespace), option.WithResponseInto(res)}
}

func (s *stream) asked(t *testing.T) {
	t.Helper()
	var res *http.Response
	got, err := s.client.Chat.Completions.New(t.Context(), question("m1", "Hello"), s.options(&res)...)
	if err != nil {
		t.Fatal(err)
	}
	c := choice(got)
	s.text, s.finish, s.model, s.id, s.header = c.Message.Content, c.FinishReason, got.Model, got.ID, res.Header
	if got.Object != constant.ValueOf[constant.ChatCompletion]() {
		t.Errorf("a whole answer's object is %q", got.Object)
	}
	if got.JSON.Usage.Valid() {
		s.reports = append(s.reports, got.Usage)
	}
}

func (s *stream) streamed(t *testing.T) {
	t.Helper()
	ask := question("m1", "Hello")
	if s.usage {
		ask.StreamOptions.IncludeUsage = openai.Bool(true)
	}
	var res *http.Response
	got := listen(s.client.Chat.Completions.NewStreaming(t.Context(), ask, s.options(&res)...))
	if got.err != nil {
		t.Fatal(got.err)
	}
	if sum := choice(&got.whole).Message.Content; got.text != sum {
		t.Errorf("the SDK sums %q up to %q", got.text, sum)
	}
	s.text, s.finish, s.model, s.id = got.text, got.finish, got.whole.Model, got.whole.ID
	s.reports, s.header = got.usage, res.Header
	if got := res.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Errorf("a stream's content type is %q", got)
	}
}

// TestStreamComesInPieces: the first words are there long before the last ones.
func TestStreamComesInPieces(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{provider: []string{"--words", "10", "--fault", "trickle=40ms"}})
	client := r.client(t)
	stream := client.Chat.Completions.NewStreaming(t.Context(), question("m1", "Hello"))
	defer stream.Close()
	chunks, inFlight := 0, 0
	for stream.Next() {
		if chunks++; chunks == 3 {
			inFlight = r.calls(t).InFlight
		}
	}
	if stream.Err() != nil || chunks < 10 || inFlight != 1 {
		t.Errorf("%d chunks, %v; at the third the provider had %d calls in progress, want 1", chunks, stream.Err(), inFlight)
	}
}
