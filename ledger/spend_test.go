package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/forebay-ai/forebay/cost"
	"github.com/forebay-ai/forebay/ledger"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/store/storetest/ledgertest"
	"github.com/google/go-cmp/cmp"
)

// daysAgo is an account of another day.
func daysAgo(n int) ledger.Account {
	return ledger.Account{Day: time.Now().AddDate(0, 0, -n), Tenant: "t", User: "u"}
}

// Whoever asks gets every booking that was made before, once, whichever instant of a write it is.
func TestSpendIsExact(t *testing.T) {
	s := ledgertest.NewMemory()
	l := open(t, s)
	flushes := make(chan struct{})
	var pace sync.WaitGroup
	pace.Go(func() { // as fast as it can, which Run does not
		for {
			select {
			case <-flushes:
				return
			default:
				if err := l.Close(context.Background()); err != nil {
					t.Error(err)
				}
			}
		}
	})
	var begun, done atomic.Int64
	var booking, asking sync.WaitGroup
	over := make(chan struct{})
	n := 2000
	if long() {
		n = 50_000
	}
	for w := range 3 {
		booking.Go(func() {
			for i := range n {
				begun.Add(1)
				// Also on days that are read beside the writer.
				if err := l.Track(daysAgo([]int{0, 1, 2, 10}[(i+w)%4]), 1, 0, 0); err != nil {
					t.Error(err)
				}
				done.Add(1)
			}
		})
	}
	for _, q := range []ledger.Query{{}, {From: time.Now().AddDate(0, -1, 0)}, {By: []ledger.Dimension{ledger.ByDay}}, {To: time.Now()}} {
		asking.Go(func() {
			for {
				least := done.Load()
				rows, err := l.Spend(context.Background(), q)
				most := begun.Load()
				var sum int64
				for _, r := range rows {
					sum += r.MicroUSD
				}
				if err != nil || sum < least || sum > most {
					t.Errorf("%d to %d were booked, and %d are told; %v", least, most, sum, err)
					return
				}
				select {
				case <-over:
					return
				default:
				}
			}
		})
	}
	booking.Wait()
	close(over)
	asking.Wait()
	close(flushes)
	pace.Wait()
	if got := total(t, l).MicroUSD; got != int64(3*n) {
		t.Errorf("%d are told of %d", got, 3*n)
	}
}

// A write that falls between the two readings of a query makes it read again.
func TestSpendReadsAgain(t *testing.T) {
	s := ledgertest.NewMemory()
	l := open(t, s)
	book := func(days int) {
		if err := l.Track(daysAgo(days), 1, 0, 0); err != nil {
			t.Error(err)
		}
	}
	book(10)
	flush(t, l)
	for _, disturb := range []int{1, 2} {
		var reads atomic.Int64
		before := total(t, l).MicroUSD
		s.After(func(op string) {
			// Every other reading is that of old days, with no hold on the writer.
			if n := reads.Add(1); op == ledgertest.OpSpend && n%2 == 1 && n <= int64(2*disturb) {
				book(10)
				flush(t, l)
			} else if op != ledgertest.OpSpend {
				reads.Add(-1)
			}
		})
		got := total(t, l).MicroUSD
		s.After(nil)
		if want := before + int64(disturb); got != want {
			t.Errorf("%d disturbances: %d are told; want %d", disturb, got, want)
		}
	}
}

// Where writes disturb it again and again, a query makes the writer wait at last.
func TestSpendComesToAnEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := ledgertest.NewMemory()
		l := open(t, s)
		var reads atomic.Int64
		var writes sync.WaitGroup
		s.After(func(op string) {
			if op != ledgertest.OpSpend || reads.Add(1) > 50 {
				return
			}
			if err := l.Track(daysAgo(10), 1, 0, 0); err != nil {
				t.Error(err)
			}
			writes.Go(func() { flush(t, l) })
			time.Sleep(time.Second) // long enough, if it has not to wait
		})
		rows := spend(t, l, ledger.Query{})
		if n := reads.Load(); n > 7 || len(rows) != 1 || rows[0].MicroUSD != n {
			t.Errorf("%+v after %d readings", rows, n)
		}
		writes.Wait()
	})
}

// Nothing is missed that leaves memory for the store between two looks, on either side of the write.
func TestSpendAndWritesTakeTurns(t *testing.T) {
	for name, at := range map[string]struct {
		nth   int64         // the reading behind which a write begins
		takes time.Duration // before it is done
	}{
		"a write that begins before recent days are read": {1, time.Minute}, "one that begins behind that": {2, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := ledgertest.NewMemory()
				l := open(t, s)
				if err := l.Track(daysAgo(0), 7, 0, 0); err != nil {
					t.Fatal(err)
				}
				var reads atomic.Int64
				var writes sync.WaitGroup
				s.After(func(op string) {
					if op == ledgertest.OpSpend && reads.Add(1) == at.nth {
						writes.Go(func() { flush(t, l) })
						time.Sleep(time.Second)
					}
				})
				s.Fail(func(op string) error {
					if op == ledgertest.OpPost {
						time.Sleep(at.takes)
					}
					return nil
				})
				if got := total(t, l).MicroUSD; got != 7 {
					t.Errorf("%d are told of 7", got)
				}
				writes.Wait()
			})
		})
	}
}

