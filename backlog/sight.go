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
}

// Sights are what a look has seen.
type Sights struct {
	Jobs []Sighting
	// Whole says that there are no other queued jobs.
	Whole bool
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

// sparedFor is how long a new job is spared by Unseen: an index may not know of it yet.
const sparedFor = 3 * time.Second

// Unseen has the desk forget the queued jobs that a whole look at the store has not seen: others have claimed or ended
// them. It is no loss where the look was wrong: the next one tells of the job again. New jobs are spared. It looks
// at every job of the desk.
func (d *Desk) Unseen(now time.Time, seen func(ID) bool) {
	spared := micros(now.Add(-sparedFor))
	for id, it := range d.items {
		if (it.where == ready || it.where == delayed) && it.flight == 0 && it.enqueued < spared && !seen(id) {
			d.remove(it)
		}
	}
}
