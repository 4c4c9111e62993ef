package console

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"
	"time"

	"github.com/forebay-ai/forebay/alarm"
	"github.com/forebay-ai/forebay/gateway"
	"github.com/forebay-ai/forebay/internal/near"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/observe"
)

// maxSilence is the longest silence: a longer one is an alarm to be changed.
const maxSilence = 30 * 24 * time.Hour

// maxComment bounds what is said about a silence, in bytes.
const maxComment = 500

// transitions serves GET /v1/breakers/history.
func (c *Console) transitions(v *gateway.Visit) error {
	q, err := v.Query([]string{"window"})
	if err != nil {
		return err
	}
	span, err := window(q, time.Hour)
	if err != nil {
		return err
	}
	now := time.Now()
	list := TransitionList{From: now.Add(-span).UTC(), To: now.UTC(), Data: []Transition{}}
	states, changes := c.cfg.Observer.Transitions(list.From)
	list.States = states
	for _, t := range c.cfg.Client.Targets() { // those that never changed
		if _, known := states[t.Name]; !known {
			states[t.Name] = t.Breaker.State.String()
		}
	}
	for _, t := range changes {
		list.Data = append(list.Data, Transition{At: t.At.UTC(), Target: t.Target, From: t.From, To: t.To, Reason: t.Reason})
	}
	return v.JSON(http.StatusOK, list)
}

// alarms serves GET /v1/alarms.
func (c *Console) alarms(v *gateway.Visit) error {
	if _, err := v.Query(nil); err != nil {
		return err
	}
	engine := c.cfg.Observer.Engine()
	list := AlarmList{
		Object: "list", Profile: c.cfg.Profile, Data: []AlarmEntry{}, Notifiers: []NotifierStatus{},
		Silences: append([]alarm.Silence{}, engine.Silences(time.Now())...),
	}
	states := engine.Statuses()
	for _, d := range engine.Definitions() {
		e := AlarmEntry{Definition: d, States: append([]alarm.Status{}, states[d.Name]...)}
		if d.Metric == observe.BudgetSpent && !c.seesBudgets(v) {
			e.States = []alarm.Status{}
		}
		list.Data = append(list.Data, e)
	}
	if c.cfg.Notify != nil {
		for _, n := range c.cfg.Notify.Status() {
			list.Notifiers = append(list.Notifiers, NotifierStatus{
				Name: n.Name, Sent: n.Sent, Failed: n.Failed, Dropped: n.Dropped, Waiting: n.Waiting, LastError: n.LastError, LastSent: n.LastSent,
			})
		}
	}
	return v.JSON(http.StatusOK, list)
}

// alarmHistory serves GET /v1/alarms/history.
func (c *Console) alarmHistory(v *gateway.Visit) error {
	q, err := v.Query([]string{"name", "before", "limit"})
	if err != nil {
		return err
	}
	before, err := number(q, "before", 0, 0, math.MaxInt64)
	if err != nil {
		return err
	}
	limit, err := number(q, "limit", 100, 1, 500)
	if err != nil {
		return err
	}
	events, err := c.cfg.Observer.History(v.Request.Context(), q.Get("name"), before, int(limit))
	if err != nil {
		return err
	}
	list := AlarmHistory{Object: "list", Data: append([]alarm.Event{}, events...)}
	if len(events) == int(limit) {
		list.Next = events[len(events)-1].Seq
	}
	if !c.seesBudgets(v) {
		list.Data = slices.DeleteFunc(list.Data, func(e alarm.Event) bool { return c.budgetAlarm(e.Name) })
	}
	return v.JSON(http.StatusOK, list)
}

// silence serves POST /v1/alarms/silences.
func (c *Console) silence(v *gateway.Visit) error {
	var in NewSilence
	if err := v.Read(&in); err != nil {
		return err
	}
	var names []string
	for _, d := range c.cfg.Observer.Engine().Definitions() {
		names = append(names, d.Name)
	}
	if in.Alarm != "*" && !slices.Contains(names, in.Alarm) {
		return &llm.Error{
			Kind: llm.CallerInvalidRequest, Param: "alarm", Message: fmt.Sprintf("there is no alarm %.64q%s", in.Alarm, near.DidYouMean(in.Alarm, names)),
			Fix: "GET /v1/alarms lists them; * is all of them.",
		}
	}
	d, err := duration(in.For)
	if err != nil || d < time.Minute || d > maxSilence {
		return &llm.Error{
			Kind: llm.CallerInvalidRequest, Param: "for", Message: fmt.Sprintf("for has the value %.32q", in.For), Limit: "for", Value: "1m to 30d",
			Fix: "Send a duration such as 2h.",
		}
	}
	if len(in.Comment) > maxComment {
		return &llm.Error{Kind: llm.CallerInvalidRequest, Param: "comment", Message: "comment is longer than 500 bytes", Fix: "Shorten it."}
	}
	if len(in.Of) > maxName {
		return &llm.Error{Kind: llm.CallerInvalidRequest, Param: "of", Message: "of is longer than 256 bytes", Fix: "Send a target or an operation."}
	}
	if err := c.audit(v.Request.Context(), v, "alarm.silence", map[string]string{"alarm": in.Alarm, "of": in.Of, "for": in.For, "comment": in.Comment}); err != nil {
		return err
	}
	now := time.Now().UTC()
	s, err := c.cfg.Observer.Silence(v.Request.Context(), alarm.Silence{Alarm: in.Alarm, Of: in.Of, From: now, Until: now.Add(d), By: v.Caller.Name, Comment: in.Comment})
	if err != nil {
		return err
	}
	return v.JSON(http.StatusCreated, s)
}

// unsilence serves DELETE /v1/alarms/silences/{id}.
func (c *Console) unsilence(v *gateway.Visit) error {
	if err := c.audit(v.Request.Context(), v, "alarm.unsilence", map[string]string{"id": v.Variable}); err != nil {
		return err
	}
	if err := c.cfg.Observer.Unsilence(v.Request.Context(), v.Variable); err != nil {
		return err
	}
	return v.JSON(http.StatusOK, map[string]string{"id": v.Variable, "state": "ended"})
}

// testAlarms serves POST /v1/alarms/test.
func (c *Console) testAlarms(v *gateway.Visit) error {
	var in struct {
		Notifier string `json:"notifier,omitempty"`
	}
	if v.HasBody() {
		if err := v.Read(&in); err != nil {
			return err
		}
	}
	if c.cfg.Notify == nil {
		return &llm.Error{Kind: llm.CallerNotFound, Message: "no notifier is configured", Fix: "Set alarms.notifiers."}
	}
	var names []string
	for _, n := range c.cfg.Notify.Status() {
		names = append(names, n.Name)
	}
	if in.Notifier != "" && !slices.Contains(names, in.Notifier) {
		return &llm.Error{
			Kind: llm.CallerInvalidRequest, Param: "notifier", Message: fmt.Sprintf("there is no notifier %.64q%s", in.Notifier, near.DidYouMean(in.Notifier, names)),
			Fix: "GET /v1/alarms lists them.",
		}
	}
	if err := c.audit(v.Request.Context(), v, "alarm.test", map[string]string{"notifier": in.Notifier}); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(v.Request.Context(), 30*time.Second)
	defer cancel()
	answer := AlarmTest{Data: []AlarmTestResult{}}
	for _, r := range c.cfg.Notify.Test(ctx, in.Notifier) {
		answer.Data = append(answer.Data, AlarmTestResult{Notifier: r.Name, OK: r.OK, Error: r.Error, Seconds: r.Took.Seconds()})
	}
	return v.JSON(http.StatusOK, answer)
}
