package config

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/forebay-ai/forebay/alarm"
	"github.com/forebay-ai/forebay/budget"
	"github.com/forebay-ai/forebay/config/internal/senders"
	"github.com/forebay-ai/forebay/config/internal/settings"
	"github.com/forebay-ai/forebay/cost"
	"github.com/forebay-ai/forebay/internal/near"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/monitor"
	"github.com/forebay-ai/forebay/observe"
)

// Watch is what a file says about measurements, alarms, costs and the dashboard.
type Watch struct {
	Profile string // of alarms
	// Objective is the target for response times.
	Objective time.Duration
	Custom    []monitor.CustomMetric
	Functions []string

	Alarms        []alarm.Definition // none where alarms are off
	Group, Repeat time.Duration      // as alarm.Config has them

	Requests    bool // calls are logged
	Retention   time.Duration
	MaxRequests int64
	Books       bool // the ledger is kept
	Budgets     []budget.Rule
	Rates       cost.Rates
	Dashboard   bool
	ReadOnly    bool
	Proxies     []netip.Prefix // in front of the dashboard, that are believed
	Telemetry   Telemetry
	CloudWatch  CloudWatch
}

// Telemetry says where an OpenTelemetry collector is. Without an Endpoint there is none.
type Telemetry struct {
	Endpoint, Service string
	Headers           map[string]llm.Secret
	Interval          time.Duration
	// Sample is the share of calls that are traced; negative for none.
	Sample float64
}

// Watch reads what the file says about watching. The error lists every fault.
func (f *File) Watch() (Watch, error) {
	v := f.values
	w := Watch{
		Profile:   cmp.Or(v.Text("alarms", "profile"), v.Text("profile")),
		Objective: v.Duration("monitor", "response_time"), Custom: f.customMetrics(), Functions: v.List("monitor", "functions"),
		Group: v.Duration("alarms", "group"), Repeat: orNegative(v.Duration("alarms", "repeat")),
		Requests: v.Bool("requests", "enabled"), Retention: v.Duration("requests", "retention"), MaxRequests: v.Int("requests", "max"),
		Books: v.Bool("cost", "enabled"), Budgets: f.budgets(), Dashboard: v.Bool("dashboard", "enabled"), ReadOnly: v.Bool("dashboard", "read_only"),
		Telemetry: Telemetry{
			Endpoint: v.Text("telemetry", "endpoint"), Service: v.Text("telemetry", "service"), Interval: v.Duration("telemetry", "interval"),
			Sample: orNegative(v.Float("telemetry", "sample")), Headers: map[string]llm.Secret{},
		},
	}
	w.CloudWatch = f.cloudWatch()
	for _, name := range v.Names("telemetry", "headers") {
		w.Telemetry.Headers[name] = v.Secret("telemetry", "headers", name)
	}
	for _, text := range v.List("dashboard", "trusted_proxies") {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return w, fmt.Errorf("dashboard.trusted_proxies: %s is no prefix of addresses such as 10.0.0.0/8", settings.Quote(text))
		}
		w.Proxies = append(w.Proxies, p)
	}
	_, rates, err := f.prices()
	if err != nil {
		return w, err
	}
	if w.Rates, err = f.rates(rates); err != nil {
		return w, err
	}
	if v.Bool("alarms", "enabled") {
		w.Alarms, err = f.alarms(w.Profile)
	}
	return w, err
}

func (f *File) customMetrics() []monitor.CustomMetric {
	v := f.values
	var all []monitor.CustomMetric
	if v.Bool("monitor", "user_metrics") {
		all = monitor.UserMetrics()
	}
	for _, name := range v.Names("monitor", "custom") {
		at := func(member string) []string { return []string{"monitor", "custom", name, member} }
		c := monitor.CustomMetric{Name: name, Unit: v.Text(at("unit")...), Doc: v.Text(at("doc")...), Kind: monitor.CustomKind(v.Text(at("kind")...))}
		for _, label := range v.Names(at("labels")...) {
			c.Labels = append(c.Labels, monitor.CustomLabel{Name: label, Values: v.List(append(at("labels"), label)...)})
		}
		all = append(all, c)
	}
	return all
}

