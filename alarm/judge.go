package alarm

import (
	"slices"
	"time"
)

// verdict is what one judgement said.
type verdict uint8

const (
	absent  verdict = iota // nothing was measured
	clear                  // at Clear or beyond, on the good side
	between                // beyond Clear and not beyond Threshold
	breaks                 // beyond Threshold
)

// judgeLocked judges a rule's readings, and what of it was not read this time. It returns
// the changes into and out of Firing; those between OK and NoData are no history.
func (e *Engine) judgeLocked(r *rule, readings []reading, now time.Time) []Event {
	if r.Settle > 0 && now.Sub(e.start) < r.Settle {
		return nil
	}
	var events []Event
	read := make(map[string]bool, len(readings))
	for _, v := range readings {
		if read[v.of] || (r.By == "") != (v.of == "") {
			continue // told twice, or of no label that was asked for
		}
		w := r.watches[v.of]
		if w == nil {
			if len(r.watches) >= mostValues {
				continue
			}
			w = r.newWatch(v.of)
			w.status.Silenced = e.silencedLocked(r.Name, v.of, now)
			r.watches[v.of] = w
		}
		read[v.of] = true
		w.seen = now
		events = e.changeLocked(events, matter{r, w}, v, now)
	}
	for of, w := range r.watches {
		if read[of] {
			continue
		}
		if w.seen.IsZero() || now.Before(w.seen) {
			w.seen = now // from before a restart: the time that it is away runs from here
		}
		if r.By == "" || !r.gone(w, now) {
			events = e.changeLocked(events, matter{r, w}, reading{of: of}, now)
			continue
		}
		events = e.vanishLocked(events, matter{r, w}, now)
	}
	slices.SortFunc(events, func(a, b Event) int { return compareText(a.Of, b.Of) })
	return events
}

// gone says that a label's value has been away for so long that it will not come back.
func (r *rule) gone(w *watch, now time.Time) bool {
	after := goneAfter
	if r.Missing == MissingIsBad {
		after = goneBadAfter
	}
	return now.Sub(w.seen) >= max(after, 2*r.Every)
}

// vanishLocked ends the alarm of a value that is gone, and forgets it once nobody believes
// any more that it fires.
func (e *Engine) vanishLocked(events []Event, m matter, now time.Time) []Event {
	w := m.watch
	if w.status.State == Firing {
		events = append(events, m.moveTo(NoData, now, "it is no longer measured"))
	}
	w.status.State, w.status.HasValue, w.recent = NoData, false, nil
	if !w.told {
		delete(m.rule.watches, w.status.Of)
	}
	return events
}

// changeLocked adds one judgement to a state's recent ones and moves the state if they say so.
func (e *Engine) changeLocked(events []Event, m matter, v reading, now time.Time) []Event {
	r, w := m.rule, m.watch
	if v.ok {
		w.status.Value, w.status.HasValue = v.shown*r.perUSD, true
		w.status.Reason = r.reason(v)
	} else {
		w.status.HasValue = false
		w.status.Reason = r.reasonMissing(v)
	}
	verdict, counts := r.judge(v, now.Sub(e.start))
	if !counts {
		return events
	}
	w.recent = append(w.recent, verdict)
	if over := len(w.recent) - r.N; over > 0 {
		w.recent = slices.Delete(w.recent, 0, over)
	}
	if to := r.next(w); to != w.status.State {
		if from := w.status.State; from == Firing || to == Firing {
			return append(events, m.moveTo(to, now, w.status.Reason))
		}
		w.status.State, w.status.Since = to, now
	}
	return events
}

// judge compares a reading. counts is false where the state is to stay as it is.
func (r *rule) judge(v reading, measuring time.Duration) (verdict verdict, counts bool) {
	if !v.ok {
		switch r.Missing {
		case MissingIsOK:
			return clear, true
		case MissingIsBad:
			// Before the window is covered nothing can be missing.
			return breaks, measuring >= r.Window
		case MissingIsNone:
			return absent, true
		}
		return absent, false
	}
	value := v.value * r.perUSD
	switch {
	case r.Op == ">" && value > r.Threshold, r.Op == "<" && value < r.Threshold:
		return breaks, true
	case r.Op == ">" && value > r.Clear, r.Op == "<" && value < r.Clear:
		return between, true
	}
	return clear, true
}

// next is the state after the recent judgements. It fires after M of N that break, and
// ends after N of N that do not even reach Clear: after a restart that takes N new ones.
func (r *rule) next(w *watch) State {
	var broken, beyond, missing int
	for _, v := range w.recent {
		switch v {
		case breaks:
			broken++
			beyond++
		case between:
			beyond++
		case absent:
			missing++
		}
	}
	switch {
	case w.status.State == Firing && (beyond > 0 || len(w.recent) < r.N):
		return Firing
	case w.status.State != Firing && broken >= r.M:
		return Firing
	case missing == len(w.recent):
		return NoData
	}
	return OK
}

// moveTo changes the state and returns the event that says so.
func (m matter) moveTo(to State, now time.Time, reason string) Event {
	s := &m.watch.status
	event := Event{
		At: now, Name: s.Name, Of: s.Of, Severity: m.rule.Severity, From: s.State, To: to,
		Value: s.Value, Reason: reason, Silenced: s.Silenced,
	}
	s.State, s.Since, s.Reason = to, now, reason
	return event
}
