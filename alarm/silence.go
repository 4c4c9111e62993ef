package alarm

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/forebay-ai/forebay/llm"
)

// Bounds of silences.
const (
	mostSilences   = 1000
	longestSilence = 366 * 24 * time.Hour
	longestNote    = 500
)

// Silence keeps notices of alarms from being sent from s.From until s.Until, and returns
// it with its id. States go on and are recorded as silenced. An alarm that still fires at
// the end is announced then; one that was announced before and has ended meanwhile is
// resolved then. s.From may be zero, for now. A silence that cannot be is an *llm.Error
// of kind CallerInvalidRequest.
func (e *Engine) Silence(s Silence) (Silence, error) {
	if err := e.checkSilence(s); err != nil {
		return Silence{}, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.silences) >= mostSilences {
		return Silence{}, &llm.Error{
			Kind: llm.CallerInvalidRequest, Message: "there are too many silences", Limit: "silences", Value: strconv.Itoa(mostSilences),
			Fix: "end some of them, or silence a whole alarm instead of single values",
		}
	}
	e.sequence++
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %q %q %d %d %q", e.sequence, s.Alarm, s.Of, s.From.UnixNano(), s.Until.UnixNano(), s.By))
	s.ID = "silence-" + hex.EncodeToString(sum[:8])
	e.silences = append(e.silences, s)
	return s, nil
}

func (e *Engine) checkSilence(s Silence) error {
	refuse := func(param, message, fix string) error {
		return &llm.Error{Kind: llm.CallerInvalidRequest, Param: param, Message: message, Fix: fix}
	}
	known := slices.ContainsFunc(e.definitions, func(d Definition) bool { return d.Name == s.Alarm })
	switch {
	case s.Alarm != "*" && !known:
		return refuse("alarm", fmt.Sprintf("there is no alarm %.80q", s.Alarm), "name one of the alarms, or * for all")
	case s.Until.IsZero() || !s.Until.After(s.From):
		return refuse("until", "the silence would end before it begins", "give an end after its start")
	case !s.From.IsZero() && s.Until.Sub(s.From) > longestSilence:
		return refuse("until", "the silence would last longer than a year", "turn the alarm off in the configuration instead")
	case len(s.Of) > longestNote || len(s.By) > longestNote || len(s.Comment) > longestNote:
		return refuse("comment", "a text of the silence is too long", "use at most "+strconv.Itoa(longestNote)+" bytes")
	}
	return nil
}

// Unsilence ends a silence now. An unknown id is an *llm.Error of kind CallerNotFound.
func (e *Engine) Unsilence(id string, now time.Time) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	i := slices.IndexFunc(e.silences, func(s Silence) bool { return s.ID == id && s.Until.After(now) })
	if i < 0 {
		return &llm.Error{Kind: llm.CallerNotFound, Message: fmt.Sprintf("there is no silence %.80q", id), Fix: "list the silences to see their ids"}
	}
	e.silences = slices.Delete(e.silences, i, i+1)
	return nil
}

// Silences returns the silences that have not ended: those that hold now and those to come,
// by their start.
func (e *Engine) Silences(now time.Time) []Silence {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := make([]Silence, 0, len(e.silences))
	for _, s := range e.silences {
		if s.Until.After(now) {
			all = append(all, s)
		}
	}
	slices.SortStableFunc(all, func(a, b Silence) int { return a.From.Compare(b.From) })
	return all
}

// silenceLocked forgets silences that have ended and says of each state whether it is
// silenced. What still fires when its silence ends is to be announced, also where it was
// before the silence began: that may be long ago.
func (e *Engine) silenceLocked(now time.Time) {
	e.silences = slices.DeleteFunc(e.silences, func(s Silence) bool { return !s.Until.After(now) })
	for _, r := range e.rules {
		for _, w := range r.watches {
			was := w.status.Silenced
			w.status.Silenced = e.silencedLocked(r.Name, w.status.Of, now)
			if was && !w.status.Silenced && w.status.State == Firing {
				w.toldAt = time.Time{}
			}
		}
	}
}

// silencedLocked is asked when the silences that have ended are gone.
func (e *Engine) silencedLocked(name, of string, now time.Time) bool {
	return slices.ContainsFunc(e.silences, func(s Silence) bool {
		return (s.Alarm == "*" || s.Alarm == name) && (s.Of == "" || s.Of == of) && !now.Before(s.From)
	})
}
