package jobs

import (
	"sync"
	"time"

	"github.com/forebay-ai/forebay/backlog"
)

// hub knows the topics: jobs with readers, and jobs whose stream is running. It is no
// record: what happened is in the store.
type hub struct {
	bound int           // of the chunks of a topic, in bytes
	ended chan struct{} // closed when nothing will happen any more

	mu     sync.Mutex // guards topics and holds; taken before a topic's
	topics map[backlog.ID]*topic
	closed bool
}

func newHub(bound int) *hub {
	return &hub{bound: bound, ended: make(chan struct{}), topics: make(map[backlog.ID]*topic)}
}

// join returns the topic of a job for a reader or a running stream, who leaves it.
func (h *hub) join(id backlog.ID) *topic {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.topics[id]
	if t == nil {
		t = newTopic(h.bound, time.Now())
		h.topics[id] = t
	}
	t.holds++
	return t
}

// leave ends what join began. A topic that nobody holds is forgotten.
func (h *hub) leave(id backlog.ID, t *topic) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if t.holds--; t.holds == 0 && h.topics[id] == t {
		delete(h.topics, id)
	}
}

// publish tells the readers of a job, if there are any, of its state. Behind a final
// state a topic ends; a job that is requeued gets another one.
func (h *hub) publish(j *backlog.Job) {
	h.mu.Lock()
	t := h.topics[j.ID]
	if t != nil && j.State.Final() {
		if t.state(j) {
			delete(h.topics, j.ID) // at once, so that nobody joins what has ended
		}
		t = nil
	}
	h.mu.Unlock()
	if t != nil {
		t.state(j)
	}
}

// close ends all readers: nothing will happen any more.
func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.closed {
		h.closed = true
		close(h.ended)
	}
}

// Bounds of a topic, beside the one in bytes of its chunks.
const (
	entryBytes = 48 // what a chunk takes beside its bytes
	keptStates = 16 // a job has three; with retries some more
	batchSize  = 64 // entries that a reader takes at once
	idsPerMs   = 20 // bits: a topic begins behind all that a former one of the job can have used
)

// entry is one event as a topic keeps it: a state, a chunk, or, with neither, the mark
// that what a former attempt streamed is void.
type entry struct {
	id    int64
	job   *backlog.Job
	chunk []byte
}

// topic is what is kept of one job's progress. Entries are in the order of their IDs.
type topic struct {
	bound int
	base  int64         // IDs are above it
	over  chan struct{} // closed behind the final state

	holds int // guarded by hub.mu

	mu      sync.Mutex // guards what follows
	entries []entry
	last    int64 // the newest ID
	lost    int64 // the newest chunk of this attempt that was dropped for want of room
	bytes   int   // of the chunks
	states  int
	final   *backlog.Job
	noted   backlog.Status // what a reader was told that is no entry
	told    int            // the newest state by its order; the chunks are those behind it
	changed chan struct{}  // closed at the next entry; nil while nobody waits
}

func newTopic(bound int, now time.Time) *topic {
	base := now.UnixMilli() << idsPerMs
	return &topic{bound: bound, base: base, last: base, over: make(chan struct{})}
}

// order is where a status is in the life of its job: whoever publishes a state may come
// later than whoever publishes the next one. Of one attempt, or one requeueing, which is
// counted like an attempt, Processing comes before Queued, and both come before the end.
// The end has the place of the next attempt's Processing: a job has only one of them
// between two requeueings, and where both are seen the store has lost a claim.
func order(s *backlog.Status) int {
	switch {
	case s.State == backlog.Processing:
		return 3 * s.Attempt
	case s.State == backlog.Queued:
		return 3*s.Attempt + 1
	case s.State.Final():
		return 3*s.Attempt + 3
	}
	return 0 // of a topic nothing is known
}

// state adds a state, unless the topic has a later one. It returns whether it did.
func (t *topic) state(j *backlog.Job) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if at := order(&j.Status); t.final != nil || at < t.told || at < order(&t.noted) {
		return false
	}
	t.advanceLocked(&j.Status)
	job := *j
	t.addLocked(entry{job: &job})
	if t.states++; t.states > keptStates {
		t.dropStateLocked()
	}
	if j.State.Final() {
		t.final = &job
		close(t.over)
	}
	return true
}

// advance has the topic know of a state that was published before the topic was there.
func (t *topic) advance(s *backlog.Status) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.advanceLocked(s)
}

// advanceLocked goes on to a state. A new attempt makes void what former ones streamed.
func (t *topic) advanceLocked(s *backlog.Status) {
	if at := order(s); at > t.told && t.final == nil {
		t.told = at
		if !s.State.Final() {
			t.voidLocked()
		}
	}
}

// chunk adds a piece of the running stream.
func (t *topic) chunk(b []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.final != nil || len(b) == 0 {
		return
	}
	t.addLocked(entry{chunk: append([]byte(nil), b...)})
	if t.bytes += len(b) + entryBytes; t.bytes > t.bound {
		t.dropChunksLocked()
	}
}

func (t *topic) addLocked(e entry) {
	t.last++
	e.id = t.last
	t.entries = append(t.entries, e)
	if t.changed != nil {
		close(t.changed)
		t.changed = nil
	}
}

// dropChunksLocked drops the oldest chunks, down to three quarters of the bound: one
// at a time would move all others each time.
func (t *topic) dropChunksLocked() {
	kept := t.entries[:0]
	for _, e := range t.entries {
		if e.chunk != nil && t.bytes > t.bound/4*3 {
			t.bytes -= len(e.chunk) + entryBytes
			t.lost = e.id
			continue
		}
		kept = append(kept, e)
	}
	t.keepLocked(kept)
}

// voidLocked removes the chunks of a former attempt and leaves a mark for readers who
// have seen some.
func (t *topic) voidLocked() {
	if t.bytes == 0 && t.lost == 0 {
		return
	}
	kept := t.entries[:0]
	for _, e := range t.entries {
		if e.job != nil {
			kept = append(kept, e)
		}
	}
	t.keepLocked(kept)
	t.bytes, t.lost = 0, 0
	t.addLocked(entry{})
}

func (t *topic) dropStateLocked() {
	for i, e := range t.entries {
		if e.job != nil {
			copy(t.entries[i:], t.entries[i+1:])
			t.keepLocked(t.entries[:len(t.entries)-1])
			t.states--
			return
		}
	}
}

// keepLocked takes entries that were compacted in place.
func (t *topic) keepLocked(kept []entry) {
	clear(t.entries[len(kept):]) // let go of what was dropped
	t.entries = kept
}