func (f *File) budgets() []budget.Rule {
	v := f.values
	var all []budget.Rule
	for _, name := range v.Names("budgets") {
		at := func(member string) []string { return []string{"budgets", name, member} }
		all = append(all, budget.Rule{
			Name: name, Tenant: v.Text(at("tenant")...), Key: v.Text(at("key")...), User: v.Text(at("user")...), Operation: v.Text(at("operation")...),
			Period: budget.Period(cmp.Or(v.Text(at("period")...), string(budget.Month))), Kind: budget.Kind(cmp.Or(v.Text(at("kind")...), string(budget.Soft))),
			MicroUSD: v.Int(at("usd")...), Warn: v.Float(at("warn")...),
		})
	}
	return all
}

// rates are the built-in exchange rates, those of the file of prices, and those of
// cost.rates, which hold for all times.
func (f *File) rates(file cost.Rates) (cost.Rates, error) {
	var own []cost.Rate
	for _, currency := range f.values.Names("cost", "rates") {
		own = append(own, cost.Rate{
			Currency: currency, From: time.Unix(0, 0).UTC(), Micro: int64(1e6 * f.values.Float("cost", "rates", currency)), Source: "cost.rates",
		})
	}
	configured, err := cost.NewRates(own)
	if err != nil {
		return cost.Rates{}, fmt.Errorf("cost.rates: %w", err)
	}
	return cost.DefaultRates().With(file).With(configured), nil
}

// alarms are those of the profile, as the file changes them.
func (f *File) alarms(profile string) ([]alarm.Definition, error) {
	v := f.values
	base := alarm.WithBudget(alarm.Profile(profile), v.Float("alarms", "error_budget"))
	var over []alarm.Override
	for _, name := range v.Names("alarms", "definitions") {
		over = append(over, f.override(name))
	}
	return alarm.Merge(base, over)
}

func (f *File) override(name string) alarm.Override {
	get := func(member string) *settings.Setting { return f.values.Get("alarms", "definitions", name, member) }
	o := alarm.Override{
		Name: name, Metric: given[string](get("metric")), Stat: given[string](get("stat")), Over: given[string](get("over")), By: given[string](get("by")),
		Window: given[time.Duration](get("window")), Every: given[time.Duration](get("every")), Op: given[string](get("op")),
		Threshold: given[float64](get("threshold")), Clear: given[float64](get("clear")), MinCount: given[int64](get("min_count")),
		Message: given[string](get("message")), Do: given[string](get("do")), Runbook: given[string](get("runbook")), Unit: given[string](get("unit")),
		Off: given[bool](get("off")),
	}
	if s := given[string](get("severity")); s != nil {
		o.Severity = new(alarm.Severity(*s))
	}
	if s := given[string](get("missing")); s != nil {
		o.Missing = new(alarm.Missing(*s))
	}
	if m := given[int64](get("m")); m != nil {
		o.M = new(int(*m))
	}
	if n := given[int64](get("n")); n != nil {
		o.N = new(int(*n))
	}
	return o
}

// given is a setting's value; nil where it is not set.
func given[T any](s *settings.Setting) *T {
	if s == nil {
		return nil
	}
	value := s.Value.(T)
	return &value
}

// Notifiers makes the ways to tell people, in the order of their names. The error lists
// every fault.
func (f *File) Notifiers(log *slog.Logger) ([]alarm.Notifier, error) {
	var all []alarm.Notifier
	var faults []error
	for _, name := range f.values.Names("alarms", "notifiers") {
		n, err := f.notifier(name, log)
		if err != nil {
			faults = append(faults, fmt.Errorf("alarms.notifiers.%s: %w", name, err))
			continue
		}
		all = append(all, n)
	}
	if topic := f.values.Text("alarms", "topic"); topic != "" {
		n, err := senders.New(senders.Config{Name: "topic", Kind: senders.SNS, Topic: topic}, log)
		if err != nil {
			faults = append(faults, fmt.Errorf("alarms.topic: %w", err))
		} else {
			all = append(all, n)
		}
	}
	return all, errors.Join(faults...)
}

