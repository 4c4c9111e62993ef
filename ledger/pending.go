package ledger

import (
	"maps"
	"slices"
)

// pending is what is not written yet: sums by account, so that it is bounded by the
// number of accounts, whatever the number of calls.
type pending struct {
	accounts map[Account]*Amounts
	held     map[string]Hold
	released map[string]struct{}
	// posting is what is being written at this moment, or could not be written and is next; nil for nothing. Nobody
	// changes it.
	posting *pending
	id      string // of the batch, in posting
}

func newPending() pending {
	return pending{accounts: map[Account]*Amounts{}, held: map[string]Hold{}, released: map[string]struct{}{}}
}

func (p *pending) empty() bool {
	return p.posting == nil && len(p.accounts)+len(p.held)+len(p.released) == 0
}

// each sees all that is booked and not written. Nothing may be being written.
func (p *pending) each(see func(Account, *Amounts)) {
	for a, sum := range p.accounts {
		see(a, sum)
	}
	if p.posting != nil {
		p.posting.each(see)
	}
}

// add books sum on an account, or is false where that is new and there are max already.
func (p *pending) add(a Account, sum Amounts, max int) bool {
	known := p.accounts[a]
	if known == nil {
		if !p.room(a, max) {
			return false
		}
		known = new(Amounts)
		p.accounts[a.clone()] = known
	}
	known.Add(sum)
	return true
}

// room says that there may be an account a: those that are being written count, since
// they stay where that fails.
func (p *pending) room(a Account, max int) bool {
	if p.posting == nil {
		return len(p.accounts) < max
	}
	return p.posting.accounts[a] != nil || len(p.accounts)+len(p.posting.accounts) < max
}

// force is add without a bound.
func (p *pending) force(a Account, sum Amounts) {
	known := p.accounts[a]
	if known == nil {
		known = new(Amounts)
		p.accounts[a.clone()] = known
	}
	known.Add(sum)
}

// release ends a reservation. One that was not written is not written any more.
func (p *pending) release(id string) {
	if _, unwritten := p.held[id]; unwritten {
		delete(p.held, id)
		return
	}
	p.released[id] = struct{}{}
}

// begin gives the batch that could not be written, as it was, or takes everything out as another one.
func (p *pending) begin(id string) Batch {
	if p.posting == nil {
		taken := *p
		*p = newPending()
		p.posting, taken.id = &taken, id
	}
	return p.posting.batch()
}

// end says what became of the batch. One that was not written is the next one, too: a part of it may be written, and
// only the store can tell, by its ID.
func (p *pending) end(written bool) {
	if written {
		p.posting = nil
	}
}

// batch is all of it in a fixed order.
func (p *pending) batch() Batch {
	b := Batch{ID: p.id, Postings: make([]Posting, 0, len(p.accounts)), Released: slices.Sorted(maps.Keys(p.released))}
	for a, sum := range p.accounts {
		b.Postings = append(b.Postings, Posting{Account: a, Amounts: *sum})
	}
	slices.SortFunc(b.Postings, func(x, y Posting) int { return compareAccounts(&x.Account, &y.Account) })
	for _, id := range slices.Sorted(maps.Keys(p.held)) {
		b.Held = append(b.Held, p.held[id])
	}
	return b
}
