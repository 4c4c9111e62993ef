package console

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/forebay-ai/forebay/alarm"
	"github.com/forebay-ai/forebay/gateway"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/requestlog"
	"github.com/forebay-ai/forebay/series"
)

// filters are the parameters that choose entries.
var filters = []string{
	"tenant", "user", "key", "operation", "model", "provider", "outcome", "error_type", "cache", "fallback", "id",
	"min_duration", "min_usd", "failed", "from", "to",
}

// filter reads which entries are asked for, of those that the caller may see.
func filter(v *gateway.Visit, q url.Values) (f requestlog.Filter, err error) {
	f = requestlog.Filter{
		Tenant: q.Get("tenant"), User: q.Get("user"), Key: q.Get("key"), Operation: q.Get("operation"), Model: q.Get("model"),
		Provider: q.Get("provider"), Outcome: q.Get("outcome"), ErrorType: q.Get("error_type"), Cache: q.Get("cache"),
		Fallback: q.Get("fallback"), ID: q.Get("id"),
	}
	if own := tenant(v); own != "" {
		if f.Tenant != "" && f.Tenant != own {
			return f, foreign(own)
		}
		f.Tenant = own
	}
	if text := q.Get("min_duration"); text != "" {
		if f.MinDuration, err = duration(text); err != nil || f.MinDuration < 0 {
			return f, fault("min_duration", fmt.Sprintf("has the value %.32q", text), "Send a duration such as 2s.")
		}
	}
	if text := q.Get("min_usd"); text != "" {
		usd, err := strconv.ParseFloat(text, 64)
		if err != nil || !(usd >= 0 && usd <= 1e9) {
			return f, fault("min_usd", fmt.Sprintf("has the value %.32q", text), "Send dollars such as 0.01.")
		}
		f.MinMicroUSD = int64(math.Ceil(math.Round(usd*1e9) / 1e3)) // 0.000246 times 1e6 is above 246
	}
	switch text := q.Get("failed"); text {
	case "", "false":
	case "true":
		f.Failed = true
	default:
		return f, fault("failed", fmt.Sprintf("has the value %.32q", text), "Send true or false.")
	}
	if f.From, err = moment(q, "from"); err != nil {
		return f, err
	}
	f.To, err = moment(q, "to")
	return f, err
}

// foreign refuses a look at another tenant.
func foreign(own string) error {
	return &llm.Error{
		Kind: llm.CallerForbidden, Param: "tenant", Message: fmt.Sprintf("the key sees the tenant %q alone", own),
		Fix: "Leave the tenant out, or use a key with the scope admin.",
	}
}

// noLog refuses where no calls are logged.
func (c *Console) noLog() error {
	if c.cfg.Log != nil {
		return nil
	}
	return &llm.Error{Kind: llm.CallerNotFound, Message: "calls are not logged here", Fix: "Set requests.enabled."}
}

// requests serves GET /v1/requests.
func (c *Console) requests(v *gateway.Visit) error {
	if err := c.noLog(); err != nil {
		return err
	}
	q, err := v.Query(append([]string{"before", "limit"}, filters...))
	if err != nil {
		return err
	}
	f, err := filter(v, q)
	if err != nil {
		return err
	}
	before, err := number(q, "before", 0, 0, math.MaxInt64)
	if err != nil {
		return err
	}
	limit, err := number(q, "limit", 50, 1, 500)
	if err != nil {
		return err
	}
	page, err := c.cfg.Log.Page(v.Request.Context(), requestlog.Query{Filter: f, Before: before, Limit: int(limit)})
	if err != nil {
		return err
	}
	return v.JSON(http.StatusOK, RequestList{Object: "list", Data: append([]requestlog.Entry{}, page.Entries...), Next: page.Next})
}

// request serves GET /v1/requests/{seq}.
func (c *Console) request(v *gateway.Visit) error {
	if err := c.noLog(); err != nil {
		return err
	}
	unknown := &llm.Error{Kind: llm.CallerNotFound, Message: fmt.Sprintf("there is no call %.64q in the log", v.Variable), Fix: "GET /v1/requests lists calls with their seq."}
	seq, err := strconv.ParseInt(v.Variable, 10, 64)
	if err != nil {
		return unknown
	}
	e, found, err := c.cfg.Log.Get(v.Request.Context(), seq)
	if err != nil {
		return err
	}
	if own := tenant(v); !found || own != "" && e.Tenant != own {
		return unknown
	}
	return v.JSON(http.StatusOK, e)
}

