package backlog

import (
	"time"

	"github.com/forebay-ai/forebay/llm"
)

// place says where a desk keeps a job.
type place uint8

const (
	reserved place = iota // admitted and not known to be stored
	ready                 // in the line of its tenant
	delayed               // waits for its NotBefore
	held                  // queued, and a change of it is under way
	claiming              // its claim is under way
	leased                // this process has the lease
	watched               // another one has
	places                // how many there are
)

// queued says that a job in this place is queued, so that it counts for Max.
func (p place) queued() bool { return p <= held }

// flight is a set of changes that are under way: said, and neither applied nor missed.
type flight uint8

const (
	flightClaim flight = 1 << iota
	flightRenew
	flightEnd // whatever ends a lease or a wait
	flightCancel
	flightBand
	flightRequeue
)

// item is what a desk remembers of a job that is not final. There may be millions:
// it is kept small. Times are nanoseconds on the desk's own clock (Desk.at), which does
// not jump, or microseconds of the wall clock since 1970 where the name says so: those
// are only compared and handed on.
type item struct {
	id           ID
	enqueued     int64 // wall; with id the order of the line
	deadline     int64
	wallDeadline int64
	due          int64 // ready: none; delayed: its NotBefore; leased, watched: what Due has to do
	timeout      time.Duration
	retention    time.Duration
	line         *line
	prev, next   *item // in line
	more         *more // nil until the first claim
	bytes        int64
	fresh        int64 // until when others do not see it yet
	passed       int64 // since when it is left to others, while it is ready; 0: not yet
	looked       int64 // when a look saw last that it waits

	expiry  int32 // index in Desk.expiry, or -1
	pos     int32 // index in line.back, band.delayed or Desk.leases, or -1
	seq     uint32
	attempt int32
	retries int16
	deaths  int16
	where   place
	flight  flight
	idle    uint8 // attempts in a row in which nothing was called
	flags   flags
}

type flags uint8

const (
	hasHook    flags = 1 << iota
	idempotent       // an idempotency key leads to it
	spent            // its worker has said how it ended: the lease is not renewed
	unstarted        // a claim that nobody works on: hand it back without counting a death
	over             // it ended before we knew that it is stored
	banded           // its band changed while another change was under way: what is read for that one may be older
	kept             // with flightEnd: it is the end of its own worker, and the lease is renewed until that is made
)

// more is what only jobs that have been claimed need.
type more struct {
	started, wallLease int64 // wall
	claimed            int64 // when the claim was made
	said               int64 // when the claim or renewal that is under way was said
	until              int64 // when the lease runs out
	again              int64 // when it may be claimed again, while that change is under way
	worker             string
	kind               llm.Kind
	message            string
}

func (it *item) extra() *more {
	if it.more == nil {
		it.more = new(more)
	}
	return it.more
}

func (it *item) band() *band { return it.line.turn.band }

// ending says that its worker's end is under way, and that others would take it if its lease ran out meanwhile.
func (it *item) ending() bool { return it.flags&kept != 0 && it.flight&flightEnd != 0 }

// older says that a comes before b in the line of a tenant.
func older(a, b *item) bool {
	if a.enqueued != b.enqueued {
		return a.enqueued < b.enqueued
	}
	return a.id < b.id
}

// status is the job's status as far as the desk knows, without a state: what a change begins with.
func (it *item) status() Status {
	s := Status{
		Band: it.band().priority, Attempt: int(it.attempt), Retries: int(it.retries), Deaths: int(it.deaths),
		Deadline: wallTime(it.wallDeadline),
	}
	if it.more != nil {
		s.Started = wallTime(it.more.started)
	}
	return s
}

// stamp makes a time fit for a Status: as exact as a store keeps it, without a time
// zone and without the monotonic reading.
func stamp(now time.Time) time.Time { return now.UTC().Truncate(time.Microsecond) }

// micros and wallTime turn a time of a Status into a number and back; 0 is the zero Time.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	if m := t.UnixMicro(); m != 0 {
		return m
	}
	return 1 // the first microsecond of 1970: there is a second one
}

func wallTime(m int64) time.Time {
	if m == 0 {
		return time.Time{}
	}
	return time.UnixMicro(m).UTC()
}
