package alarm

import (
	"context"
	"time"
)

// Severity says how bad it is. The set is closed.
type Severity string

// The severities.
const (
	Warning  Severity = "warning"
	Critical Severity = "critical"
)

// State is where an alarm is. The set is closed.
type State string

// The states.
const (
	OK     State = "ok"
	Firing State = "firing"
	NoData State = "no_data" // nothing was measured, and that is no reason to fire
)

// Missing says what a window without measurements means.
type Missing string

// What missing data may mean.
const (
	MissingKeeps  Missing = "keep"   // the state stays
	MissingIsOK   Missing = "ok"     // nothing is wrong
	MissingIsBad  Missing = "firing" // that there is nothing is what is wrong
	MissingIsNone Missing = "no_data"
)

// Measure is what is measured: a statistic of a metric over a window, or the ratio of two
// sums over it.
type Measure struct {
	Metric string        `json:"metric"`
	Stat   string        `json:"stat"`           // of package series; "sum" where Over is set
	Over   string        `json:"over,omitempty"` // the metric whose sum divides; empty for no ratio
	By     string        `json:"by,omitempty"`   // the label whose every value is judged by itself
	Window time.Duration `json:"window_ns"`
}

// Definition is one alarm.
type Definition struct {
	Name     string   `json:"name"` // kebab-case, unique
	Severity Severity `json:"severity"`
	Measure
	// Op is > or <, Threshold in the metric's unit (ratios from 0 to 1). Where Unit is a
	// currency, Threshold and Clear are in it, and the metric is in US dollars.
	Op        string  `json:"op"`
	Threshold float64 `json:"threshold"`
	// Burn makes it an alarm on the rate at which an error budget burns: Threshold is the
	// budget, a share of calls, and the alarm breaks when one of the pairs does. Window is
	// not used then. Empty for plain alarms.
	Burn []Burn `json:"burn,omitempty"`
	// Clear is the value that ends the alarm; 0 means Threshold. Between the two the
	// state stays as it is (hysteresis).
	Clear float64 `json:"clear,omitempty"`
	// Every is how often it is judged; M of the last N judgements must break the
	// threshold for it to fire, and none of the last N to end it. Zero means 10 s, 1, 1.
	Every time.Duration `json:"every_ns,omitempty"`
	M     int           `json:"m,omitempty"`
	N     int           `json:"n,omitempty"`
	// MinCount is how many measurements a window needs to be judged; with fewer it counts
	// as one without any. For a ratio it is the sum that divides.
	MinCount int64 `json:"min_count,omitempty"`
	// Settle is how long after the engine's start it is first judged: for what is bad by
	// nature while things warm up, as the hit rate of an empty cache.
	Settle  time.Duration `json:"settle_ns,omitempty"`
	Missing Missing       `json:"missing,omitempty"` // empty means keep
	// Message says what is wrong, Do what to do about it, Runbook where to read more.
	Message string `json:"message"`
	Do      string `json:"do,omitempty"`
	Runbook string `json:"runbook,omitempty"`
	Unit    string `json:"unit,omitempty"` // of Threshold, for people: s, %, USD, requests
	// External says that the measurements come from somewhere else (CloudWatch): it is
	// exported and not judged here.
	External bool `json:"external,omitempty"`
	Off      bool `json:"off,omitempty"`
}

// Burn is one pair of windows of a burn-rate alarm: it breaks when the ratio is above
// Factor times the budget in both (Google's SRE workbook, chapter 5): in the long one, so
// that it matters, and in the short one, so that it still goes on.
type Burn struct {
	Long   time.Duration `json:"long_ns"`
	Short  time.Duration `json:"short_ns"`
	Factor float64       `json:"factor"`
}

// Sample is one measured value.
type Sample struct {
	// Value is of the label Measure.By; empty where there is none.
	Of    string
	Value float64
	// Count is how many measurements are behind it.
	Count int64
	// OK is false where nothing was measured.
	OK bool
}

