package sdktest

import (
	"fmt"
	"sync"
	"testing"
)

// TestBedrockClients: fifty clients at once, half of them streaming, get their own answers.
func TestBedrockClients(t *testing.T) {
	t.Parallel()
	s := newBedrock(t, true)
	r := newRig(t, setup{bedrock: s, config: "limits: {max_concurrent: 64}"})
	const clients, each = 50, 4
	var wg sync.WaitGroup
	for i := range clients {
		client := r.aws(t, once)
		wg.Go(func() {
			for n := range each {
				words := fmt.Sprintf("client %d, question %d", i, n)
				text, err := "", error(nil)
				if i%2 == 0 {
					got := hear(client.ConverseStream(ended(t), streaming(haiku, words)))
					text, err = got.text, got.err
				} else {
					out, failed := client.Converse(ended(t), asking(haiku, words))
					text, err = said(out), failed
				}
				if err != nil || text != "You said: "+words {
					t.Errorf("%s: %q, %v", words, text, err)
				}
			}
		})
	}
	wg.Wait()
	if calls := s.took(); len(calls) != clients*each {
		t.Errorf("the provider got %d calls, want %d", len(calls), clients*each)
	}
}

// TestBedrockTwins: who asks the same at the same time shares one call; signatures of
// equal requests of one second are no replays.
func TestBedrockTwins(t *testing.T) {
	t.Parallel()
	s := newBedrock(t, true)
	r := newRig(t, setup{bedrock: s})
	const clients = 20
	client := r.aws(t, once)
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			out, err := client.Converse(ended(t), asking(haiku, "the same"))
			if err != nil || said(out) != "You said: the same" {
				t.Errorf("%q, %v", said(out), err)
			}
		})
	}
	wg.Wait()
	if calls := s.took(); len(calls) != 1 {
		t.Errorf("the provider got %d calls of %d that are equal", len(calls), clients)
	}
}
