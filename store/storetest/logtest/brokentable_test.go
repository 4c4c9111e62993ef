package logtest_test

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/forebay-ai/forebay/alarm"
	"github.com/forebay-ai/forebay/requestlog"
	"github.com/forebay-ai/forebay/series"
	"github.com/forebay-ai/forebay/store/storetest/logtest"
)

// pruning, loading and cutting are the arguments of PruneRequests, LoadSeries and
// PruneSeries.
type (
	pruning struct {
		before time.Time
		keep   int64
	}
	loading struct {
		from  func(time.Duration) time.Time
		yield func(series.Block) bool
	}
	cutting struct {
		step   time.Duration
		before time.Time
	}
)

func (s requestsOf) PruneRequests(ctx context.Context, t time.Time, keep int64) (int64, error) {
	if s.prune != nil {
		return s.prune(ctx, pruning{t, keep})
	}
	return s.Memory.PruneRequests(ctx, t, keep)
}

func (s seriesOf) LoadSeries(ctx context.Context, from func(time.Duration) time.Time, yield func(series.Block) bool) error {
	if s.load != nil {
		return s.load(ctx, loading{from, yield})
	}
	return s.Memory.LoadSeries(ctx, from, yield)
}

func (s seriesOf) PruneSeries(ctx context.Context, step time.Duration, t time.Time) error {
	if s.prune != nil {
		return s.prune(ctx, cutting{step, t})
	}
	return s.Memory.PruneSeries(ctx, step, t)
}

type requestsMaker = func(*requestlog.Memory) requestlog.Store

// changing is a store that changes entries before it keeps them.
func changing(change func(*requestlog.Entry)) requestsMaker {
	return func(m *requestlog.Memory) requestlog.Store {
		return requestsOf{Memory: m, append: func(ctx context.Context, all []requestlog.Entry) error {
			kept := slices.Clone(all)
			for i := range kept {
				change(&kept[i])
			}
			err := m.AppendRequests(ctx, kept)
			for i := range kept {
				all[i].Seq = kept[i].Seq
			}
			return err
		}}
	}
}

func brokenRequests() map[string]broken {
	const back = "Requests/what_is_appended_comes_back"
	return map[string]broken{
		"start to the microsecond": {rule: back, requests: changing(func(e *requestlog.Entry) { e.Start = e.Start.Truncate(time.Microsecond) })},
		"no first token":           {rule: back, requests: changing(func(e *requestlog.Entry) { e.FirstToken = 0 })},
		"two exchanged":            {rule: back, requests: changing(func(e *requestlog.Entry) { e.Lookup, e.Queue = e.Queue, e.Lookup })},
		"estimated is lost":        {rule: back, requests: changing(func(e *requestlog.Entry) { e.Estimated = false })},
		"attempts are bounded": {rule: back, requests: changing(func(e *requestlog.Entry) {
			e.Attempts = e.Attempts[:min(len(e.Attempts), 100)]
		})},
		"cost is a float": {rule: back, requests: changing(func(e *requestlog.Entry) {
			if e.MicroUSD > 1<<53 {
				e.MicroUSD &^= 0xff
			}
		})},
		"every number exists": {rule: back, requests: func(m *requestlog.Memory) requestlog.Store {
			return requestsOf{Memory: m, get: func(ctx context.Context, seq int64) (requestlog.Entry, bool, error) {
				e, _, err := m.Request(ctx, seq)
				return e, true, err
			}}
		}},
		"no numbers": {rule: "Requests/each_number_is_above_all_before", requests: func(m *requestlog.Memory) requestlog.Store {
			return requestsOf{Memory: m, append: func(ctx context.Context, all []requestlog.Entry) error {
				return m.AppendRequests(ctx, slices.Clone(all))
			}}
		}},
		"half a batch": {rule: "Requests/a_batch_is_appended_whole_or_not_at_all", requests: func(m *requestlog.Memory) requestlog.Store {
			return requestsOf{Memory: m, append: func(ctx context.Context, all []requestlog.Entry) error {
				for i := range all {
					if err := m.AppendRequests(ctx, all[i:i+1]); err != nil {
						return err
					}
				}
				return nil
			}}
		}},
		"an ended context does not matter": {rule: "Requests/an_ended_context", requests: func(m *requestlog.Memory) requestlog.Store {
			return requestsOf{Memory: m, erase: func(ctx context.Context, tenant, user string) error {
				return m.EraseRequests(context.WithoutCancel(ctx), tenant, user)
			}}
		}},
		"numbers anew after a restart": {rule: "Durable/numbers_go_on", requests: func(*requestlog.Memory) requestlog.Store { return requestlog.NewMemory(100) }},
	}
}

