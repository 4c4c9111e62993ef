package limit_test

import (
	"fmt"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/limit"
	"pgregory.net/rapid"
)

func TestQuotaValidate(t *testing.T) {
	for _, test := range []struct {
		cfg  limit.QuotaConfig
		want string
	}{
		{limit.QuotaConfig{}, ""},
		{limit.QuotaConfig{RequestsPerMinute: 50, TokensPerMinute: 200_000, OutputBurn: 5}, ""},
		{limit.QuotaConfig{RequestsPerMinute: -1}, "requests_per_minute: -1"},
		{limit.QuotaConfig{TokensPerMinute: -1}, "tokens_per_minute: -1"},
		{limit.QuotaConfig{TokensPerMinute: limit.MaxPerMinute + 1}, "tokens_per_minute: 1000000001"},
		{limit.QuotaConfig{OutputBurn: -1}, "output_burndown: -1"},
		{limit.QuotaConfig{OutputBurn: math.NaN()}, "output_burndown: NaN"},
		{limit.QuotaConfig{OutputBurn: math.Inf(1)}, "output_burndown: +Inf"},
	} {
		err := test.cfg.Validate()
		switch {
		case test.want == "" && err != nil:
			t.Errorf("%+v: %v", test.cfg, err)
		case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
			t.Errorf("%+v: %v, want %q in it", test.cfg, err, test.want)
		}
	}
}

func TestNoQuota(t *testing.T) {
	q := limit.NewQuota(limit.QuotaConfig{OutputBurn: 5})
	if q != nil {
		t.Fatal("a quota without a bound")
	}
	r, ok := q.Reserve(epoch, math.MaxInt)
	q.Settle(epoch, r, 7)
	if !ok || q.Wait(epoch, 1e9) != 0 || q.Snapshot(epoch) != (limit.QuotaSnapshot{}) || q.Used(1, 2, 3) != 6 {
		t.Error("a nil quota is a bound")
	}
}

// TestQuotaBedrock goes through a call as Bedrock counts it.
func TestQuotaBedrock(t *testing.T) {
	q := limit.NewQuota(limit.QuotaConfig{TokensPerMinute: 60_000, OutputBurn: 5})
	left := func(now time.Time) int { return q.Snapshot(now).TokensLeft }
	r, ok := q.Reserve(epoch, 2_000+1_000) // 2,000 in, at most 1,000 out
	if !ok || left(epoch) != 57_000 {
		t.Fatalf("%t, %d left", ok, left(epoch))
	}
	q.Settle(epoch, r, q.Used(2_000, 0, 100))
	if got := left(epoch); got != 60_000-2_500 {
		t.Errorf("%d left after 2,000 in and 100 out", got)
	}
	q.Settle(epoch, r, 0)
	if got := left(epoch); got != 57_500 {
		t.Errorf("%d left after a second settlement", got)
	}
	second, _ := q.Reserve(epoch, 57_500)
	q.Settle(epoch, second, q.Used(7_500, 0, 11_000)) // 62,500 used, 57,500 reserved
	if got := left(epoch); got != -5_000 {
		t.Errorf("%d left, want a debt of 5,000", got)
	}
	if got := q.Wait(epoch, 1_000); got != 6*time.Second { // 1,000 a second
		t.Errorf("wait %v, want 6 s", got)
	}
	if _, ok := q.Reserve(epoch.Add(6*time.Second-time.Microsecond), 1_000); ok {
		t.Error("reserved too early")
	}
	if _, ok := q.Reserve(epoch.Add(6*time.Second), 1_000); !ok {
		t.Error("not reserved after the wait")
	}
}

// Requests stay counted when the provider did not take the call; tokens do not.
func TestQuotaRequests(t *testing.T) {
	q := limit.NewQuota(limit.QuotaConfig{RequestsPerMinute: 2, TokensPerMinute: 100})
	for range 2 {
		r, ok := q.Reserve(epoch, 100)
		if !ok {
			t.Fatal("no room")
		}
		q.Settle(epoch, r, 0)
	}
	if got := q.Wait(epoch, 1); got != 30*time.Second {
		t.Errorf("wait %v, want 30 s", got)
	}
	if s := q.Snapshot(epoch); s.RequestsLeft != 0 || s.TokensLeft != 100 || s.Open != 0 {
		t.Errorf("%+v", s)
	}
}

