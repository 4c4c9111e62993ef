package loadgen

import (
	"context"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// run is one measurement in progress.
type run struct {
	spec     *Spec
	template template
	conns    []*conn
	start    time.Time // of the first request
	begin    time.Time // of the measured part
	end      time.Time
	numbers  atomic.Int64 // of the last prompt, where they differ
	unsent   int          // of the open loop
}

// conn is one connection with what was measured on it. One goroutine at a time
// uses it.
type conn struct {
	net  net.Conn
	read *reader
	req  []byte // this connection's copy of the template

	latency, first, lag                  []time.Duration
	errors, notOK, incomplete, hits, all int
	lastError                            string
}

func selfPID() int { return os.Getpid() }

// connectTime is allowed for all connections together before the first request.
const connectTime = 200 * time.Millisecond

func newRun(ctx context.Context, s *Spec) (*run, error) {
	r := &run{spec: s, template: newTemplate(s)}
	if s.Unique {
		// Numbers differ between runs too: a gateway may still know the last run's prompts.
		r.numbers.Store(time.Now().UnixNano() / 1000 % 1e11)
	}
	for range s.Conns {
		c := &conn{req: append([]byte(nil), r.template.bytes...)}
		if err := c.dial(ctx, s.Addr); err != nil {
			r.close()
			return nil, fmt.Errorf("loadgen: %w", err)
		}
		r.conns = append(r.conns, c)
	}
	r.start = time.Now().Add(connectTime)
	r.begin = r.start.Add(s.Warm)
	r.end = r.begin.Add(s.Duration)
	return r, nil
}

func (r *run) close() {
	for _, c := range r.conns {
		_ = c.net.Close()
	}
}

func (c *conn) dial(ctx context.Context, addr string) error {
	d := net.Dialer{Timeout: 2 * time.Second}
	n, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	c.net, c.read = n, newReader(n)
	return nil
}

// closed lets each connection send when its last request is answered.
func (r *run) closed(ctx context.Context) {
	var workers sync.WaitGroup
	for _, c := range r.conns {
		workers.Go(func() {
			if !sleepUntil(ctx, r.start) {
				return
			}
			for ctx.Err() == nil {
				sent := time.Now()
				if !sent.Before(r.end) {
					return
				}
				r.finish(ctx, c, sent, sent, r.send(c))
			}
		})
	}
	workers.Wait()
}

// send writes the connection's next request.
func (r *run) send(c *conn) error {
	switch {
	case r.spec.Unique:
		r.template.number(c.req, r.numbers.Add(1))
	case r.spec.Prompts > 0:
		r.template.number(c.req, r.numbers.Add(1)%r.spec.Prompts)
	}
	if err := c.net.SetDeadline(time.Now().Add(requestTimeout)); err != nil {
		return err
	}
	_, err := c.net.Write(c.req)
	return err
}

// finish reads the answer to a request that was to be sent at intended and was at
// sent, with err, and counts it.
func (r *run) finish(ctx context.Context, c *conn, intended, sent time.Time, err error) {
	var res response
	if err == nil {
		res, err = c.read.read()
	}
	now := time.Now()
	measured := !intended.Before(r.begin) && intended.Before(r.end)
	if err != nil || !res.keep {
		_ = c.net.Close()
		if redial := c.dial(ctx, r.spec.Addr); redial != nil && err == nil {
			err = redial
		}
	}
	if err == nil {
		c.all++
	}
	switch {
	case err != nil:
		c.errors++ // outside the measured part too: a run must have none
		c.lastError = err.Error()
	case res.status != 200:
		c.notOK++
		c.lastError = fmt.Sprintf("status %d", res.status)
	case r.spec.Stream && !res.complete:
		c.incomplete++
		c.lastError = "a stream without its end mark"
	case measured:
		if res.hit {
			c.hits++
		}
		c.latency = append(c.latency, now.Sub(intended))
		c.first = append(c.first, res.first.Sub(intended))
		c.lag = append(c.lag, sent.Sub(intended))
	}
}

// result sums up after all connections are done.
func (r *run) result(c cost) *Result {
	res := &Result{
		Unsent: r.unsent, Seconds: r.spec.Duration.Seconds(), SampledSeconds: c.seconds, CPUSeconds: c.test.Seconds(), UpstreamCPUSeconds: c.upstream.Seconds(),
		LoadCPUSeconds: c.own.Seconds(), PeakRSSMB: float64(c.peak) / 1e6, RSSMB: float64(c.now) / 1e6,
	}
	var latency, first, lag []time.Duration
	for _, c := range r.conns {
		latency, first, lag = append(latency, c.latency...), append(first, c.first...), append(lag, c.lag...)
		res.Errors += c.errors
		res.NotOK += c.notOK
		res.Incomplete += c.incomplete
		res.Hits += c.hits
		res.All += c.all
		if c.lastError != "" {
			res.LastError = c.lastError
		}
	}
	res.Requests = len(latency)
	res.Latency, res.FirstByte, res.SendLag = percentiles(latency), percentiles(first), percentiles(lag)
	res.PerSecond = float64(res.Requests) / res.Seconds
	if res.Requests > 0 && c.seconds > 0 {
		res.CPUSecondsPer10K = res.CPUSeconds / c.seconds / res.PerSecond * 10_000
	}
	return res
}
