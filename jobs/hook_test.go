package jobs_test

import (
	"encoding/json"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/jobs"
	"github.com/forebay-ai/forebay/llm"
)

func hooked(s *jobs.Submission) { s.Webhook = "https://receiver.example/hook?token=t" }

func TestWebhook(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		j := r.submit("one", hooked)
		end := r.ends(j.ID, backlog.Completed)
		time.Sleep(time.Second)
		sent := r.messages()
		if len(sent) != 1 || sent[0].Address != "https://receiver.example/hook?token=t" || sent[0].Tenant != "acme" {
			t.Fatalf("%+v", sent)
		}
		var body struct {
			Type, Timestamp string
			Data            jobs.View
		}
		if err := json.Unmarshal(sent[0].Body, &body); err != nil {
			t.Fatal(err)
		}
		if body.Type != "job.completed" || body.Timestamp != end.Finished.Format("2006-01-02T15:04:05.000Z07:00") ||
			body.Data.ID != j.ID.String() || body.Data.State != "completed" {
			t.Errorf("%s", sent[0].Body)
		}
		if h := r.job(j.ID).Hook; !h.Delivered || h.Attempts != 1 || !h.Due.IsZero() {
			t.Errorf("%+v", h)
		}
		if got := r.happened(); got != "accepted claimed completed hook_delivered" {
			t.Error(got)
		}
	})
}

// Every way to end is told, whoever ended the job.
func TestWebhookOfEveryEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		r.does(takes(time.Hour))
		cancelled := r.submit("one", hooked)
		timeout := r.submit("two", hooked)
		if _, err := r.q.Cancel(t.Context(), acme, cancelled.ID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		r.is(timeout.ID, backlog.Timeout)
		if sent := r.messages(); len(sent) != 2 || sent[0].ID == sent[1].ID {
			t.Errorf("%+v", sent)
		}
	})
}

// A receiver that fails is tried again on the schedule, with the same ID and body, also
// after restarts.
func TestWebhookRetries(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		refuse := func(jobs.Message) (bool, error) { return true, errors.New("503") }
		r.receives(refuse)
		j := r.submit("one", hooked, func(s *jobs.Submission) { s.Retention = 7 * 24 * time.Hour })
		time.Sleep(time.Minute)
		if h := r.job(j.ID).Hook; h.Attempts != 2 || h.Due.IsZero() {
			t.Errorf("%+v", h)
		}
		all := r.messages()
		for range 3 {
			if err := r.halt(); err != nil {
				t.Fatal(err)
			}
			r = r.again()
			r.receives(refuse)
			r.run()
			time.Sleep(6 * time.Hour)
			all = append(all, r.messages()...)
		}
		r.receives(nil)
		time.Sleep(3 * 24 * time.Hour)
		all = append(all, r.messages()...)
		h := r.job(j.ID).Hook
		if !h.Delivered || h.Attempts < 5 || h.Attempts > 8 {
			t.Errorf("%+v after %d messages", h, len(all))
		}
		for _, m := range all {
			if m.ID != all[0].ID || string(m.Body) != string(all[0].Body) {
				t.Errorf("%+v differs from %+v", m, all[0])
			}
		}
	})
}

// A receiver that must not be asked again, or that fails for good, is given up.
func TestWebhookGivenUp(t *testing.T) {
	for _, again := range []bool{true, false} {
		bubble(t, func(t *testing.T) {
			r := newRig(t)
			r.receives(func(jobs.Message) (bool, error) { return again, errors.New("no") })
			j := r.submit("one", hooked, func(s *jobs.Submission) { s.Retention = 7 * 24 * time.Hour })
			time.Sleep(5 * 24 * time.Hour)
			want := 1
			if again {
				want = 8
			}
			if h := r.job(j.ID).Hook; h.Delivered || h.Attempts != want || !h.Due.IsZero() || len(r.messages()) != want {
				t.Errorf("%+v, %d messages", h, len(r.messages()))
			}
		})
	}
}

// A requeued job that ends again is another message.
func TestWebhookAfterRequeue(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		r.does(oneByOne(fails(llm.ProviderRejected), echo))
		j := r.submit("one", hooked)
		r.ends(j.ID, backlog.Failed)
		time.Sleep(time.Minute)
		if _, err := r.q.Requeue(t.Context(), acme, j.ID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		r.is(j.ID, backlog.Completed)
		if sent := r.messages(); len(sent) != 2 || sent[0].ID == sent[1].ID {
			t.Errorf("%+v", sent)
		}
	})
}

// The end of the process breaks a delivery off; it is made again, and was not counted.
func TestWebhookBrokenOff(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		r.receives(func(jobs.Message) (bool, error) { time.Sleep(10 * time.Second); return true, nil })
		j := r.submit("one", hooked)
		time.Sleep(time.Second)
		if err := r.halt(); err != nil {
			t.Fatal(err)
		}
		if h := r.job(j.ID).Hook; h.Attempts != 0 || h.Due.IsZero() {
			t.Errorf("%+v", h)
		}
		r = r.again()
		r.run()
		time.Sleep(time.Second)
		synctest.Wait()
		if h := r.job(j.ID).Hook; !h.Delivered {
			t.Errorf("%+v", h)
		}
	})
}

// A webhook of an erased owner goes nowhere.
func TestWebhookErased(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		r.receives(func(jobs.Message) (bool, error) { return true, errors.New("503") })
		j := r.submit("one", hooked)
		time.Sleep(time.Second)
		if err := r.keys.Shred(t.Context(), ownerU); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if h := r.job(j.ID).Hook; h.Attempts != 2 || !h.Due.IsZero() || len(r.messages()) != 1 {
			t.Errorf("%+v, %d messages", h, len(r.messages()))
		}
	})
}
