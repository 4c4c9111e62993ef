package alarm

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"
)

func compareText(a, b string) int { return cmp.Compare(a, b) }

// noticesLocked compares what fires with what was told. A difference is told once it is
// Group old, with all that differs by then; one that vanishes before is never told.
func (e *Engine) noticesLocked(now time.Time) []Notice {
	begun, ended := e.differenceLocked(now)
	if len(begun)+len(ended)+len(e.strays) == 0 {
		e.pending = time.Time{}
		return e.remindLocked(now)
	}
	if e.pending.IsZero() || now.Before(e.pending) {
		e.pending = now
	}
	if now.Sub(e.pending) < e.group {
		return e.remindLocked(now)
	}
	e.pending = time.Time{}
	var notices []Notice
	if len(begun) > 0 {
		items := make([]Item, 0, len(begun))
		for _, m := range begun {
			items = append(items, m.announce(now))
		}
		notices = append(notices, e.notice(now, false, items))
	}
	if len(ended)+len(e.strays) > 0 {
		notices = append(notices, e.notice(now, true, e.resolveLocked(ended, now)))
	}
	return notices
}

// differenceLocked lists what fires and was not told, and what was told and has ended. A
// silenced alarm is in neither, and a warning not in the first while its critical fires.
func (e *Engine) differenceLocked(now time.Time) (begun, ended []matter) {
	worse := e.worseLocked()
	for _, r := range e.rules {
		for _, w := range r.watches {
			m := matter{r, w}
			firing, told := w.status.State == Firing, w.told
			switch {
			case w.status.Silenced:
			case firing && (!told || w.toldAt.IsZero()) && !m.within(worse):
				begun = append(begun, m)
			case !firing && told && !w.held(now):
				ended = append(ended, m)
			}
		}
	}
	slices.SortFunc(begun, matter.compare)
	slices.SortFunc(ended, matter.compare)
	return begun, ended
}

// subject is what several alarms may be about.
type subject struct{ name, of string }

// worseLocked lists the subjects of which a critical alarm fires that is not silenced.
func (e *Engine) worseLocked() map[subject]bool {
	var all map[subject]bool
	for _, r := range e.rules {
		if r.Severity != Critical {
			continue
		}
		for of, w := range r.watches {
			if w.status.State == Firing && !w.status.Silenced {
				if all == nil {
					all = map[subject]bool{}
				}
				all[subject{r.Subject(), of}] = true
			}
		}
	}
	return all
}

// within says that a critical alarm speaks for this warning.
func (m matter) within(worse map[subject]bool) bool {
	return m.rule.Severity == Warning && worse[subject{m.rule.Subject(), m.watch.status.Of}]
}

// held says that the end is not told yet, because the alarm comes and goes.
func (w *watch) held(now time.Time) bool {
	return w.flapping() && now.Sub(w.status.Since) < flapQuiet
}

// flapping says that the last announcements came close together.
func (w *watch) flapping() bool {
	n := len(w.ups)
	return n >= flapMost && w.ups[n-1].Sub(w.ups[n-flapMost]) < flapWithin
}

// announce marks m as told.
func (m matter) announce(now time.Time) Item {
	w := m.watch
	w.told, w.toldAt = true, now
	w.ups = append(w.ups, now)
	if over := len(w.ups) - flapMost; over > 0 {
		w.ups = slices.Delete(w.ups, 0, over)
	}
	item := m.item()
	if w.flapping() {
		item.Reason += fmt.Sprintf("; it comes and goes, and its end is told once it stays away for %s", words(flapQuiet))
	}
	return item
}

func (m matter) item() Item {
	d := m.rule.Definition
	return Item{Status: m.watch.status, Severity: d.Severity, Message: d.Message, Do: d.Do, Runbook: d.Runbook}
}

// resolveLocked marks what has ended as not told, and makes the items that say so.
func (e *Engine) resolveLocked(ended []matter, now time.Time) []Item {
	items := make([]Item, 0, len(ended)+len(e.strays))
	for _, m := range ended {
		m.watch.told, m.watch.toldAt = false, time.Time{}
		items = append(items, m.item())
	}
	for _, t := range e.strays {
		items = append(items, Item{
			Status:   Status{Name: t.Name, Of: t.Of, State: NoData, Since: now, Reason: "it is no longer defined"},
			Severity: t.Severity, Message: t.Message,
		})
	}
	e.strays = nil
	return items
}

// remindLocked tells of everything that still fires once one of it was told Repeat ago: a
// single notice, after which all have the same time.
func (e *Engine) remindLocked(now time.Time) []Notice {
	if e.repeat < 0 {
		return nil
	}
	worse := e.worseLocked()
	var firing []matter
	due := false
	for _, r := range e.rules {
		for _, w := range r.watches {
			m := matter{r, w}
			if !w.told || w.toldAt.IsZero() || w.status.State != Firing || w.status.Silenced || m.within(worse) {
				continue
			}
			firing = append(firing, m)
			due = due || now.Sub(w.toldAt) >= e.repeat
		}
	}
	if !due {
		return nil
	}
	slices.SortFunc(firing, matter.compare)
	items := make([]Item, 0, len(firing))
	for _, m := range firing {
		m.watch.toldAt = now
		items = append(items, m.item())
	}
	return []Notice{e.notice(now, false, items)}
}

// notice makes a notice of items, of which there is one at least.
func (e *Engine) notice(now time.Time, resolved bool, items []Item) Notice {
	severity := Warning
	if slices.ContainsFunc(items, func(i Item) bool { return i.Severity == Critical }) {
		severity = Critical
	}
	n := Notice{At: now, Resolved: resolved, Severity: severity, Title: title(resolved, severity, items), Items: items, Source: e.source}
	sum := sha256.New()
	fmt.Fprintf(sum, "%s %d %t", e.source, now.UnixNano(), resolved)
	for _, i := range items {
		fmt.Fprintf(sum, " %q %q", i.Name, i.Of)
	}
	n.ID = "notice-" + hex.EncodeToString(sum.Sum(nil)[:8])
	return n
}

// title is the one line of a notice.
func title(resolved bool, severity Severity, items []Item) string {
	head := string(severity)
	if resolved {
		head = "resolved"
	}
	if len(items) == 1 {
		text := strings.TrimSuffix(items[0].Message, ".")
		if items[0].Of != "" {
			text += " (" + items[0].Of + ")"
		}
		return head + ": " + text
	}
	const named = 5
	names := make([]string, 0, named)
	for _, i := range items {
		if len(names) == named {
			names = append(names, fmt.Sprintf("and %d more", len(items)-named))
			break
		}
		name := i.Name
		if i.Of != "" {
			name += " (" + i.Of + ")"
		}
		names = append(names, name)
	}
	return fmt.Sprintf("%s: %d alarms: %s", head, len(items), strings.Join(names, ", "))
}
