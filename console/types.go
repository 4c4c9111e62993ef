package console

import (
	"time"

	"github.com/forebay-ai/forebay/alarm"
	"github.com/forebay-ai/forebay/budget"
	"github.com/forebay-ai/forebay/health"
	"github.com/forebay-ai/forebay/ledger"
	"github.com/forebay-ai/forebay/requestlog"
)

// Overview is the answer to GET /v1/overview?window=15m[&operation=NAME]: how things are.
type Overview struct {
	At            time.Time     `json:"at"`
	Started       time.Time     `json:"started"`
	Version       string        `json:"version"`
	WindowSeconds float64       `json:"window_seconds"`
	Health        health.Health `json:"health"`
	Totals        Totals        `json:"totals"`
	// Faults splits failed calls by whose fault it was: caller, policy, provider, forebay.
	Faults map[string]int64 `json:"faults"`
	// Objective is the target for response times, and how much of the window kept it.
	Objective Objective `json:"objective"`
	// Problems is what is wrong now, worst first, and what to do.
	Problems []Problem      `json:"problems"`
	Alarms   []alarm.Status `json:"alarms"` // those that fire
	// Slowest and Failing are at most five operations each.
	Slowest []OperationRow `json:"slowest"`
	Failing []OperationRow `json:"failing"`
	// Budgets are those that are nearly spent.
	Budgets []budget.State `json:"budgets"`
	// CostToday is what calls have cost since midnight UTC.
	CostTodayMicroUSD int64 `json:"cost_today_micro_usd"`
}

// Totals sums up a window. Percentiles are in seconds; 0 where nothing was measured.
type Totals struct {
	Requests        int64   `json:"requests"`
	PerSecond       float64 `json:"per_second"`
	Failures        int64   `json:"failures"` // without the callers' own faults
	ErrorRate       float64 `json:"error_rate"`
	Refused         int64   `json:"refused"`
	P50             float64 `json:"p50"`
	P95             float64 `json:"p95"`
	P99             float64 `json:"p99"`
	FirstTokenP50   float64 `json:"first_token_p50"`
	FirstTokenP95   float64 `json:"first_token_p95"`
	OverheadP99     float64 `json:"overhead_p99"`
	HitRate         float64 `json:"hit_rate"`
	InputTokens     int64   `json:"input_tokens"`
	OutputTokens    int64   `json:"output_tokens"`
	MicroUSD        int64   `json:"micro_usd"`
	SavedMicroUSD   int64   `json:"saved_micro_usd"`
	Waiting         int     `json:"waiting"`
	InFlight        int     `json:"in_flight"`
	ConcurrentUsers int64   `json:"concurrent_users"`
}

// Objective is the target for response times over a window.
type Objective struct {
	Seconds float64 `json:"seconds"`
	Met     float64 `json:"met"` // share of calls that were answered, and within it; 1 where there were none
}

// Problem is something that is wrong now.
type Problem struct {
	Severity alarm.Severity `json:"severity"`
	What     string         `json:"what"`
	Why      string         `json:"why"`
	Do       string         `json:"do"`
	// Page is the part of the dashboard that shows more: queue, reliability, cache, cost,
	// operations, alarms, requests.
	Page string `json:"page"`
}

// OperationRow is one operation, model or target over a window. GET /v1/operations?window=1h
// gives {"object":"list","by":"operation","data":[...]}; &by=model and &by=target too.
type OperationRow struct {
	Name string `json:"name"`
	Totals
}

// OperationList is the answer to GET /v1/operations.
type OperationList struct {
	Object string         `json:"object"` // list
	By     string         `json:"by"`
	Data   []OperationRow `json:"data"`
}

// SeriesAnswer is the answer to
// GET /v1/series?q=p95:duration&q=rate:requests&window=1h[&by=operation][&to=UNIX_SECONDS]: the
// statistics that were asked for, in steps over the window. The server chooses a step of
// which the window has 60 to 200.
type SeriesAnswer struct {
	From        int64        `json:"from"` // Unix seconds of the first step
	StepSeconds int64        `json:"step_seconds"`
	Series      []SeriesLine `json:"series"`
}

