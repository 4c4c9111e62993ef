//go:build linux

package crashtest_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// operation is one thing that a client did, from its begin to the moment when it knew
// what became of it.
type operation struct {
	Client       int
	Kind         string // submit, poll, wait, result, cancel, otherbody, stats
	Name, ID     string
	Keyed        bool   `json:",omitempty"` // a submission with an idempotency key
	Band         string `json:",omitempty"` // of a submission
	Call, Return time.Duration
	Outcome      outcome
	Status       int
	State        string `json:",omitempty"` // of the job, where the answer showed it
	Attempt      int    `json:",omitempty"`
	Result       string `json:",omitempty"` // what was read as the job's answer
}

// writes says whether the operation changes something.
func (o *operation) writes() bool { return o.Kind == "submit" || o.Kind == "cancel" }

// history collects operations. It is safe for concurrent use.
type history struct {
	clock   clock
	writing atomic.Int64 // operations in progress that write

	mu         sync.Mutex // guards operations
	operations []operation
}

// record notes an operation that do carries out.
func (h *history) record(o operation, do func(o *operation)) operation {
	if o.writes() {
		h.writing.Add(1)
		defer h.writing.Add(-1)
	}
	o.Call = h.clock.now()
	do(&o)
	o.Return = h.clock.now()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.operations = append(h.operations, o)
	return o
}

// all copies what was recorded so far, in the order of the ends.
func (h *history) all() []operation {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.operations)
}

// span is a time without a working gateway.
type span struct {
	Kind     string        // the nemesis
	From, To time.Duration // To is when the next process was started, or this one went on
}

// evidence is what is known of a run, and what is there after it.
type evidence struct {
	Operations []operation
	Calls      []call
	Spans      []span
	Stored     []view            // a scan of all jobs, all final
	Results    map[string]string // by ID, as read now
	Figures    figures
	Forgiving  bool   // not every interruption is in Spans: leases that the gateway counts as lost count as such
	Provenance string // how to run it again
}

// save writes the evidence as JSON lines.
func (e *evidence) save(dir string) error {
	f, err := os.Create(filepath.Join(dir, "history.jsonl"))
	if err != nil {
		return err
	}
	w := json.NewEncoder(f)
	err = w.Encode(map[string]any{"run": e.Provenance, "spans": e.Spans, "stats": e.Figures})
	for _, o := range e.Operations {
		err = errors.Join(err, w.Encode(map[string]any{"operation": o}))
	}
	for _, c := range e.Calls {
		err = errors.Join(err, w.Encode(map[string]any{"call": c}))
	}
	for _, v := range e.Stored {
		err = errors.Join(err, w.Encode(map[string]any{"stored": v, "result": e.Results[v.ID]}))
	}
	return errors.Join(err, f.Close())
}
