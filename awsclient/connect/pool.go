package connect

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

// sessions bounds the TLS sessions that are kept for resumption: one for each host and a
// few more. The standard library's own default.
const sessions = 64

// Pool is an aws.HTTPClient: a transport that is replaced when its connections get old,
// and counts of what happens on it. Load makes it. All its methods are safe for concurrent use.
type Pool struct {
	made   *awshttp.BuildableClient // the pattern of every transport
	idle   time.Duration
	maxAge time.Duration // negative: no bound
	counts counts

	mu      sync.Mutex // guards the next four
	current *http.Transport
	born    time.Time
	active  int // calls under way
	// used is when a call last began or ended, by the wall clock: the monotonic one
	// stands still while Lambda has the process frozen.
	used time.Time
}

func newPool(client *awshttp.BuildableClient, o Options) *Pool {
	p := &Pool{idle: o.IdleTimeout, maxAge: o.MaxAge}
	p.made = client.WithDialerOptions(func(d *net.Dialer) {
		d.Timeout = o.ConnectTimeout
		d.KeepAlive = 30 * time.Second // dead peers are noticed before load balancers forget them
	}).WithTransportOptions(func(t *http.Transport) {
		t.MaxIdleConns = 0 // as many as its hosts have together
		t.MaxIdleConnsPerHost = o.Concurrency
		t.MaxConnsPerHost = 0 // what limits calls stands elsewhere; a line here would not be seen
		t.IdleConnTimeout = o.IdleTimeout
		t.TLSHandshakeTimeout = o.ConnectTimeout
		if t.TLSClientConfig == nil {
			t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		t.TLSClientConfig.ClientSessionCache = tls.NewLRUClientSessionCache(sessions)
		t.DialContext = p.counts.dialer(t.DialContext)
	})
	p.current, p.born = p.made.GetTransport(), wallClock()
	return p
}

// wallClock is the time without the monotonic reading.
func wallClock() time.Time { return time.Now().Round(0) }

// Do implements aws.HTTPClient. Redirects are not followed.
func (p *Pool) Do(r *http.Request) (*http.Response, error) {
	transport, retired := p.begin(wallClock())
	if retired != nil {
		retired.CloseIdleConnections()
	}
	p.counts.requests.Add(1)
	r = r.WithContext(httptrace.WithClientTrace(r.Context(), p.counts.trace()))
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = sentBody{r.Body}
	}
	resp, err := transport.RoundTrip(r)
	if err != nil {
		p.counts.failed.Add(1)
		p.end()
		return nil, err
	}
	resp.Body = &countedBody{ReadCloser: resp.Body, pool: p}
	return resp, nil
}

// begin counts a call and gives the transport for it, and one whose idle connections are
// to be closed: they are too old, or were idle beyond their time while nothing ran that
// could have closed them.
func (p *Pool) begin(now time.Time) (transport, retired *http.Transport) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.maxAge > 0 && now.Sub(p.born) >= p.maxAge:
		retired = p.current
		p.current, p.born = p.made.GetTransport(), now
		p.counts.renewals.Add(1)
	case p.active == 0 && !p.used.IsZero() && now.Sub(p.used) >= p.idle:
		retired = p.current
		p.counts.thaws.Add(1)
	}
	p.active++
	p.used = now
	return p.current, retired
}

func (p *Pool) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.active--
	p.used = wallClock()
}

// CloseIdleConnections closes what nobody uses. Connections of older generations close
// by themselves when they have been idle for their time.
func (p *Pool) CloseIdleConnections() {
	p.mu.Lock()
	current := p.current
	p.mu.Unlock()
	current.CloseIdleConnections()
}

// sentBody is a request's body without its WriteTo. The SDK closes the body as soon as there
// is an answer (smithy-go v1.28.8), and its WriteTo then says io.EOF where an end is no error:
// the transport, which just looks whether there is more to send, takes that for one and
// throws the connection away, whenever a server is quick.
type sentBody struct{ io.ReadCloser }

// countedBody ends its call once it is closed.
type countedBody struct {
	io.ReadCloser
	pool *Pool
	once sync.Once
}

// Close implements io.Closer.
func (b *countedBody) Close() error {
	b.once.Do(b.pool.end)
	return b.ReadCloser.Close()
}

// Timing is how often something was done, and how long it took altogether.
type Timing struct {
	Count int64
	Total time.Duration
}

