package ledger_test

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/forebay-ai/forebay/budget"
	"github.com/forebay-ai/forebay/ledger"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/store/storetest/ledgertest"
	"pgregory.net/rapid"
)

// world is a ledger with the truth beside it: what a provider's own log says.
type world struct {
	t     *testing.T
	store *ledgertest.Memory
	fails bool // the store does not write
	l     *ledger.Ledger
	limit int64

	open   []*modelCall // in progress
	holds  []*modelHold // reservations that were not ended
	log    []entry      // what was paid, and not lost since
	above  int64        // what calls cost above their estimates
	most   int64        // the largest estimate that passed
	unsure int64        // estimates that were booked at a start in the place of smaller prices
	late   int64        // estimates of calls that outlived their leases
	last   int
}

// modelCall is a call in progress.
type modelCall struct {
	req  *llm.Request
	made time.Time
	late bool // its lease is over
}

// modelHold is a reservation: which call it is of cannot be told from others with the same key.
type modelHold struct {
	key     string
	amount  int64
	made    time.Time
	number  int
	durable bool // it is in the store
}

// entry is a line of the provider's log, with what a crash would make of it.
type entry struct {
	user    string
	day     string
	price   int64
	durable bool       // its booking is in the store
	hold    *modelHold // that it ended; nil: none
}

func (w *world) start() {
	w.store.Fail(func(op string) error {
		if op == ledgertest.OpPost && w.fails {
			return errors.New("broken")
		}
		return nil
	})
	book, err := budget.New(budget.Config{Rules: []budget.Rule{
		{Name: "all", Period: budget.Month, Kind: budget.Hard, MicroUSD: w.limit},
		{Name: "users", User: "*", Period: budget.Day, Kind: budget.Soft, MicroUSD: 10},
	}})
	if err != nil {
		w.t.Fatal(err)
	}
	if w.l, err = ledger.Open(w.t.Context(), ledger.Config{Store: w.store, Budgets: book, Estimate: estimated}); err != nil {
		w.t.Fatal(err)
	}
}

func keyOf(req *llm.Request) string { return req.ID + "/" + req.User }

func (w *world) begin(t *rapid.T) {
	req := call(rapid.SampledFrom([]string{"a", "b", "c", "d", ""}).Draw(t, "id"), "t",
		rapid.SampledFrom([]string{"u", "v", "w"}).Draw(t, "user"), rapid.IntRange(0, 400).Draw(t, "estimate"))
	if err := w.l.Reserve(w.t.Context(), req); err != nil {
		if llm.KindOf(err) != llm.PolicyBudgetExceeded {
			t.Fatal(err)
		}
		return
	}
	w.last++
	w.most = max(w.most, int64(len(req.Body)))
	w.open = append(w.open, &modelCall{req: req, made: time.Now()})
	w.holds = append(w.holds, &modelHold{key: keyOf(req), amount: int64(len(req.Body)), made: time.Now(), number: w.last})
}

// end ends a call: at its price, also above its estimate, or for nothing where its caller left.
func (w *world) end(t *rapid.T) {
	if len(w.open) == 0 {
		t.Skip()
	}
	i := rapid.IntRange(0, len(w.open)-1).Draw(t, "call")
	c := w.open[i]
	w.open = slices.Delete(w.open, i, i+1)
	estimate := int64(len(c.req.Body))
	price := rapid.OneOf(rapid.Int64Range(0, estimate), rapid.Just(int64(0)), rapid.Int64Range(0, 2*estimate)).Draw(t, "price")
	w.above += max(price-estimate, 0)
	w.l.Settle(record(c.req, price))
	h := w.release(keyOf(c.req))
	w.log = append(w.log, entry{user: c.req.User, day: h.made.UTC().Format(time.DateOnly), price: price, hold: h})
}

// release ends the smallest reservation with a key, of equal ones the oldest.
func (w *world) release(key string) *modelHold {
	var smallest *modelHold
	for _, h := range w.holds {
		if h.key == key && (smallest == nil || cmp.Or(cmp.Compare(h.amount, smallest.amount), h.made.Compare(smallest.made)) < 0) {
			smallest = h
		}
	}
	w.holds = slices.DeleteFunc(w.holds, func(h *modelHold) bool { return h == smallest })
	return smallest
}

