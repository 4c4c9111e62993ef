package console

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/access"
	"github.com/forebay-ai/forebay/alarm"
	"github.com/forebay-ai/forebay/alarm/notify"
	"github.com/forebay-ai/forebay/cost"
	"github.com/forebay-ai/forebay/gateway"
	"github.com/forebay-ai/forebay/ledger"
	"github.com/forebay-ai/forebay/monitor"
	"github.com/forebay-ai/forebay/observe"
	"github.com/forebay-ai/forebay/requestlog"
)

// Config configures New. Client and Observer are required; what else is missing is a part
// that there is not.
type Config struct {
	Client   *forebay.Client
	Observer *observe.Observer
	Monitor  *monitor.Monitor // nil means the client's
	Log      *requestlog.Log
	Ledger   *ledger.Ledger
	Notify   *notify.Dispatcher
	// Rates turn dollars into other currencies.
	Rates cost.Rates
	// Profile names the configuration's profile, Version the program's.
	Profile, Version string
	// Configuration lists every key, and File names where it was read.
	Configuration func() []ConfigEntry
	File          string
	// CSRF is the token of the browser's session behind a request; empty for none.
	CSRF func(*http.Request) string
	// ReadOnly says that browsers change nothing, Open that there are no keys.
	ReadOnly, Open bool
	// Auditor is told of every change before it takes effect. Nil means nobody.
	Auditor forebay.Auditor
}

// Console serves the API. It may be used concurrently.
type Console struct {
	cfg     Config
	streams streams
	now     latest
}

// New checks cfg and makes a Console.
func New(cfg Config) (*Console, error) {
	if cfg.Client == nil || cfg.Observer == nil {
		return nil, errors.New("console: Client and Observer are required")
	}
	if cfg.Monitor == nil {
		cfg.Monitor = cfg.Client.Monitor()
	}
	return &Console{cfg: cfg}, nil
}

// The paths of changes, which are audited.
const (
	pathSilences = "/v1/alarms/silences"
	pathTest     = "/v1/alarms/test"
)

// Endpoints lists what a gateway serves for the console.
func (c *Console) Endpoints() []gateway.Endpoint {
	get := func(pattern, scope, doc string, serve func(*gateway.Visit) error) gateway.Endpoint {
		return gateway.Endpoint{Route: gateway.Route{Method: http.MethodGet, Pattern: pattern, Scope: scope, Doc: doc}, Serve: serve}
	}
	post := func(pattern, scope, doc string, serve func(*gateway.Visit) error) gateway.Endpoint {
		return gateway.Endpoint{Route: gateway.Route{Method: http.MethodPost, Pattern: pattern, Scope: scope, Doc: doc}, Serve: serve}
	}
	return []gateway.Endpoint{
		get("/v1/overview", access.Metrics, "How things are: totals, what is wrong and what to do.", c.overview),
		get("/v1/operations", access.Metrics, "Latencies, errors, tokens and cost by operation, model or target.", c.operations),
		get("/v1/series", access.Metrics, "Statistics over time, for charts.", c.series),
		get("/v1/series/metrics", access.Metrics, "What /v1/series may be asked for.", c.metrics),
		get("/v1/requests", access.Metrics, "The log of calls, newest first; admin: of all tenants.", c.requests),
		get("/v1/requests/{seq}", access.Metrics, "One call with its attempts.", c.request),
		get("/v1/events", access.Metrics, "Calls, totals and alarms as they come, as server-sent events.", c.events),
		get("/v1/breakers/history", access.Metrics, "When which breaker changed.", c.transitions),
		get("/v1/alarms", access.Metrics, "Alarms, their states, silences and notifiers.", c.alarms),
		get("/v1/alarms/history", access.Metrics, "Changes of alarms, newest first.", c.alarmHistory),
		post(pathSilences, access.Admin, "Keeps an alarm from being sent for a while.", c.silence),
		{Route: gateway.Route{Method: http.MethodDelete, Pattern: pathSilences + "/{id}", Scope: access.Admin, Doc: "Ends a silence."}, Serve: c.unsilence},
		post(pathTest, access.Admin, "Sends a test notice.", c.testAlarms),
		get("/v1/cost", access.Metrics, "What calls have cost, by user, model, operation, day; admin: of all tenants.", c.cost),
		get("/v1/cost/analysis", access.Metrics, "What was paid, and what it would have been without cache and sharing.", c.analysis),
		get("/v1/cost/allocation", access.Admin, "Divides a shared cost, such as that of servers, among users or tenants.", c.allocation),
		post("/v1/cost", access.Costs, "Books what a user's work has cost elsewhere.", c.bookCost),
		get("/v1/budgets", access.Metrics, "Budgets and what is left of them; admin: of all tenants.", c.budgets),
		post("/v1/measurements", access.Call, "Takes values of custom metrics.", c.measure),
		get("/v1/config", access.Metrics, "Every setting, its value and where it is from; secrets are hidden.", c.configuration),
		get("/v1/me", gateway.ScopeAny, "Who is asking, and what for.", c.me),
		get("/v1/me/usage", gateway.ScopeAny, "What the key's own calls have cost this month.", c.usage),
	}
}

// OperatorPaths are those of Endpoints that belong to the control address where there is
// one. One that ends with a slash stands for all below it.
func OperatorPaths() []string {
	return []string{
		"/v1/overview", "/v1/operations", "/v1/series", "/v1/series/metrics", "/v1/requests", "/v1/requests/", "/v1/events", "/v1/breakers/history",
		"/v1/alarms", "/v1/alarms/", "/v1/budgets", "/v1/config",
	}
}

// audit records a change before it takes effect.
func (c *Console) audit(ctx context.Context, v *gateway.Visit, action string, details map[string]string) error {
	if c.cfg.Auditor == nil {
		return nil
	}
	return c.cfg.Auditor.Audit(ctx, v.Caller.Name, action, details)
}

// tenant is whose data the caller sees: all (empty) with the scope admin, else the key's.
func tenant(v *gateway.Visit) string {
	if v.Caller.Allows(access.Admin) {
		return ""
	}
	return v.Caller.Tenant
}

// seesBudgets says that the caller sees every tenant's budgets, by their names too.
func (c *Console) seesBudgets(v *gateway.Visit) bool { return c.cfg.Open || tenant(v) == "" }

// budgetAlarm says that an alarm is about budgets, whose names its states and events have.
func (c *Console) budgetAlarm(name string) bool {
	for _, d := range c.cfg.Observer.Engine().Definitions() {
		if d.Name == name {
			return d.Metric == observe.BudgetSpent
		}
	}
	return false
}

// firing lists the alarms that fire, as far as the caller sees them.
func (c *Console) firing(v *gateway.Visit) []alarm.Status {
	all := c.cfg.Observer.Engine().Firing()
	if c.seesBudgets(v) {
		return all
	}
	return slices.DeleteFunc(slices.Clone(all), func(s alarm.Status) bool { return c.budgetAlarm(s.Name) })
}
