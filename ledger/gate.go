package ledger

import (
	"context"
	"sync"
)

// gate is a lock for one writer or many readers that can be waited for with a context.
// A writer that waits goes before readers that come after it.
type gate struct {
	mu      sync.Mutex // guards all below
	readers int
	writing bool
	waiting int           // writers
	changed chan struct{} // closed, and made anew, when any of the above changes
}

func newGate() *gate { return &gate{changed: make(chan struct{})} }

// read lets a reader in. The error is ctx's.
func (g *gate) read(ctx context.Context) error {
	return g.await(ctx, g.enterReaderLocked)
}

// write lets the writer in. The error is ctx's.
func (g *gate) write(ctx context.Context) error {
	g.mu.Lock()
	g.waiting++
	g.mu.Unlock()
	err := g.await(ctx, g.enterWriterLocked)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting--
	g.changeLocked()
	return err
}

func (g *gate) doneReading() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.readers--
	g.changeLocked()
}

func (g *gate) doneWriting() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.writing = false
	g.changeLocked()
}

func (g *gate) enterReaderLocked() bool {
	if g.writing || g.waiting > 0 {
		return false
	}
	g.readers++
	return true
}

func (g *gate) enterWriterLocked() bool {
	if g.writing || g.readers > 0 {
		return false
	}
	g.writing = true
	return true
}

// await tries to enter until it is let in or ctx ends.
func (g *gate) await(ctx context.Context, enterLocked func() bool) error {
	for {
		g.mu.Lock()
		in, changed := enterLocked(), g.changed
		g.mu.Unlock()
		if in {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// changeLocked wakes those who wait.
func (g *gate) changeLocked() {
	close(g.changed)
	g.changed = make(chan struct{})
}