const (
	// liveEvery is how often the totals are told, liveSpan what they are of.
	liveEvery = 2 * time.Second
	liveSpan  = 10 * time.Second
	// perSecond bounds the calls that are told one by one: nobody reads faster.
	perSecond = 20
)

// events serves GET /v1/events.
func (c *Console) events(v *gateway.Visit) error {
	q, err := v.Query(filters)
	if err != nil {
		return err
	}
	f, err := filter(v, q)
	if err != nil {
		return err
	}
	if err := c.streams.take(v.Caller.Name); err != nil {
		return err
	}
	defer c.streams.give(v.Caller.Name)
	var entries <-chan requestlog.Entry
	missed, stop := func() int64 { return 0 }, func() {}
	if c.cfg.Log != nil {
		entries, missed, stop = c.cfg.Log.Watch(f, 2*perSecond)
	}
	defer stop()
	alarms, unwatch := c.cfg.Observer.Watch()
	defer unwatch()
	ctx := v.Request.Context()
	out := make(chan gateway.Event)
	var teller sync.WaitGroup
	defer teller.Wait()
	done := make(chan struct{})
	defer close(done)
	t := telling{out: out, done: done, missed: missed, budgets: c.seesBudgets(v)}
	teller.Go(func() { c.tell(&t, entries, alarms) })
	return v.Events(ctx, out)
}

// tell passes on what happens until the reader is gone.
func (c *Console) tell(t *telling, entries <-chan requestlog.Entry, alarms <-chan alarm.Event) {
	tick := time.NewTicker(liveEvery)
	defer tick.Stop()
	t.say("totals", c.live())
	for {
		select {
		case e := <-entries:
			t.entry(&e)
		case e := <-alarms:
			if t.budgets || !c.budgetAlarm(e.Name) {
				t.say("alarm", e)
			}
		case <-tick.C:
			t.loss()
			t.say("totals", c.live())
		case <-t.done:
			return
		}
	}
}

// telling is one reader of events.
type telling struct {
	out    chan<- gateway.Event
	done   <-chan struct{}
	missed func() int64

	budgets        bool  // the reader sees alarms on budgets, which name them
	second         int64 // in which told were told
	told           int
	skipped, known int64
}

// say passes an event on, unless the reader is gone.
func (t *telling) say(name string, what any) {
	data, err := json.Marshal(what)
	if err != nil {
		return // a number that JSON does not have; the next one is another
	}
	select {
	case t.out <- gateway.Event{Name: name, Data: data}:
	case <-t.done:
	}
}

// entry tells of a call, up to so many a second.
func (t *telling) entry(e *requestlog.Entry) {
	if now := time.Now().Unix(); now != t.second {
		t.second, t.told = now, 0
	}
	if t.told++; t.told > perSecond {
		t.skipped++
		return
	}
	t.say("request", e)
}

// loss tells how many calls were left out since the last time.
func (t *telling) loss() {
	if all := t.skipped + t.missed(); all > t.known {
		t.say("dropped", map[string]int64{"count": all - t.known})
		t.known = all
	}
}

// live is how things are at this moment: worked out once a second for all readers.
func (c *Console) live() Live {
	c.now.mu.Lock()
	defer c.now.mu.Unlock()
	now := time.Now()
	if now.Sub(c.now.live.At) < time.Second {
		return c.now.live
	}
	l := Live{
		At: now.UTC(), Totals: c.totals(part{}, series.Window{From: now.Add(-liveSpan), To: now}),
		Overall: string(c.cfg.Client.Health().Overall), Dropped: c.cfg.Observer.Lost(),
	}
	for _, s := range c.cfg.Observer.Engine().Firing() {
		if !s.Silenced {
			l.Firing++
		}
	}
	c.now.live = l
	return l
}
