package jobtable_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/store/dynamo/internal/calls"
	"github.com/forebay-ai/forebay/store/dynamo/internal/jobtable"
	"github.com/forebay-ai/forebay/store/storetest"
	"github.com/forebay-ai/forebay/store/storetest/backlogtest"
)

// faults stand between a client and DynamoDB. The shares are of all data calls.
type faults struct {
	next     http.RoundTripper
	lose     float64       // made, and the answer is dropped
	throttle float64       // refused for want of capacity
	stall    float64       // never answered, made or not
	lag      time.Duration // indexes are read as they were then

	hold    []byte        // the first PutItem with these bytes waits
	holding chan struct{} // closed when it does
	let     chan struct{} // closed to let it go on

	mu     sync.Mutex // guards what follows
	held   bool
	random *rand.Rand
	off    bool
	old    map[string]answer // of indexes, by request
	counts map[string]int    // of faults, by their names
}

// answer is one that an index gave once.
type answer struct {
	at   time.Time
	body []byte
}

// faulty makes a client whose calls meet faults.
func faulty(t *testing.T, f *faults) (*faults, func() *jobtable.Backlog) {
	f.random, f.old, f.counts = rand.New(rand.NewPCG(7, 7)), map[string]answer{}, map[string]int{}
	f.off = true
	c := client(t, func(next http.RoundTripper) http.RoundTripper {
		f.next = next
		return f
	})
	return f, func() *jobtable.Backlog {
		b := fresh(t, c)
		f.set(true)
		t.Cleanup(func() { f.set(false) })
		return b
	}
}

func (f *faults) set(on bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.off = !on
}

// holdControl has the first write of a job's control item wait.
func (f *faults) holdControl(id backlog.ID) {
	f.hold, f.holding, f.let = []byte(id.String()), make(chan struct{}), make(chan struct{})
}

// waits says whether a call is the one that waits.
func (f *faults) waits(target string, body []byte) bool {
	if f.hold == nil || target != "PutItem" || !bytes.Contains(body, f.hold) {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	first := !f.held
	f.held = true
	return first
}

// draw says whether a fault happens.
func (f *faults) draw(name string, share float64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.off || f.random.Float64() >= share {
		return false
	}
	f.counts[name]++
	return true
}

func (f *faults) count(name string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.counts[name]
}

// refusal is how DynamoDB refuses a call for want of capacity.
const refusal = `{"__type":"com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException","message":"no capacity",` +
	`"ThrottlingReasons":[{"reason":"IndexWriteKeyRangeThroughputExceeded","resource":"arn:aws:dynamodb:eu-central-1:1:table/t/index/ready"}]}`

// RoundTrip makes a call, or has it fail.
func (f *faults) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	_, target, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	if strings.Contains(target, "Table") || strings.Contains(target, "TimeToLive") {
		return f.next.RoundTrip(r)
	}
	if f.waits(target, body) {
		close(f.holding)
		<-f.let
	}
	switch {
	case f.draw("throttle", f.throttle):
		return &http.Response{
			StatusCode: http.StatusBadRequest, Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}},
			Body: io.NopCloser(strings.NewReader(refusal)), Request: r,
		}, nil
	case f.draw("stall", f.stall):
		if f.draw("stalled and made", 0.5) {
			if resp, err := f.next.RoundTrip(r); err == nil {
				_ = resp.Body.Close()
			}
		}
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	resp, err := f.next.RoundTrip(r)
	if err == nil && f.draw("lose", f.lose) {
		_, _ = io.Copy(io.Discard, resp.Body) // the call was made
		_ = resp.Body.Close()
		return nil, io.ErrUnexpectedEOF
	}
	if err == nil && f.lag > 0 && target == "Query" && bytes.Contains(body, []byte(`"IndexName"`)) {
		return f.stale(string(body), resp)
	}
	return resp, err
}

// stale gives an index's answer as it was some time ago, where it was asked the same before.
func (f *faults) stale(request string, resp *http.Response) (*http.Response, error) {
	now, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	old, ok := f.old[request]
	if !ok || time.Since(old.at) > f.lag || f.off {
		old = answer{time.Now(), now}
		f.old[request] = old
	} else if !bytes.Equal(old.body, now) {
		f.counts["stale"]++
	}
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(old.body)), int64(len(old.body))
	resp.Header.Del("X-Amz-Crc32") // it is that of the other answer
	return resp, nil
}

