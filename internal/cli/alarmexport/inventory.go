package alarmexport

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/alarm"
	"github.com/forebay-ai/forebay/alarm/export"
	"github.com/forebay-ai/forebay/config"
	"github.com/forebay-ai/forebay/internal/near"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/monitor"
	"github.com/forebay-ai/forebay/store/dynamo"
)

// inventory is what a configuration says about alarms.
type inventory struct {
	watch       config.Watch
	forebay     forebay.Config
	definitions []alarm.Definition
	vocabulary  []monitor.MetricInfo
}

// read takes it out of a file.
func read(f *flags, file *config.File) (a inventory, err error) {
	if a.watch, err = file.Watch(); err != nil {
		return a, err
	}
	if len(a.watch.Alarms) == 0 {
		return a, errOff
	}
	if a.forebay, err = file.Forebay(); err != nil {
		return a, err
	}
	known := make([]string, 0, len(a.watch.Alarms))
	for _, d := range a.watch.Alarms {
		known = append(known, d.Name)
		if !slices.Contains(f.without, d.Name) {
			a.definitions = append(a.definitions, d)
		}
	}
	for _, name := range f.without {
		if !slices.Contains(known, name) && !slices.ContainsFunc(export.BedrockAlarms(), func(d alarm.Definition) bool { return d.Name == name }) {
			return a, wrongFlag{fmt.Errorf("--without: there is no alarm %q%s", name, near.DidYouMean(name, known))}
		}
	}
	if a.definitions, err = alarm.InDollars(a.definitions, perUSD(a.watch)); err != nil {
		return a, err
	}
	m, err := monitor.New(monitor.Config{Custom: a.watch.Custom, Functions: a.watch.Functions})
	if err != nil {
		return a, err
	}
	a.vocabulary = m.Vocabulary()
	return a, nil
}

// perUSD are today's exchange rates.
func perUSD(w config.Watch) map[string]float64 {
	rates := map[string]float64{}
	for _, currency := range w.Rates.Currencies() {
		if rate, ok := w.Rates.At(currency, time.Now()); ok {
			rates[currency] = float64(rate.Micro) / 1e6
		}
	}
	return rates
}

// cloudWatch is what alarms of CloudWatch are made of. The error is a fault of the flags.
func (a inventory) cloudWatch(f *flags, file *config.File) (export.CloudWatchConfig, error) {
	sink := a.watch.CloudWatch.Sink
	cfg := export.CloudWatchConfig{
		Definitions: a.definitions, Namespace: sink.Namespace, Dimensions: sink.Dimensions, By: sink.By, Prefix: f.prefix, Vocabulary: a.vocabulary,
		Values: a.values(), Functions: f.functions, Models: f.models, Serverless: f.serverless || a.watch.CloudWatch.EMF, Region: f.region, Account: f.account,
	}
	if function := sink.Dimensions["FunctionName"]; function != "" && len(f.functions) == 0 {
		cfg.Functions = []string{function}
	}
	if len(f.models) == 0 {
		cfg.Models = a.bedrockModels(file)
	}
	if len(cfg.Models) > 0 {
		for _, d := range export.BedrockAlarms() {
			if !slices.Contains(f.without, d.Name) {
				cfg.Definitions = append(cfg.Definitions, d)
			}
		}
	}
	for _, pair := range f.values {
		label, value, ok := strings.Cut(pair, "=")
		if !ok || label == "" || value == "" {
			return cfg, fmt.Errorf("--value %q: write it as LABEL=VALUE", pair)
		}
		if !slices.Contains(cfg.Values[label], value) {
			cfg.Values[label] = append(cfg.Values[label], value)
		}
	}
	cfg.Tables = tables(f, file)
	return cfg, f.tell(&cfg, file)
}

// values are the values of labels, as far as the configuration has them.
func (a inventory) values() map[string][]string {
	all := map[string][]string{"operation": slices.Sorted(maps.Keys(a.forebay.Operations)), "model": slices.Sorted(maps.Keys(a.forebay.Models))}
	if _, named := a.forebay.Operations["default"]; !named {
		all["operation"] = append([]string{"default"}, all["operation"]...) // of calls that name none
	}
	for _, b := range a.watch.Budgets {
		all["budget"] = append(all["budget"], b.Name)
	}
	for _, p := range llm.Priorities {
		all["band"] = append(all["band"], p.String())
	}
	for _, model := range all["model"] {
		for _, t := range a.forebay.Models[model].Targets {
			if name := t.Name(); !slices.Contains(all["target"], name) {
				all["target"] = append(all["target"], name)
			}
		}
	}
	for _, c := range a.watch.Custom {
		for _, l := range c.Labels {
			all[l.Name] = append(all[l.Name], l.Values...)
		}
	}
	return all
}

// bedrockModels are the models of providers of type bedrock.
func (a inventory) bedrockModels(file *config.File) []string {
	ours := map[string]bool{}
	for _, v := range file.Origins() {
		if name, ok := strings.CutPrefix(v.Key, "providers."); ok && v.Value == "bedrock" {
			if name, ok = strings.CutSuffix(name, ".type"); ok {
				ours[name] = true
			}
		}
	}
	models := map[string]bool{}
	for name, m := range a.forebay.Models {
		for _, t := range m.Targets {
			model := t.Model
			if model == "" {
				model = name
			}
			if ours[t.Provider] && model != "*" {
				models[model] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(models))
}

// tables are those of the flags, or of the configuration.
func tables(f *flags, file *config.File) []export.Table {
	var all []export.Table
	for _, text := range f.tables {
		name, indexes, _ := strings.Cut(text, "=")
		all = append(all, export.Table{Name: name, Indexes: strings.FieldsFunc(indexes, func(r rune) bool { return r == ',' })})
	}
	if len(all) > 0 {
		return all
	}
	stored, _ := file.Tables()
	for _, schema := range dynamo.Schemas(stored) {
		t := export.Table{Name: *schema.TableName}
		for _, index := range schema.GlobalSecondaryIndexes {
			t.Indexes = append(t.Indexes, *index.IndexName)
		}
		all = append(all, t)
	}
	return all
}

// tell says who is told of which alarms.
func (f *flags) tell(cfg *export.CloudWatchConfig, file *config.File) error {
	topics := f.topics
	if len(topics) == 0 {
		for _, v := range file.Origins() {
			if v.Key == "alarms.topic" && v.Value != "" {
				topics = []string{v.Value}
			}
		}
	}
	for _, text := range topics {
		severity, arn, named := strings.Cut(text, "=")
		if !named {
			severity, arn = "", text
		}
		if !strings.HasPrefix(arn, "arn:") {
			return fmt.Errorf("--topic %q: use an ARN such as arn:aws:sns:eu-central-1:123456789012:alerts, or SEVERITY=ARN", text)
		}
		switch severity {
		case "":
			cfg.CriticalActions, cfg.WarningActions = append(cfg.CriticalActions, arn), append(cfg.WarningActions, arn)
		case "critical":
			cfg.CriticalActions = append(cfg.CriticalActions, arn)
		case "warning":
			cfg.WarningActions = append(cfg.WarningActions, arn)
		case "degraded":
			cfg.DegradedActions = append(cfg.DegradedActions, arn)
		default:
			return fmt.Errorf("--topic %q: the severity is critical, warning or degraded", text)
		}
	}
	return nil
}
