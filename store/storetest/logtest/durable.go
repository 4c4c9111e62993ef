package logtest

import (
	"testing"
	"time"

	"github.com/forebay-ai/forebay/alarm"
	"github.com/forebay-ai/forebay/requestlog"
	"github.com/forebay-ai/forebay/series"
)

// Lasting is a store that is open, with all that it implements.
type Lasting struct {
	Requests requestlog.Store
	Series   series.Store
	Alarms   alarm.Store
	Close    func() error
}

// Durable checks that all is found again when a store is opened anew. open opens the
// store in a directory, or makes it.
func Durable(t *testing.T, open func(t *testing.T, dir string) Lasting) {
	t.Run("all is found again", func(t *testing.T) { durableAll(t, open) })
	t.Run("numbers go on", func(t *testing.T) { durableNumbers(t, open) })
	t.Run("what was removed stays away", func(t *testing.T) { durableRemoved(t, open) })
}

func durableAll(t *testing.T, open func(t *testing.T, dir string) Lasting) {
	dir := t.TempDir()
	var requests []requestlog.Entry
	var history []alarm.Event
	for n := range 4 {
		s := open(t, dir)
		requests = append(requests, appended(t, s.Requests, entries(100*n, 100*n+50))...)
		must(t, s.Series.SaveSeries(t.Context(), blocks(20*n, 20*n+30)))
		more := events(10*n, 10*n+10)
		must(t, s.Alarms.AppendAlarmEvents(t.Context(), more))
		history = append(history, more...)
		must(t, s.Alarms.SaveAlarms(t.Context(), version(n)))
		must(t, s.Close())

		s = open(t, dir)
		same(t, "requests", pages(t, s.Requests, requestlog.Query{}), chosen(requests, requestlog.Filter{}))
		for name, f := range filters() {
			same(t, name, pages(t, s.Requests, requestlog.Query{Filter: f}), chosen(requests, f))
		}
		same(t, "series", loaded(t, s.Series, always), sorted(blocks(0, 20*n+30)))
		checkEvents(t, s.Alarms, history)
		got, err := s.Alarms.LoadAlarms(t.Context())
		must(t, err)
		same(t, "states", got, version(n))
		must(t, s.Close())
	}
}

func durableNumbers(t *testing.T, open func(t *testing.T, dir string) Lasting) {
	dir := t.TempDir()
	var last, lastEvent int64
	for n := range 4 {
		s := open(t, dir)
		batch, more := appended(t, s.Requests, entries(10*n, 10*n+10)), events(0, 3)
		must(t, s.Alarms.AppendAlarmEvents(t.Context(), more))
		if batch[0].Seq <= last || more[0].Seq <= lastEvent {
			t.Errorf("after a restart the numbers are %d and %d; they were %d and %d before", batch[0].Seq, more[0].Seq, last, lastEvent)
		}
		last, lastEvent = batch[9].Seq, more[2].Seq
		_, err := s.Requests.PruneRequests(t.Context(), time.Time{}, 0)
		must(t, err)
		must(t, s.Alarms.PruneAlarmEvents(t.Context(), epoch.AddDate(1, 0, 0)))
		must(t, s.Close())
	}
}

func durableRemoved(t *testing.T, open func(t *testing.T, dir string) Lasting) {
	dir := t.TempDir()
	s := open(t, dir)
	requests := appended(t, s.Requests, entries(0, 50))
	must(t, s.Series.SaveSeries(t.Context(), blocks(0, 50)))
	_, err := s.Requests.PruneRequests(t.Context(), time.Time{}, 20)
	must(t, err)
	must(t, s.Requests.EraseRequests(t.Context(), "tenant-1", "user-1"))
	must(t, s.Series.PruneSeries(t.Context(), time.Minute, epoch.AddDate(1, 0, 0)))
	want := pages(t, s.Requests, requestlog.Query{})
	left := loaded(t, s.Series, always)
	must(t, s.Close())
	s = open(t, dir)
	same(t, "requests", pages(t, s.Requests, requestlog.Query{}), want)
	if len(want) != 20 || want[0].Seq != requests[49].Seq {
		t.Errorf("%d entries are left; want 20", len(want))
	}
	same(t, "of an erased user", pages(t, s.Requests, requestlog.Query{Filter: requestlog.Filter{Tenant: "tenant-1", User: "user-1"}}), []requestlog.Entry(nil))
	same(t, "series", loaded(t, s.Series, always), left)
	must(t, s.Close())
}
