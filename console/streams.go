package console

import (
	"fmt"
	"sync"
	"time"

	"github.com/forebay-ai/forebay/llm"
)

// The bounds of streams of events: each takes some memory and the time to tell it.
const (
	maxStreams       = 128
	maxStreamsPerKey = 16
)

// streams counts the readers of events, by their keys.
type streams struct {
	mu    sync.Mutex // guards what follows
	all   int
	ofKey map[string]int
}

// take counts a reader in, or refuses it.
func (s *streams) take(key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	limit, bound := "streams of events by one key", maxStreamsPerKey
	if s.all >= maxStreams {
		limit, bound = "streams of events", maxStreams
	} else if s.ofKey[key] < maxStreamsPerKey {
		if s.ofKey == nil {
			s.ofKey = map[string]int{}
		}
		s.all++
		s.ofKey[key]++
		return nil
	}
	return &llm.Error{
		Kind: llm.PolicyRateLimited, Message: "too many read events at once", Limit: limit, Value: fmt.Sprint(bound), RetryAfter: 10 * time.Second,
		Fix: "Close a stream, or read the figures with GET /v1/overview.",
	}
}

// give counts a reader out.
func (s *streams) give(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all--
	if s.ofKey[key]--; s.ofKey[key] <= 0 {
		delete(s.ofKey, key)
	}
}

// latest is what was worked out last.
type latest struct {
	mu   sync.Mutex // guards live, and is held while it is worked out
	live Live
}
