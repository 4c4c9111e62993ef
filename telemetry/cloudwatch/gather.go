package cloudwatch

import (
	"cmp"
	"maps"
	"slices"
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
	s.begin(time.Now())
	defer s.end()
	for i := range s.table {
		if m := &s.table[i]; len(m.Prometheus) > 0 {
			s.readLocked(i, s.matching(found, &m.Metric))
		}
	}
}

// matching are the series that a metric is read from.
func (s *Sink) matching(found map[string]*dto.MetricFamily, m *names.Metric) []*dto.Metric {
	var all []*dto.Metric
	for _, name := range m.Prometheus {
		for _, one := range found[s.cfg.Prefix+"_"+name].GetMetric() {
			if m.Label == "" || slices.Contains(m.Among, label(one, m.Label)) {
				all = append(all, one)
			}
		}
	}
	return all
}

// readLocked takes what was read of a metric. Where there is nothing, nothing is
// published, and an alarm knows that nothing is there.
func (s *Sink) readLocked(number int, all []*dto.Metric) {
	m := &s.table[number]
	if m.Kind == names.Share { // all of it is made of these when the window closes
		for value, v := range fold(all, m.Fold, m.By[0].Prometheus()) {
			key := shareKey{number, value}
			s.shares[key] = s.shares[key].with(v)
		}
		return
	}
	for d := range len(values{}.of) {
		dim := dimensions(1 << d)
		if dim&m.to == 0 {
			continue
		}
		by := ""
		if dim != everything {
			by = names.Dimensions()[d-1].Prometheus()
		}
		folded := fold(all, m.Fold, by)
		for _, value := range slices.Sorted(maps.Keys(folded)) {
			v := folded[value]
			if m.Kind == names.Growth {
				v = s.grown(m.Name, v)
			}
			of := values{has: everything}
			of.set(dim, value)
			s.addLocked(m.Name, &of, dim, v*m.Scale)
		}
	}
}

// grown is by how much a counter rose since it was read last.
func (s *Sink) grown(name string, v float64) float64 {
	before := s.growth[name]
	s.growth[name] = v
	if v < before { // it began anew
		return v
	}
	return v - before
}

// fold puts series together, for each value of a label; all of them where it is empty.
func fold(all []*dto.Metric, how names.Fold, by string) map[string]float64 {
	folded := map[string]float64{}
	for _, one := range all {
		of := label(one, by)
		if by != "" && of == "" {
			continue
		}
		now := one.GetGauge().GetValue() + one.GetCounter().GetValue() // one of them is not there
		before, known := folded[of]
		switch {
		case !known:
		case how == names.Max:
			now = max(before, now)
		case how == names.Min:
			now = min(before, now)
		default:
			now += before
		}
		folded[of] = now
	}
	return folded
}

// label is the value of a label; empty where there is none.
func label(m *dto.Metric, name string) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == name && name != "" {
			return l.GetValue()
		}
	}
	return ""
}

// shareKey is a metric of the table, and the value of the label that it is told apart by.
type shareKey struct {
	metric int
	value  string
}

// share is what was read of it in one window.
type share struct{ sum, count float64 }

func (s share) with(v float64) share { return share{s.sum + v, s.count + 1} }

// sharesLocked publishes how much of the window that closes something was so: by its
// values, and for everything that of the worst. A mean of all would hide one target among
// ten, and a gateway among many; so the alarm asks for the maximum of these.
func (s *Sink) sharesLocked() {
	worst := map[int]float64{}
	for _, key := range slices.SortedFunc(maps.Keys(s.shares), func(a, b shareKey) int {
		return cmp.Or(cmp.Compare(a.metric, b.metric), cmp.Compare(a.value, b.value))
	}) {
		m := &s.table[key.metric]
		v := s.shares[key].sum / s.shares[key].count * m.Scale
		worst[key.metric] = max(worst[key.metric], v)
		var of values
		dim := dimensions(1 << numberOf(m.By[0]))
		of.set(dim, key.value)
		s.addLocked(m.Name, &of, dim, v)
	}
	clear(s.shares)
	for number, v := range worst {
		s.addLocked(s.table[number].Name, &values{has: everything}, everything, v)
	}
}