// A long report about the past does not hold up the writer.
func TestOldDaysAreReadBesideTheWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := ledgertest.NewMemory()
		l := open(t, s)
		run(t, l)
		if err := l.Track(daysAgo(10), 5, 0, 0); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		var first atomic.Bool
		s.Fail(func(op string) error {
			if op == ledgertest.OpSpend && first.CompareAndSwap(false, true) {
				time.Sleep(10 * time.Second) // a disk that takes its time
			}
			return nil
		})
		got := make(chan int64, 1)
		go func() { got <- total(t, l).MicroUSD }()
		time.Sleep(time.Second)
		posts := s.Posts()
		req := call("1", "t", "u", 1)
		l.Settle(record(req, 7))
		time.Sleep(100 * time.Millisecond)
		if s.Posts() != posts+1 {
			t.Error("a report holds up the writer")
		}
		if sum := <-got; sum != 12 {
			t.Errorf("%d", sum)
		}
	})
}

// A store that hangs holds up neither calls nor, for longer than they want, those who ask.
func TestHangingStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := ledgertest.NewMemory()
		l := open(t, s, hard(1000))
		release := make(chan struct{})
		s.Fail(func(op string) error {
			if op == ledgertest.OpPost {
				<-release
			}
			return nil
		})
		run(t, l)
		l.Settle(record(call("0", "t", "u", 1), 1))
		time.Sleep(time.Second)
		began := time.Now()
		for i := range 100 {
			req := call(fmt.Sprint(i), "t", "u", 1)
			reserve(t, l, req)
			l.Settle(record(req, 1))
		}
		if time.Since(began) != 0 {
			t.Error("calls wait for the store")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := l.Spend(ctx, ledger.Query{}); llm.KindOf(err) != llm.ForebayUnavailable || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		if err := l.Close(ctx); llm.KindOf(err) != llm.ForebayUnavailable {
			t.Errorf("%v", err)
		}
		close(release)
		time.Sleep(10 * time.Second)
		if got := total(t, l).MicroUSD; got != 101 {
			t.Errorf("%d", got)
		}
	})
}

func TestQueries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // it is the first of January 2000
		l := open(t, ledgertest.NewMemory())
		for i := range 40 {
			a := ledger.Account{
				Day: time.Now().AddDate(0, 0, -i), Tenant: fmt.Sprint("t", i%2), User: fmt.Sprint("u", i%3), Key: "k", Operation: "o",
				Provider: "p", Model: fmt.Sprint("m", i%5),
			}
			if err := l.Track(a, int64(1+i), 0, 0); err != nil {
				t.Fatal(err)
			}
			if i%7 == 0 {
				flush(t, l) // some in the store, some in memory
			}
		}
		day := func(text string) time.Time {
			at, err := time.Parse(time.DateTime, text)
			if err != nil {
				t.Fatal(err)
			}
			return at
		}
		sum := func(q ledger.Query) (sum int64) {
			for _, r := range spend(t, l, q) {
				sum += r.MicroUSD
			}
			return sum
		}
		for _, test := range []struct {
			name string
			q    ledger.Query
			want int64
		}{
			{"all", ledger.Query{}, 820},
			{"today", ledger.Query{From: time.Now()}, 1},
			{"up to now, which is midnight", ledger.Query{To: time.Now()}, 819},
			{"up to a moment of today", ledger.Query{To: time.Now().Add(1)}, 820},
			{"two days", ledger.Query{From: day("1999-12-30 13:00:00"), To: day("1999-12-31 00:00:01")}, 5},
			{"days of the past alone", ledger.Query{To: day("1999-12-01 00:00:00")}, 820 - 32*33/2},
			{"nothing", ledger.Query{From: day("1999-12-31 00:00:00"), To: day("1999-12-30 00:00:00")}, 0},
			{"a tenant", ledger.Query{Tenant: "t0"}, 400},
			{"a tenant's user", ledger.Query{Tenant: "t0", User: "u0", Key: "k", Operation: "o", Provider: "p"}, 1 + 7 + 13 + 19 + 25 + 31 + 37},
			{"a model", ledger.Query{Model: "m1", By: []ledger.Dimension{ledger.ByMonth}}, 2 + 7 + 12 + 17 + 22 + 27 + 32 + 37},
			{"nobody", ledger.Query{Tenant: "nobody"}, 0},
		} {
			if got := sum(test.q); got != test.want {
				t.Errorf("%s: %d; want %d", test.name, got, test.want)
			}
		}
		rows := spend(t, l, ledger.Query{By: []ledger.Dimension{ledger.ByMonth, ledger.ByTenant}, Limit: 3})
		var got []string
		for _, r := range rows {
			got = append(got, fmt.Sprint(r.Value(ledger.ByMonth), " ", r.Tenant, " ", r.MicroUSD))
		}
		if diff := cmp.Diff([]string{"1999-12 t1 272", "1999-12 t0 255", "1999-11 t1 148"}, got); diff != "" {
			t.Error(diff)
		}
		if n := len(spend(t, l, ledger.Query{By: []ledger.Dimension{ledger.ByDay}, Limit: -1})); n != 40 {
			t.Errorf("%d days", n)
		}
		_, err := l.Spend(t.Context(), ledger.Query{By: []ledger.Dimension{"colour"}})
		if llm.KindOf(err) != llm.CallerInvalidRequest {
			t.Errorf("%v", err)
		}
	})
}

