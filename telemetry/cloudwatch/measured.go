package cloudwatch

import (
	"slices"
	"strings"
	"time"

	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/monitor"
	"github.com/forebay-ai/forebay/telemetry/cloudwatch/names"
)

// Call implements monitor.Sink.
func (s *Sink) Call(c *monitor.Call) {
	of := s.ofCall(c.Operation, c.Model)
	failure := failed(c)
	of.set(byStatus, "success")
	if failure {
		of.set(byStatus, "failure")
	}
	if c.ErrorType != "" {
		of.set(byErrorType, string(c.ErrorType))
	}
	s.begin(time.Now())
	defer s.end()
	s.addLocked(names.RequestCount, &of, all, 1)
	// Zeros too, so that there is always something to divide; by type all errors, those
	// of callers included.
	s.addLocked(names.ErrorCount, &of, all&^byErrorType, oneIf(failure))
	s.addLocked(names.ErrorCount, &of, byErrorType, 1)
	s.addLocked(names.ErrorRate, &of, all, 100*oneIf(failure))
	if carriedOut(c) && c.Duration > 0 {
		s.addLocked(names.ResponseTime, &of, all, milliseconds(c.Duration))
	}
	if c.Stream && c.FirstToken > 0 {
		s.addLocked(names.TimeToFirstToken, &of, all, milliseconds(c.FirstToken))
	}
	switch c.Cache {
	case "hit", "stale_hit":
		s.lookupLocked(&of, 1)
	case "miss", "stale":
		s.lookupLocked(&of, 0)
	}
	s.usedLocked(&of, &c.Usage, c.CostMicroUSD)
}

func (s *Sink) lookupLocked(of *values, hit float64) {
	s.addLocked(names.CacheHits, of, all, hit)
	s.addLocked(names.CacheLookups, of, all, 1)
	s.addLocked(names.CacheHitRate, of, all, 100*hit)
}

// Usage implements monitor.Sink.
func (s *Sink) Usage(u *monitor.Usage) {
	of := s.ofCall(u.Operation, u.Model)
	s.begin(time.Now())
	defer s.end()
	s.usedLocked(&of, &u.Tokens, u.CostMicroUSD)
}

// usedLocked records tokens and price; nothing of calls that used nothing.
func (s *Sink) usedLocked(of *values, tokens *llm.Usage, microUSD int64) {
	var sum float64
	for _, kind := range []struct {
		name  string
		count int64
	}{{"input", tokens.Input}, {"output", tokens.Output}, {"cache_read", tokens.CacheRead}, {"cache_write", tokens.CacheWrite}} {
		if kind.count > 0 {
			sum += float64(kind.count)
			of.set(byTokenType, kind.name)
			s.addLocked(names.TokenUsage, of, byTokenType, float64(kind.count))
		}
	}
	if sum > 0 {
		s.addLocked(names.TokenUsage, of, all&^byTokenType, sum)
	}
	if microUSD > 0 {
		s.addLocked(names.Cost, of, all, float64(microUSD)/1e6)
	}
}

// Attempt implements monitor.Sink. What models do is measured by AWS/Bedrock itself.
func (s *Sink) Attempt(*monitor.Attempt) {}

// BreakerChanged implements monitor.Sink. OpenBreakers tells of breakers.
func (s *Sink) BreakerChanged(_, _, _ string) {}

// Function implements monitor.FunctionSink. The specification's trackResponseTime tells
// them by function; they are no calls of models, and in no figure of these.
func (s *Sink) Function(function, status string, d time.Duration) {
	var of values
	of.set(byFunction, function)
	s.begin(time.Now())
	defer s.end()
	s.addLocked(names.RequestCount, &of, byFunction, 1)
	s.addLocked(names.ErrorCount, &of, byFunction, oneIf(status == "5xx"))
	s.addLocked(names.ResponseTime, &of, byFunction, milliseconds(d))
}

// Measured implements monitor.CustomSink. A metric has the name and the labels that were
// declared; one whose name CloudWatch does not take, or that is one of package names or of
// a dimension, is left out. With more labels than there is room for beside the dimensions of
// all metrics it is published without any.
func (s *Sink) Measured(c *monitor.CustomMetric, value float64, labels []string) {
	name := customName(c)
	if !validKey(name) || reserved(name) || s.isFixed(name) {
		return
	}
	s.begin(time.Now())
	defer s.end()
	s.customLocked(seriesKey{metric: -1, custom: name}, c, nil, value)
	if len(labels) == 0 || len(s.fixed)+len(labels) > mostDimensions+1 || slices.ContainsFunc(c.Labels, func(l monitor.CustomLabel) bool { return l.Name == name || s.isFixed(l.Name) }) {
		return
	}
	key := seriesKey{metric: -1, by: 1, custom: name, value: strings.Join(labels, "\x00")}
	if s.roomLocked(key) {
		s.customLocked(key, c, labels, value)
	}
}

func (s *Sink) customLocked(key seriesKey, c *monitor.CustomMetric, labels []string, value float64) {
	one := s.window[key]
	if one == nil {
		one = &series{name: key.custom, unit: unitOf(c.Unit), kind: names.Event}
		if c.Kind == monitor.CustomCounter {
			one.kind = names.Amount
		}
		for i, label := range labels {
			one.by = append(one.by, dimension{c.Labels[i].Name, names.Value(label)})
		}
		s.window[key] = one
	}
	one.dist.add(value, 1)
}

// isFixed says that every metric has a dimension of this name.
func (s *Sink) isFixed(name string) bool {
	_, fixed := s.cfg.Dimensions[name]
	return fixed
}

// customName is a custom metric's name, as package monitor shows it in its vocabulary.
func customName(c *monitor.CustomMetric) string {
	if c.CloudWatch != "" {
		return c.CloudWatch
	}
	var b strings.Builder
	for word := range strings.SplitSeq(c.Name, "_") {
		if word != "" {
			b.WriteString(strings.ToUpper(word[:1]) + word[1:])
		}
	}
	return b.String()
}

// unitOf is CloudWatch's word for the unit of a custom metric.
func unitOf(unit string) names.Unit {
	switch unit {
	case "s":
		return names.Seconds
	case "bytes", "By", "B":
		return names.Bytes
	case "USD", "ratio":
		return names.None
	}
	return names.Count
}

// failed and carriedOut are as package monitor has them for its own metrics.
func failed(c *monitor.Call) bool {
	return (c.Outcome == monitor.Error || c.Outcome == monitor.Refused) && !callersFault(c.ErrorType)
}

func carriedOut(c *monitor.Call) bool {
	switch c.Outcome {
	case monitor.Refused:
		return false
	case monitor.Error:
		return c.ErrorType == llm.CallerDeadline || !callersFault(c.ErrorType)
	}
	return true
}

func callersFault(k llm.Kind) bool { return k != "" && k.Domain() == llm.CallerFault }

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func oneIf(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

var (
	_ monitor.CustomSink   = (*Sink)(nil)
	_ monitor.FunctionSink = (*Sink)(nil)
)