// SeriesLine is one line of a chart.
type SeriesLine struct {
	Query  string `json:"query"` // as asked, such as p95:duration
	Metric string `json:"metric"`
	Stat   string `json:"stat"`
	Unit   string `json:"unit"`
	// Of is the value of the label by; empty for the whole.
	Of string `json:"of,omitempty"`
	// Values has one number for each step; null where nothing was measured.
	Values []*float64 `json:"values"`
}

// MetricList is the answer to GET /v1/series/metrics: what may be asked for.
type MetricList struct {
	Object string        `json:"object"`
	Data   []MetricEntry `json:"data"`
}

// MetricEntry is one metric.
type MetricEntry struct {
	Name   string   `json:"name"`
	Kind   string   `json:"kind"` // counter, gauge, distribution
	Unit   string   `json:"unit"`
	Doc    string   `json:"doc"`
	Labels []string `json:"labels"`
	Stats  []string `json:"stats"`
}

// RequestList is the answer to GET /v1/requests?limit=50[&before=SEQ] with the filters tenant,
// user, key, operation, model, provider, outcome, error_type, cache, fallback, id,
// min_duration (2s), min_usd, failed=true, from and to (RFC 3339).
type RequestList struct {
	Object string             `json:"object"`
	Data   []requestlog.Entry `json:"data"` // newest first, without attempts
	// Next is before of the next page; 0 for none.
	Next int64 `json:"next,omitempty"`
}

// GET /v1/requests/{seq} answers with a requestlog.Entry, attempts included.
//
// GET /v1/events is a stream of server-sent events: "request" with a requestlog.Entry
// (under the filters of GET /v1/requests, at most 20 a second, and "dropped" with
// {"count":n} for those beyond), "totals" every two seconds with a Live, "alarm" with an
// alarm.Event. A comment every 15 s keeps the connection.

// Live is what changes from moment to moment: over the last 10 s, but for the gauges.
type Live struct {
	At      time.Time `json:"at"`
	Totals  Totals    `json:"totals"`
	Firing  int       `json:"firing"` // alarms that are not silenced
	Overall string    `json:"overall"`
	Dropped int64     `json:"dropped"` // measurements and entries that were lost since the start
}

// TransitionList is the answer to GET /v1/breakers/history?window=1h: changes of breakers,
// oldest first, and the states at the window's start.
type TransitionList struct {
	From   time.Time         `json:"from"`
	To     time.Time         `json:"to"`
	States map[string]string `json:"states"` // at From, by target
	Data   []Transition      `json:"data"`
}

// Transition is one change of a breaker.
type Transition struct {
	At     time.Time `json:"at"`
	Target string    `json:"target"`
	From   string    `json:"from"`
	To     string    `json:"to"`
	Reason string    `json:"reason,omitempty"`
}

// AlarmList is the answer to GET /v1/alarms.
type AlarmList struct {
	Object    string           `json:"object"`
	Profile   string           `json:"profile"`
	Data      []AlarmEntry     `json:"data"`
	Silences  []alarm.Silence  `json:"silences"`
	Notifiers []NotifierStatus `json:"notifiers"`
}

// AlarmEntry is one alarm and its states.
type AlarmEntry struct {
	alarm.Definition
	States []alarm.Status `json:"states"`
}

// NotifierStatus says how a way to tell people works.
type NotifierStatus struct {
	Name      string    `json:"name"`
	Sent      int64     `json:"sent"`
	Failed    int64     `json:"failed"`
	Dropped   int64     `json:"dropped"`
	Waiting   int       `json:"waiting"`
	LastError string    `json:"last_error,omitempty"`
	LastSent  time.Time `json:"last_sent,omitzero"`
}

// AlarmHistory is the answer to GET /v1/alarms/history?limit=100[&name=NAME][&before=SEQ].
type AlarmHistory struct {
	Object string        `json:"object"`
	Data   []alarm.Event `json:"data"` // newest first
	Next   int64         `json:"next,omitempty"`
}

// NewSilence is the body of POST /v1/alarms/silences; the answer is an alarm.Silence.
// DELETE /v1/alarms/silences/{id} ends one.
type NewSilence struct {
	Alarm   string `json:"alarm"`
	Of      string `json:"of,omitempty"`
	For     string `json:"for"` // such as 2h
	Comment string `json:"comment,omitempty"`
}

