package console_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/forebay-ai/forebay/console"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/monitor"
	"github.com/forebay-ai/forebay/requestlog"
)

// A reader gets the totals at once and every two seconds, calls as they come, those of its
// tenant and filter alone, and changes of alarms.
func TestEvents(t *testing.T) {
	inWorld(t, options{}, func(t *testing.T, w *world) {
		e := w.listen("/v1/events?failed=true", webKey)
		if got := e.head.Get("Content-Type"); got != "text/event-stream" {
			t.Errorf("the content type is %q", got)
		}
		first := e.until(t, "totals")
		var live console.Live
		if err := json.Unmarshal([]byte(first[0].data), &live); err != nil || live.Overall != "healthy" {
			t.Errorf("%v: %v", first, err)
		}
		w.log.Add(entry(1, nil)) // did not fail
		w.log.Add(entry(2, func(e *requestlog.Entry) { e.Outcome, e.Tenant = "error", "b" }))
		w.log.Add(entry(3, func(e *requestlog.Entry) { e.Outcome, e.ErrorType = "error", llm.ProviderError }))
		all := e.until(t, "request")
		if got := all[len(all)-1].data; !strings.Contains(got, `"id":"call-3"`) || strings.Contains(got, "attempts") {
			t.Errorf("%s", got)
		}
		begin := time.Now()
		for range 3 {
			e.until(t, "totals")
		}
		if took := time.Since(begin); took < 4*time.Second || took > 6*time.Second {
			t.Errorf("three totals take %s", took)
		}
		w.observer.Attempt(&monitor.Attempt{Provider: "p", Model: "m", ErrorType: llm.ProviderError, Duration: time.Second})
		all = e.until(t, "alarm")
		if got := all[len(all)-1].data; !strings.Contains(got, `"name":"breaker-open"`) || !strings.Contains(got, `"to":"firing"`) {
			t.Errorf("%s", got)
		}
		for live.Firing == 0 {
			all := e.until(t, "totals")
			if err := json.Unmarshal([]byte(all[len(all)-1].data), &live); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// At most 20 calls a second are told one by one; the others are counted, all of them.
func TestEventsOfABusyGateway(t *testing.T) {
	inWorld(t, options{}, func(t *testing.T, w *world) {
		e := w.listen("/v1/events", adminKey)
		e.until(t, "totals")
		const calls = 150
		go func() {
			for n := range calls {
				w.log.Add(entry(n, nil))
			}
		}()
		told, dropped := 0, int64(0)
		for told+int(dropped) < calls {
			all := e.until(t, "totals")
			told += count(all, "request")
			for _, one := range all {
				var loss struct{ Count int64 }
				if one.name == "dropped" && json.Unmarshal([]byte(one.data), &loss) == nil {
					dropped += loss.Count
				}
			}
			if time.Since(time.Unix(946684800, 0)) > time.Minute {
				t.Fatalf("%d told and %d dropped of %d calls", told, dropped, calls)
			}
		}
		if told != 20 || dropped != calls-20 {
			t.Errorf("%d told and %d dropped of %d calls", told, dropped, calls)
		}
	})
}

// A reader that does not read loses calls, which are counted, and holds up nobody.
func TestEventsOfASlowReader(t *testing.T) {
	inWorld(t, options{}, func(t *testing.T, w *world) {
		e := w.listen("/v1/events", adminKey)
		const calls = 5000
		for n := range calls {
			w.log.Add(entry(n, nil))
			if n%100 == 0 {
				time.Sleep(250 * time.Millisecond)
			}
		}
		time.Sleep(time.Second)
		if lost := w.log.Dropped(); lost > 0 {
			t.Errorf("the log lost %d calls", lost)
		}
		var list console.RequestList
		w.read("/v1/requests?limit=1", adminKey, &list)
		if len(list.Data) != 1 || list.Data[0].Seq != calls {
			t.Errorf("the log stands still: %+v", list.Data)
		}
		told, dropped := 0, int64(0)
		for told+int(dropped) < calls {
			one, ok := e.next()
			if !ok {
				t.Fatalf("%d told and %d dropped", told, dropped)
			}
			var loss struct{ Count int64 }
			switch one.name {
			case "request":
				told++
			case "dropped":
				if err := json.Unmarshal([]byte(one.data), &loss); err != nil {
					t.Fatal(err)
				}
				dropped += loss.Count
			}
			if time.Since(time.Unix(946684800, 0)) > 10*time.Minute {
				t.Fatalf("%d told and %d dropped of %d calls", told, dropped, calls)
			}
		}
		if told+int(dropped) != calls {
			t.Errorf("%d told and %d dropped of %d", told, dropped, calls)
		}
	})
}

// The stream ends when the gateway drains, and when its reader leaves, also one that never
// read: the bubble's end finds no goroutine left.
func TestEndOfEvents(t *testing.T) {
	inWorld(t, options{}, func(t *testing.T, w *world) {
		left, silent, stays := w.listen("/v1/events", adminKey), w.listen("/v1/events", adminKey), w.listen("/v1/events", adminKey)
		left.until(t, "totals")
		left.close()
		time.Sleep(time.Minute)
		silent.close()
		stays.until(t, "totals")
		begin := time.Now()
		go func() { _ = w.client.Close(context.Background()) }()
		for {
			if _, ok := stays.next(); !ok {
				break
			}
		}
		if took := time.Since(begin); took > 5*time.Second {
			t.Errorf("it ends %s after the drain began", took)
		}
		synctest.Wait()
	})
}

// A silent stream is kept by comments, and the heads are those of a stream.
func TestHeadOfEvents(t *testing.T) {
	inWorld(t, options{}, func(t *testing.T, w *world) {
		status, text := w.ask("HEAD", "/v1/events", adminKey, "")
		if status != 200 || text != "" {
			t.Errorf("%d %q", status, text)
		}
	})
}
