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

// spool is the data that wait to be sent, oldest first. Those at the front that are being
// sent stay until it is known what became of them.
type spool struct {
	most    int
	all     []datum
	sending int   // so many at the front are being sent
	dropped int64 // since lost was asked
}

// add puts d at the end, and drops the oldest that is not being sent where there is no
// room.
func (s *spool) add(d datum) {
	if len(s.all)-s.sending >= s.most {
		copy(s.all[s.sending:], s.all[s.sending+1:])
		s.all[len(s.all)-1] = d
		s.dropped++
		return
	}
	s.all = append(s.all, d)
}

// lost says how many were dropped since it was asked last.
func (s *spool) lost() int64 {
	n := s.dropped
	s.dropped = 0
	return n
}

// take marks up to n at the front as being sent and gives them. Those from before oldest,
// which CloudWatch would not take, are dropped.
func (s *spool) take(n int, oldest time.Time) []datum {
	old := 0
	for old < len(s.all) && s.all[old].at.Before(oldest) {
		old++
	}
	s.remove(old)
	s.dropped += int64(old)
	s.sending = min(n, len(s.all))
	return s.all[:s.sending:s.sending]
}

// done ends the sending of the first n of those that were taken; the others wait again.
func (s *spool) done(n int) {
	s.remove(n)
	s.sending = 0
}

// remove takes n off the front. What was there is never written over: whoever took it may
// still read it.
func (s *spool) remove(n int) {
	if n == 0 {
		return
	}
	if n == len(s.all) {
		s.all = nil
		return
	}
	s.all = s.all[n:]
}
