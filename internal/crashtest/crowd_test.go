//go:build linux

package crashtest_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// crowd are the clients of a run. They go on while gateways come and go.
type crowd struct {
	*history
	caller *caller
	base   atomic.Pointer[string] // of the gateway that runs; nil while there is none

	clients []*client
	stop    context.CancelFunc // nil while the crowd rests
	wg      sync.WaitGroup
}

// clients is the number of the recipe; openJobs bounds the jobs of each that it has
// not seen the end of.
const (
	clients  = 32
	openJobs = 8
)

func newCrowd(c clock, d *dice) *crowd {
	w := &crowd{history: &history{clock: c}, caller: newCaller(clients)}
	for i := range clients {
		w.clients = append(w.clients, &client{crowd: w, number: i, dice: d.split(uint64(i) + 1)})
	}
	return w
}

// point tells the clients where the gateway is; "" says that it is gone.
func (w *crowd) point(base string) {
	if base == "" {
		w.base.Store(nil)
		return
	}
	w.base.Store(&base)
}

// work lets the clients work until rest.
func (w *crowd) work() {
	ctx, stop := context.WithCancel(context.Background())
	w.stop = stop
	for _, c := range w.clients {
		w.wg.Go(func() { c.work(ctx) })
	}
}

// rest lets the clients end what they do, and waits.
func (w *crowd) rest() {
	if w.stop == nil {
		return
	}
	w.stop()
	w.wg.Wait()
	w.stop = nil
	w.caller.http.CloseIdleConnections()
}

// client is one of the crowd. Only its own goroutine uses it.
type client struct {
	*crowd
	number int
	dice   *dice
	made   int
	open   []*ticket
	past   []*ticket // some that ended, to be looked at again
}

// ticket is what a client knows of a job.
type ticket struct {
	submission
	id    string // "" while no submission was answered
	state string // the final one; "" before
}

func (c *client) work(ctx context.Context) {
	for ctx.Err() == nil {
		base := c.base.Load()
		if base == nil {
			time.Sleep(2 * time.Millisecond)
			continue
		}
		c.step(*base)
		time.Sleep(c.dice.between(0, 20*time.Millisecond))
	}
}

// step does one operation. Those in progress when a run ends are waited for: they are
// short, and a connection that the client itself cuts would say nothing.
func (c *client) step(base string) {
	luck := c.dice.n(100)
	switch {
	case len(c.open) == 0 || len(c.open) < openJobs && luck < 35:
		t := &ticket{submission: c.draw()}
		c.open = append(c.open, t)
		c.submit(base, t)
	case luck < 40 && len(c.past) > 0:
		t := c.past[c.dice.n(len(c.past))]
		c.look(base, t, "poll", "")
		if t.state == "completed" {
			c.read(base, t)
		}
	default:
		c.tend(base, c.open[c.dice.n(len(c.open))], c.dice.n(100))
	}
}

// draw makes up a job.
func (c *client) draw() submission {
	c.made++
	s := submission{
		Name: fmt.Sprintf("c%02d-%06d", c.number, c.made), Filler: c.dice.n(2000), Keyed: c.dice.chance(80), Timeout: "5m",
		Band: [...]string{"low", "low", "low", "normal", "normal", "normal", "normal", "high", "high", "critical"}[c.dice.n(10)],
	}
	if c.dice.chance(3) {
		s.Timeout = "1500ms"
	}
	return s
}

// tend does something about a job whose end was not seen.
func (c *client) tend(base string, t *ticket, luck int) {
	switch {
	case t.id == "" && !t.Keyed:
		c.forget(t) // nobody can know what became of it
	case t.id == "" || luck < 8 && t.Keyed:
		c.submit(base, t)
	case luck < 10 && t.Keyed:
		c.submitOther(base, t)
	case luck < 15:
		c.cancel(base, t)
	case luck < 50:
		c.look(base, t, "wait", "?wait=1s")
	default:
		c.look(base, t, "poll", "")
	}
	if t.state == "completed" {
		c.read(base, t)
	}
	if t.state != "" {
		c.forget(t)
		if c.past = append(c.past, t); len(c.past) > 16 {
			c.past = c.past[1:]
		}
	}
}

func (c *client) forget(t *ticket) {
	for i, other := range c.open {
		if other == t {
			c.open = append(c.open[:i], c.open[i+1:]...)
			return
		}
	}
}

// bounded is how long an operation may take: the gateway may be asleep.
const bounded = 10 * time.Second

// carry does one request and notes what it said of the job.
func (c *client) carry(kind string, t *ticket, r request) operation {
	o := operation{Client: c.number, Kind: kind, Name: t.Name, ID: t.id, Keyed: t.Keyed, Band: t.Band}
	return c.record(o, func(o *operation) {
		ctx, cancel := context.WithTimeout(context.Background(), bounded)
		defer cancel()
		a := c.caller.do(ctx, r)
		o.Outcome, o.Status = a.outcome, a.status
		if a.outcome != ok {
			return
		}
		if kind == "result" {
			o.Result = a.body
			return
		}
		v, err := a.job()
		if err != nil {
			o.Outcome = unknown // an answer that says nothing
			return
		}
		o.ID, o.State, o.Attempt = v.ID, v.State, v.Attempt
		if v.final() {
			t.state = v.State
		}
	})
}

func (c *client) submit(base string, t *ticket) {
	if o := c.carry("submit", t, t.request(base)); o.Outcome == ok && t.id == "" {
		t.id = o.ID
	}
	if t.id == "" && !t.Keyed {
		c.forget(t)
	}
}

// submitOther asks for something else under the key of a job, which is refused.
func (c *client) submitOther(base string, t *ticket) {
	other := t.submission
	other.Filler += 7
	c.carry("otherbody", t, other.request(base))
}

func (c *client) cancel(base string, t *ticket) {
	c.carry("cancel", t, request{method: http.MethodDelete, url: base + "/v1/jobs/" + t.id})
}

func (c *client) look(base string, t *ticket, kind, query string) {
	c.carry(kind, t, request{method: http.MethodGet, url: base + "/v1/jobs/" + t.id + query})
}

func (c *client) read(base string, t *ticket) {
	c.carry("result", t, request{method: http.MethodGet, url: base + "/v1/jobs/" + t.id + "/result"})
}
