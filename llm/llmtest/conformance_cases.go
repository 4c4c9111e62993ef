package llmtest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/llm"
)

func wholeAnswer(t *testing.T, h Harness) {
	b := h.New(t, Behaviour{Does: Answers})
	s := call(t.Context(), t, h, b, false)
	c, err := s.Next()
	if err != nil {
		t.Fatalf("Next: %v", err)
	}
	if len(c.Raw) == 0 || !c.Useful || c.Finish == llm.FinishNone {
		t.Errorf("chunk of %d bytes, useful %v, finish %q: want a body, useful, with a finish reason", len(c.Raw), c.Useful, c.Finish)
	}
	if c.Usage.Input == 0 || c.Usage.Output == 0 {
		t.Errorf("usage %+v, want input and output counted", c.Usage)
	}
	for range 2 {
		if _, err := s.Next(); !errors.Is(err, io.EOF) {
			t.Errorf("Next after the only chunk: %v, want io.EOF", err)
		}
	}
}

func streamedAnswer(t *testing.T, h Harness) {
	b := h.New(t, Behaviour{Does: Answers})
	s := call(t.Context(), t, h, b, true)
	var res llm.Response
	var text string
	var events, useful int
	for first := true; ; first = false {
		c, err := s.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("Next: %v", err)
		}
		if len(c.Raw) == 0 || c.Events == 0 {
			t.Errorf("chunk of %d bytes with %d events", len(c.Raw), c.Events)
		}
		res.Add(c, first)
		events += c.Events
		if c.Useful {
			useful++
		}
		if c.Text != nil {
			text += c.Text()
		}
	}
	if _, err := s.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("Next after the end: %v, want io.EOF", err)
	}
	if events < 4 || useful == 0 || text == "" {
		t.Errorf("%d events, %d useful chunks, text %q", events, useful, text)
	}
	if res.Finish == llm.FinishNone || res.Usage.Input == 0 || res.Usage.Output == 0 {
		t.Errorf("finish %q, usage %+v, want both", res.Finish, res.Usage)
	}
}

func chunksKept(t *testing.T, h Harness) {
	b := h.New(t, Behaviour{Does: Answers})
	s := call(t.Context(), t, h, b, true)
	var kept, copies [][]byte
	for {
		c, err := s.Next()
		if err != nil {
			break
		}
		kept, copies = append(kept, c.Raw), append(copies, bytes.Clone(c.Raw))
	}
	_ = s.Close()
	for i := range kept {
		if !bytes.Equal(kept[i], copies[i]) {
			t.Errorf("chunk %d was changed after Next returned it: %q, was %q", i, kept[i], copies[i])
		}
	}
}

func noEndMark(t *testing.T, h Harness) {
	b := h.New(t, Behaviour{Does: NoEnd})
	s := call(t.Context(), t, h, b, true)
	wantKind(t, "stream", readAll(s), llm.ProviderTruncated)
	wantSticky(t, s, llm.ProviderTruncated)
}

func cutStream(t *testing.T, h Harness) {
	b := h.New(t, Behaviour{Does: Cuts, After: 2})
	s := call(t.Context(), t, h, b, true)
	wantKind(t, "stream", readAll(s), llm.ProviderTruncated)
	wantSticky(t, s, llm.ProviderTruncated)
}

func statuses(t *testing.T, h Harness) {
	for _, c := range []struct {
		status int
		kind   llm.Kind
	}{
		{400, llm.ProviderRejected},
		{401, llm.ProviderAuthFailed},
		{429, llm.ProviderRateLimited},
		{500, llm.ProviderError},
		{503, llm.ProviderOverloaded},
	} {
		b := h.New(t, Behaviour{Does: Refuses, Status: c.status})
		for _, stream := range []bool{false, true} {
			s, err := b.Provider.Call(t.Context(), h.Model, h.Request(stream))
			if err == nil {
				_ = s.Close()
				t.Errorf("status %d: the call was accepted", c.status)
				continue
			}
			wantKind(t, "Call", err, c.kind)
			if got := llm.AsError(err).Status; got != c.status {
				t.Errorf("status %d: the error says %d", c.status, got)
			}
		}
	}
}

func endedContext(t *testing.T, h Harness) {
	b := h.New(t, Behaviour{Does: Answers})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s, err := b.Provider.Call(ctx, h.Model, h.Request(false))
	if err == nil {
		_ = s.Close()
	}
	wantKind(t, "Call", err, llm.CallerCancelled)
}

func cancelBeforeHead(t *testing.T, h Harness, stream bool) {
	b := h.New(t, Behaviour{Does: Hangs})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := h.started(func() error {
		s, err := b.Provider.Call(ctx, h.Model, h.Request(stream))
		if err == nil {
			_ = s.Close()
		}
		return err
	})
	h.arrived(t, b)
	since := time.Now()
	cancel()
	wantKind(t, "Call", h.within(t, done, since), llm.CallerCancelled)
	h.wantCancelled(t, b, since)
}