// TestStoreThrottledAndStale runs the suite where every tenth call is throttled, and indexes are up to a second old: nobody
// may notice.
func TestStoreThrottledAndStale(t *testing.T) {
	if !soak() {
		// The rules that lists and several changes at once depend on; all of them take half a minute.
		t.Run("model", func(t *testing.T) {
			f, open := faulty(t, &faults{throttle: 0.1, lag: time.Second})
			for round := range 2 {
				b := open()
				for n := range 3 {
					checkSeen(t, b, round*10+n)
				}
			}
			if f.count("throttle") == 0 || f.count("stale") == 0 {
				t.Errorf("no fault happened: %v", f.counts)
			}
		})
		return
	}
	f, open := faulty(t, &faults{throttle: 0.1, lag: time.Second})
	backlogtest.Store(t, func(t *testing.T) backlog.Store {
		if tooLong(t) {
			return storetest.NewBacklog()
		}
		f.set(false)
		return open()
	})
	if f.count("throttle") == 0 || f.count("stale") == 0 {
		t.Errorf("no fault happened: %v", f.counts)
	}
}

// checkSeen changes a job and looks whether lists by state have it at once.
func checkSeen(t *testing.T, b backlog.Store, n int) {
	t.Helper()
	var ids backlog.IDs
	j := small(time.Now().UTC().Truncate(time.Microsecond), &ids, 10)
	j.ID += backlog.ID(n)
	_, err := b.Insert(t.Context(), &j, []byte("0123456789"), time.Time{})
	must(t, err)
	for _, state := range []backlog.State{backlog.Processing, backlog.Queued, backlog.Processing} {
		listed := func(want int, of backlog.State) {
			t.Helper()
			page, err := b.List(t.Context(), backlog.Query{States: []backlog.State{of}})
			must(t, err)
			found := 0
			for _, other := range page {
				if other.ID == j.ID {
					found++
				}
			}
			if found != want {
				t.Errorf("a list of %v jobs has the job %d times; want %d", of, found, want)
			}
		}
		listed(1, j.State)
		c := backlog.Change{ID: j.ID, From: j.State, Attempt: j.Attempt, To: j.Status}
		c.To.State, c.To.Attempt = state, j.Attempt+1
		must(t, b.Apply(t.Context(), &c))
		listed(0, j.State)
		j.Status = c.To
		listed(1, j.State)
	}
}

// TestLostAnswers has calls that are made and not answered, and calls that hang. Whoever reads what became of
// them finds either the job as it was or as it was to be, a key has one job, and a result is that of the change that was made.
func TestLostAnswers(t *testing.T) {
	workers, each := 4, 4
	if long() {
		each = 30
	}
	for name, f := range map[string]*faults{
		"lost":    {lose: 0.15, lag: 300 * time.Millisecond},
		"stalled": {stall: 0.04},
		"all":     {lose: 0.08, stall: 0.02, throttle: 0.05, lag: 300 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			_, open := faulty(t, f)
			b := open()
			var all sync.WaitGroup
			for w := range workers {
				all.Go(func() {
					for n := range each {
						if err := doubtful(b, w, n); err != nil {
							t.Error(err)
							return
						}
					}
				})
			}
			all.Wait()
			f.set(false)
			page, err := b.List(t.Context(), backlog.Query{Limit: 10_000})
			if must(t, err); len(page) != workers*each {
				t.Errorf("there are %d jobs; want one for each of %d keys", len(page), workers*each)
			}
			for _, j := range page {
				_, result, err := b.Read(t.Context(), j.ID, backlog.Result)
				if want := fmt.Sprintf("%s by attempt %d", j.ID, j.Attempt); err != nil || !strings.HasPrefix(string(result), want) {
					t.Errorf("job %s, %v: the result is %.60q, %v; want %q", j.ID, j.State, result, err, want)
				}
			}
			t.Logf("%v", f.counts)
			if len(f.counts) == 0 {
				t.Error("no fault happened")
			}
		})
	}
}

// doubtful takes a job in under a key of its own, and through its life; after each error it reads what became of the change,
// and tries again where it was not made.
func doubtful(b *jobtable.Backlog, w, n int) error {
	var ids backlog.IDs
	key := [32]byte{1, byte(w), byte(n), byte(n >> 8)}
	var j backlog.Job
	for {
		now := time.Now().UTC().Truncate(time.Microsecond)
		mine := small(now, &ids, 8)
		mine.Idempotency = key
		found, err := within(func(ctx context.Context) (backlog.Job, error) {
			return b.Insert(ctx, &mine, []byte("payload!"), time.Time{})
		})
		if err == nil {
			j = mine
			break
		}
		if errors.Is(err, backlog.ErrExists) && found.ID != 0 { // by a try that nobody knew of
			j = found
			break
		}
	}
	for attempt := 1; attempt <= 3; attempt++ {
		c := backlog.Change{ID: j.ID, From: j.State, Attempt: j.Attempt, To: j.Status}
		c.To.State, c.To.Attempt, c.To.Worker = backlog.Processing, attempt, fmt.Sprint(w)
		if attempt == 3 {
			c.To.State, c.To.Attempt, c.DropPayload = backlog.Completed, 2, true
			c.Result = bytes.Repeat(fmt.Appendf(nil, "%s by attempt %d ", j.ID, 2), 1+n*5)
		}
		if err := insist(b, &c); err != nil {
			return err
		}
		j.Status = c.To
	}
	return nil
}

