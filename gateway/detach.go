package gateway

import (
	"context"
	"net/http"
	"time"

	"github.com/forebay-ai/forebay/gateway/wire"
	"github.com/forebay-ai/forebay/llm"
)

// outliving is the context of a stream's call. It ends with the request's own, until
// the answer is detached: net/http ends that one when ServeHTTP returns. Where nothing is
// detached, or somebody has set a deadline, it is the request's own.
func (x *visit) outliving() context.Context {
	own := x.r.Context()
	if _, bounded := own.Deadline(); bounded || x.conn == nil || !x.conn.Detaches() {
		return own
	}
	x.ctx, x.ended = context.WithCancel(context.WithoutCancel(own))
	x.release = context.AfterFunc(own, x.ended)
	return x.ctx
}

// detachAfter is how old an answer is when it is detached: that costs as much as to relay
// twenty events, which short answers need not pay.
const detachAfter = 100 * time.Millisecond

// detach leaves the rest of a stream that lasts to a goroutine of its own and a connection
// without net/http, where that can be done.
func (x *visit) detach() bool {
	if x.release == nil || x.conn == nil || x.r.Method != http.MethodPost || time.Since(x.start) < x.gateway.detachAfter {
		return false
	}
	d := wire.Detach(x.w, x.r, x.ended)
	if d == nil {
		x.conn = nil // nor will it be
		return false
	}
	x.release()
	x.w, x.r, x.release = d, posted, nil
	x.detached = true
	go x.goOn(d)
	return true
}

// posted stands for the request of a detached answer: its method is all that is still
// asked for, and the rest takes memory.
var posted = &http.Request{Method: http.MethodPost, ProtoMajor: 1, ProtoMinor: 1}

// context is that of a stream's call.
func (x *visit) context() context.Context {
	if x.ctx != nil {
		return x.ctx
	}
	return x.r.Context()
}

// goOn is the rest of ServeHTTP for a stream that was detached: it waits for each piece on
// its own small stack, and has another goroutine pass the piece on.
func (x *visit) goOn(d *wire.Detached) {
	step := func() {
		if !x.more {
			return // waiting panicked
		}
		defer x.caught()
		more, err := x.next()
		if x.more = more; err != nil {
			x.fail(err)
		}
	}
	for x.more {
		x.await()
		d.Do(step)
	}
	d.Do(func() { x.finish(d) })
}

// await waits for the next piece.
func (x *visit) await() {
	defer x.caught()
	llm.Await(x.rest)
}

// caught ends a stream that brought a panic.
func (x *visit) caught() {
	if p := recover(); p != nil {
		x.more, x.cut = false, true
		x.panicked(p)
	}
}

// finish ends a detached stream.
func (x *visit) finish(d *wire.Detached) {
	defer func() {
		x.ended()
		d.End(!x.cut)
	}()
	defer x.caught()
	x.closeDetached()
	x.windUp(nil)
}

func (x *visit) closeDetached() {
	defer x.caught()
	_ = x.rest.Close()
}
