package series

import "time"

// MostSteps is how many points Steps gives at most.
const MostSteps = 10_000

// Steps returns a statistic in steps, for charts: point i is of the step that starts at
// w.From, rounded down to a multiple of step since 1970, plus i times step; the last is the
// one before w.To. Each measurement is in one step only. Where it is kept in coarser steps
// than asked for, it is in the one in which the coarser step starts, and those until the
// next have no value: Step tells which to ask for. The answer is nil where step is not a
// multiple of 10 s, the window is empty, or there would be more than MostSteps points.
func (s *Set) Steps(k Key, st Stat, w Window, step time.Duration) []Point {
	length := int64(step / time.Second)
	if length <= 0 || step%(finest*time.Second) != 0 {
		return nil
	}
	first := floor(seconds(w.From), length)
	last := seconds(w.To.Add(time.Second - 1))
	if last <= first || (last-first+length-1)/length > MostSteps {
		return nil
	}
	points := make([]Point, (last-first+length-1)/length)
	kind, ok := s.lines.kinds[k.Metric]
	if !ok {
		return points
	}
	var v *view
	if l := s.lines.lookup(k); l != nil {
		v = l.view()
	}
	x := s.spaces.Get().(*workspace)
	defer s.spaces.Put(x)
	p := s.plan()
	var spans []span
	at := max(first, p.oldest[tiers-1])
	for i := range points {
		from := first + int64(i)*length
		start := p.align(max(at, from))
		if start >= from+length || start >= p.horizon {
			continue // kept in coarser steps, or not at all
		}
		spans, at = p.cut(spans[:0], start, from+length)
		x.tally.reset()
		if v != nil {
			v.add(&x.tally, spans, percentOf(st) > 0)
		}
		points[i] = s.point(question{k, kind, st}, &x.tally, start, s.end(w.To, at))
	}
	return points
}

// align returns the first start of a step at or after sec, in the finest tier there.
func (p *plan) align(sec int64) int64 {
	step := p.grids[p.finest(sec)].step
	return floor(sec+step-1, step)
}

// Step returns the shortest step in which a window can be had as at most points points (0:
// 200): one of 10, 20 or 30 s, 1, 2, 5, 10, 20 or 30 min, 1, 2, 3, 6, 12 or 24 h.
func (s *Set) Step(w Window, points int) time.Duration {
	if points <= 0 {
		points = 200
	}
	p := s.plan()
	kept := p.grids[p.finest(clamp(seconds(w.From), p.oldest[tiers-1], p.horizon))].step
	length := seconds(w.To) - seconds(w.From)
	steps := [...]int64{10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 10800, 21600, 43200, 86400}
	for _, step := range steps {
		if step%kept == 0 && (length+step-1)/step <= int64(points) {
			return time.Duration(step) * time.Second
		}
	}
	return 24 * time.Hour
}
