package prices

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/forebay-ai/forebay/cost"
)

// Source says where a tariff comes from.
type Source struct {
	// Table names the public table that the standard prices are from, "amendments" for
	// what was added to them by hand, or the override's name.
	Table string
	// Date is the state of that table, as 2026-08-21; empty for overrides.
	Date string
	// Model and Scope are the row: Scope is a region, the area of an inference profile, or
	// empty for everywhere else.
	Model, Scope string
	// Note says how the row was found, where it is not the model's own; empty where it is.
	Note string
}

// key names a row.
type key struct{ provider, model, scope string }

// Table is a table of prices. It is not changed by its methods, which may be called
// concurrently.
type Table struct {
	rows  map[key]*row      // none is changed once it is here: tables share them
	dates map[string]string // of the public tables, by name
}

// Lookup returns the prices of a model. The provider is openai, anthropic or bedrock; the
// model is as the provider's interface takes it; the region is AWS's and only of use for
// Bedrock.
//
// For Bedrock the area of the inference profile is asked first, then the region, then
// what holds everywhere. A dated model without a row of its own costs what its family
// does, which Source.Note says. It is false where nothing is known: such a call has no
// price, which is not the same as costing nothing.
//
// The tariff is shared and must not be changed. Within one table, and what With makes of
// it, equal rows have equal pointers.
func (t *Table) Lookup(provider, model, region string) (*cost.Tariff, Source, bool) {
	n := Split(provider, model)
	if region == "" {
		region = n.Region
	}
	scopes := []string{n.Profile, region, ""}
	if n.Profile == "global" {
		scopes = []string{n.Profile, ""} // one price for all regions
	}
	for _, name := range names(provider, n.Model) {
		for i, scope := range scopes {
			if scope == "" && i < len(scopes)-1 {
				continue
			}
			r, ok := t.rows[key{provider, name, scope}]
			if !ok {
				continue
			}
			s := Source{Table: r.Table, Date: t.dates[r.Table], Model: name, Scope: scope}
			s.Note = noteOf(n.Model, name, n.Profile, scope)
			return r.tariff(), s, true
		}
	}
	return nil, Source{}, false
}

// noteOf says how a row differs from what was asked for.
func noteOf(asked, found, area, scope string) string {
	var notes []string
	if asked != found {
		notes = append(notes, fmt.Sprintf("%s has no price of its own: this is the price of %s", asked, found))
	}
	if area != "" && area != scope {
		where := "everywhere"
		if scope != "" {
			where = scope
		}
		notes = append(notes, fmt.Sprintf("the profile %s has no price of its own: this is the price of %s", area, where))
	}
	return strings.Join(notes, "; ")
}

// Entry is a row of the table, for reports.
type Entry struct {
	Provider, Model, Scope, Table string
	Tariff                        cost.Tariff
}

// Entries returns every row, by provider, model and scope. The tariffs are shared and must
// not be changed.
func (t *Table) Entries() []Entry {
	all := make([]Entry, 0, len(t.rows))
	for k, r := range t.rows {
		all = append(all, Entry{k.provider, k.model, k.scope, r.Table, *r.tariff()})
	}
	slices.SortFunc(all, func(a, b Entry) int {
		return slices.Compare([]string{a.Provider, a.Model, a.Scope}, []string{b.Provider, b.Model, b.Scope})
	})
	return all
}

// Dates returns the states of the public tables, by name. The map is the caller's.
func (t *Table) Dates() map[string]string { return maps.Clone(t.dates) }

// wireTable is the form of prices.json. Bands are six numbers: up to how many tokens (0:
// no bound), input, output, cache read, cache write, cache write for an hour.
type wireTable struct {
	Comment string            `json:"comment"`
	Tables  map[string]string `json:"tables"`
	Rows    []wireRow         `json:"rows"`
}