// AlarmTest is the answer to POST /v1/alarms/test (no body, or {"notifier":"slack"}): what
// became of a test notice.
type AlarmTest struct {
	Data []AlarmTestResult `json:"data"`
}

// AlarmTestResult is that of one notifier.
type AlarmTestResult struct {
	Notifier string  `json:"notifier"`
	OK       bool    `json:"ok"`
	Error    string  `json:"error,omitempty"`
	Seconds  float64 `json:"seconds"`
}

// CostReport is the answer to
// GET /v1/cost?from=2026-11-01&to=2026-12-01&by=user,model[&currency=INR][&tenant=...]: the most
// expensive rows first. Without from and to it is the present month.
type CostReport struct {
	From     string   `json:"from"` // dates; to is exclusive
	To       string   `json:"to"`
	By       []string `json:"by"`
	Currency string   `json:"currency"`
	// Rate is units of Currency for a dollar, of RateDate.
	Rate     float64        `json:"rate"`
	RateDate string         `json:"rate_date,omitempty"`
	Total    ledger.Amounts `json:"total"`
	Rows     []ledger.Row   `json:"rows"`
	// Truncated says that there are more rows.
	Truncated bool `json:"truncated,omitempty"`
}

// CostAllocation is the answer to
// GET /v1/cost/allocation?usd=65&by=user[&driver=requests][&from=...&to=...]: a shared cost, divided by
// what the books say. Drivers are requests, tokens and compute. The shares add up exactly.
type CostAllocation struct {
	From     string         `json:"from"`
	To       string         `json:"to"`
	By       string         `json:"by"`
	Driver   string         `json:"driver"`
	MicroUSD int64          `json:"micro_usd"`
	Shares   []ledger.Share `json:"shares"` // the largest first
}

// BudgetList is the answer to GET /v1/budgets.
type BudgetList struct {
	Object string         `json:"object"`
	Data   []budget.State `json:"data"`
}

// Usage is the answer to GET /v1/me/usage: what the caller's own key has spent.
type Usage struct {
	Key      string         `json:"key"`
	Tenant   string         `json:"tenant"`
	From     string         `json:"from"` // the present month
	To       string         `json:"to"`
	Total    ledger.Amounts `json:"total"`
	Days     []ledger.Row   `json:"days"`
	Models   []ledger.Row   `json:"models"`
	Budgets  []budget.State `json:"budgets"`
	Currency string         `json:"currency"` // USD
}

// NewCost is the body of POST /v1/cost (B's trackCostMetrics): what a user's work has cost,
// in dollars, beyond what calls through Forebay have.
type NewCost struct {
	User      string  `json:"user"`
	Operation string  `json:"operation,omitempty"`
	AI        float64 `json:"ai_usd"`
	Compute   float64 `json:"compute_usd"`
	Storage   float64 `json:"storage_usd"`
}

// NewMeasurement is the body of POST /v1/measurements, or one of {"data":[...]}: a value of
// a custom metric.
type NewMeasurement struct {
	Metric string            `json:"metric"`
	Value  float64           `json:"value"`
	Labels map[string]string `json:"labels,omitempty"`
}

// ConfigList is the answer to GET /v1/config: every key, its value and where it is from.
// Secrets are ***.
type ConfigList struct {
	Object string        `json:"object"`
	File   string        `json:"file,omitempty"`
	Data   []ConfigEntry `json:"data"`
}

// ConfigEntry is one key.
type ConfigEntry struct {
	Key     string `json:"key"`
	Value   string `json:"value"`
	Default string `json:"default,omitempty"`
	Origin  string `json:"origin"` // default, profile interactive, file forebay.yaml:12, environment MAX_QUEUE_SIZE, flag --set
	Doc     string `json:"doc"`
}

// Session is the answer to GET /v1/me: who is asking, and what for.
type Session struct {
	Key    string   `json:"key"`
	Tenant string   `json:"tenant"`
	Scopes []string `json:"scopes"`
	// ReadOnly says that the dashboard changes nothing here.
	ReadOnly bool `json:"read_only"`
	Open     bool `json:"open"` // the gateway asks nobody for a key
	// CSRF goes into the header x-forebay-csrf of every change that a browser's session makes.
	CSRF string `json:"csrf,omitempty"`
}
