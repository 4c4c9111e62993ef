package ledger_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/forebay-ai/forebay/ledger"
	"github.com/forebay-ai/forebay/store/storetest/ledgertest"
)

// erasures are two processes that share books of a user who paid 400,000, which both know of.
type erasures struct {
	*testing.T
	store    *counted
	a, other *process // a paid; other erases, where not told otherwise
}

func newErasures(t *testing.T) *erasures {
	t.Helper()
	time.Sleep(12*time.Hour + 24*time.Hour) // noon, not on the first of a month
	e := &erasures{T: t, store: &counted{together: together{Memory: ledgertest.NewMemory()}}}
	e.a = newProcess(t, e.store)
	e.pays(e.a, "ada", 400_000)
	e.other = newProcess(t, e.store)
	return e
}

// pays books, and writes that.
func (e *erasures) pays(p *process, user string, micro int64) {
	e.Helper()
	p.pays(e.T, user, micro)
	if err := p.Close(e.Context()); err != nil {
		e.Fatal(err)
	}
}

func (e *erasures) erase(by *process, user string) {
	e.Helper()
	if err := by.Erase(e.Context(), "t", user); err != nil {
		e.Fatal(err)
	}
}

// want has both refresh, and checks what their budgets know of ada.
func (e *erasures) want(day, month int64) {
	e.Helper()
	time.Sleep(time.Minute)
	for _, p := range []*process{e.a, e.other} {
		if err := p.Refresh(e.Context(), 30*time.Second); err != nil {
			e.Fatal(err)
		}
		p.wants(e.T, day, month)
	}
}

// What an erased user spent counts once in all processes, and what the user spends after that counts too, whoever erases.
func TestErasedCountsOnce(t *testing.T) {
	for name, test := range map[string]func(e *erasures){
		"nothing after": func(e *erasures) {
			e.erase(e.other, "ada")
			e.want(400_000, 400_000)
			e.want(400_000, 400_000)
		},
		"less after, by the eraser": func(e *erasures) {
			e.erase(e.other, "ada")
			e.pays(e.other, "ada", 300_000)
			e.want(700_000, 700_000)
		},
		"less after, by another": func(e *erasures) {
			e.erase(e.other, "ada")
			e.pays(e.a, "ada", 300_000)
			e.want(700_000, 700_000)
		},
		"less after, by both": func(e *erasures) {
			e.erase(e.other, "ada")
			e.pays(e.a, "ada", 50_000)
			e.pays(e.other, "ada", 300_000)
			e.want(750_000, 750_000)
		},
		"more after": func(e *erasures) {
			e.erase(e.other, "ada")
			e.pays(e.a, "ada", 500_000)
			time.Sleep(time.Minute)
			if err := e.other.Refresh(e.Context(), 0); err != nil {
				e.Fatal(err)
			}
			e.other.wants(e.T, 900_000, 900_000)
			e.want(900_000, 900_000)
		},
		"before, not known to the eraser": func(e *erasures) {
			e.pays(e.a, "ada", 50_000)
			e.a.pays(e.T, "ada", 7) // is not written
			e.erase(e.other, "ada")
			time.Sleep(time.Minute)
			if err := e.other.Refresh(e.Context(), 0); err != nil {
				e.Fatal(err)
			}
			e.other.wants(e.T, 450_000, 400_000)
			e.pays(e.other, "ada", 3)
			time.Sleep(time.Minute)
			if err := e.a.Refresh(e.Context(), 0); err != nil {
				e.Fatal(err)
			}
			e.a.wants(e.T, 450_010, 450_010)
		},
		"while it is erased": func(e *erasures) {
			e.store.Fail(func(op string) error {
				if op == ledgertest.OpErase {
					e.other.pays(e.T, "ada", 7) // is not written
				}
				return nil
			})
			e.erase(e.other, "ada")
			time.Sleep(time.Minute)
			if err := e.other.Refresh(e.Context(), 0); err != nil {
				e.Fatal(err)
			}
			e.other.wants(e.T, 400_007, 400_007)
			if err := e.other.Close(e.Context()); err != nil {
				e.Fatal(err)
			}
			e.want(400_007, 400_007)
		},
		"again and again": func(e *erasures) {
			for n := range int64(3) {
				e.erase([]*process{e.a, e.other}[n%2], "ada")
				e.pays(e.a, "ada", 20)
				e.pays(e.other, "ada", 10)
				e.want(400_000+30*(n+1), 400_000+30*(n+1))
				e.erase(e.a, "ada")
				e.erase(e.other, "ada")
				e.want(400_000+30*(n+1), 400_000+30*(n+1))
			}
		},
		"two users": func(e *erasures) {
			e.pays(e.a, "bob", 100)
			e.pays(e.other, "eve", 10_000)
			e.want(410_100, 400_000)
			e.erase(e.other, "ada")
			e.erase(e.other, "bob")
			e.pays(e.other, "ada", 300_000)
			e.pays(e.other, "bob", 1)
			e.pays(e.other, "eve", 10)
			e.want(710_111, 700_000)
			e.erase(e.a, "eve")
			e.want(710_111, 700_000)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { test(newErasures(t)) })
		})
	}
}