// Mean is the time of one; 0 where there was none.
func (t Timing) Mean() time.Duration {
	if t.Count == 0 {
		return 0
	}
	return t.Total / time.Duration(t.Count)
}

// Stats counts what happened on a pool since it was made. The numbers are read one by one
// while it is in use, so they may be a few calls apart.
type Stats struct {
	// Requests counts calls over HTTP, each attempt by itself; Failed those without an
	// answer.
	Requests, Failed int64
	// Opened counts connections that were made, Reused requests that went over one that
	// was there already, Open the connections there are now, DialFailed those that could
	// not be made.
	Opened, Reused, Open, DialFailed int64
	// Renewed counts how often all connections were replaced for their age, Thawed how
	// often idle ones were thrown away because the process had been stopped.
	Renewed, Thawed int64
	// DNS, Connect and TLS are the parts of opening a connection; Resumed counts the
	// handshakes that resumed a session.
	DNS, Connect, TLS Timing
	Resumed           int64
}

// ReuseRate is the share of requests that needed no new connection, from 0 to 1; 0 before
// the first.
func (s Stats) ReuseRate() float64 {
	if s.Requests == 0 {
		return 0
	}
	return min(float64(s.Reused)/float64(s.Requests), 1)
}

// Stats tells what happened on the pool.
func (p *Pool) Stats() Stats {
	c := &p.counts
	return Stats{
		Requests: c.requests.Load(), Failed: c.failed.Load(),
		Opened: c.opened.Load(), Reused: c.reused.Load(), Open: c.open.Load(), DialFailed: c.dialFailed.Load(),
		Renewed: c.renewals.Load(), Thawed: c.thaws.Load(),
		DNS: c.dns.stats(), Connect: c.connect.stats(), TLS: c.handshake.stats(), Resumed: c.resumed.Load(),
	}
}

// counts are what Stats tells.
type counts struct {
	requests, failed, opened, reused, open, dialFailed atomic.Int64
	renewals, thaws, resumed                           atomic.Int64
	dns, connect, handshake                            timer
}

// timer adds up durations.
type timer struct{ count, nanoseconds atomic.Int64 }

func (t *timer) since(begun time.Time) {
	t.count.Add(1)
	t.nanoseconds.Add(int64(time.Since(begun)))
}

func (t *timer) stats() Timing {
	return Timing{Count: t.count.Load(), Total: time.Duration(t.nanoseconds.Load())}
}

type dialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// dialer counts the connections that dial opens, and those that are open.
func (c *counts) dialer(dial dialFunc) dialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			c.dialFailed.Add(1)
			return nil, err
		}
		c.opened.Add(1)
		c.open.Add(1)
		return &countedConn{Conn: conn, counts: c}, nil
	}
}

// countedConn is a connection that says when it is closed.
type countedConn struct {
	net.Conn
	counts *counts
	once   sync.Once
}

// Close implements net.Conn.
func (c *countedConn) Close() error {
	c.once.Do(func() { c.counts.open.Add(-1) })
	return c.Conn.Close()
}

// trace counts the parts of one call. Its functions may run after the call has ended,
// on the goroutine that opens a connection for nobody any more: so each has a time of
// its own, behind a lock. One function on purpose: they share these times.
func (c *counts) trace() *httptrace.ClientTrace {
	var mu sync.Mutex // guards the three below
	var dns, handshake time.Time
	connects := map[string]time.Time{}
	set := func(t *time.Time) {
		mu.Lock()
		defer mu.Unlock()
		*t = time.Now()
	}
	get := func(t *time.Time) time.Time {
		mu.Lock()
		defer mu.Unlock()
		return *t
	}
	return &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) {
			if info.Reused {
				c.reused.Add(1)
			}
		},
		DNSStart: func(httptrace.DNSStartInfo) { set(&dns) },
		DNSDone:  func(httptrace.DNSDoneInfo) { c.dns.since(get(&dns)) },
		ConnectStart: func(_, address string) {
			mu.Lock()
			defer mu.Unlock()
			connects[address] = time.Now() // two at a time, of two families of addresses
		},
		ConnectDone: func(_, address string, err error) {
			mu.Lock()
			begun := connects[address]
			mu.Unlock()
			if err == nil {
				c.connect.since(begun)
			}
		},
		TLSHandshakeStart: func() { set(&handshake) },
		TLSHandshakeDone: func(state tls.ConnectionState, err error) {
			if err != nil {
				return
			}
			c.handshake.since(get(&handshake))
			if state.DidResume {
				c.resumed.Add(1)
			}
		},
	}
}
