package prices

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/forebay-ai/forebay/cost"
	"github.com/forebay-ai/forebay/internal/ident"
)

// The bounds of an override: far more than there are models.
const (
	maxOverrideBytes = 1 << 20
	maxOverrideRows  = 5_000
)

// Override is what a file says of prices and exchange rates.
type Override struct {
	rows  []Entry
	rates cost.Rates
}

// Entries returns the override's rows in the file's order. The slice is the caller's.
func (o *Override) Entries() []Entry { return slices.Clone(o.rows) }

// Rates returns the override's exchange rates; see cost.Rates.With.
func (o *Override) Rates() cost.Rates { return o.rates }

// With returns t with the rows of o in place of its own. A row of o for a region or a
// profile's area replaces that one; a row without replaces every row of the model.
func (t *Table) With(o *Override) *Table {
	merged := &Table{rows: maps.Clone(t.rows), dates: t.dates}
	if merged.rows == nil {
		merged.rows = map[key]*row{}
	}
	general := map[key]bool{}
	for _, e := range o.rows {
		if e.Scope == "" {
			general[key{e.Provider, e.Model, ""}] = true
		}
	}
	maps.DeleteFunc(merged.rows, func(k key, _ *row) bool { return general[key{k.provider, k.model, ""}] })
	for _, e := range o.rows {
		merged.rows[key{e.Provider, e.Model, e.Scope}] = &row{known: e.Tariff, Table: e.Table}
	}
	return merged
}

// raw is a scalar as the file has it, so that amounts never go through floating point.
type raw string

// UnmarshalYAML implements goccy/go-yaml's interface.
func (r *raw) UnmarshalYAML(text []byte) error {
	var s string
	if err := yaml.Unmarshal(text, &s); err != nil {
		return errors.New("a number or a text is wanted here")
	}
	*r = raw(strings.TrimSpace(s))
	return nil
}

type overrideFile struct {
	Prices []overrideRow  `yaml:"prices"`
	Rates  []overrideRate `yaml:"rates"`
}

type overrideRow struct {
	Provider string         `yaml:"provider"`
	Model    string         `yaml:"model"`
	Region   string         `yaml:"region"`
	Source   string         `yaml:"source"` // for readers of the file
	Plain    overrideBand   `yaml:",inline"`
	Steps    []overrideStep `yaml:"steps"`
	Batch    []overrideStep `yaml:"batch"`
	Flex     []overrideStep `yaml:"flex"`
	Priority []overrideStep `yaml:"priority"`
}

type overrideStep struct {
	From  raw            `yaml:"from"`
	Plain overrideBand   `yaml:",inline"`
	Bands []overrideBand `yaml:"bands"`
}

type overrideBand struct {
	UpTo           int64 `yaml:"up_to"`
	Input          raw   `yaml:"input"`
	Output         raw   `yaml:"output"`
	CacheRead      raw   `yaml:"cache_read"`
	CacheWrite     raw   `yaml:"cache_write"`
	CacheWriteHour raw   `yaml:"cache_write_1h"`
}

type overrideRate struct {
	Currency string `yaml:"currency"`
	From     raw    `yaml:"from"`
	PerUSD   raw    `yaml:"per_usd"`
	Source   string `yaml:"source"`
}

// ParseOverride reads an override in YAML or JSON; docs/prices.md shows one. The error has
// every fault, each with its place in the file; name is the file's, and the Source.Table
// of its rows.
func ParseOverride(name string, text []byte) (*Override, error) {
	if len(text) > maxOverrideBytes {
		return nil, fmt.Errorf("%s: it has %d bytes, more than %d", name, len(text), maxOverrideBytes)
	}
	var f overrideFile
	if err := yaml.NewDecoder(bytes.NewReader(text), yaml.Strict()).Decode(&f); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: %s", name, yaml.FormatError(err, false, false))
	}
	if n := len(f.Prices) + len(f.Rates); n > maxOverrideRows {
		return nil, fmt.Errorf("%s: it has %d prices and rates, more than %d", name, n, maxOverrideRows)
	}
	r := &reader{}
	o := &Override{rows: r.rows(name, f.Prices), rates: r.rates(name, f.Rates)}
	if len(r.faults) > 0 {
		return nil, fmt.Errorf("%s: %w", name, errors.Join(r.faults...))
	}
	return o, nil
}

// reader collects faults.
type reader struct{ faults []error }

func (r *reader) fault(at, format string, args ...any) {
	r.faults = append(r.faults, fmt.Errorf("%s: %s", at, fmt.Sprintf(format, args...)))
}

// rows reads the prices of the file of this name.
func (r *reader) rows(name string, prices []overrideRow) []Entry {
	var all []Entry
	seen := map[key]int{}
	for i, p := range prices {
		at := fmt.Sprintf("prices[%d]", i)
		e := r.row(at, p)
		e.Table = name
		k := key{e.Provider, e.Model, e.Scope}
		if first, twice := seen[k]; twice {
			r.fault(at, "it is for the same model and region as prices[%d]", first)
		}
		seen[k] = i
		all = append(all, e)
	}
	return all
}

