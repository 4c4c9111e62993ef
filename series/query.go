package series

import (
	"math"
	"time"
)

// span is a part of a window that one tier answers: steps that start in [from, to).
type span struct {
	tier     int
	from, to int64
}

// plan cuts windows into spans. Cells of a coarse step are exactly the sum of the finer
// ones, so it takes coarse ones wherever they fit, and fine ones at the edges.
type plan struct {
	grids   [tiers]grid
	oldest  [tiers]int64 // the start of the oldest step that each tier has for certain
	horizon int64
}

// plan returns the plan for the present.
func (s *Set) plan() plan {
	p := plan{grids: grids()}
	newest := s.newest.Load()
	for i, g := range p.grids {
		p.oldest[i] = newest - g.keep
	}
	p.horizon = newest + maxStep + p.grids[tiers-1].keep
	return p
}

// finest returns the finest tier that has what happened at sec.
func (p *plan) finest(sec int64) int {
	for i, g := range p.grids {
		if floor(sec, g.step) >= p.oldest[i] {
			return i
		}
	}
	return tiers - 1
}

// bounds rounds a window outwards to steps of the finest tiers that have its ends, within
// what is kept at all.
func (p *plan) bounds(w Window) (from, to int64) {
	first, last := p.oldest[tiers-1], p.horizon
	from = clamp(seconds(w.From), first, last)
	from = floor(from, p.grids[p.finest(from)].step)
	to = clamp(seconds(w.To.Add(time.Second-1)), first, last)
	step := p.grids[p.finest(max(to-1, from))].step
	return from, floor(to+step-1, step)
}

func clamp(v, low, high int64) int64 { return max(low, min(v, high)) }

// seconds returns the Unix time, of which there is enough for arithmetic.
func seconds(t time.Time) int64 { return clamp(t.Unix(), -lastSecond, lastSecond) }

// cut returns the spans from a start on, which is that of a step of the finest tier there,
// until at least to, and where they end.
func (p *plan) cut(spans []span, from, to int64) (cut []span, end int64) {
	for at := from; at < to; {
		tier := p.finest(at)
		for i := tiers - 1; i > tier; i-- {
			if step := p.grids[i].step; mod(at, step) == 0 && at+step <= to && at >= p.oldest[i] {
				tier = i
			}
		}
		next := at + p.grids[tier].step
		if n := len(spans); n > 0 && spans[n-1].tier == tier && spans[n-1].to == at {
			spans[n-1].to = next
		} else {
			spans = append(spans, span{tier, at, next})
		}
		at, from = next, next
	}
	return spans, from
}

// Value returns a statistic of a window. Its ends are rounded outwards to steps: of 10 s
// for those within the last hour, of 1 min within a day, of 10 min within 7 days, and of 1 h
// within 30 days. The step in progress is part of it as far as it has come. There is no
// value (OK is false) for a metric or statistic that the set has not, and where nothing was
// measured; a Counter that was not raised is 0 if the set was running in the window.
func (s *Set) Value(k Key, st Stat, w Window) Point {
	kind, ok := s.lines.kinds[k.Metric]
	if !ok {
		return Point{}
	}
	p := s.plan()
	from, to := p.bounds(w)
	if to <= from {
		return Point{}
	}
	x := s.spaces.Get().(*workspace)
	defer s.spaces.Put(x)
	x.tally.reset()
	if l := s.lines.lookup(k); l != nil {
		spans, _ := p.cut(nil, from, to)
		l.view().add(&x.tally, spans, percentOf(st) > 0)
	}
	return s.point(question{k, kind, st}, &x.tally, from, s.end(w.To, to))
}

// end returns where a window ends in time: within the step in progress that is its own end,
// otherwise that of the last step it takes in.
func (s *Set) end(asked time.Time, rounded int64) float64 {
	if end := float64(seconds(asked)) + float64(asked.Nanosecond())/1e9; end >= float64(s.newest.Load()) {
		return math.Min(end, float64(rounded))
	}
	return float64(rounded)
}

// question is what is asked: a statistic of a series.
type question struct {
	key  Key
	kind Kind
	stat Stat
}

// point answers a question out of what was measured from from to end.
func (s *Set) point(q question, t *tally, from int64, end float64) Point {
	if t.empty() {
		zero := q.kind == Counter && (q.stat == Sum || q.stat == Rate || q.stat == Count)
		return Point{OK: zero && s.mayBeZero(q.key) && s.cover.seconds(float64(from), end) > 0}
	}
	if q.stat != Rate {
		v, ok := t.stat(q.kind, q.stat)
		if !ok {
			return Point{}
		}
		return Point{Value: v, Count: t.count, OK: true}
	}
	amount := t.sum
	switch q.kind {
	case Gauge:
		return Point{}
	case Distribution:
		amount = float64(t.count)
	}
	// A process that has just started has a rate, too; without any trace of when it ran,
	// the window counts.
	ran := s.cover.seconds(float64(from), end)
	if ran <= 0 {
		ran = end - float64(from)
	}
	return Point{Value: amount / math.Max(ran, 1), Count: t.count, OK: true}
}

// mayBeZero says that a key without measurements has none, rather than that they were
// counted under the value "other".
func (s *Set) mayBeZero(k Key) bool { return s.lines.room(k) }

// Ratio returns the sum of one metric over that of another, both Counters or Distributions,
// in a window as of Value. Count is that of den. There is no value where den's sum is 0;
// num is 0 where it was not measured.
func (s *Set) Ratio(num, den Key, w Window) Point {
	below := s.Value(den, Sum, w)
	if !below.OK || below.Value == 0 {
		return Point{}
	}
	kind, ok := s.lines.kinds[num.Metric]
	if !ok || kind == Gauge {
		return Point{}
	}
	above := s.Value(num, Sum, w)
	return Point{Value: above.Value / below.Value, Count: below.Count, OK: true}
}