// A call that may use more than a minute's quota needs all of it, and is not refused for ever.
func TestQuotaLargerThanTheBucket(t *testing.T) {
	q := limit.NewQuota(limit.QuotaConfig{TokensPerMinute: 1000})
	r, ok := q.Reserve(epoch, math.MaxInt)
	if !ok || q.Snapshot(epoch).TokensLeft != 0 || q.Wait(epoch, math.MaxInt) != time.Minute {
		t.Fatalf("%t, %+v", ok, q.Snapshot(epoch))
	}
	q.Settle(epoch, r, math.MaxInt)
	if got := q.Snapshot(epoch).TokensLeft; got != -5000 {
		t.Errorf("a debt of %d, want 5 minutes' worth", got)
	}
	if got := q.Snapshot(epoch.Add(1000 * time.Hour)).TokensLeft; got != 1000 {
		t.Errorf("%d tokens after a long time", got)
	}
}

func TestQuotaReservationExpires(t *testing.T) {
	q := limit.NewQuota(limit.QuotaConfig{TokensPerMinute: 1000})
	lost, _ := q.Reserve(epoch, 1000)
	kept, _ := q.Reserve(epoch.Add(time.Minute), 1000)
	later := epoch.Add(limit.ReservationLife + time.Microsecond)
	if s := q.Snapshot(later); s.Open != 1 || s.TokensLeft != 1000 {
		t.Fatalf("%+v, want the first reservation gone", s)
	}
	q.Settle(later, lost, 3000)
	if s := q.Snapshot(later); s.TokensLeft != 1000 {
		t.Errorf("%+v after the settlement of one that had expired", s)
	}
	q.Settle(later, kept, 1500)
	if s := q.Snapshot(later); s.TokensLeft != 500 || s.Open != 0 {
		t.Errorf("%+v after the settlement of the other", s)
	}
	q.Settle(later, limit.Reservation{}, 100)
	if s := q.Snapshot(later); s.TokensLeft != 500 {
		t.Errorf("%+v after the settlement of nobody's", s)
	}
}

// quotaModel counts in whole microseconds and tokens x minutes, without a bucket: what
// came in, and what went out.
type quotaModel struct {
	tokens, requests     int64 // a minute
	tokenUnits, reqUnits int64
	now                  int64
	open                 map[limit.Reservation]modelReservation
}

type modelReservation struct{ at, tokens int64 }

const perMinute = int64(time.Minute / time.Microsecond)

func (m *quotaModel) advance(now int64) {
	for ; m.now < now; m.now += min(now-m.now, perMinute) {
		step := min(now-m.now, perMinute)
		m.tokenUnits = min(m.tokenUnits+step*m.tokens, m.tokens*perMinute)
		m.reqUnits = min(m.reqUnits+step*m.requests, m.requests*perMinute)
	}
	for r, o := range m.open {
		if m.now-o.at > limit.ReservationLife.Microseconds() {
			delete(m.open, r)
		}
	}
}

