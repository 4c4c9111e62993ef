package jobs_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
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

// types lists what messages are about, in the order in which they were sent.
func (r *rig) types() string {
	var types []string
	for _, m := range r.messages() {
		var body struct{ Type string }
		if err := json.Unmarshal(m.Body, &body); err != nil {
			r.t.Error(err)
		}
		types = append(types, strings.TrimPrefix(body.Type, "job."))
	}
	return strings.Join(types, " ")
}

// A job that is requeued before its receiver was reached is told of when it has ended
// again, and not before.
func TestWebhookRequeuedBeforeItWasDelivered(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		r.does(oneByOne(fails(llm.ProviderRejected), takes(6*time.Second)))
		var n atomic.Int32
		r.receives(func(jobs.Message) (bool, error) {
			if n.Add(1) == 1 {
				return true, errors.New("503")
			}
			time.Sleep(5 * time.Second)
			return false, nil
		})
		j := r.submit("one", hooked)
		time.Sleep(time.Second)
		r.is(j.ID, backlog.Failed)
		if _, err := r.q.Requeue(t.Context(), acme, j.ID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		r.is(j.ID, backlog.Completed)
		if got := r.types(); got != "failed completed" {
			t.Errorf("told of: %s", got)
		}
		if h := r.job(j.ID).Hook; !h.Delivered || h.Attempts != 1 {
			t.Errorf("%+v", h)
		}
	})
}

// A requeued job ends again while its former end is still being told of.
func TestWebhookRequeuedWhileItIsDelivered(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		r.does(oneByOne(fails(llm.ProviderRejected), takes(time.Second)))
		var n atomic.Int32
		r.receives(func(jobs.Message) (bool, error) {
			if n.Add(1) == 1 {
				time.Sleep(10 * time.Second)
			}
			return true, errors.New("503")
		})
		j := r.submit("one", hooked)
		synctest.Wait()
		r.is(j.ID, backlog.Failed)
		if _, err := r.q.Requeue(t.Context(), acme, j.ID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(4 * time.Second)
		if got := r.types(); got != "failed completed" {
			t.Errorf("told of: %s", got)
		}
		r.receives(nil)
		time.Sleep(time.Minute)
		if got := r.types(); got != "failed completed completed" {
			t.Errorf("told of: %s", got)
		}
		if h := r.job(j.ID).Hook; !h.Delivered || h.Attempts != 2 {
			t.Errorf("%+v", h)
		}
	})
}

// receivers are those of several tenants; those of acme do not answer.
type receivers struct {
	mu            sync.Mutex
	calls         map[string]int
	busy, busiest int // calls of acme at once
}

func (*receivers) Check(string) error { return nil }

func (v *receivers) Deliver(ctx context.Context, m jobs.Message) (bool, error) {
	v.mu.Lock()
	v.calls[m.Tenant]++
	if m.Tenant != "acme" {
		v.mu.Unlock()
		return false, nil
	}
	v.busy++
	v.busiest = max(v.busiest, v.busy)
	v.mu.Unlock()
	<-ctx.Done()
	v.mu.Lock()
	v.busy--
	v.mu.Unlock()
	return true, ctx.Err()
}

func (v *receivers) called(tenant string) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.calls[tenant]
}

// Receivers of one tenant that do not answer hold up nobody else's webhooks, be it one
// of them or more than there are couriers, and each is tried in the end.
func TestWebhookDeadReceivers(t *testing.T) {
	for _, dead := range []int{1, 4, 30} {
		bubble(t, func(t *testing.T) {
			v := &receivers{calls: make(map[string]int)}
			r := newRig(t, func(c *jobs.Config) { c.Hooks = v })
			for range dead {
				r.submit("one", hooked)
			}
			time.Sleep(time.Second)
			for i := range 5 {
				r.submit("two", hooked, func(s *jobs.Submission) { s.Tenant = "other" })
				synctest.Wait()
				if got := v.called("other"); got != i+1 {
					t.Errorf("%d dead receivers: %d of %d others were called at once", dead, got, i+1)
				}
			}
			time.Sleep(10 * time.Minute)
			if got := v.called("acme"); got < dead || v.busiest > 4 {
				t.Errorf("%d of %d were called, %d at once", got, dead, v.busiest)
			}
			if got := len(strings.Fields(r.happened())); got < 3*dead {
				t.Errorf("%d happenings", got)
			}
		})
	}
}
