package coalesce_test

import (
	"context"
	"encoding/binary"
	"io"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/cache"
	"github.com/forebay-ai/forebay/coalesce"
	"github.com/forebay-ai/forebay/llm"
)

// slice is a stream of what is there already.
type slice struct {
	chunks []llm.Chunk
	end    error // nil stands for io.EOF
	closed bool
}

func (s *slice) Next() (llm.Chunk, error) {
	if len(s.chunks) > 0 {
		c := s.chunks[0]
		s.chunks = s.chunks[1:]
		return c, nil
	}
	if s.end != nil {
		return llm.Chunk{}, s.end
	}
	return llm.Chunk{}, io.EOF
}

func (s *slice) Close() error {
	s.closed = true
	return nil
}

// piped is a stream of what the test sends: a closed channel is io.EOF. It ends with
// its context, as the contract of a provider says.
type piped struct {
	ctx    context.Context
	next   <-chan llm.Chunk
	closed chan struct{} // closed by Close; may be nil
}

func (p *piped) Next() (llm.Chunk, error) {
	select {
	case c, ok := <-p.next:
		if !ok {
			return llm.Chunk{}, io.EOF
		}
		return c, nil
	case <-p.ctx.Done():
		return llm.Chunk{}, llm.AsError(p.ctx.Err())
	}
}

func (p *piped) Close() error {
	if p.closed != nil {
		close(p.closed)
	}
	return nil
}

// text is a chunk of these bytes.
func text(s string) llm.Chunk { return llm.Chunk{Raw: []byte(s)} }

// readAll reads a stream to its end. The error is nil where that was io.EOF.
func readAll(s llm.Stream) (string, error) {
	var got []byte
	for {
		c, err := s.Next()
		if err == io.EOF {
			return string(got), nil
		}
		if err != nil {
			return string(got), err
		}
		got = append(got, c.Raw...)
	}
}

// numberedKey makes keys that differ.
func numberedKey(n int) (k coalesce.Key) {
	binary.BigEndian.PutUint64(k[:], uint64(n))
	return k
}

func openCache(t *testing.T) *cache.Cache {
	t.Helper()
	c, err := cache.New(cache.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	return c
}

// entry is an answer that is fresh for an hour.
func entry(k cache.Key, body string, now time.Time) *cache.Entry {
	return &cache.Entry{Key: k, Tenant: "acme", Body: []byte(body), Stored: now, Expires: now.Add(time.Hour)}
}
