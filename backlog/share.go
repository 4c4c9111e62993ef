package backlog

import (
	"hash/fnv"
	"iter"
	"time"
)

// Desks of one store see the same jobs in the same order. So that not all of them claim the same one, each leaves most jobs to
// others: a job's name and the workers' names say in which order they may claim it (rendezvous hashing). Whoever is first
// may at once; the others when they could have claimed it for a while and a look has shown that it still waits. So a job is
// overtaken by younger ones for some seconds at most, whatever its first worker does, and where there is one desk there is no difference.
const (
	// leaveFor is for how long a job is left to each worker that comes before; mostBefore is how many of those count.
	leaveFor   = time.Second
	mostBefore = 3
	// freshFor is how long a job that was taken in here is this desk's to claim: others do not see it before.
	freshFor = 100 * time.Millisecond
	// mostPassed bounds the jobs that are looked at for a claim: many may have been claimed by others since the last look.
	mostPassed = 500
)

// peer is another worker that has leases in the store.
type peer struct {
	mark uint64
	seen int64 // when one of its leases moved last
}

// markOf is a worker's name as a number.
func markOf(worker string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(worker)) // never fails
	return h.Sum64()
}

// weight is how much a job is a worker's: of several it is that one's whose is the largest.
func weight(mark uint64, id ID) uint64 {
	x := mark ^ uint64(id)*0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// meet notes that another worker is alive.
func (d *Desk) meet(worker string) {
	if d.cfg.Exclusive || worker == d.cfg.Worker || worker == "" {
		return
	}
	p := d.peers[worker]
	if p == nil {
		p = &peer{mark: markOf(worker)}
		d.peers[worker] = p
	}
	p.seen = d.last
}

// part forgets workers that show no sign of life any more.
func (d *Desk) part(t int64) {
	for name, p := range d.peers {
		if t-p.seen > 2*int64(d.cfg.Lease) {
			delete(d.peers, name)
		}
	}
}

// mine says that this desk may claim a job now. A job that it may not has been passed over from then on.
func (d *Desk) mine(it *item, t int64) bool {
	before, own := 0, weight(d.mark, it.id)
	for _, p := range d.peers {
		if weight(p.mark, it.id) > own {
			before++
		}
	}
	before = min(before, mostBefore)
	if before == 0 || t < it.fresh {
		return true
	}
	if it.passed == 0 {
		it.passed = max(t, 1)
	}
	return it.looked >= it.passed+int64(before)*int64(leaveFor) || t >= d.unseenFrom(it)
}

// unseenFrom is when a job may be claimed that was passed over, where no look shows that it still waits.
func (d *Desk) unseenFrom(it *item) int64 { return it.passed + int64(d.cfg.Lease) }

// shared is the job of a band that is claimed next where others claim as well, or nil. The tenant whose turn it is comes first.
func (d *Desk) shared(b *band, t int64) *item {
	b.left = 0
	left := mostPassed
	for turn, n := b.ring, b.active; n > 0 && left > 0; turn, n = turn.next, n-1 {
		var first *item
		for _, l := range turn.lines {
			if l.op.paused {
				continue
			}
			if it := d.ofLine(b, l, t, &left); it != nil && (first == nil || older(it, first)) {
				first = it
			}
		}
		if first != nil {
			return first
		}
	}
	return nil
}

// ofLine is the oldest job of a line that this desk may claim, of those that are looked at.
func (d *Desk) ofLine(b *band, l *line, t int64, left *int) *item {
	for it := range l.byAge() {
		if d.mine(it, t) {
			return it
		}
		if at := d.unseenFrom(it); b.left == 0 || at < b.left {
			b.left = at
		}
		if *left--; *left <= 0 {
			break
		}
	}
	return nil
}

// byAge goes through the jobs of a line, the oldest first.
func (l *line) byAge() iter.Seq[*item] {
	return func(yield func(*item) bool) {
		listed := l.first
		for it := range l.back.inOrder() {
			for ; listed != nil && older(listed, it); listed = listed.next {
				if !yield(listed) {
					return
				}
			}
			if !yield(it) {
				return
			}
		}
		for ; listed != nil; listed = listed.next {
			if !yield(listed) {
				return
			}
		}
	}
}

// Left says that jobs wait which this desk leaves to others for the moment: a look soon shows whether they are claimed.
func (d *Desk) Left() bool {
	if len(d.peers) == 0 { // those that were left are this desk's
		return false
	}
	for i := range d.bands {
		if d.bands[i].left != 0 {
			return true
		}
	}
	return false
}

// Looked tells the desk what a look at the store has seen that began at a time: which jobs still wait, and that queued jobs which
// it should have seen and has not are others' by now. Those are forgotten. It is no loss where the look was wrong: the next one tells of the job again.
// New jobs are spared. It looks at every job of the desk.
func (d *Desk) Looked(began time.Time, s *Sights) {
	t := int64(began.Sub(d.base))
	seen := make(map[ID]struct{}, len(s.Jobs))
	for i := range s.Jobs {
		seen[s.Jobs[i].ID] = struct{}{}
		if it := d.items[s.Jobs[i].ID]; it != nil && s.Jobs[i].Queued {
			it.looked = max(it.looked, t)
		}
	}
	spared := micros(began.Add(-sparedFor))
	for id, it := range d.items {
		// Where a job that waited for its next attempt is in the index, its name does not say.
		known := s.Whole || it.more == nil && id < s.Through[it.band().priority.Index()]
		if _, ok := seen[id]; !ok && known && (it.where == ready || it.where == delayed) && it.flight == 0 && it.enqueued < spared {
			d.remove(it)
		}
	}
}