func cancelDuringNext(t *testing.T, h Harness) {
	b := h.New(t, Behaviour{Does: Stalls, After: 1})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s := call(ctx, t, h, b, true)
	done := h.started(func() error { return readAll(s) })
	since := time.Now()
	cancel()
	wantKind(t, "Next", h.within(t, done, since), llm.CallerCancelled)
	h.wantCancelled(t, b, since)
	wantSticky(t, s, llm.CallerCancelled)
}

// soon is in how long a deadline is that comes while a call is under way: over sockets
// it leaves time for the way to the provider.
func (h Harness) soon() time.Duration {
	if h.Sockets {
		return 500 * time.Millisecond
	}
	return 50 * time.Millisecond
}

func deadlineBeforeHead(t *testing.T, h Harness) {
	b := h.New(t, Behaviour{Does: Hangs})
	soon := h.soon()
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	since := time.Now().Add(soon)
	s, err := b.Provider.Call(ctx, h.Model, h.Request(false))
	if err == nil {
		_ = s.Close()
	}
	wantKind(t, "Call", err, llm.CallerDeadline)
	if h.Sockets {
		select {
		case <-b.Called:
		default:
			return // the deadline came before the call had arrived
		}
	}
	h.wantCancelled(t, b, since)
}

func deadlineDuringNext(t *testing.T, h Harness) {
	b := h.New(t, Behaviour{Does: Stalls, After: 1})
	soon := h.soon()
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	since := time.Now().Add(soon)
	s := call(ctx, t, h, b, true)
	wantKind(t, "Next", readAll(s), llm.CallerDeadline)
	if d := time.Since(since); d > h.bound() {
		t.Errorf("Next took %v longer than the deadline", d)
	}
	h.wantCancelled(t, b, since)
	wantSticky(t, s, llm.CallerDeadline)
}

func closeEarly(t *testing.T, h Harness) {
	b := h.New(t, Behaviour{Does: Stalls, After: 2})
	s := call(t.Context(), t, h, b, true)
	if _, err := s.Next(); err != nil {
		t.Fatalf("Next: %v", err)
	}
	since := time.Now()
	for range 2 {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	h.wantCancelled(t, b, since)
	if err := readAll(s); errors.Is(err, io.EOF) {
		t.Error("Next after an early Close says that the answer is complete")
	}
}

func closeDuringNext(t *testing.T, h Harness) {
	b := h.New(t, Behaviour{Does: Stalls, After: 1})
	s := call(t.Context(), t, h, b, true)
	done := h.started(func() error { return readAll(s) })
	since := time.Now()
	if err := s.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	wantKind(t, "Next", h.within(t, done, since), llm.CallerCancelled)
	h.wantCancelled(t, b, since)
}

func closeAfterEnd(t *testing.T, h Harness) {
	b := h.New(t, Behaviour{Does: Answers})
	for _, stream := range []bool{false, true} {
		s := call(t.Context(), t, h, b, stream)
		if err := readAll(s); !errors.Is(err, io.EOF) {
			t.Fatalf("Next: %v", err)
		}
		for range 2 {
			if err := s.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		}
	}
	select {
	case <-b.Cancelled:
		t.Error("the back end saw a complete call as cancelled")
	default:
	}
}

func requestLeftAlone(t *testing.T, h Harness) {
	b := h.New(t, Behaviour{Does: Answers})
	for _, stream := range []bool{false, true} {
		req := h.Request(stream)
		kept, body := *req, bytes.Clone(req.Body)
		for _, model := range []string{h.Model, h.Model + "-other"} {
			s, err := b.Provider.Call(t.Context(), model, req)
			if err != nil {
				t.Fatalf("Call with model %q: %v", model, err)
			}
			_ = readAll(s)
			_ = s.Close()
		}
		if !bytes.Equal(req.Body, body) || req.Model != kept.Model || req.Stream != kept.Stream {
			t.Error("the provider changed the request")
		}
		if b.Bodies == nil {
			continue
		}
		if seen := b.Bodies(); !slices.ContainsFunc(seen, func(s []byte) bool { return bytes.Equal(s, body) }) {
			t.Errorf("the back end never got the request's own bytes %q, but %q", body, seen)
		}
	}
}

func concurrentCalls(t *testing.T, h Harness) {
	b := h.New(t, Behaviour{Does: Answers})
	const calls = 16
	errs := make([]error, calls)
	var wg sync.WaitGroup
	for i := range calls {
		wg.Go(func() {
			s, err := b.Provider.Call(t.Context(), h.Model, h.Request(i%2 == 0))
			if err != nil {
				errs[i] = err
				return
			}
			_, errs[i] = llm.Collect(s)
		})
	}
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			t.Errorf("call %d: %v", i, err)
		}
	}
}

// readAll reads s until it returns an error, and returns that.
func readAll(s llm.Stream) error {
	for {
		if _, err := s.Next(); err != nil {
			return err
		}
	}
}