// flush writes what is pending, unless the store fails.
func (w *world) flush(t *rapid.T) {
	w.fails = rapid.IntRange(0, 3).Draw(t, "fails") == 0
	err := w.l.Close(w.t.Context())
	if w.fails {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	w.written()
}

func (w *world) written() {
	for i := range w.log {
		w.log[i].durable = true
	}
	for _, h := range w.holds {
		h.durable = true
	}
}

// time lets time pass: seconds mostly, and sometimes more than leases or days last.
func (w *world) time(t *rapid.T) {
	time.Sleep(rapid.SampledFrom([]time.Duration{time.Second, time.Second, time.Second, 11 * time.Minute, 21 * time.Hour}).Draw(t, "time"))
	for _, c := range w.open {
		if !c.late && time.Since(c.made) >= 10*time.Minute {
			c.late = true
			w.late += int64(len(c.req.Body))
		}
	}
}

// crash leaves what is in the store: with the last batch or without it, as the process
// may have died on either side of the write.
func (w *world) crash(t *rapid.T) {
	w.fails = false
	if rapid.Bool().Draw(t, "with the last batch") {
		if err := w.l.Close(w.t.Context()); err != nil {
			t.Fatal(err)
		}
		w.written()
	}
	var kept []entry
	var booked []*modelHold
	for _, e := range w.log {
		switch {
		case e.durable:
			kept = append(kept, e)
		case e.hold.durable: // its end was forgotten, its reservation was not
			booked = append(booked, e.hold)
			w.unsure += max(e.hold.amount-e.price, 0)
		} // else it began and ended since the last batch: it is lost
	}
	more := -w.inProgress()
	for _, h := range w.holds {
		if h.durable {
			booked = append(booked, h)
			more += h.amount
		}
	}
	w.unsure += max(more, 0) // of calls with the same key the smallest reservations end first
	for _, h := range booked {
		kept = append(kept, entry{user: h.key[len(h.key)-1:], day: h.made.UTC().Format(time.DateOnly), price: h.amount, durable: true})
	}
	w.log, w.open, w.holds = kept, nil, nil
	dying := rapid.IntRange(0, 2).Draw(t, "deaths while starting")
	for range dying { // before the batch of the start, or after it
		before := rapid.Bool().Draw(t, "before it is written")
		s := w.store.Copy()
		s.Fail(func(op string) error {
			if op == ledgertest.OpPost && before || op == ledgertest.OpSpend {
				return errors.New("dead")
			}
			return nil
		})
		if _, err := ledger.Open(w.t.Context(), ledger.Config{Store: s, Budgets: newBook(w.t, hard(1)), Estimate: estimated}); err == nil {
			t.Fatal("it did not die")
		}
		w.store = s.Copy()
	}
	w.start()
	if got := len(w.l.Recovered()); got != len(booked) && dying == 0 {
		t.Fatalf("%d calls are listed as in progress; want %d", got, len(booked))
	}
}

// inProgress is what calls may cost that go on, within their leases or not.
func (w *world) inProgress() (sum int64) {
	for _, c := range w.open {
		sum += int64(len(c.req.Body))
	}
	return sum
}

// check compares books and budgets with the truth.
func (w *world) check(t *rapid.T) {
	want := map[string]int64{}
	var month, today int64
	now := time.Now().UTC()
	for _, e := range w.log {
		want[e.day+" "+e.user] += e.price
		if e.day[:7] == now.Format("2006-01") {
			month += e.price
		}
		if e.day == now.Format(time.DateOnly) && e.user == "u" {
			today += e.price
		}
	}
	for _, r := range spend(w.t, w.l, ledger.Query{By: []ledger.Dimension{ledger.ByDay, ledger.ByUser}}) {
		key := r.Day.Format(time.DateOnly) + " " + r.User
		if want[key] != r.MicroUSD {
			t.Fatalf("%s: %d is booked, and %d was paid", key, r.MicroUSD, want[key])
		}
		delete(want, key)
	}
	for key, price := range want {
		if price != 0 {
			t.Fatalf("%s: nothing is booked, and %d was paid", key, price)
		}
	}
	for _, s := range w.l.Budgets(now) {
		spent := month
		if s.Rule == "users" {
			if s.User != "u" {
				continue
			}
			spent = today
		}
		if s.Spent != spent {
			t.Fatalf("%+v: %d was paid", s, spent)
		}
		if bound := max(w.limit, w.most) + w.above + w.unsure + w.late; s.Rule == "all" && s.Spent+w.inProgress() > bound {
			t.Fatalf("%+v, and %d in progress: more than %d", s, w.inProgress(), bound)
		}
	}
}

// bubble is synctest.Test within a test of rapid's, which has no time of its own.
func bubble(t *testing.T, f func(t *testing.T)) {
	var failure any
	synctest.Test(t, func(t *testing.T) {
		defer func() { failure = recover() }()
		f(t)
	})
	if failure == nil {
		return
	}
	// It is rapid's own, which wants to shrink it, and tells failures apart by their lines.
	if fmt.Sprintf("%T", failure) == "rapid.invalidData" {
		panic(failure)
	}
	panic(failure)
}

// Whatever happens, the books are the provider's log to the micro-dollar, but for calls
// of which a crash left nothing or only the reservation; and budgets keep their bound.
func TestBooksAndBudgets(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		bubble(t, func(t *testing.T) {
			w := &world{t: t, store: ledgertest.NewMemory(), limit: rapid.Int64Range(1, 3000).Draw(rt, "limit")}
			w.start()
			rt.Repeat(map[string]func(*rapid.T){
				"begin":      w.begin,
				"begin more": w.begin,
				"end":        w.end,
				"end more":   w.end,
				"flush":      w.flush,
				"crash":      w.crash,
				"time":       w.time,
				"":           w.check,
			})
		})
	})
}

