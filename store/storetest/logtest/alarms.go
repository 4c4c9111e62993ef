package logtest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/forebay-ai/forebay/alarm"
)

// Alarms checks an implementation of alarm.Store. open returns an empty store, and has it
// closed by t.Cleanup where it needs to be.
func Alarms(t *testing.T, open func(t *testing.T) alarm.Store) {
	run(t, open, []rule[alarm.Store]{
		{"at first there is nothing", alarmsEmpty},
		{"what was saved last is loaded", alarmsRoundTrip},
		{"states are saved all or none", alarmsWhole},
		{"no reference is kept", alarmsCopies},
		{"events come back newest first", eventsRoundTrip},
		{"events are appended all or none", eventsBatches},
		{"events by name, number and limit", eventsChosen},
		{"old events are removed and nothing else", eventsPrune},
		{"no number of an event is given again", eventsNumbers},
		{"an ended context", alarmsContext},
		{"concurrent use", alarmsConcurrent},
		{"model", alarmsModel},
	})
}

// newest is every event.
const newest = 1 << 20

func status(n int) alarm.Status {
	r := rand.New(rand.NewPCG(3, uint64(n)))
	return alarm.Status{
		Name: fmt.Sprint("alarm-", n), Of: choose(r, "operation", 2), State: []alarm.State{alarm.OK, alarm.Firing, alarm.NoData}[r.IntN(3)],
		Since: epoch.Add(time.Duration(n) * time.Second), Value: r.Float64(), HasValue: r.IntN(2) == 0, Silenced: r.IntN(2) == 0, Reason: choose(r, "reason", 3),
	}
}

func silence(n int) alarm.Silence {
	return alarm.Silence{
		ID: fmt.Sprint("silence-", n), Alarm: "*", Of: fmt.Sprint(n), From: epoch, Until: epoch.Add(time.Duration(n) * time.Hour), By: "ops", Comment: "a \"comment\"\n",
	}
}

// kept is something to keep, with values that are easily changed on the way.
func kept() alarm.Kept {
	k := alarm.Kept{Silences: []alarm.Silence{silence(3), silence(1), {}, silence(2)}}
	for _, value := range []float64{0, -1.5, math.Inf(1), math.Inf(-1), math.NaN(), math.MaxFloat64, math.SmallestNonzeroFloat64, 1 << 53, 0.1} {
		s := status(len(k.Statuses) * 7 % 5) // in no order, and some names twice
		s.Value = value
		k.Statuses = append(k.Statuses, s)
	}
	k.Statuses = append(k.Statuses, alarm.Status{})
	return k
}

func alarmsEmpty(t *testing.T, s alarm.Store) {
	k, err := s.LoadAlarms(t.Context())
	must(t, err)
	same(t, "what is kept at first", k, alarm.Kept{})
	events, err := s.AlarmEvents(t.Context(), "", 0, newest)
	must(t, err)
	same(t, "events", events, []alarm.Event(nil))
}

func alarmsRoundTrip(t *testing.T, s alarm.Store) {
	for i, k := range []alarm.Kept{kept(), kept(), {Statuses: []alarm.Status{status(9)}}, {Silences: []alarm.Silence{silence(9)}}, {}, kept()} {
		must(t, s.SaveAlarms(t.Context(), k))
		for range 2 {
			got, err := s.LoadAlarms(t.Context())
			must(t, err)
			same(t, fmt.Sprintf("what was saved as number %d", i), got, k)
		}
	}
}

func alarmsWhole(t *testing.T, s alarm.Store) {
	var there alarm.Kept
	for n := range 20 {
		k := kept()
		k.Statuses[0].Name = fmt.Sprint("version ", n)
		if err := s.SaveAlarms(newImpatient(t, n+1), k); err == nil {
			there = k
		}
		got, err := s.LoadAlarms(t.Context())
		must(t, err)
		same(t, "what is kept", got, there)
	}
}

func alarmsCopies(t *testing.T, s alarm.Store) {
	k := kept()
	must(t, s.SaveAlarms(t.Context(), k))
	k.Statuses[0].Name, k.Silences[0].ID = "changed", "changed"
	for range 2 {
		got, err := s.LoadAlarms(t.Context())
		must(t, err)
		same(t, "what is kept", got, kept())
		got.Statuses[0].Name, got.Silences[0].ID = "changed", "changed"
	}
}

