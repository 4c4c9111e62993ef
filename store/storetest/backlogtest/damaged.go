package backlogtest

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/backlog"
)

// Damaged checks what a store does with jobs whose records were changed under it. open
// is as in Durable. damage is called while the store is closed; it changes the bytes of
// the job's record in dir so that it is not what was written any more.
func Damaged(t *testing.T, open func(t *testing.T, dir string) Lasting, damage func(t *testing.T, dir string, id backlog.ID)) {
	for _, rule := range []struct {
		name  string
		check func(t *testing.T, s backlog.Store, p *place)
	}{
		{"a damaged job is told from one that is not there", damagedTold},
		{"a list leaves it out and goes on behind it", damagedListed},
		{"it is counted and reported", damagedCounted},
		{"it is kept until it is removed", damagedKept},
	} {
		t.Run(rule.name, func(t *testing.T) {
			p := newPlace(t, open)
			s := p.reopen(t)
			for n := range damagedJobs {
				finished(t, s, n, status(backlog.States()[n%7], n))
			}
			p.close(t)
			for _, n := range damagedOnes() {
				damage(t, p.dir, idOf(n))
			}
			rule.check(t, p.reopen(t), p)
		})
	}
}

// Of so many jobs those are damaged: queued, and final.
const damagedJobs = 14

func damagedOnes() []int { return []int{6, 7} }

// undamaged are the jobs that are left in order.
func undamaged() []backlog.Job {
	var all []backlog.Job
	for n := range damagedJobs {
		if n != damagedOnes()[0] && n != damagedOnes()[1] {
			j := job(n)
			j.Status = status(backlog.States()[n%7], n)
			all = append(all, j)
		}
	}
	return all
}

func damagedTold(t *testing.T, s backlog.Store, _ *place) {
	for range 2 {
		for _, n := range damagedOnes() {
			_, err := s.Get(t.Context(), idOf(n))
			fails(t, "Get of a damaged job", err, backlog.ErrDamaged)
			for _, part := range []backlog.Part{backlog.Payload, backlog.Result} {
				_, _, err = s.Read(t.Context(), idOf(n), part)
				fails(t, "Read of a damaged job", err, backlog.ErrDamaged)
			}
			findsNot(t, s, job(n).Idempotency, time.Time{}) // it has no key any more
			j := job(n)
			j.Status = status(backlog.States()[n%7], n)
			fails(t, "Apply to a damaged job", s.Apply(t.Context(), to(j, status(backlog.Processing, n))), backlog.ErrDamaged)
		}
	}
	for _, j := range undamaged() {
		has(t, s, j)
		finds(t, s, time.Time{}, j)
	}
	hasNot(t, s, idOf(damagedJobs))
}

func damagedListed(t *testing.T, s backlog.Store, _ *place) {
	all := undamaged()
	for _, newest := range []bool{false, true} {
		for _, limit := range []int{1, 2, 3, 5, 100} {
			var seen []backlog.Job
			for q := (backlog.Query{Limit: limit, Newest: newest}); ; q.After = seen[len(seen)-1].ID {
				page, err := s.List(t.Context(), q)
				must(t, err)
				if seen = append(seen, page...); len(page) < limit {
					break
				}
			}
			if newest {
				seen = reversed(seen)
			}
			for i := range max(len(seen), len(all)) {
				if i >= len(seen) || i >= len(all) || seen[i] != all[i] {
					t.Fatalf("pages of %d have %d jobs; want the %d that are in order", limit, len(seen), len(all))
				}
			}
		}
	}
}

func damagedCounted(t *testing.T, s backlog.Store, p *place) {
	want := map[backlog.State]int{0: len(damagedOnes())}
	for _, j := range undamaged() {
		want[j.State]++
	}
	for range 2 {
		for n := range damagedJobs {
			// It is set apart when it is met, if not before; its error was checked elsewhere.
			_, _ = s.Get(t.Context(), idOf(n))
		}
		counts(t, s, want)
		for _, n := range damagedOnes() {
			countsOf(t, s, job(n).Tenant, map[backlog.State]int{})
		}
		for _, j := range undamaged() {
			countsOf(t, s, j.Tenant, map[backlog.State]int{j.State: 1})
		}
		all, err := s.Damaged(t.Context(), 100)
		must(t, err)
		found := map[backlog.ID]bool{}
		for _, d := range all {
			if found[d.ID] = true; d.Found.IsZero() || d.Reason == "" {
				t.Errorf("Damaged lists %+v; want a time and a reason", d)
			}
		}
		for _, n := range damagedOnes() {
			if !found[idOf(n)] || len(all) != len(damagedOnes()) {
				t.Errorf("Damaged lists %+v; want the jobs %d", all, damagedOnes())
			}
		}
		for limit := range 2 {
			if all, err := s.Damaged(t.Context(), limit); err != nil || len(all) != limit {
				t.Errorf("Damaged(%d) lists %d jobs, %v", limit, len(all), err)
			}
		}
		s = p.reopen(t)
	}
}

func damagedKept(t *testing.T, s backlog.Store, p *place) {
	must(t, s.Recover(t.Context()))
	purge(t, s, epoch.Add(math.MaxInt64))
	s = p.reopen(t)
	for _, n := range damagedOnes() {
		_, err := s.Get(t.Context(), idOf(n))
		fails(t, fmt.Sprintf("Get of job %d, which is damaged, after a purge", n), err, backlog.ErrDamaged)
		again := job(n)
		found, err := s.Insert(t.Context(), &again, payloadOf(n), again.Enqueued)
		fails(t, "Insert of a damaged job's ID", err, backlog.ErrExists)
		if found != (backlog.Job{}) {
			t.Errorf("Insert of a damaged job's ID returns %+v; want the zero Job", found)
		}
	}
	counts(t, s, map[backlog.State]int{0: 2, backlog.Queued: 1, backlog.Processing: 2})
	remove(t, s, 2, idOf(damagedOnes()[0]), idOf(damagedOnes()[1]))
	for range 2 {
		for _, n := range damagedOnes() {
			hasNot(t, s, idOf(n))
		}
		if all, err := s.Damaged(t.Context(), 10); err != nil || len(all) > 0 {
			t.Errorf("Damaged lists %+v, %v after they were removed", all, err)
		}
		counts(t, s, map[backlog.State]int{backlog.Queued: 1, backlog.Processing: 2})
		s = p.reopen(t)
	}
	n := damagedOnes()[0]
	insert(t, s, job(n), payloadOf(n))
	has(t, s, job(n))
}