func (f *File) notifier(name string, log *slog.Logger) (alarm.Notifier, error) {
	v := f.values
	at := func(member string) []string { return []string{"alarms", "notifiers", name, member} }
	return senders.New(senders.Config{
		Name: name, Kind: v.Text(at("type")...), URL: v.Secret(at("url")...), Secret: v.Secret(at("secret")...), Allow: v.List(at("allow")...), Topic: v.Text(at("topic")...),
		Host: v.Text(at("host")...), Port: int(v.Int(at("port")...)), Encryption: v.Text(at("encryption")...),
		User: v.Text(at("user")...), Password: v.Secret(at("password")...), From: v.Text(at("from")...), To: v.List(at("to")...),
	}, log)
}

// checkWatch checks what watchKeys hold beyond their kinds.
func (f *File) checkWatch() {
	v := f.values
	for _, name := range v.Names("budgets") {
		if s := v.Get("budgets", name, "usd"); s == nil || s.Value.(int64) <= 0 {
			f.missing([]string{"budgets", name}, "usd", "Add usd: the budget in dollars, above 0.")
		}
	}
	for _, name := range v.Names("monitor", "custom") {
		if v.Get("monitor", "custom", name, "kind") == nil {
			f.missing([]string{"monitor", "custom", name}, "kind", "Add kind: counter, gauge or histogram.")
		}
	}
	for _, name := range v.Names("alarms", "notifiers") {
		f.checkNotifier(name)
	}
	f.checkTopic()
	if s := v.Get("cost", "enabled"); len(v.Names("budgets")) > 0 && s != nil && !s.Value.(bool) {
		s.Wrong("cost.enabled: false, and there are budgets, which need the books", "Leave cost.enabled at true, or take the budgets out.")
	}
	w, err := f.Watch()
	if err == nil {
		err = monitor.Config{Custom: w.Custom, Functions: w.Functions}.Validate()
	}
	if err == nil {
		_, err = budget.New(budget.Config{Rules: w.Budgets})
	}
	if err == nil {
		err = w.CloudWatch.check()
	}
	if err == nil {
		err = measured(w.Alarms, w.Custom)
	}
	if err != nil {
		s := v.Get("profile") // always set, so that the fault has a layer
		s.From.Fault(settings.Place{}, "", strings.ReplaceAll(err.Error(), "\n", "; "), "Correct these values.")
	}
}

// measured checks that what alarms judge is measured.
func measured(alarms []alarm.Definition, custom []monitor.CustomMetric) error {
	known := map[string][]string{}
	for _, m := range observe.Metrics() {
		known[m.Name] = observe.Labels(m.Name)
	}
	for _, c := range custom {
		known[observe.CustomPrefix+c.Name] = nil
		for _, l := range c.Labels {
			known[observe.CustomPrefix+c.Name] = append(known[observe.CustomPrefix+c.Name], l.Name)
		}
	}
	var faults []error
	for _, d := range alarms {
		if d.External {
			continue
		}
		for _, name := range []string{d.Metric, d.Over} {
			if _, ok := known[name]; name != "" && !ok {
				faults = append(faults, fmt.Errorf("alarms.definitions.%s: there is no metric %s%s", d.Name, settings.Quote(name), near.DidYouMean(name, slices.Sorted(maps.Keys(known)))))
			}
		}
		if labels := known[d.Metric]; d.By != "" && !slices.Contains(labels, d.By) {
			faults = append(faults, fmt.Errorf("alarms.definitions.%s: %s has no label %s, only %v", d.Name, d.Metric, settings.Quote(d.By), labels))
		}
	}
	return errors.Join(faults...)
}

func (f *File) checkTopic() {
	s := f.values.Get("alarms", "topic")
	if s == nil || s.Value == "" {
		return
	}
	if topic := s.Value.(string); !senders.IsTopic(topic) {
		s.Wrong("alarms.topic: "+settings.Quote(topic)+" is not the ARN of a topic", "Use one such as arn:aws:sns:eu-central-1:123456789012:alerts.")
	}
}

func (f *File) checkNotifier(name string) {
	at := []string{"alarms", "notifiers", name}
	if f.values.Get(append(slices.Clone(at), "type")...) == nil {
		f.missing(at, "type", "Add type: log, webhook, slack, mail or sns.")
		return
	}
	if _, err := f.notifier(name, slog.New(slog.DiscardHandler)); err != nil {
		f.values.Wrong(at, fmt.Sprintf("alarms.notifiers.%s: %v", name, err), "Correct the notifier.")
	}
}
