package upstream

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/monitor"
	"github.com/forebay-ai/forebay/queue"
)

// Load is how much room there is for calls, for x-ratelimit headers.
type Load struct {
	// Limit is how many calls may be in the client at once, running and waiting;
	// 0 means no bound. Remaining is how many more it takes now.
	Limit, Remaining int
	// Wait is how long a call of normal priority would wait now, as an estimate.
	Wait time.Duration
}

// Room sums up the room at targets whose lines have this many places each. It is cheap
// enough for every call.
func Room(targets []*Target, places int) Load {
	var l Load
	for _, t := range targets {
		slots := t.Limiter.Max()
		if slots < 0 {
			return Load{}
		}
		s := t.Line.Stats()
		l.Limit += slots + places
		l.Remaining += max(slots-s.Running, 0) + max(places-s.Waiting, 0)
		l.Wait = max(l.Wait, s.EstimatedWait)
	}
	return l
}

// Waiting counts the calls in all lines.
func Waiting(targets []*Target) int {
	n := 0
	for _, t := range targets {
		n += t.Line.Stats().Waiting
	}
	return n
}

// Pressure is that of the longest line.
func Pressure(targets []*Target) queue.Pressure {
	worst := queue.PressureNone
	for _, t := range targets {
		switch p := t.Line.Stats().Pressure; {
		case p == queue.PressureCritical:
			return p
		case p == queue.PressureWarn:
			worst = p
		}
	}
	return worst
}

// Sample is the state of all lines, for metrics.
func Sample(targets []*Target) monitor.QueueSample {
	s := monitor.QueueSample{InFlight: map[string]int{}, Max: map[string]int{}}
	for _, t := range targets {
		l := t.Line.Stats()
		for i, n := range l.ByPriority {
			s.Waiting[i] += n
		}
		s.Oldest = max(s.Oldest, slices.Max(l.OldestWait[:]))
		s.InFlight[t.Name] = t.Limiter.InFlight()
		if bound := t.Limiter.Max(); bound > 0 {
			s.Max[t.Name] = bound
		}
	}
	return s
}

// Listed is what the providers of targets list. The error joins those of providers that
// cannot be asked.
func Listed(ctx context.Context, targets []*Target) (all []llm.ModelInfo, err error) {
	for _, t := range targets {
		lister, ok := t.Backend.(llm.ModelLister)
		if !ok {
			continue
		}
		listed, failed := lister.Models(ctx)
		err = errors.Join(err, failed)
		all = append(all, listed...)
	}
	return all, err
}

// ReportPressure logs a change of the pressure since last, once, and returns what it is now.
func ReportPressure(log *slog.Logger, targets []*Target, last queue.Pressure) queue.Pressure {
	now := Pressure(targets)
	switch {
	case now == last:
	case now == queue.PressureNone:
		log.Info("the queue is short again")
	case now == queue.PressureWarn:
		log.Warn("the queue is long: more calls wait than queue.warn allows", "waiting", Waiting(targets))
	default:
		log.Error("the queue is very long: more calls wait than queue.critical allows", "waiting", Waiting(targets))
	}
	return now
}
