package jobs

import (
	"context"
	"iter"
	"slices"
	"time"

	"github.com/forebay-ai/forebay/backlog"
)

// recheckEvery is how often readers look into a store that other processes share:
// what those do is told nowhere else.
const recheckEvery = 2 * time.Second

// The types of events.
const (
	// EventState says which state the job is in now.
	EventState = "state"
	// EventChunk is a piece of the result that is being made.
	EventChunk = "chunk"
	// EventRestart says that the chunks so far are void: another attempt began, or
	// some are not kept any more. What follows is what there is.
	EventRestart = "restart"
)

// Event is one step of a job's progress.
type Event struct {
	// ID ascends. It is what a reader gives as after to go on behind this event.
	ID int64
	// Type is one of the Event constants.
	Type string
	// Job is set for EventState.
	Job backlog.Job
	// Chunk is set for EventChunk. Other readers share it: it must not be changed.
	Chunk []byte
}

// Events yields the progress of a job: its state, the chunks of the attempt that is
// running as far as they are kept, and then what happens. It ends behind the final
// state, when ctx ends and when the queue stops. after is the ID of the last event that
// the reader has seen; zero means none. A reader that is slow holds up nobody: what was
// dropped meanwhile is replaced by an EventRestart. Intermediate states may be left out
// then. The error, if any, comes last: CallerNotFound, ForebayUnavailable.
func (q *Queue) Events(ctx context.Context, as As, id backlog.ID, after int64) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		topic := q.hub.join(id) // before the job is read, so that no change is missed
		defer q.hub.leave(id, topic)
		job, err := q.Get(ctx, as, id)
		if err != nil {
			yield(Event{}, err)
			return
		}
		c, first := topic.cursor(after, &job)
		batch := make([]Event, 0, batchSize)
		for batch = append(batch, first...); ; {
			for _, e := range batch {
				if !yield(e, nil) || e.Type == EventState && e.Job.State.Final() {
					return
				}
			}
			var changed <-chan struct{}
			if batch, changed = topic.read(&c, batch[:0]); len(batch) == 0 && !q.await(ctx, id, changed) {
				return
			}
		}
	}
}

// Wait returns the job when it is final, or as it is when ctx ends or the queue stops.
func (q *Queue) Wait(ctx context.Context, as As, id backlog.ID) (backlog.Job, error) {
	topic := q.hub.join(id)
	defer q.hub.leave(id, topic)
	job, err := q.Get(ctx, as, id)
	if err != nil || job.State.Final() {
		return job, err
	}
	for {
		ended := !q.await(ctx, id, topic.over)
		if last := topic.newest(); last != nil {
			job = *last
		}
		if ended || job.State.Final() {
			return job, nil
		}
	}
}

// await waits until changed is closed, and returns whether there is reason to look
// again. Where other processes share the store it looks there, too.
func (q *Queue) await(ctx context.Context, id backlog.ID, changed <-chan struct{}) bool {
	var recheck <-chan time.Time
	if !q.exclusive {
		timer := time.NewTimer(recheckEvery)
		defer timer.Stop()
		recheck = timer.C
	}
	select {
	case <-changed:
		return true
	case <-ctx.Done():
		return false
	case <-q.hub.ended:
		return false
	case <-recheck:
	}
	if job, err := q.cfg.Store.Get(ctx, id); err == nil {
		q.hub.notice(&job)
	}
	return ctx.Err() == nil
}

// notice publishes a state that another process may have made, if it is news.
func (h *hub) notice(j *backlog.Job) {
	h.mu.Lock()
	t := h.topics[j.ID]
	h.mu.Unlock()
	if t == nil {
		return
	}
	if t.news(j) {
		h.publish(j)
	}
}

// cursor is where a reader is in a topic.
type cursor struct {
	pos   int64 // the last event that it was given, or what stands for it
	dirty bool  // it may have chunks that a restart makes void
}

// cursor begins reading behind the event after. job is how the job was found just
// now. It returns what the reader gets first.
func (t *topic) cursor(after int64, job *backlog.Job) (cursor, []Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := Event{ID: t.base, Type: EventState, Job: *job}
	switch {
	case job.State.Final():
		now.ID = t.last
		return cursor{}, []Event{now}
	case after > 0 && t.base <= after && after <= t.last:
		return cursor{pos: after, dirty: true}, nil
	}
	var first []Event
	if after > 0 { // an event of a former topic, which is forgotten
		first = append(first, Event{ID: t.base, Type: EventRestart})
	}
	if !slices.ContainsFunc(t.entries, func(e entry) bool { return e.job != nil }) {
		first = append(first, now)
		t.noted = job.Status
	}
	return cursor{pos: t.base}, first
}

// read appends the next events to batch. Where there are none it returns a channel
// that is closed at the next one.
func (t *topic) read(c *cursor, batch []Event) ([]Event, <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	at, _ := slices.BinarySearchFunc(t.entries, c.pos+1, func(e entry, id int64) int { return int(e.id - id) })
	for _, e := range t.entries[at:] {
		if len(batch) >= batchSize {
			break
		}
		switch {
		case e.job != nil:
			batch = append(batch, Event{ID: e.id, Type: EventState, Job: *e.job})
		case e.chunk != nil:
			if t.lost > c.pos { // some before it were dropped
				batch = append(batch, Event{ID: t.lost, Type: EventRestart})
			}
			batch = append(batch, Event{ID: e.id, Type: EventChunk, Chunk: e.chunk})
			c.dirty = true
		case c.dirty:
			batch = append(batch, Event{ID: e.id, Type: EventRestart})
			c.dirty = false
		}
		c.pos = e.id
	}
	if len(batch) > 0 {
		return batch, nil
	}
	if t.changed == nil {
		t.changed = make(chan struct{})
	}
	return batch, t.changed
}

// news says that readers have not been told yet that the job is as it is.
func (t *topic) news(j *backlog.Job) bool {
	last := t.newest()
	t.mu.Lock()
	defer t.mu.Unlock()
	if last == nil {
		return t.noted.State != j.State || t.noted.Attempt != j.Attempt
	}
	return last.State != j.State || last.Attempt != j.Attempt
}

// newest returns the newest state that the topic keeps; nil if none.
func (t *topic) newest() *backlog.Job {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range slices.Backward(t.entries) {
		if e.job != nil {
			return e.job
		}
	}
	return nil
}