// rates reads the exchange rates of the file of this name.
func (r *reader) rates(name string, given []overrideRate) cost.Rates {
	before := len(r.faults)
	var all []cost.Rate
	for i, p := range given {
		at := fmt.Sprintf("rates[%d]", i)
		all = append(all, cost.Rate{
			Currency: p.Currency, From: r.date(at, p.From), Micro: r.amount(at+".per_usd", p.PerUSD, true), Source: cmp.Or(p.Source, name),
		})
	}
	rates, err := cost.NewRates(all)
	if err != nil && len(r.faults) == before {
		r.faults = append(r.faults, err)
	}
	return rates
}

var providerName = ident.Pattern(`^[a-z0-9][a-z0-9_-]{0,62}$`)

func (r *reader) row(at string, p overrideRow) Entry {
	if !providerName().MatchString(p.Provider) {
		r.fault(at, "provider %.70q: openai, anthropic, bedrock, or another name of small letters, digits, dashes and underscores", p.Provider)
	}
	if p.Model == "" || len(p.Model) > 256 {
		r.fault(at, "model is missing, or longer than 256 bytes")
	}
	n := Split(p.Provider, p.Model)
	e := Entry{Provider: p.Provider, Model: n.Model, Scope: cmp.Or(p.Region, n.Profile, n.Region)}
	if p.Region != "" && n.Profile != "" && p.Region != n.Profile {
		r.fault(at, "region %.40q: the model's id names %q", p.Region, n.Profile)
	}
	if p.Region != "" && !providerName().MatchString(p.Region) {
		r.fault(at, "region %.40q is neither a region nor a profile's area, such as eu-central-1 or eu", p.Region)
	}
	e.Tariff = r.tariff(at, p)
	return e
}

// tariff reads the prices of a row.
func (r *reader) tariff(at string, p overrideRow) (t cost.Tariff) {
	plain := p.Plain != overrideBand{}
	switch {
	case plain && len(p.Steps) > 0:
		r.fault(at, "prices stand either here or in steps")
	case plain:
		p.Steps = []overrideStep{{Plain: p.Plain}}
	case len(p.Steps) == 0:
		r.fault(at, "it has no prices: input and output, or steps")
	}
	t.Steps = r.steps(at+".steps", p.Steps)
	for tier, steps := range map[cost.Tier][]overrideStep{cost.Batch: p.Batch, cost.Flex: p.Flex, cost.Priority: p.Priority} {
		if len(steps) == 0 {
			continue
		}
		if t.Variants == nil {
			t.Variants = map[cost.Tier][]cost.Step{}
		}
		t.Variants[tier] = r.steps(at+"."+string(tier), steps)
	}
	if len(p.Steps) > 0 {
		if err := t.Validate(); err != nil {
			r.fault(at, "%v", err)
		}
	}
	return t
}

func (r *reader) steps(at string, steps []overrideStep) []cost.Step {
	var all []cost.Step
	for i, s := range steps {
		place := fmt.Sprintf("%s[%d]", at, i)
		if i > 0 && s.From == "" {
			r.fault(place, "from is missing: only the first step may hold since always")
		}
		bands := s.Bands
		if plain := (s.Plain != overrideBand{}); plain && len(bands) > 0 {
			r.fault(place, "prices stand either here or in bands")
		} else if plain {
			bands = []overrideBand{s.Plain}
		}
		step := cost.Step{From: r.date(place, s.From)}
		for j, b := range bands {
			step.Bands = append(step.Bands, cost.Band{UpTo: b.UpTo, Price: r.price(fmt.Sprintf("%s.bands[%d]", place, j), b)})
		}
		all = append(all, step)
	}
	return all
}

// price reads one band. Cache tokens of which nothing is said cost what fresh ones do.
func (r *reader) price(at string, b overrideBand) cost.Price {
	p := cost.Price{Input: r.amount(at+".input", b.Input, true), Output: r.amount(at+".output", b.Output, false)}
	p.CacheRead, p.CacheWrite = p.Input, p.Input
	if b.CacheRead != "" {
		p.CacheRead = r.amount(at+".cache_read", b.CacheRead, false)
	}
	if b.CacheWrite != "" {
		p.CacheWrite = r.amount(at+".cache_write", b.CacheWrite, false)
	}
	p.CacheWriteHour = r.amount(at+".cache_write_1h", b.CacheWriteHour, false)
	return p
}

func (r *reader) amount(at string, text raw, required bool) int64 {
	if text == "" {
		if required {
			r.fault(at, "it is missing")
		}
		return 0
	}
	amount, err := cost.ParseDollars(string(text))
	if err != nil {
		r.fault(at, "%v", err)
	}
	return amount
}

func (r *reader) date(at string, text raw) time.Time {
	if text == "" {
		return time.Time{}
	}
	for _, layout := range [...]string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, string(text)); err == nil {
			return t.UTC()
		}
	}
	r.fault(at, "from %.40q is not a date, such as 2026-10-07", string(text))
	return time.Time{}
}