func TestSavedAndTracked(t *testing.T) {
	l := open(t, ledgertest.NewMemory(), hard(1000))
	a := ledger.Account{Tenant: "t", User: "u", Model: "m"}
	l.Saved(a, 100, 1)
	l.Saved(a, -5, -1)
	l.SavedBy(ledger.BySharing, a, 30, 1)
	l.SavedBy(ledger.ByCheaperModel, a, 7, 0)
	for _, fault := range [][3]int64{{-1, 0, 0}, {0, -1, 0}, {0, 0, -1}} {
		if err := l.Track(a, fault[0], fault[1], fault[2]); llm.KindOf(err) != llm.CallerInvalidRequest {
			t.Errorf("%v: %v", fault, err)
		}
	}
	if err := errors.Join(l.Track(a, 50, 20, 10), l.Track(a, 0, 0, 0)); err != nil {
		t.Error(err)
	}
	want := ledger.Amounts{MicroUSD: 50, ComputeMicroUSD: 20, StorageMicroUSD: 10, Hits: 2, SavedMicroUSD: 137}
	if diff := cmp.Diff(want, total(t, l)); diff != "" {
		t.Error(diff)
	}
	if got := standing(l); got != [2]int64{50, 0} {
		t.Errorf("budgets bound models alone: %v", got)
	}
	analysis, err := l.Analyse(t.Context(), time.Now(), time.Now().Add(1), "t")
	if err != nil {
		t.Fatal(err)
	}
	analysis.From, analysis.To = time.Time{}, time.Time{}
	if diff := cmp.Diff(ledger.Analysis{
		WithMicroUSD: 80, WithoutMicroUSD: 217, SavedMicroUSD: 137, Share: 137.0 / 217, ModelsMicroUSD: 50, ComputeMicroUSD: 20, StorageMicroUSD: 10,
		CacheMicroUSD: 100, SharedMicroUSD: 30, CheaperMicroUSD: 7, Hits: 2, Users: 1,
	}, analysis); diff != "" {
		t.Error(diff)
	}
}

func TestErase(t *testing.T) {
	s := ledgertest.NewMemory()
	l := open(t, s, hard(1000))
	req := call("1", "t", "asha", 10)
	reserve(t, l, req)
	l.Settle(record(req, 9)) // not written yet
	if err := l.Erase(t.Context(), "t", "asha"); err != nil {
		t.Fatal(err)
	}
	rows := spend(t, l, ledger.Query{By: []ledger.Dimension{ledger.ByUser}})
	if len(rows) != 1 || rows[0].User != ledgertest.Erased || rows[0].MicroUSD != 9 || standing(l)[0] != 9 {
		t.Errorf("%+v", rows)
	}
	if err := l.Erase(t.Context(), "t", ""); llm.KindOf(err) != llm.CallerInvalidRequest {
		t.Errorf("%v", err)
	}
	s.Fail(func(string) error { return errors.New("broken") })
	if err := l.Erase(t.Context(), "t", "u"); llm.KindOf(err) != llm.ForebayUnavailable {
		t.Errorf("%v", err)
	}
}

// The ledger's own store in memory keeps the contract.
func TestMemory(t *testing.T) {
	ledgertest.Run(t, func(*testing.T) (ledger.Store, func() ledger.Store) { return ledger.NewMemory(), nil })
}

func TestSettleDoesNotAllocate(t *testing.T) {
	l := open(t, ledgertest.NewMemory())
	r := cost.Record{RequestID: "1", Tenant: "t", User: "u", Operation: "o", Provider: "p", Model: "m", MicroUSD: 1, At: time.Now()}
	l.Settle(r)
	if n := testing.AllocsPerRun(100, func() { l.Settle(r) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkSettle(b *testing.B) {
	l := open(b, ledgertest.NewMemory())
	r := cost.Record{RequestID: "1", Tenant: "t", User: "u", Operation: "o", Provider: "p", Model: "m", MicroUSD: 1, At: time.Now()}
	b.ReportAllocs()
	for b.Loop() {
		l.Settle(r)
	}
}

func BenchmarkReserveSettle(b *testing.B) {
	l := open(b, ledgertest.NewMemory(), hard(1<<60))
	req := call("1", "t", "u", 100)
	r := record(req, 90)
	b.ReportAllocs()
	for b.Loop() {
		if err := l.Reserve(b.Context(), req); err != nil {
			b.Fatal(err)
		}
		l.Settle(r)
	}
}
