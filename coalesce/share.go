package coalesce

import (
	"context"
	"fmt"

	"github.com/forebay-ai/forebay/llm"
)

// tooFarBehind is for a participant that would have the whole answer kept for it.
func tooFarBehind(bound int64) *llm.Error {
	return &llm.Error{
		Kind: llm.CallerTooSlow, Message: "the answer was read too slowly to share it with identical calls",
		Limit: "max_buffer", Value: fmt.Sprint(bound), Fix: "Read faster, or send the request again.",
	}
}

// Share is one participant's view of a shared call: a llm.Stream that gives every
// chunk of the answer, from the first. The chunks' Text functions are called by all
// participants and must allow that. A Share has to be closed, or its ctx to end and
// Next be called, for the participant to leave.
type Share struct {
	flight *flight
	// ctx is kept although it is a struct: Next has no context of its own, and it
	// must return when the participant's ends. The Share lives no longer than that call.
	ctx    context.Context
	leader bool
	wake   chan struct{} // capacity 1: a signal that is already there is enough

	// flight.mu guards what follows.
	seat    int   // index in flight.aboard; -1 off board
	pos     int   // chunks read
	read    int64 // their weight
	waiting bool  // wake has to be signalled when there is news
	err     error // how the stream ended for this participant; nil while it goes on
}

// Leader reports whether this participant's start made the upstream call.
func (s *Share) Leader() bool { return s.leader }

// Source is the stream that start returned, for what it knows beside the chunks;
// nil only where start failed. It goes on being read meanwhile: what
// it says about itself must be safe to read at any time, and nobody else may call
// its Next or Close.
func (s *Share) Source() llm.Stream {
	s.flight.mu.Lock()
	defer s.flight.mu.Unlock()
	return s.flight.source
}

// Next returns the next chunk, io.EOF after the last one of a complete answer, or
// an *llm.Error: the flight's, that of this participant's context when it ends, or
// one of kind CallerTooSlow for a participant that fell too far behind.
func (s *Share) Next() (llm.Chunk, error) {
	for {
		if c, news, err := s.poll(true); news {
			return c, err
		}
		if !s.leader || !s.flight.read() {
			s.sleep()
		}
	}
}

// Await implements llm.Awaiter.
func (s *Share) Await() {
	for !s.ready() {
		if s.leader && s.flight.awaitSource() {
			return
		}
		s.sleep()
	}
}

// ready says whether Next has something to say.
func (s *Share) ready() bool {
	_, news, _ := s.poll(false)
	return news
}

// await waits until Next has something to say and returns what it would.
func (s *Share) await() error {
	for {
		if _, news, err := s.poll(false); news {
			return err
		}
		s.sleep()
	}
}

// sleep waits for news or for the end of the participant's context.
func (s *Share) sleep() {
	select {
	case <-s.wake:
	case <-s.ctx.Done():
	}
}

// poll looks for news and takes it where take says so. Where there is none, the
// flight signals wake as soon as there is.
func (s *Share) poll(take bool) (c llm.Chunk, news bool, err error) {
	if err := s.ctx.Err(); err != nil {
		s.leave(llm.AsError(err))
	}
	f := s.flight
	f.mu.Lock()
	defer f.mu.Unlock()
	if s.err != nil {
		return llm.Chunk{}, true, s.err
	}
	if i := s.pos - f.dropped; i < len(f.chunks) {
		c = f.chunks[i]
		if take {
			s.pos++
			s.read += weigh(c)
			f.advancedLocked(s)
		}
		return c, true, nil
	}
	if f.err != nil {
		s.err = f.endForLocked(s)
		return llm.Chunk{}, true, s.err
	}
	s.waiting = true
	return llm.Chunk{}, false, nil
}

// Close leaves the shared call; the upstream call ends if nobody is left. It always
// returns nil.
func (s *Share) Close() error {
	s.leave(nil)
	return nil
}

// leave takes the participant off board. Next returns why from then on, unless the
// stream had ended for it before; nil stands for having been closed. The last one to
// leave ends the upstream call. A leader that was alone returns once that has ended.
func (s *Share) leave(why *llm.Error) {
	f := s.flight
	f.mu.Lock()
	switch {
	case s.err != nil:
	case why != nil:
		s.err = why
	default:
		s.err = &llm.Error{Kind: llm.CallerCancelled, Message: "the stream was closed"}
	}
	last, unread, elsewhere := false, false, f.landing
	if s.seat >= 0 {
		f.removeLocked(s)
		last = len(f.aboard) == 0 && f.err == nil
	}
	if last && f.solo && !f.reading {
		f.solo, unread = false, true
		f.landing = make(chan struct{})
	}
	s.wakeLocked() // Close may come from another goroutine than Next
	f.mu.Unlock()
	if last {
		f.cancel() // whoever reads does the rest; nobody joins meanwhile
	}
	switch {
	case unread:
		defer close(f.landing)
		f.land(context.Canceled)
	case elsewhere != nil && s.leader:
		<-elsewhere
	}
}

// wakeLocked signals a participant that waits for news. flight.mu must be held.
func (s *Share) wakeLocked() {
	if !s.waiting {
		return
	}
	s.waiting = false
	select {
	case s.wake <- struct{}{}:
	default: // there is a signal already
	}
}

// shallRerun decides whether Do tries again after err ended the flight before its
// first chunk: only where the fault was the leader's and not this caller's. A
// deadline or a cancellation of others never becomes this caller's: in the end it
// runs alone.
func (s *Share) shallRerun(err error, try int) bool {
	kind := llm.KindOf(err)
	if s.leader || s.ctx.Err() != nil || kind.Domain() != llm.CallerFault && !leadersTime(err) {
		return false
	}
	return try < maxReruns || leadersOwn(kind)
}

// leadersTime says that a line sent the leader away because of the time that it had
// left, which is not that of those who share its call.
func leadersTime(err error) bool {
	e := llm.AsError(err)
	return e.Kind == llm.PolicyOverloaded && (e.Limit == "deadline" || e.Limit == "queue.max_age")
}