// event is event number n. They are not in the order of time.
func event(n int) alarm.Event {
	r := rand.New(rand.NewPCG(5, uint64(n)))
	return alarm.Event{
		At: epoch.Add(time.Duration(r.IntN(1000)) * time.Second), Name: fmt.Sprint("alarm-", r.IntN(4)), Of: choose(r, "operation", 2),
		Severity: []alarm.Severity{alarm.Warning, alarm.Critical}[r.IntN(2)], From: alarm.OK, To: alarm.Firing,
		Value: []float64{r.Float64(), math.Inf(1), -1}[r.IntN(3)], Reason: choose(r, "reason", 3), Silenced: r.IntN(2) == 0,
	}
}

func events(from, to int) []alarm.Event {
	var all []alarm.Event
	for ; from < to; from++ {
		all = append(all, event(from))
	}
	return all
}

// history is what AlarmEvents gives of events.
func history(all []alarm.Event, name string, before int64, limit int) []alarm.Event {
	var some []alarm.Event
	for _, e := range slices.Backward(all) {
		if len(some) < limit && (name == "" || e.Name == name) && (before == 0 || e.Seq < before) {
			some = append(some, e)
		}
	}
	return some
}

// checkEvents compares the events of a store with those that were appended.
func checkEvents(t checker, s alarm.Store, all []alarm.Event) {
	t.Helper()
	for _, name := range []string{"", "alarm-1"} {
		got, err := s.AlarmEvents(t.Context(), name, 0, newest)
		must(t, err)
		same(t, "events of "+name, got, history(all, name, 0, newest))
	}
}

func eventsRoundTrip(t *testing.T, s alarm.Store) {
	all := append(events(0, 60), alarm.Event{Name: "शिक्षक'--\x01", Reason: "a\nb"}, alarm.Event{Value: math.NaN()}, alarm.Event{Value: math.Inf(-1)})
	must(t, s.AppendAlarmEvents(t.Context(), all[:20]))
	must(t, s.AppendAlarmEvents(t.Context(), nil))
	must(t, s.AppendAlarmEvents(t.Context(), all[20:]))
	for i := range all {
		if i > 0 && all[i].Seq <= all[i-1].Seq {
			t.Errorf("number %d comes after %d", all[i].Seq, all[i-1].Seq)
		}
	}
	checkEvents(t, s, all)
}

func eventsBatches(t *testing.T, s alarm.Store) {
	var there []alarm.Event
	for n := range 20 {
		batch := events(10*n, 10*n+10)
		if err := s.AppendAlarmEvents(newImpatient(t, n+1), batch); err == nil {
			there = append(there, batch...)
		}
		checkEvents(t, s, there)
	}
}

func eventsChosen(t *testing.T, s alarm.Store) {
	all := events(0, 100)
	must(t, s.AppendAlarmEvents(t.Context(), all))
	for _, name := range []string{"", "alarm-0", "alarm-3", "alarm", "nothing"} {
		for _, before := range []int64{0, all[0].Seq, all[1].Seq, all[50].Seq, all[99].Seq, all[99].Seq + 1} {
			for _, limit := range []int{0, 1, 7, newest} {
				got, err := s.AlarmEvents(t.Context(), name, before, limit)
				must(t, err)
				same(t, fmt.Sprintf("%d of %q before %d", limit, name, before), got, history(all, name, before, limit))
			}
		}
	}
}

func eventsPrune(t *testing.T, s alarm.Store) {
	all := events(0, 1500)
	for batch := range slices.Chunk(all, 100) {
		must(t, s.AppendAlarmEvents(t.Context(), batch))
	}
	for _, at := range []time.Time{{}, epoch, all[7].At, all[7].At.Add(1), epoch.Add(900 * time.Second), epoch.AddDate(1, 0, 0)} {
		must(t, s.PruneAlarmEvents(t.Context(), at))
		all = slices.DeleteFunc(all, func(e alarm.Event) bool { return e.At.Before(at) })
		checkEvents(t, s, all)
	}
}

