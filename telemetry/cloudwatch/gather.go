package cloudwatch

import (
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/forebay-ai/forebay/telemetry/cloudwatch/names"
)

// read takes the present values of what is not told of by calls out of the metrics of
// Prometheus.
func (s *Sink) read() {
	if s.cfg.Gatherer == nil {
		return
	}
	s.reading.Lock()
	defer s.reading.Unlock()
	families, _ := s.cfg.Gatherer.Gather() // what failed is told where metrics are scraped
	found := make(map[string]*dto.MetricFamily, len(families))
	for _, f := range families {
		found[f.GetName()] = f
	}
	of := values{has: everything}
	s.begin(time.Now())
	defer s.end()
	for i := range s.table {
		m := &s.table[i].Metric
		if m.Prometheus == "" {
			continue
		}
		v, ok := fold(found[s.cfg.Prefix+"_"+m.Prometheus], m)
		if !ok {
			continue
		}
		if m.Kind == names.Growth {
			before := s.growth[m.Name]
			s.growth[m.Name] = v
			if v >= before { // else the counter began anew
				v -= before
			}
		}
		s.addLocked(m.Name, &of, everything, v*m.Scale)
	}
}

// fold puts the series of a metric together. ok is false where there is none: then nothing
// is published, and an alarm knows that nothing is there.
func fold(f *dto.MetricFamily, m *names.Metric) (v float64, ok bool) {
	for _, one := range f.GetMetric() {
		if !matches(one, m.Match) {
			continue
		}
		now := one.GetGauge().GetValue() + one.GetCounter().GetValue() // one of them is not there
		switch {
		case !ok:
			v = now
		case m.Fold == names.Max:
			v = max(v, now)
		case m.Fold == names.Min:
			v = min(v, now)
		default:
			v += now
		}
		ok = true
	}
	return v, ok
}

func matches(m *dto.Metric, label [2]string) bool {
	if label[0] == "" {
		return true
	}
	for _, l := range m.GetLabel() {
		if l.GetName() == label[0] {
			return l.GetValue() == label[1]
		}
	}
	return false
}
