package backlog

import (
	"context"
	"time"

	"github.com/forebay-ai/forebay/llm"
)

// Sighter is what a Store that several processes share may have besides: a cheap look at which jobs there are to do. A
// look may be old, by a second or so. It only says of which jobs to read more.
type Sighter interface {
	// Sight looks at the queued jobs, of each band those with the smallest PriorityScore, limit of them at
	// least if there are so many. With leases it looks also at all that are processing, and at final ones whose webhook is due.
	Sight(ctx context.Context, limit int, leases bool) (Sights, error)
	// Jobs reads jobs as they are now, in no order. Those that are not there or damaged are left out.
	Jobs(ctx context.Context, ids ...ID) ([]Job, error)
	// Counted is the last Census that is known here, of a tenant or of all, and when it was begun; ok is false where there is
	// none, or none that still says something. It reads nothing: who wants that there is one calls Census now and then.
	Counted(tenant *string) (counts map[State]int, at time.Time, ok bool)
}

// Sights are what a look has seen.
type Sights struct {
	Jobs []Sighting
	// Whole says that there are no other queued jobs.
	Whole bool
	// Through says, where it is not whole, how far it goes in each band, by llm.Priority.Index: of the queued jobs that were never
	// claimed there are no others with a smaller ID. Zero says nothing.
	Through [len(llm.Priorities)]ID
}

// Sighting is one job as an index says it is.
type Sighting struct {
	ID      ID
	Attempt int
	// Queued says that the job is queued in Band; otherwise it is processing, or its webhook is due.
	Queued bool
	Band   llm.Priority
}

// Knows says that the desk need not be told more of a job than it knows: Load of it as it was sighted would
// change nothing. Of leases of other workers it always wants to know whether they moved.
func (d *Desk) Knows(s Sighting) bool {
	it := d.items[s.ID]
	switch {
	case it == nil:
		return !s.Queued && d.deliveries[s.ID] != nil
	case it.where == reserved || it.flight != 0 || s.Attempt < int(it.attempt):
		return true
	case s.Attempt > int(it.attempt):
		return false
	case !s.Queued:
		return it.where == leased
	}
	return it.where == leased || it.where != watched && it.band().priority == s.Band
}

// Known counts the queued jobs that the desk knows of.
func (d *Desk) Known() int { return d.queued() }

// sparedFor is how long a new job is spared by Looked: an index may not know of it yet.
const sparedFor = 3 * time.Second