// Source gives measurements. Its method is called from one goroutine and must be quick.
type Source interface {
	// Measure returns one sample, or with m.By one for each value of the label. The Engine
	// asks for the parts of a ratio one by one: Over is always empty in what it asks.
	// The window is [now-m.Window, now).
	Measure(m Measure, now time.Time) []Sample
}

// Status is the state of one alarm for one value of its label.
type Status struct {
	Name     string    `json:"name"`
	Of       string    `json:"of,omitempty"`
	State    State     `json:"state"`
	Since    time.Time `json:"since"`
	Value    float64   `json:"value"`
	HasValue bool      `json:"has_value"`
	Silenced bool      `json:"silenced,omitempty"`
	// Reason says in words what was measured against what.
	Reason string `json:"reason"`
}

// Silence keeps alarms from being sent.
type Silence struct {
	ID string `json:"id"`
	// Alarm is a name, or "*" for all; Of is a value of its label, or empty for all.
	Alarm   string    `json:"alarm"`
	Of      string    `json:"of,omitempty"`
	From    time.Time `json:"from"`
	Until   time.Time `json:"until"`
	By      string    `json:"by"`
	Comment string    `json:"comment,omitempty"`
}

// Event is one change of an alarm's state, as history keeps it.
type Event struct {
	Seq      int64     `json:"seq"`
	At       time.Time `json:"at"`
	Name     string    `json:"name"`
	Of       string    `json:"of,omitempty"`
	Severity Severity  `json:"severity"`
	From     State     `json:"from"`
	To       State     `json:"to"`
	Value    float64   `json:"value"`
	Reason   string    `json:"reason"`
	Silenced bool      `json:"silenced,omitempty"`
}

// Notice is what is sent: changes that belong together. Resolved says that what it
// tells of is over.
type Notice struct {
	ID       string    `json:"id"` // the same for every try to send it
	At       time.Time `json:"at"`
	Resolved bool      `json:"resolved"`
	Severity Severity  `json:"severity"` // the worst of Items
	Title    string    `json:"title"`    // one line
	Items    []Item    `json:"items"`
	// Source names who sends: the gateway's name.
	Source string `json:"source"`
	Test   bool   `json:"test,omitempty"`
}

// Item is one alarm of a Notice.
type Item struct {
	Status
	Severity Severity `json:"severity"`
	Message  string   `json:"message"`
	Do       string   `json:"do,omitempty"`
	Runbook  string   `json:"runbook,omitempty"`
}

// Notifier sends notices. Notify may be called concurrently, returns when ctx ends at the
// latest, and an error where the notice was not taken. A Notifier does not repeat.
type Notifier interface {
	Name() string
	Notify(ctx context.Context, n Notice) error
}

// Kept is what outlasts a restart.
type Kept struct {
	Statuses []Status  `json:"statuses"`
	Silences []Silence `json:"silences"`
	Told     []Told    `json:"told,omitempty"`
}

// Told is an alarm that was announced and whose end was not: whoever got the notice
// believes that it fires.
type Told struct {
	Name     string    `json:"name"`
	Of       string    `json:"of,omitempty"`
	Severity Severity  `json:"severity"`
	Message  string    `json:"message"`
	At       time.Time `json:"at"` // when it was announced or reminded of last; zero: it is to be announced again
}

// Store keeps states and history. Its methods may be called concurrently.
type Store interface {
	// LoadAlarms returns what SaveAlarms kept last; the zero Kept at first.
	LoadAlarms(ctx context.Context) (Kept, error)
	SaveAlarms(ctx context.Context, k Kept) error
	// AppendAlarmEvents adds to the history and sets Seq.
	AppendAlarmEvents(ctx context.Context, events []Event) error
	// AlarmEvents returns up to limit events with a Seq below before (0: the newest),
	// newest first; those of one alarm where name is not empty.
	AlarmEvents(ctx context.Context, name string, before int64, limit int) ([]Event, error)
	PruneAlarmEvents(ctx context.Context, t time.Time) error
}
