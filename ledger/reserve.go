package ledger

import (
	"container/heap"
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/forebay-ai/forebay/budget"
	"github.com/forebay-ai/forebay/llm"
)

const (
	// maxLease bounds how long a reservation lasts: the longest deadline of a job.
	maxLease = 7 * 24 * time.Hour
	// leaseGrace is what a call may take beyond its deadline until it is settled.
	leaseGrace = time.Minute
	// callsInTheWay is when to try again where only calls in progress are in the way: an
	// answer takes seconds.
	callsInTheWay = time.Second
)

// callKey is what is the same in a call's request and in its record. Callers may bring
// request IDs of their own, or none, so several calls in progress may have the same key.
// All of them are of the same account.
//
// Which of their reservations a record ends cannot be told. It ends the smallest: so what stays reserved
// is never less than what the calls that go on may cost, and with the last of them all are ended.
type callKey struct {
	id string
	budget.Account
}

func keyOf(id string, a *Account) callKey { return callKey{id: id, Account: owner(a)} }

// held is a reservation that was made for a call.
type held struct {
	id       string
	number   uint64 // in the order in which they were made
	microUSD int64
	made     time.Time
	until    time.Time
}

// Reserve lets a call pass, or refuses it with an *llm.Error of kind PolicyBudgetExceeded
// where a hard budget has no room for what it may cost. Settle has to follow where it passes, and must not where it
// does not: its record would end the reservation of another call with the same request ID.
func (l *Ledger) Reserve(ctx context.Context, req *llm.Request) error {
	_, err := l.ReserveOrDegrade(ctx, req)
	return err
}

// ReserveOrDegrade is Reserve, and says whether the call should be answered more cheaply:
// where a budget of kind degrade has no room for it. What the call may cost is reserved nevertheless.
//
// The reservation lasts as long as the book's lease, or until a minute after the deadline of ctx or req.Timeout,
// whichever is later: a job may wait for hours.
func (l *Ledger) ReserveOrDegrade(ctx context.Context, req *llm.Request) (degrade bool, err error) {
	a := Account{Tenant: name(req.Tenant), User: name(req.User), Key: name(req.Key), Operation: operation(req.Operation)}
	if l.budgets == nil || !l.budgets.Matches(owner(&a)) {
		return false, nil
	}
	now := time.Now()
	a = a.clone()
	a.Day = dayOf(now)
	number := l.last.Add(1)
	h := &held{
		id: l.prefix + strconv.FormatUint(number, 36), number: number,
		microUSD: max(l.estimate(req), 0), made: now, until: l.leaseEnd(ctx, req, now),
	}
	d := l.budgets.ReserveUntil(h.id, owner(&a), h.microUSD, now, h.until)
	if d.Refused {
		return false, refusal(d.State, h.microUSD, now)
	}
	l.mu.Lock()
	l.expectLocked(req.ID, &a, h)
	l.pending.held[h.id] = Hold{ID: h.id, Account: a, MicroUSD: h.microUSD, Expires: h.until.UTC().Truncate(time.Microsecond)}
	l.mu.Unlock()
	l.booked(false, false)
	return d.Degrade, nil
}

// expectLocked notes that a record will end h. a is kept.
func (l *Ledger) expectLocked(id string, a *Account, h *held) {
	key := keyOf(id, a)
	all := l.calls[key]
	if all == nil {
		all = &holds{}
		key.id = strings.Clone(id) // it may be a slice of a request
		l.calls[key] = all
	}
	heap.Push(all, h)
}

// leaseEnd is when a reservation for req ends by itself.
func (l *Ledger) leaseEnd(ctx context.Context, req *llm.Request, now time.Time) time.Time {
	end := now.Add(l.budgets.Lease())
	if until := now.Add(min(req.Timeout, maxLease) + leaseGrace); req.Timeout > 0 && until.After(end) {
		end = until
	}
	if until, ok := ctx.Deadline(); ok && until.Add(leaseGrace).After(end) {
		end = until.Add(leaseGrace)
	}
	if latest := now.Add(maxLease); end.After(latest) {
		end = latest
	}
	return end
}

// takeLocked takes out the reservation that a record ends; nil where there is none.
func (l *Ledger) takeLocked(key callKey) *held {
	all := l.calls[key]
	if all == nil {
		return nil
	}
	h := heap.Pop(all).(*held)
	if len(*all) == 0 {
		delete(l.calls, key)
	}
	return h
}

// drop takes out the reservations whose call should have ended long ago.
func (h *holds) drop(now time.Time) (dropped []*held) {
	var kept holds
	for _, one := range *h {
		if now.Sub(one.until) > keepHeld {
			dropped = append(dropped, one)
		} else {
			kept = append(kept, one)
		}
	}
	if len(dropped) > 0 {
		*h = kept
		heap.Init(h)
	}
	return dropped
}

// refusal is the error of a call for which a budget has no room.
func refusal(s budget.State, estimate int64, now time.Time) *llm.Error {
	e := &llm.Error{
		Kind: llm.PolicyBudgetExceeded, Limit: "budgets." + s.Rule, Value: "$" + dollars(s.Limit),
		Message: fmt.Sprintf("the budget of this %s is spent", s.Period), RetryAfter: max(s.To.Sub(now), time.Second),
		Fix: fmt.Sprintf("Wait until %s, or ask for a larger budget.", s.To.Format("2006-01-02 15:04 MST")),
	}
	switch {
	case s.Fits(estimate):
		e.RetryAfter = callsInTheWay
		e.Message = fmt.Sprintf("what is left of the budget of this %s is reserved by calls in progress", s.Period)
		e.Fix = "Send the request again when they have ended."
	case !s.Exhausted:
		e.Message = fmt.Sprintf("what is left of the budget of this %s is less than the call may cost", s.Period)
		e.Fix = fmt.Sprintf("Ask for a shorter answer or a cheaper model, wait until %s, or ask for a larger budget.", s.To.Format("2006-01-02 15:04 MST"))
	}
	return e
}

// holds is a heap of reservations, the smallest on top, and of equal ones the oldest.
type holds []*held

// Len is part of heap.Interface.
func (h holds) Len() int { return len(h) }

// Less is part of heap.Interface.
func (h holds) Less(i, j int) bool {
	if h[i].microUSD != h[j].microUSD {
		return h[i].microUSD < h[j].microUSD
	}
	return h[i].number < h[j].number
}

// Swap is part of heap.Interface.
func (h holds) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

// Push is part of heap.Interface.
func (h *holds) Push(x any) { *h = append(*h, x.(*held)) }

// Pop is part of heap.Interface.
func (h *holds) Pop() any {
	all := *h
	last := all[len(all)-1]
	all[len(all)-1] = nil
	*h = all[:len(all)-1]
	return last
}