// asking is a store that changes what pages are asked for.
func asking(change func(*requestlog.Query)) requestsMaker {
	return func(m *requestlog.Memory) requestlog.Store {
		return requestsOf{Memory: m, page: func(ctx context.Context, q requestlog.Query) (requestlog.Page, error) {
			change(&q)
			return m.Requests(ctx, q)
		}}
	}
}

// answering is a store that changes pages.
func answering(change func(*requestlog.Page, requestlog.Query)) requestsMaker {
	return func(m *requestlog.Memory) requestlog.Store {
		return requestsOf{Memory: m, page: func(ctx context.Context, q requestlog.Query) (requestlog.Page, error) {
			p, err := m.Requests(ctx, q)
			change(&p, q)
			return p, err
		}}
	}
}

func brokenPages() map[string]broken {
	const (
		choose = "Requests/filters_choose_what_they_say"
		follow = "Requests/pages_follow_one_another_to_the_last"
	)
	all := map[string]broken{
		"oldest first": {rule: "Requests/a_page_is_newest_first_and_without_attempts", requests: answering(func(p *requestlog.Page, _ requestlog.Query) { slices.Reverse(p.Entries) })},
		"attempts in pages": {rule: "Requests/a_page_is_newest_first_and_without_attempts", requests: answering(func(p *requestlog.Page, _ requestlog.Query) {
			for i := range p.Entries {
				p.Entries[i].Attempts = []requestlog.Attempt{{Target: "a"}}
			}
		})},
		"no bound of a page": {rule: "Requests/a_page_keeps_to_its_limit", requests: func(m *requestlog.Memory) requestlog.Store {
			return requestsOf{Memory: m, page: func(ctx context.Context, q requestlog.Query) (requestlog.Page, error) {
				p, err := m.Requests(ctx, q)
				if q.Limit > 500 && p.Next > 0 {
					more, _ := m.Requests(ctx, requestlog.Query{Before: p.Next})
					p.Entries = append(p.Entries, more.Entries...)
				}
				return p, err
			}}
		}},
		"one is left out between pages": {rule: follow, requests: answering(func(p *requestlog.Page, _ requestlog.Query) { p.Next = max(p.Next-1, 0) })},
		"one comes twice":               {rule: follow, requests: asking(func(q *requestlog.Query) { q.Before += min(q.Before, 1) })},
		"the first page is the last":    {rule: follow, requests: answering(func(p *requestlog.Page, _ requestlog.Query) { p.Next = 0 })},
		"another page after the last": {rule: follow, requests: answering(func(p *requestlog.Page, q requestlog.Query) {
			if len(p.Entries) == q.Size() {
				p.Next = p.Entries[len(p.Entries)-1].Seq
			}
		})},
		"looks through a part": {rule: "Requests/pages_of_what_is_rare_come_to_an_end", requests: answering(func(p *requestlog.Page, q requestlog.Query) {
			if q.Model == "rare" && q.Before == 0 {
				p.Entries, p.Next = nil, 0
			}
		})},
		"a page that does not end": {rule: "Requests/pages_of_what_is_rare_come_to_an_end", requests: answering(func(p *requestlog.Page, q requestlog.Query) {
			if p.Next == 0 && q.Before > 0 {
				p.Next = q.Before
			}
		})},
	}
	for name, change := range map[string]func(*requestlog.Filter){
		"from is ignored":    func(f *requestlog.Filter) { f.From = time.Time{} },
		"from is exclusive":  func(f *requestlog.Filter) { f.From = after(f.From) },
		"to is inclusive":    func(f *requestlog.Filter) { f.To = after(f.To) },
		"tenant is ignored":  func(f *requestlog.Filter) { f.Tenant = "" },
		"user is ignored":    func(f *requestlog.Filter) { f.User = "" },
		"key is ignored":     func(f *requestlog.Filter) { f.Key = "" },
		"operation":          func(f *requestlog.Filter) { f.Operation = "" },
		"model":              func(f *requestlog.Filter) { f.Model = "" },
		"provider":           func(f *requestlog.Filter) { f.Provider = "" },
		"outcome":            func(f *requestlog.Filter) { f.Outcome = "" },
		"error type":         func(f *requestlog.Filter) { f.ErrorType = "" },
		"cache":              func(f *requestlog.Filter) { f.Cache = "" },
		"fallback":           func(f *requestlog.Filter) { f.Fallback = "" },
		"id":                 func(f *requestlog.Filter) { f.ID = "" },
		"longer than":        func(f *requestlog.Filter) { f.MinDuration += min(f.MinDuration, 1) },
		"dearer than":        func(f *requestlog.Filter) { f.MinMicroUSD += min(f.MinMicroUSD, 1) },
		"failed is error":    func(f *requestlog.Filter) { f.Failed, f.Outcome = false, failedAs(f) },
		"failed is anything": func(f *requestlog.Filter) { f.Failed = false },
		"one of two": func(f *requestlog.Filter) {
			if f.User != "" {
				f.Tenant = ""
			}
		},
	} {
		all["filter: "+name] = broken{rule: choose, requests: asking(func(q *requestlog.Query) { change(&q.Filter) })}
	}
	all["filter of the first page alone"] = broken{rule: "Requests/filters_choose_the_same_page_by_page", requests: asking(func(q *requestlog.Query) {
		if q.Before > 0 {
			q.Operation = ""
		}
	})}
	return all
}

