package jobtable

import (
	"context"
	"crypto/sha256"
	"sync"

	"github.com/forebay-ai/forebay/backlog"
)

// mostWritten bounds what is remembered of parts that no job names yet.
const mostWritten = 1024

// written are the parts of results whose jobs could not be changed for want of capacity: the next try names them, and need
// not write them again.
type written struct {
	mu   sync.Mutex // guards what follows
	refs map[ending]string
}

// ending is one end of a job with one result.
type ending struct {
	id      backlog.ID
	attempt int
	result  [sha256.Size]byte
}

func newWritten() *written { return &written{refs: map[ending]string{}} }

// find is the reference of parts that were written, or empty.
func (w *written) find(e ending) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.refs[e]
}

// note remembers parts. What has no room is written again.
func (w *written) note(e ending, ref string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.refs) < mostWritten {
		w.refs[e] = ref
	}
}

// forget forgets parts that a job names, or that are gone.
func (w *written) forget(ref string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for e, other := range w.refs {
		if other == ref {
			delete(w.refs, e)
		}
	}
}

// resultParts writes the parts of a change's result, if an earlier try has not, and returns their reference.
func (b *Backlog) resultParts(ctx context.Context, c *backlog.Change) (ref string, err error) {
	e := ending{c.ID, c.Attempt, sha256.Sum256(c.Result)}
	if ref = b.written.find(e); ref != "" {
		return ref, nil
	}
	if ref, err = b.writeParts(ctx, c.ID, c.Result, b.partsUntil(&c.To)); err == nil {
		b.written.note(e, ref)
	}
	return ref, err
}
