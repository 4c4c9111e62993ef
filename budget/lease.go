package budget

import (
	"container/heap"
	"strings"
	"time"
)

// hold is one reservation.
type hold struct {
	id       string
	accounts []*account
	microUSD int64
	until    time.Time // the end of the lease; once it has ended, the end of its being known
	ended    bool      // the lease is over: nothing is reserved any more
	at       int       // its place in the heap
	// Of a book that is shared:
	of        Account   // whose it is
	made      time.Time // when
	told      bool      // of is set, and what is reserved counts among the news
	elsewhere bool      // it stands for what another gateway has reserved
}

// holdLocked reserves in all accounts.
func (b *Book) holdLocked(id string, accounts []*account, microUSD int64, until time.Time) *hold {
	h := &hold{id: strings.Clone(id), accounts: append([]*account(nil), accounts...), microUSD: microUSD, until: until}
	for _, acc := range accounts {
		acc.reserved += microUSD
		acc.holds++
	}
	b.holds[h.id] = h
	heap.Push(&b.leases, h)
	return h
}

// advanceLocked ends the leases that are over.
func (b *Book) advanceLocked(now time.Time) {
	if now.After(b.latest) {
		b.latest = now
	}
	for len(b.leases) > 0 && !b.leases[0].until.After(now) {
		h := b.leases[0]
		if h.ended || h.elsewhere || b.ended >= maxRemembered {
			b.endLocked(h)
			continue
		}
		b.releaseLocked(h)
		h.ended, h.until = true, h.until.Add(remember)
		b.ended++
		heap.Fix(&b.leases, h.at)
	}
}

// endLocked forgets a reservation.
func (b *Book) endLocked(h *hold) {
	if h.ended {
		b.ended--
	} else {
		b.releaseLocked(h)
	}
	for _, acc := range h.accounts {
		acc.holds--
	}
	heap.Remove(&b.leases, h.at)
	if b.holds[h.id] == h { // and not one that took its place
		delete(b.holds, h.id)
	}
	b.dropIdleLocked(h.accounts)
}

// releaseLocked gives back what is reserved.
func (b *Book) releaseLocked(h *hold) {
	b.news.release(h)
	for _, acc := range h.accounts {
		acc.reserved -= h.microUSD
	}
}

// leases is a heap of reservations, the one that ends first on top.
type leases []*hold

// Len is part of heap.Interface.
func (l leases) Len() int { return len(l) }

// Less is part of heap.Interface.
func (l leases) Less(i, j int) bool { return l[i].until.Before(l[j].until) }

// Swap is part of heap.Interface.
func (l leases) Swap(i, j int) {
	l[i], l[j] = l[j], l[i]
	l[i].at, l[j].at = i, j
}

// Push is part of heap.Interface.
func (l *leases) Push(x any) {
	h := x.(*hold)
	h.at = len(*l)
	*l = append(*l, h)
}

// Pop is part of heap.Interface.
func (l *leases) Pop() any {
	all := *l
	h := all[len(all)-1]
	all[len(all)-1] = nil
	*l = all[:len(all)-1]
	return h
}