// TestQuotaModel runs random operations beside the model. One table on purpose: each operation
// needs the quota, the model and the clock.
func TestQuotaModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &quotaModel{
			tokens:   rapid.Int64Range(0, 5000).Draw(t, "tokens a minute"),
			requests: rapid.Int64Range(0, 50).Draw(t, "requests a minute"),
			open:     map[limit.Reservation]modelReservation{},
		}
		if m.tokens == 0 && m.requests == 0 {
			t.Skip("no bound")
		}
		m.tokenUnits, m.reqUnits = m.tokens*perMinute, m.requests*perMinute
		q := limit.NewQuota(limit.QuotaConfig{RequestsPerMinute: int(m.requests), TokensPerMinute: int(m.tokens)})
		q.Snapshot(epoch) // the clock begins
		var at int64
		now := func() time.Time { return epoch.Add(time.Duration(at) * time.Microsecond) }
		var ended []limit.Reservation
		settle := func(r limit.Reservation, used int) {
			if o, ok := m.open[r]; ok && m.tokens > 0 {
				m.tokenUnits += (o.tokens - int64(used)) * perMinute
				m.tokenUnits = min(max(m.tokenUnits, -5*m.tokens*perMinute), m.tokens*perMinute)
			}
			delete(m.open, r)
			ended = append(ended, r)
			q.Settle(now(), r, used)
		}
		t.Repeat(map[string]func(*rapid.T){
			"time": func(t *rapid.T) {
				at += rapid.OneOf(rapid.Int64Range(0, 5_000_000), rapid.Int64Range(0, perMinute*90)).Draw(t, "us")
				m.advance(at)
			},
			"reserve": func(t *rapid.T) {
				n := rapid.IntRange(-1, 7000).Draw(t, "tokens")
				need := min(max(int64(n), 0), m.tokens)
				want := (m.tokens == 0 || m.tokenUnits >= need*perMinute) && (m.requests == 0 || m.reqUnits >= perMinute)
				wait := q.Wait(now(), n)
				r, ok := q.Reserve(now(), n)
				if ok != want || (wait == 0) != want {
					t.Fatalf("Reserve(%d) = %t after a wait of %v; want %t at %+v", n, ok, wait, want, *m)
				}
				if !ok {
					return
				}
				if _, twice := m.open[r]; twice {
					t.Fatalf("%v was given out twice", r)
				}
				m.tokenUnits -= need * perMinute
				if m.requests > 0 {
					m.reqUnits -= perMinute
				}
				m.open[r] = modelReservation{at, need}
			},
			"wait": func(t *rapid.T) { // what Wait says is exactly when Reserve succeeds
				n := rapid.IntRange(1, 7000).Draw(t, "tokens")
				wait := q.Wait(now(), n).Microseconds()
				if wait == 0 {
					return
				}
				at += wait - 1
				m.advance(at)
				if _, ok := q.Reserve(now(), n); ok {
					t.Fatalf("reserved a microsecond before the wait was over")
				}
				at++
				m.advance(at)
				if got := q.Wait(now(), n); got != 0 {
					t.Fatalf("another %v to wait after the wait of %dus", got, wait)
				}
			},
			"settle": func(t *rapid.T) {
				for r := range m.open { // any one
					settle(r, rapid.IntRange(0, 9000).Draw(t, "used"))
					return
				}
			},
			"settle again": func(t *rapid.T) {
				if len(ended) > 0 {
					q.Settle(now(), rapid.SampledFrom(ended).Draw(t, "reservation"), 1)
				}
			},
			"": func(t *rapid.T) {
				s := q.Snapshot(now())
				tokens := int(math.Floor(float64(m.tokenUnits) / float64(perMinute)))
				requests := int(m.reqUnits / perMinute)
				if s.TokensLeft != tokens || s.RequestsLeft != requests || s.Open != len(m.open) {
					t.Fatalf("got %+v, want %d tokens, %d requests, %d open", s, tokens, requests, len(m.open))
				}
			},
		})
	})
}

// TestQuotaNeverOverrun has many reserve at once: together they never get more than
// the bucket holds.
func TestQuotaNeverOverrun(t *testing.T) {
	for range 20 {
		q := limit.NewQuota(limit.QuotaConfig{TokensPerMinute: 1_000_000, RequestsPerMinute: 100_000})
		var got atomic.Int64
		var wg sync.WaitGroup
		begin := make(chan struct{})
		for i := range 8 {
			wg.Go(func() {
				<-begin
				for n := range 300 {
					tokens := 700 + (i*300+n)%200
					r, ok := q.Reserve(epoch, tokens)
					switch {
					case ok && n%3 == 0:
						q.Settle(epoch, r, 0)
					case ok:
						got.Add(int64(tokens))
					}
				}
			})
		}
		close(begin)
		wg.Wait()
		if s := q.Snapshot(epoch); got.Load() > 1_000_000 || s.TokensLeft != 1_000_000-int(got.Load()) {
			t.Fatalf("%d tokens were given, %+v", got.Load(), s)
		}
	}
}

func ExampleQuota() {
	q := limit.NewQuota(limit.QuotaConfig{TokensPerMinute: 60_000, OutputBurn: 5})
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

	r, ok := q.Reserve(now, 60_000) // input and the most output
	fmt.Println(ok, q.Wait(now, 1_000))
	q.Settle(now, r, q.Used(30_000, 0, 4_000))
	fmt.Println(q.Snapshot(now).TokensLeft)
	// Output:
	// true 1s
	// 10000
}

func BenchmarkQuotaReserveSettle(b *testing.B) {
	q := limit.NewQuota(limit.QuotaConfig{TokensPerMinute: 1_000_000, RequestsPerMinute: 1_000_000})
	now := epoch
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(100 * time.Microsecond)
		r, ok := q.Reserve(now, 1000)
		if ok {
			q.Settle(now, r, 900)
		}
	}
}
