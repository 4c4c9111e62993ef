package cloudwatch

import (
	"time"

	"github.com/forebay-ai/forebay/telemetry/cloudwatch/names"
)

// datum is one metric with its dimensions in one window, ready to be sent. It does not
// change any more.
type datum struct {
	at     time.Time
	name   string
	unit   names.Unit
	kind   names.Kind
	by     []dimension
	values []valued
}

// sum is the sum of all values.
func (d *datum) sum() float64 {
	var sum float64
	for _, v := range d.values {
		sum += v.value * v.count
	}
	return sum
}

// spool is the data that wait to be sent, oldest first. Those that are being sent are apart
// until it is known what became of them.
type spool struct {
	most    int     // of those that wait
	flight  []datum // being sent, older than all that wait
	waiting []datum
	dropped int64 // since lost was asked
}

func (s *spool) len() int { return len(s.flight) + len(s.waiting) }

// add puts d at the end, and drops the oldest that is not being sent where there is no
// room. It moves nothing: a full spool must not cost those who are measured.
func (s *spool) add(d datum) {
	s.waiting = append(s.waiting, d)
	s.bound()
}

// bound drops what has no room.
func (s *spool) bound() {
	if over := len(s.waiting) - s.most; over > 0 {
		clear(s.waiting[:over]) // their values are free before the next growth moves the rest
		s.waiting = s.waiting[over:]
		s.dropped += int64(over)
	}
}

// lost says how many were dropped since it was asked last.
func (s *spool) lost() int64 {
	n := s.dropped
	s.dropped = 0
	return n
}

// take gives up to n at the front to be sent. Those from before oldest, which CloudWatch
// would not take, are dropped.
func (s *spool) take(n int, oldest time.Time) []datum {
	old := 0
	for old < len(s.waiting) && s.waiting[old].at.Before(oldest) {
		old++
	}
	s.dropped += int64(old)
	n = min(n, len(s.waiting)-old)
	s.flight = s.waiting[old : old+n : old+n] // nobody writes there: what waits is behind it
	s.waiting = s.waiting[old+n:]
	if len(s.waiting) == 0 {
		s.waiting = nil
	}
	return s.flight
}

// done ends the sending of the first n of those that were taken; the others wait again,
// before all others.
func (s *spool) done(n int) {
	if back := s.flight[n:]; len(back) > 0 {
		s.waiting = append(append(make([]datum, 0, len(back)+len(s.waiting)), back...), s.waiting...)
		s.bound()
	}
	s.flight = nil
}

// empty gives up everything and says how much it was.
func (s *spool) empty() int {
	n := s.len()
	s.flight, s.waiting = nil, nil
	return n
}