// An erasure whose acknowledgement is lost counts nothing twice, in the eraser neither.
func TestUnacknowledgedErasure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newErasures(t)
		if err := e.store.ErasePostings(t.Context(), "t", "ada"); err != nil {
			t.Fatal(err)
		}
		e.store.Fail(func(op string) error {
			if op == ledgertest.OpErase {
				return errors.New("no answer")
			}
			return nil
		})
		if err := e.other.Erase(t.Context(), "t", "ada"); err == nil {
			t.Fatal("an erasure that failed is acknowledged")
		}
		e.want(400_000, 400_000)
		e.pays(e.a, "ada", 5)
		e.want(400_005, 400_005)
	})
}

// midst is a store that is read in the midst of an erasure: sums of a user are not where they were, or not yet where they move.
type midst struct {
	*counted
	hidden string // the user
}

func (s *midst) Spend(ctx context.Context, q ledger.Query) ([]ledger.Row, error) {
	rows, err := s.counted.Spend(ctx, q)
	return slices.DeleteFunc(rows, func(r ledger.Row) bool { return s.hidden != "" && r.User == s.hidden }), err
}

// Sums that are gone and have not come again yet are known still when they have.
func TestReadInTheMidstOfAnErasure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newErasures(t)
		store := &midst{counted: e.store}
		e.a = newProcess(t, store)
		e.pays(e.a, "bob", 100)
		e.want(400_100, 400_000)
		e.erase(e.other, "bob")
		store.hidden = "ada"
		e.want(400_100, 400_000)
		e.erase(e.other, "ada")
		store.hidden = ledgertest.Erased
		e.want(400_100, 400_000)
		store.hidden = ""
		e.pays(e.other, "ada", 5)
		e.want(400_105, 400_005)
	})
}

// Whoever pays, erases and looks in whatever order: after it looked a process knows exactly what the tenant spent, and what a user
// spent who was never erased.
func TestErasuresInAnyOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newErasures(t)
		all := []*process{e.a, e.other, newProcess(t, e.store)}
		random := rand.New(rand.NewPCG(1, 2))
		day, month := int64(400_000), int64(400_000)
		for range 600 {
			p, user := all[random.IntN(len(all))], []string{"ada", "bob", "eve"}[random.IntN(3)]
			switch what := random.IntN(6); {
			case what < 3:
				micro := random.Int64N(500)
				e.pays(p, user, micro)
				if day += micro; user == "ada" {
					month += micro
				}
			case what == 3 && user != "ada":
				e.erase(p, user)
			default:
				time.Sleep(time.Second)
				if err := p.Refresh(t.Context(), 0); err != nil {
					t.Fatal(err)
				}
				p.wants(t, day, month)
			}
			if t.Failed() {
				return
			}
		}
	})
}