// insist makes a change until it is made.
func insist(b *jobtable.Backlog, c *backlog.Change) error {
	for {
		_, err := within(func(ctx context.Context) (backlog.Job, error) { return backlog.Job{}, b.Apply(ctx, c) })
		if err == nil {
			return nil
		}
		for {
			j, err := within(func(ctx context.Context) (backlog.Job, error) { return b.Get(ctx, c.ID) })
			if err != nil {
				if errors.Is(err, backlog.ErrNotFound) || errors.Is(err, backlog.ErrDamaged) {
					return fmt.Errorf("job %s: %w", c.ID, err)
				}
				continue
			}
			switch {
			case j.Status == c.To:
				return nil
			case j.State != c.From || j.Attempt != c.Attempt:
				return fmt.Errorf("job %s is %v, attempt %d; want it as it was or as it was to be", c.ID, j.State, j.Attempt)
			}
			break
		}
	}
}

// within gives a call some time. One that hangs ends with it.
func within(call func(ctx context.Context) (backlog.Job, error)) (backlog.Job, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 400*time.Millisecond)
	defer cancel()
	return call(ctx)
}

// TestBusy has every call throttled: the error says that nothing was changed, and where there is no room.
func TestBusy(t *testing.T) {
	f, open := faulty(t, &faults{throttle: 1})
	open()
	f.set(false)
	c := client(t, func(next http.RoundTripper) http.RoundTripper {
		f.next = next
		return f
	})
	table := newTable(t, c)
	conn := calls.New(c, 50*time.Millisecond)
	b, err := jobtable.Open(t.Context(), config(table), conn)
	must(t, err)
	f.set(true)
	var ids backlog.IDs
	j := small(time.Now(), &ids, 10)
	_, err = b.Insert(t.Context(), &j, []byte("0123456789"), time.Time{})
	var throttled *calls.ThrottledError
	if !errors.Is(err, backlog.ErrBusy) || llm.KindOf(err) != llm.ForebayUnavailable || llm.AsError(err).RetryAfter == 0 || !errors.As(err, &throttled) {
		t.Fatalf("Insert: %v; want ErrBusy and ForebayUnavailable with RetryAfter", err)
	}
	if len(throttled.Reasons) != 1 || !strings.Contains(throttled.Reasons[0], "IndexWriteKeyRange") || !strings.Contains(throttled.Reasons[0], "index/ready") {
		t.Errorf("the reasons are %q", throttled.Reasons)
	}
	if u := conn.Stats()["queue.insert"]; u.Throttled < 2 || u.Throttled != u.Calls {
		t.Errorf("it was throttled %d times in %d calls; want it to be repeated", u.Throttled, u.Calls)
	}
	f.set(false)
	if _, err := b.Get(t.Context(), j.ID); !errors.Is(err, backlog.ErrNotFound) {
		t.Errorf("a job that was refused is there: %v", err)
	}
}

// TestTooLarge has a payload and a result over the bound.
func TestTooLarge(t *testing.T) {
	c := client(t, nil)
	cfg := config(newTable(t, c))
	cfg.MaxPayload = 1000
	b, _ := openAt(t, c, cfg)
	var ids backlog.IDs
	j := small(time.Now().UTC().Truncate(time.Microsecond), &ids, 10)
	_, err := b.Insert(t.Context(), &j, make([]byte, 1001), time.Time{})
	if e := llm.AsError(err); e.Kind != llm.CallerTooLarge || e.Limit == "" || e.Value != "1000" {
		t.Errorf("Insert of too large a payload: %v", err)
	}
	_, err = b.Insert(t.Context(), &j, make([]byte, 1000), time.Time{})
	must(t, err)
	change := backlog.Change{ID: j.ID, From: backlog.Queued, To: j.Status, Result: make([]byte, 1001)}
	if err := b.Apply(t.Context(), &change); llm.KindOf(err) != llm.CallerTooLarge {
		t.Errorf("Apply with too large a result: %v", err)
	}
}
