package config

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/config/internal/settings"
	"github.com/forebay-ai/forebay/cost"
	"github.com/forebay-ai/forebay/degrade"
	"github.com/forebay-ai/forebay/limit"
	"github.com/forebay-ai/forebay/route"
)

// holdAll is how a file says forebay.HoldAll.
const holdAll = "all"

// target reads one target of a model.
func (f *File) target(at func(...string) []string, list *priceList) forebay.Target {
	v := f.values
	t := forebay.Target{
		Provider: v.Text(at("provider")...), Model: v.Text(at("model")...), Family: v.Text(at("family")...),
		Price: cost.Price{
			Input: v.Int(at("price", "input")...), Output: v.Int(at("price", "output")...),
			CacheRead: v.Int(at("price", "cache_read")...), CacheWrite: v.Int(at("price", "cache_write")...),
		},
		Weight: v.Float(at("weight")...), Region: v.Text(at("region")...), Residency: v.Text(at("residency")...),
		ContextWindow: int(v.Int(at("context_window")...)), MaxConcurrent: int(v.Int(at("max_concurrent")...)),
		Quota: limit.QuotaConfig{
			RequestsPerMinute: int(v.Int(at("requests_per_minute")...)),
			TokensPerMinute:   int(v.Int(at("tokens_per_minute")...)),
			OutputBurn:        v.Float(at("output_burndown")...),
		},
	}
	f.place(&t)
	if t.Price.IsZero() {
		if known := f.listKind(list, t.Provider); known != "" && t.Model != "" {
			t.Tariff = list.tariff(known, t.Model, t.Region)
		} else if known != "" {
			t.TariffOf = list.tariffs(known, t.Region)
		}
	}
	return t
}

// course reads how an operation's calls, or all calls, go about failures.
func (f *File) course(o *forebay.Operation, at func(...string) []string) {
	v := f.values
	if v.Get(at("first_token_timeout")...) != nil {
		o.Pace.FirstToken = orNegative(v.Duration(at("first_token_timeout")...))
	}
	if v.Get(at("min_throughput")...) != nil {
		o.Pace.MinRate = orNegative(v.Float(at("min_throughput")...))
	}
	o.Pace.Window = v.Duration(at("throughput_window")...)
	o.Hold, _ = parseHold(v.Text(at("hold")...))
	o.Residency = v.Text(at("residency")...)
	o.Simplified = forebay.Simplified{
		Model: v.Text(at("simplified", "model")...), MaxTokens: int(v.Int(at("simplified", "max_tokens")...)),
	}
}

// parseHold reads a number of pieces, or all. The empty text is 0: not set.
func parseHold(text string) (int, error) {
	switch text {
	case "":
		return 0, nil
	case holdAll:
		return forebay.HoldAll, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > 1_000_000 {
		return 0, fmt.Errorf("%s is neither a number from 1 to 1000000 nor all", settings.Quote(text))
	}
	return n, nil
}

// checkCourse checks what courseKeys hold beyond their kinds.
func (f *File) checkCourse(get func(...string) *settings.Setting) {
	if s := get("hold"); s != nil {
		if _, err := parseHold(s.Value.(string)); err != nil {
			s.Wrong(s.Key+": "+err.Error(), "Write a number of pieces such as 1, or all.")
		}
	}
	checkResidency(get("residency"))
	models := f.values.Names("models")
	if list := get("fallback"); list != nil && slices.Contains(list.Value.([]string), string(degrade.Simplified)) && !f.simplifies(get) {
		f.warnings = append(f.warnings, fmt.Sprintf("%s has simplified (%s), and there is no simplified.model or simplified.max_tokens: the next of the list is tried", list.Key, list.Origin()))
	}
	if s := get("simplified", "model"); s != nil && !slices.Contains(models, s.Value.(string)) && !slices.Contains(models, "*") {
		s.Wrong(fmt.Sprintf("%s: there is no model %s", s.Key, settings.Quote(s.Value.(string))), settings.Suggest(s.Value.(string), "models", models))
	}
}

// simplifies says that an operation, or the defaults for it, says what a simplified
// answer is.
func (f *File) simplifies(get func(...string) *settings.Setting) bool {
	for _, member := range []string{"model", "max_tokens"} {
		if get("simplified", member) != nil || f.values.Has("defaults", "simplified", member) {
			return true
		}
	}
	return false
}

// checkTarget checks what targetKeys hold beyond their kinds.
func (f *File) checkTarget(target []string) {
	checkResidency(f.values.Get(append(slices.Clone(target), "residency")...))
	if s := f.values.Get(append(slices.Clone(target), "weight")...); s != nil && s.Value.(float64) == 0 {
		s.Wrong(s.Key+": 0 is no weight", "Write a number above 0, or take the target out of the list.")
	}
}

func checkResidency(s *settings.Setting) {
	if s == nil || s.Value.(string) == "" {
		return
	}
	if err := route.CheckResidency(s.Value.(string)); err != nil {
		s.Wrong(s.Key+": "+err.Error(), "Write an area such as eu, or a part of one such as eu-de.")
	}
}