func after(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.Add(1)
}

func failedAs(f *requestlog.Filter) string {
	if f.Failed {
		return "error"
	}
	return f.Outcome
}

// removing is a store that changes what is removed.
func removing(change func(*pruning)) requestsMaker {
	return func(m *requestlog.Memory) requestlog.Store {
		return requestsOf{Memory: m, prune: func(ctx context.Context, p pruning) (int64, error) {
			change(&p)
			return m.PruneRequests(ctx, p.before, p.keep)
		}}
	}
}

func brokenRemovals() map[string]broken {
	const erased = "Requests/a_user_is_erased_and_nobody_else"
	return map[string]broken{
		"removes one too many":      {rule: "Requests/old_entries_are_removed_and_nothing_else", requests: removing(func(p *pruning) { p.before = after(p.before) })},
		"removes nothing old":       {rule: "Requests/old_entries_are_removed_and_nothing_else", requests: removing(func(p *pruning) { p.before = time.Time{} })},
		"keeps one too many":        {rule: "Requests/the_oldest_beyond_a_number_are_removed", requests: removing(func(p *pruning) { p.keep++ })},
		"no bound is a bound of 0":  {rule: "Requests/old_entries_are_removed_and_nothing_else", requests: removing(func(p *pruning) { p.keep = max(p.keep, 0) })},
		"only one of both":          {rule: "Requests/model", requests: removing(func(p *pruning) { p.before = time.Time{} })},
		"removal says nothing":      {rule: "Requests/old_entries_are_removed_and_nothing_else", requests: uncounted},
		"numbers anew when empty":   {rule: "Requests/no_number_is_given_again", requests: func(*requestlog.Memory) requestlog.Store { return &reusing{Memory: requestlog.NewMemory(1000)} }},
		"erases of every tenant":    {rule: erased, requests: func(m *requestlog.Memory) requestlog.Store { return requestsOf{Memory: m, erase: everywhere(m)} }},
		"erases nothing":            {rule: erased, requests: func(m *requestlog.Memory) requestlog.Store { return requestsOf{Memory: m, erase: nowhere} }},
		"an erased user comes back": {rule: "Durable/what_was_removed_stays_away", requests: func(m *requestlog.Memory) requestlog.Store { return requestsOf{Memory: m, erase: nowhere} }},
	}
}

func nowhere(ctx context.Context, _, _ string) error { return ctx.Err() }

func everywhere(m *requestlog.Memory) func(context.Context, string, string) error {
	return func(ctx context.Context, _, user string) error {
		for _, tenant := range []string{"tenant-1", "tenant-2"} {
			if err := m.EraseRequests(ctx, tenant, user); err != nil {
				return err
			}
		}
		return nil
	}
}

func uncounted(m *requestlog.Memory) requestlog.Store {
	return requestsOf{Memory: m, prune: func(ctx context.Context, p pruning) (int64, error) {
		_, err := m.PruneRequests(ctx, p.before, p.keep)
		return 0, err
	}}
}

// reusing begins with number 1 when it is empty.
type reusing struct{ *requestlog.Memory }

func (r *reusing) PruneRequests(ctx context.Context, t time.Time, keep int64) (int64, error) {
	n, err := r.Memory.PruneRequests(ctx, t, keep)
	if p, _ := r.Requests(ctx, requestlog.Query{}); err == nil && len(p.Entries) == 0 {
		r.Memory = requestlog.NewMemory(1000)
	}
	return n, err
}

type seriesMaker = func(*logtest.Memory) series.Store

