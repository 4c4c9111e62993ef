package cloudwatch

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/forebay-ai/forebay/telemetry/cloudwatch/names"
)

// Bounds of the embedded metric format: 100 metrics a directive, 100 values a metric, 1 MB
// an event (its specification, and the limits of CloudWatch Logs). 256 KB was the limit of
// events before 2025, which collectors in between may still have.
const (
	mostMetrics = 100
	mostSamples = 100
	mostLine    = 256 << 10
	// thinned is how many samples of one metric and window are written at most. On Lambda
	// there are a few; a server with thousands a minute should use PutMetricData.
	thinned = 1000
)

// directive is the part of a line that says what in it is a metric.
type directive struct {
	Namespace  string
	Dimensions [][]string
	Metrics    []declared
}

type declared struct {
	Name              string
	Unit              string `json:",omitempty"`
	StorageResolution int    `json:",omitempty"`
}

// line is one event: metrics of one time and one set of dimensions.
type line struct {
	at      time.Time
	by      []dimension
	metrics []declared
	values  []any // a number, or a list of them, for each of metrics
	size    int   // an upper bound of its bytes
	has     map[string]bool
}

// writeLines writes a batch. What could not be written is lost: nobody knows how much of
// it was.
func (s *Sink) writeLines(_ context.Context, batch []datum) outcome {
	o := outcome{done: len(batch)}
	for _, l := range s.linesOf(batch) {
		text, err := s.encode(l)
		if err == nil {
			_, err = s.cfg.Writer.Write(text)
		}
		if err != nil {
			o.refused += int64(len(l.metrics))
			o.err = err
		}
	}
	return o
}

// linesOf puts data of one time and one set of dimensions together. A metric with more
// values than a line takes goes into several lines.
func (s *Sink) linesOf(batch []datum) []*line {
	var all []*line
	open := map[string]*line{}
	for i := range batch {
		d := &batch[i]
		var group strings.Builder
		group.WriteString(d.at.Format(time.RFC3339))
		for _, one := range d.by {
			group.WriteString("\x00" + one.name + "\x00" + one.value)
		}
		for _, value := range valuesOf(d) {
			l := open[group.String()]
			if l == nil || len(l.metrics) == mostMetrics || l.size > mostLine || l.has[d.name] {
				l = &line{at: d.at, by: d.by, has: map[string]bool{}}
				open[group.String()] = l
				all = append(all, l)
			}
			l.has[d.name] = true
			l.metrics = append(l.metrics, declared{Name: d.name, Unit: string(d.unit), StorageResolution: int(s.cfg.Resolution.Seconds())})
			l.values = append(l.values, value)
			l.size += 2*len(d.name) + 80 + 25*mostSamples
		}
	}
	return all
}

// valuesOf is a datum as the format has values: one number for what is added up, else up
// to 100 numbers at a time.
func valuesOf(d *datum) []any {
	if d.kind == names.Amount || d.kind == names.Growth {
		return []any{d.sum()}
	}
	samples := samplesOf(d.values)
	if len(samples) == 1 {
		return []any{samples[0]}
	}
	var all []any
	for len(samples) > mostSamples {
		all = append(all, samples[:mostSamples])
		samples = samples[mostSamples:]
	}
	return append(all, samples)
}

// samplesOf repeats each value as often as it came; where that is more than thinned, in
// proportion, the extremes always.
func samplesOf(list []valued) []float64 {
	var count float64
	for _, v := range list {
		count += v.count
	}
	scale := min(1, thinned/count)
	samples := make([]float64, 0, int(min(count, thinned))+2)
	var due float64
	for i, v := range list {
		due += v.count * scale
		n := int(due + 0.5)
		if n == 0 && (i == 0 || i == len(list)-1) {
			n = 1
		}
		for range n {
			samples = append(samples, v.value)
		}
		due -= float64(n)
	}
	return samples
}

// encode writes a line as JSON, in one piece with its end.
func (s *Sink) encode(l *line) ([]byte, error) {
	root := map[string]any{}
	keys := make([]string, 0, len(s.fixed)+len(l.by))
	for _, list := range [][]dimension{s.fixed, l.by} {
		for _, one := range list {
			root[one.name] = one.value
			keys = append(keys, one.name)
		}
	}
	for i, m := range l.metrics {
		root[m.Name] = l.values[i]
	}
	root["_aws"] = map[string]any{
		"Timestamp":         l.at.UnixMilli(),
		"CloudWatchMetrics": []directive{{Namespace: s.cfg.Namespace, Dimensions: [][]string{keys}, Metrics: l.metrics}},
	}
	text, err := json.Marshal(root)
	return append(text, '\n'), err
}