func eventsNumbers(t *testing.T, s alarm.Store) {
	last := int64(0)
	for n := range 5 {
		all := events(10*n, 10*n+10)
		must(t, s.AppendAlarmEvents(t.Context(), all))
		if all[0].Seq <= last {
			t.Errorf("number %d comes after %d, although it was given before", all[0].Seq, last)
		}
		last = all[9].Seq
		must(t, s.PruneAlarmEvents(t.Context(), epoch.AddDate(1, 0, 0)))
	}
}

func alarmsContext(t *testing.T, s alarm.Store) {
	all := events(0, 3)
	must(t, s.AppendAlarmEvents(t.Context(), all))
	must(t, s.SaveAlarms(t.Context(), kept()))
	ctx := ended(t)
	_, load := s.LoadAlarms(ctx)
	_, read := s.AlarmEvents(ctx, "", 0, 10)
	for op, err := range map[string]error{
		"LoadAlarms": load, "AlarmEvents": read, "SaveAlarms": s.SaveAlarms(ctx, alarm.Kept{}), "AppendAlarmEvents": s.AppendAlarmEvents(ctx, events(5, 6)),
		"PruneAlarmEvents": s.PruneAlarmEvents(ctx, epoch.AddDate(1, 0, 0)),
	} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s with an ended context: %v; want context.Canceled", op, err)
		}
	}
	checkEvents(t, s, all)
	got, err := s.LoadAlarms(t.Context())
	must(t, err)
	same(t, "what is kept", got, kept())
}

// alarmsConcurrent has what is loaded be of one SaveAlarms, while others append.
func alarmsConcurrent(t *testing.T, s alarm.Store) {
	var all sync.WaitGroup
	must(t, s.SaveAlarms(t.Context(), version(0)))
	for g := range 4 {
		all.Go(func() {
			for n := range 25 {
				if err := s.SaveAlarms(t.Context(), version(100*g+n)); err != nil {
					t.Error(err)
				}
				k, err := s.LoadAlarms(t.Context())
				if err != nil || len(k.Statuses) == 0 || len(k.Silences) == 0 || k.Statuses[0].Reason != k.Silences[0].Comment {
					t.Errorf("what is loaded is of two that were saved, %v: %+v", err, k)
				}
				if err := s.AppendAlarmEvents(t.Context(), events(10*n, 10*n+3)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	got, err := s.AlarmEvents(t.Context(), "", 0, newest)
	must(t, err)
	for i, e := range got {
		if i > 0 && e.Seq >= got[i-1].Seq {
			t.Errorf("number %d comes after %d", e.Seq, got[i-1].Seq)
		}
	}
	if len(got) != 4*25*3 {
		t.Errorf("there are %d events; want %d", len(got), 4*25*3)
	}
}

// version is something to keep whose halves are known to belong together.
func version(n int) alarm.Kept {
	k := kept()
	k.Statuses[0].Reason, k.Silences[0].Comment = fmt.Sprint(n), fmt.Sprint(n)
	return k
}

// alarmsModel compares a store with a list under random operations.
func alarmsModel(t *testing.T, s alarm.Store) {
	var all []alarm.Event
	next := 0
	rapid.Check(t, func(r *rapid.T) {
		r.Repeat(map[string]func(*rapid.T){
			"append": func(r *rapid.T) {
				n := rapid.IntRange(0, 20).Draw(r, "events")
				batch := events(next, next+n)
				next += n
				must(r, s.AppendAlarmEvents(r.Context(), batch))
				all = append(all, batch...)
			},
			"prune": func(r *rapid.T) {
				at := epoch.Add(time.Duration(rapid.IntRange(0, 1000).Draw(r, "seconds")) * time.Second)
				must(r, s.PruneAlarmEvents(r.Context(), at))
				all = slices.DeleteFunc(all, func(e alarm.Event) bool { return e.At.Before(at) })
			},
			"read": func(r *rapid.T) {
				name, limit := rapid.SampledFrom([]string{"", "alarm-2"}).Draw(r, "name"), rapid.IntRange(0, 30).Draw(r, "limit")
				before := int64(0)
				if len(all) > 0 && rapid.Bool().Draw(r, "before one") {
					before = all[rapid.IntRange(0, len(all)-1).Draw(r, "before")].Seq
				}
				got, err := s.AlarmEvents(r.Context(), name, before, limit)
				must(r, err)
				same(r, "events", got, history(all, name, before, limit))
			},
			"": func(r *rapid.T) { checkEvents(r, s, all) },
		})
	})
}