// blocksChanged is a store that changes blocks before it keeps them.
func blocksChanged(change func(*series.Block)) seriesMaker {
	return func(m *logtest.Memory) series.Store {
		return seriesOf{Memory: m, save: func(ctx context.Context, all []series.Block) error {
			all = slices.Clone(all)
			for i := range all {
				change(&all[i])
			}
			return m.SaveSeries(ctx, all)
		}}
	}
}

// loaded is a store that changes what is loaded.
func loaded(change func(*loading)) seriesMaker {
	return func(m *logtest.Memory) series.Store {
		return seriesOf{Memory: m, load: func(ctx context.Context, l loading) error {
			change(&l)
			return m.LoadSeries(ctx, l.from, l.yield)
		}}
	}
}

// cut is a store that changes what is removed.
func cut(change func(*cutting)) seriesMaker {
	return func(m *logtest.Memory) series.Store {
		return seriesOf{Memory: m, prune: func(ctx context.Context, c cutting) error {
			change(&c)
			return m.PruneSeries(ctx, c.step, c.before)
		}}
	}
}

func brokenSeries() map[string]broken {
	const back, old = "Series/what_is_saved_comes_back", "Series/old_blocks_of_a_step_are_removed_and_nothing_else"
	return map[string]broken{
		"names run together": {rule: back, series: blocksChanged(func(b *series.Block) {
			b.Metric, b.Label, b.Value = b.Metric+b.Label+b.Value, "", ""
		})},
		"case does not matter": {rule: back, series: blocksChanged(func(b *series.Block) {
			if b.Metric == "A" {
				b.Metric = "a"
			}
		})},
		"start to the second": {rule: back, series: blocksChanged(func(b *series.Block) { b.Start = b.Start.Truncate(time.Second) })},
		"data is cut":         {rule: back, series: blocksChanged(func(b *series.Block) { b.Data = b.Data[:min(len(b.Data), 1<<16)] })},
		"the first counts": {rule: "Series/of_two_blocks_of_one_place_the_later_counts", series: func(m *logtest.Memory) series.Store {
			return seriesOf{Memory: m, save: func(ctx context.Context, all []series.Block) error {
				all = slices.Clone(all)
				slices.Reverse(all)
				return m.SaveSeries(ctx, all)
			}}
		}},
		"half of the blocks": {rule: "Series/blocks_are_saved_all_or_none", series: func(m *logtest.Memory) series.Store {
			return seriesOf{Memory: m, save: func(ctx context.Context, all []series.Block) error {
				for _, b := range all {
					if err := m.SaveSeries(ctx, []series.Block{b}); err != nil {
						return err
					}
				}
				return nil
			}}
		}},
		"one time for all steps": {rule: "Series/each_step_is_loaded_from_its_time_on", series: loaded(func(l *loading) {
			from := l.from
			l.from = func(time.Duration) time.Time { return from(time.Second) }
		})},
		"behind the time": {rule: "Series/each_step_is_loaded_from_its_time_on", series: loaded(func(l *loading) {
			from := l.from
			l.from = func(d time.Duration) time.Time { return after(from(d)) }
		})},
		"does not stop": {rule: "Series/loading_stops_when_it_is_told_to", series: loaded(func(l *loading) {
			yield := l.yield
			l.yield = func(b series.Block) bool { yield(b); return true }
		})},
		"loads a thousand": {rule: "Series/loading_of_many,_with_the_store_in_use", series: loaded(func(l *loading) {
			n, yield := 0, l.yield
			l.yield = func(b series.Block) bool { n++; return n > 1000 || yield(b) }
		})},
		"removes of all steps": {rule: old, series: func(m *logtest.Memory) series.Store {
			return seriesOf{Memory: m, prune: func(ctx context.Context, c cutting) error {
				_ = m.PruneSeries(ctx, time.Hour, c.before)
				return m.PruneSeries(ctx, c.step, c.before)
			}}
		}},
		"removes one more":    {rule: old, series: cut(func(c *cutting) { c.before = after(c.before) })},
		"removes none":        {rule: old, series: cut(func(c *cutting) { c.before = time.Time{} })},
		"removal of a moment": {rule: "Series/model", series: cut(func(c *cutting) { c.before = after(c.before) })},
		"a load that has ended": {rule: "Series/an_ended_context", series: func(m *logtest.Memory) series.Store {
			return seriesOf{Memory: m, load: func(ctx context.Context, l loading) error {
				return m.LoadSeries(context.WithoutCancel(ctx), l.from, l.yield)
			}}
		}},
	}
}

