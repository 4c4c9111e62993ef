package gateway

import (
	"context"
	stdjson "encoding/json"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/gateway/form"
	"github.com/forebay-ai/forebay/jobs"
)

// keepalive is how often a silent stream says that it is there: proxies give up on a
// connection after as little as 30 seconds of silence.
const keepalive = 15 * time.Second

// jobEvents serves GET /v1/jobs/{id}/events: the job's states and the chunks of its
// answer as server-sent events. It ends behind the final state, and while the client
// drains: a reader continues elsewhere with Last-Event-ID.
func (g *Gateway) jobEvents(x *visit) error {
	id, err := g.jobID(x)
	if err != nil {
		return err
	}
	after, err := form.LastEvent(x.r.Header)
	if err != nil {
		return err
	}
	if _, err := g.jobs.Get(x.r.Context(), x.asker(), id); err != nil {
		return err // while it still has a status
	}
	x.headOfStream()
	x.flush()
	if x.r.Method == http.MethodHead {
		return nil
	}
	return g.followJob(x, id, after)
}

// told is what the queue says next of a job.
type told struct {
	event jobs.Event
	err   error
}

// watchJob reads a job's events in a goroutine of its own, until they or ctx end; wait
// waits for that.
func (g *Gateway) watchJob(ctx context.Context, as jobs.As, id backlog.ID, after int64) (events chan told, wait func()) {
	events = make(chan told)
	var reader sync.WaitGroup
	reader.Go(func() {
		defer close(events)
		for event, err := range g.jobs.Events(ctx, as, id, after) {
			select {
			case events <- told{event, err}:
			case <-ctx.Done():
				return
			}
		}
	})
	return events, reader.Wait
}

// followJob writes a job's events as they come. The goroutine that waits for them has
// ended when it returns.
func (g *Gateway) followJob(x *visit, id backlog.ID, after int64) error {
	ctx, cancel := context.WithCancel(x.r.Context())
	events, wait := g.watchJob(ctx, x.asker(), id, after)
	defer wait()
	defer cancel()
	silence, drain := time.NewTicker(keepalive), time.NewTicker(drainLook)
	defer silence.Stop()
	defer drain.Stop()
	for {
		var text []byte
		select {
		case t, ok := <-events:
			if !ok || ctx.Err() != nil {
				return nil
			}
			if t.err != nil {
				return x.breakOff(t.err)
			}
			text = g.eventText(&t.event)
			silence.Reset(keepalive)
		case <-silence.C:
			text = []byte(": keepalive\n\n")
		case <-drain.C:
			if g.draining() {
				return nil
			}
			continue
		}
		if !x.write(text) {
			return nil
		}
		x.flush()
	}
}

// eventText is an event as it goes over the wire.
func (g *Gateway) eventText(e *jobs.Event) []byte {
	b := strconv.AppendInt([]byte("id: "), e.ID, 10)
	b = append(append(b, "\nevent: "...), e.Type...)
	b = append(b, "\ndata: "...)
	switch {
	case e.Type == jobs.EventState:
		view, _ := stdjson.Marshal(g.jobs.View(&e.Job)) // numbers, texts and times do not fail
		b = append(b, view...)
	case e.Chunk != nil:
		b = append(form.Quoted(append(b, `{"data":`...), string(e.Chunk)), '}')
	default:
		b = append(b, "{}"...)
	}
	return append(b, "\n\n"...)
}