// Calls run at once, and the process dies at any moment. Every call is a user of its own, so that
// the books say of each: its price, or its estimate where it was in progress, and never
// both; nothing only where it began less than a flush before the end.
func TestCrashUnderLoad(t *testing.T) {
	rounds := 20
	if long() {
		rounds = 300
	}
	for seed := range rounds {
		synctest.Test(t, func(t *testing.T) { crashUnderLoad(t, uint64(seed)) })
	}
}

// life is what became of a call, by its caller's clock.
type life struct {
	estimate, price int64
	began, ended    time.Time // zero: not yet
}

func crashUnderLoad(t *testing.T, seed uint64) {
	const limit, callers, flush = 50_000, 40, 50 * time.Millisecond
	draw := rand.New(rand.NewPCG(seed, 1))
	s := ledgertest.NewMemory()
	l := open(t, s, hard(limit))
	stop := run(t, l)
	crashAt := time.Now().Add(time.Duration(draw.IntN(int(2 * time.Second))))
	var mu sync.Mutex // guards lives
	lives := map[string]*life{}
	var wg sync.WaitGroup
	for c := range callers {
		draw := rand.New(rand.NewPCG(seed, uint64(c+2)))
		wg.Go(func() {
			for i := 0; time.Now().Before(crashAt); i++ {
				req := call(fmt.Sprint("id", i%3), "t", fmt.Sprint(c, "-", i), draw.IntN(3000))
				if l.Reserve(t.Context(), req) != nil {
					time.Sleep(time.Duration(draw.IntN(int(10 * time.Millisecond))))
					continue
				}
				if b := l.Budgets(time.Now())[0]; b.Spent+b.Reserved > limit {
					t.Errorf("overrun: %+v", b)
				}
				one := &life{estimate: int64(len(req.Body)), began: time.Now()}
				mu.Lock()
				lives[req.User] = one
				mu.Unlock()
				time.Sleep(time.Duration(1 + draw.IntN(int(300*time.Millisecond))))
				if time.Now().After(crashAt) {
					return // the process is dead
				}
				price := draw.Int64N(one.estimate + 1)
				l.Settle(record(req, price))
				mu.Lock()
				one.price, one.ended = price, time.Now()
				mu.Unlock()
			}
		})
	}
	time.Sleep(time.Until(crashAt))
	after := s.Copy() // what the next process finds
	wg.Wait()
	stop()
	next := open(t, after, hard(limit))
	mu.Lock()
	defer mu.Unlock()
	listed := map[string]int64{}
	for _, h := range next.Recovered() {
		listed[h.User] = h.MicroUSD
	}
	booked := map[string]ledger.Amounts{}
	for _, r := range spend(t, next, ledger.Query{By: []ledger.Dimension{ledger.ByUser}}) {
		booked[r.User] = r.Amounts
	}
	inFlight, sum := 0, int64(0)
	for user, c := range lives {
		got, estimate := booked[user], int64(0)
		if at, ok := listed[user]; ok {
			estimate = at
			inFlight++
		}
		sum += got.MicroUSD
		ended, began := !c.ended.IsZero() && c.ended.Before(crashAt.Add(-flush)), c.began.Before(crashAt.Add(-flush))
		switch {
		case got.Calls > 1:
			t.Errorf("%s: booked twice: %+v", user, got)
		case ended && (got.Calls != 1 || got.MicroUSD != c.price || got.EstimatedMicroUSD != 0):
			t.Errorf("%s ended long before the end for %d, and %+v is booked", user, c.price, got)
		case began && got.Calls != 1:
			t.Errorf("%s began long before the end, and nothing is booked", user)
		case got.EstimatedMicroUSD > 0 && (got.MicroUSD != c.estimate || estimate != c.estimate):
			t.Errorf("%s: %+v, listed with %d; its estimate was %d", user, got, estimate, c.estimate)
		case got.Calls == 1 && got.EstimatedMicroUSD == 0 && c.estimate > 0 && got.MicroUSD != c.price:
			t.Errorf("%s: %+v; it cost %d", user, got, c.price)
		}
	}
	if b := next.Budgets(time.Now())[0]; b.Spent != sum || b.Reserved != 0 {
		t.Errorf("%+v; the books say %d", b, sum)
	}
	if len(lives) > 500 && inFlight == 0 {
		t.Error("no call was in progress at the end: the test tests nothing")
	}
}