type wireRow struct {
	Provider string                   `json:"p"`
	Model    string                   `json:"m"`
	Scope    string                   `json:"r,omitempty"`
	Table    string                   `json:"t"`
	Steps    []wireStep               `json:"s"`
	Variants map[cost.Tier][]wireStep `json:"v,omitempty"`
}

type wireStep struct {
	From  string     `json:"d,omitempty"`
	Bands [][6]int64 `json:"b"`
}

// Decode reads a table in the form of prices.json.
func Decode(text []byte) (*Table, error) {
	var w wireTable
	if err := json.Unmarshal(text, &w); err != nil {
		return nil, err
	}
	t := &Table{rows: make(map[key]*row, len(w.Rows)), dates: w.Tables}
	for _, r := range w.Rows {
		k := key{r.Provider, r.Model, r.Scope}
		if _, twice := t.rows[k]; twice {
			return nil, fmt.Errorf("%v stands twice", k)
		}
		tariff, err := r.tariff()
		if err == nil {
			err = tariff.Validate()
		}
		if err != nil {
			return nil, fmt.Errorf("%v: %w", k, err)
		}
		t.rows[k] = &row{known: tariff, Table: r.Table}
	}
	return t, nil
}

// tariff is what the row says, unchecked.
func (r *wireRow) tariff() (t cost.Tariff, err error) {
	if t.Steps, err = stepsOf(r.Steps); err != nil {
		return t, err
	}
	for tier, steps := range r.Variants {
		if t.Variants == nil {
			t.Variants = map[cost.Tier][]cost.Step{}
		}
		if t.Variants[tier], err = stepsOf(steps); err != nil {
			return t, err
		}
	}
	return t, nil
}

func stepsOf(wire []wireStep) ([]cost.Step, error) {
	steps := make([]cost.Step, 0, len(wire))
	for _, w := range wire {
		var s cost.Step
		if w.From != "" {
			var err error
			if s.From, err = time.Parse(time.DateOnly, w.From); err != nil {
				return nil, err
			}
		}
		for _, b := range w.Bands {
			s.Bands = append(s.Bands, cost.Band{UpTo: b[0], Price: cost.Price{
				Input: b[1], Output: b[2], CacheRead: b[3], CacheWrite: b[4], CacheWriteHour: b[5],
			}})
		}
		steps = append(steps, s)
	}
	return steps, nil
}

// Encode writes rows in the form of prices.json, in order, a row a line. It is for the
// program that generates it.
func Encode(dates map[string]string, rows []Entry) ([]byte, error) {
	var b strings.Builder
	head, err := json.Marshal(dates)
	if err != nil {
		return nil, err
	}
	b.WriteString("{\"comment\":\"Code generated by cost/prices/gen. DO NOT EDIT.\",\n\"tables\":" + string(head) + ",\n\"rows\":[\n")
	for i, e := range rows {
		w := wireRow{Provider: e.Provider, Model: e.Model, Scope: e.Scope, Table: e.Table, Steps: wireSteps(e.Tariff.Steps)}
		for tier, steps := range e.Tariff.Variants {
			if w.Variants == nil {
				w.Variants = map[cost.Tier][]wireStep{}
			}
			w.Variants[tier] = wireSteps(steps)
		}
		line, err := json.Marshal(w)
		if err != nil {
			return nil, err
		}
		b.Write(line)
		if i < len(rows)-1 {
			b.WriteByte(',')
		}
		b.WriteByte('\n')
	}
	b.WriteString("]}\n")
	return []byte(b.String()), nil
}

func wireSteps(steps []cost.Step) []wireStep {
	var all []wireStep
	for _, s := range steps {
		var w wireStep
		if !s.From.IsZero() {
			w.From = s.From.Format(time.DateOnly)
		}
		for _, b := range s.Bands {
			w.Bands = append(w.Bands, [6]int64{b.UpTo, b.Input, b.Output, b.CacheRead, b.CacheWrite, b.CacheWriteHour})
		}
		all = append(all, w)
	}
	return all
}