func brokenAlarms() map[string]broken {
	saving := func(change func(*alarm.Kept)) func(*logtest.Memory) alarm.Store {
		return func(m *logtest.Memory) alarm.Store {
			return alarmsOf{Memory: m, save: func(ctx context.Context, k alarm.Kept) error {
				k = alarm.Kept{Statuses: slices.Clone(k.Statuses), Silences: slices.Clone(k.Silences)}
				change(&k)
				return m.SaveAlarms(ctx, k)
			}}
		}
	}
	reading := func(change func(name *string, before *int64, limit *int)) func(*logtest.Memory) alarm.Store {
		return func(m *logtest.Memory) alarm.Store {
			return alarmsOf{Memory: m, events: func(ctx context.Context, name string, before int64, limit int) ([]alarm.Event, error) {
				change(&name, &before, &limit)
				return m.AlarmEvents(ctx, name, before, limit)
			}}
		}
	}
	const last, by = "Alarms/what_was_saved_last_is_loaded", "Alarms/events_by_name,_number_and_limit"
	return map[string]broken{
		"not a number is zero": {rule: last, alarms: saving(func(k *alarm.Kept) {
			for i := range k.Statuses {
				if math.IsNaN(k.Statuses[i].Value) {
					k.Statuses[i].Value = 0
				}
			}
		})},
		"sorted": {rule: last, alarms: saving(func(k *alarm.Kept) {
			slices.SortFunc(k.Silences, func(a, b alarm.Silence) int { return len(a.ID) - len(b.ID) })
		})},
		"no silences": {rule: last, alarms: saving(func(k *alarm.Kept) { k.Silences = nil })},
		"never less": {rule: last, alarms: func(m *logtest.Memory) alarm.Store {
			return alarmsOf{Memory: m, save: func(ctx context.Context, k alarm.Kept) error {
				if old, _ := m.LoadAlarms(ctx); len(k.Statuses) == 0 {
					k.Statuses = old.Statuses
				}
				return m.SaveAlarms(ctx, k)
			}}
		}},
		"one half after the other": {rule: "Alarms/concurrent_use", alarms: func(m *logtest.Memory) alarm.Store {
			return alarmsOf{Memory: m, load: func(ctx context.Context) (alarm.Kept, error) {
				k, err := m.LoadAlarms(ctx)
				time.Sleep(time.Millisecond)
				later, _ := m.LoadAlarms(ctx)
				k.Silences = later.Silences
				return k, err
			}}
		}},
		"another's name": {rule: by, alarms: reading(func(name *string, _ *int64, _ *int) {
			if *name == "alarm" {
				*name = "alarm-1"
			}
		})},
		"name is ignored":           {rule: by, alarms: reading(func(name *string, _ *int64, _ *int) { *name = "" })},
		"before is inclusive":       {rule: by, alarms: reading(func(_ *string, before *int64, _ *int) { *before += min(*before, 1) })},
		"limit of one more":         {rule: by, alarms: reading(func(_ *string, _ *int64, limit *int) { *limit++ })},
		"half of the events":        {rule: "Alarms/events_are_appended_all_or_none", alarms: oneByOne},
		"an event in the past":      {rule: "Alarms/events_come_back_newest_first", alarms: backwards},
		"numbers of events are one": {rule: "Alarms/events_come_back_newest_first", alarms: numberless},
		"prune of one moment more": {rule: "Alarms/old_events_are_removed_and_nothing_else", alarms: func(m *logtest.Memory) alarm.Store {
			return &prunesMore{Memory: m}
		}},
	}
}

func oneByOne(m *logtest.Memory) alarm.Store {
	return alarmsOf{Memory: m, append: func(ctx context.Context, all []alarm.Event) error {
		for i := range all {
			if err := m.AppendAlarmEvents(ctx, all[i:i+1]); err != nil {
				return err
			}
		}
		return nil
	}}
}

func backwards(m *logtest.Memory) alarm.Store {
	return alarmsOf{Memory: m, append: func(ctx context.Context, all []alarm.Event) error {
		slices.Reverse(all)
		err := m.AppendAlarmEvents(ctx, all)
		slices.Reverse(all)
		return err
	}}
}

func numberless(m *logtest.Memory) alarm.Store {
	return alarmsOf{Memory: m, append: func(ctx context.Context, all []alarm.Event) error {
		return m.AppendAlarmEvents(ctx, slices.Clone(all))
	}}
}

type prunesMore struct{ *logtest.Memory }

func (p *prunesMore) PruneAlarmEvents(ctx context.Context, t time.Time) error {
	return p.Memory.PruneAlarmEvents(ctx, after(t))
}
