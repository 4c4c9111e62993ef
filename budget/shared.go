package budget

import (
	"strings"
	"time"
)

// maxNews bounds the accounts whose changes wait to be told.
const maxNews = 100_000

// Change is what one gateway tells the others of one account, for their books.
type Change struct {
	Account
	// At is when what was spent counts: it says the day and the month.
	At time.Time
	// Spent was paid since the change before, in micro-dollars.
	Spent int64
	// Reserved is what calls in progress have reserved now, in micro-dollars.
	Reserved int64
}

// news is what others are to be told. All methods of a nil news do nothing.
type news struct {
	reserved map[Account]int64   // by this gateway's calls in progress
	spent    map[spentKey]*int64 // since it was told last
	changed  map[Account]struct{}
}

// spentKey is an account and the day in which something was spent.
type spentKey struct {
	Account
	day int64 // Unix seconds
}

func newNews() *news {
	return &news{reserved: map[Account]int64{}, spent: map[spentKey]*int64{}, changed: map[Account]struct{}{}}
}

func (a Account) clone() Account {
	return Account{Tenant: strings.Clone(a.Tenant), Key: strings.Clone(a.Key), User: strings.Clone(a.User), Operation: strings.Clone(a.Operation)}
}

// reserve notes a reservation.
func (n *news) reserve(h *hold, a Account) {
	if n == nil {
		return
	}
	h.of, h.told = a.clone(), true
	n.reserved[h.of] = addUp(n.reserved[h.of], h.microUSD)
	n.change(h.of)
}

// release notes the end of one.
func (n *news) release(h *hold) {
	if n == nil || !h.told {
		return
	}
	if left := n.reserved[h.of] - h.microUSD; left > 0 {
		n.reserved[h.of] = left
	} else {
		delete(n.reserved, h.of)
	}
	n.change(h.of)
}

// spend notes a price.
func (n *news) spend(a Account, microUSD int64, at time.Time) {
	if n == nil || microUSD <= 0 {
		return
	}
	day, _ := bounds(Day, at)
	key := spentKey{a, day.Unix()}
	sum := n.spent[key]
	if sum == nil {
		if len(n.spent) >= maxNews {
			return // nobody has asked for the news for long: the books of others are restored from the ledger
		}
		sum = new(int64)
		key.Account = a.clone()
		n.spent[key] = sum
	}
	*sum = addUp(*sum, microUSD)
	n.change(key.Account)
}

func (n *news) change(a Account) {
	if len(n.changed) < maxNews {
		n.changed[a] = struct{}{}
	}
}

// Changes returns what was spent since the call before and what is reserved now, of those accounts of which either
// changed. What it returned is not returned again: whoever cannot pass it on keeps it. A book that is not Shared has none.
func (b *Book) Changes(now time.Time) []Change {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := b.news
	if n == nil {
		return nil
	}
	b.advanceLocked(now)
	all := make([]Change, 0, len(n.changed))
	for key, sum := range n.spent {
		all = append(all, Change{Account: key.Account, At: time.Unix(key.day, 0).UTC(), Spent: *sum, Reserved: n.reserved[key.Account]})
		delete(n.changed, key.Account)
	}
	for a := range n.changed {
		all = append(all, Change{Account: a, At: now, Reserved: n.reserved[a]})
	}
	clear(n.spent)
	clear(n.changed)
	return all
}

// Elsewhere takes over what another gateway, which source names, has told of itself. What it spent counts as if it had
// been spent here; what it has reserved takes the place of what it had reserved before, and ends by itself after the
// book's lease, so that a gateway that died keeps nothing for good.
func (b *Book) Elsewhere(source string, changes []Change, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.advanceLocked(now)
	for i := range changes {
		c := &changes[i]
		b.spendLocked(c.Account, c.Spent, c.At)
		// A zero byte begins the ids of such holds: those of calls do not.
		id := strings.Join([]string{"", source, c.Tenant, c.Key, c.User, c.Operation}, "\x00")
		old := b.holds[id]
		if reserved := min(c.Reserved, maxEstimate); reserved > 0 {
			if accounts := b.matchedLocked(nil, c.Account, now); len(accounts) > 0 {
				b.holdLocked(id, accounts, reserved, now.Add(b.lease)).elsewhere = true
			}
		}
		if old != nil {
			b.endLocked(old)
		}
	}
}
