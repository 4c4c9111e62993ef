package tables

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

// GenAITable is genai-prices: models with rules that say which names they are for.
type GenAITable struct{ providers map[string][]genAIModel }

type genAIModel struct {
	ID    string          `json:"id"`
	Match genAIMatch      `json:"match"`
	Raw   json.RawMessage `json:"prices"`
	quote *Quote
}

type genAIMatch struct {
	Or         []genAIMatch `json:"or"`
	And        []genAIMatch `json:"and"`
	Equals     *string      `json:"equals"`
	StartsWith *string      `json:"starts_with"`
	EndsWith   *string      `json:"ends_with"`
	Contains   *string      `json:"contains"`
	Regex      *string      `json:"regex"`
}

func (m *genAIMatch) matches(id string) bool {
	switch {
	case m.Or != nil:
		return slices.ContainsFunc(m.Or, func(o genAIMatch) bool { return o.matches(id) })
	case m.And != nil:
		return !slices.ContainsFunc(m.And, func(o genAIMatch) bool { return !o.matches(id) })
	case m.Equals != nil:
		return id == *m.Equals
	case m.StartsWith != nil:
		return strings.HasPrefix(id, *m.StartsWith)
	case m.EndsWith != nil:
		return strings.HasSuffix(id, *m.EndsWith)
	case m.Contains != nil:
		return strings.Contains(id, *m.Contains)
	case m.Regex != nil:
		ok, err := regexp.MatchString(*m.Regex, id)
		return ok && err == nil
	}
	return false
}

// readGenAI reads the table for the providers that are priced.
func readGenAI(text []byte) (*GenAITable, error) {
	var all []struct {
		ID     string       `json:"id"`
		Models []genAIModel `json:"models"`
	}
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, err
	}
	t := &GenAITable{providers: map[string][]genAIModel{}}
	for _, p := range all {
		name, ok := map[string]string{"openai": "openai", "anthropic": "anthropic", "aws": "bedrock"}[p.ID]
		if !ok {
			continue
		}
		for i := range p.Models {
			m := &p.Models[i]
			var err error
			if m.quote, err = genAIQuote(m.Raw); err != nil {
				return nil, fmt.Errorf("%s/%s: %w", p.ID, m.ID, err)
			}
		}
		t.providers[name] = p.Models
	}
	if len(t.providers) != len(Providers()) {
		return nil, errors.New("a provider is missing")
	}
	return t, nil
}

// Quote returns what the table says of a model, by its first rule that matches, or nil.
func (t *GenAITable) Quote(provider, id string) *Quote {
	for i := range t.providers[provider] {
		if m := &t.providers[provider][i]; m.Match.matches(id) {
			return m.quote
		}
	}
	return nil
}

// IDs returns the names that the table's rules name outright.
func (t *GenAITable) IDs(provider string) []string {
	names := map[string]bool{}
	var add func(m genAIMatch)
	add = func(m genAIMatch) {
		if m.Equals != nil {
			names[*m.Equals] = true
		}
		for _, o := range m.Or {
			add(o)
		}
	}
	for _, m := range t.providers[provider] {
		if m.Match.matches(m.ID) {
			names[m.ID] = true
		}
		add(m.Match)
	}
	return slices.Sorted(maps.Keys(names))
}

// genAIFields are the names of fields. Cache writes without a time are the usual ones.
var genAIFields = map[string]Field{
	"input_mtok": Input, "output_mtok": Output, "cache_read_mtok": CacheRead,
	"cache_write_mtok": CacheWrite, "cache_write_1h_mtok": CacheWriteHour,
}

func genAIQuote(raw json.RawMessage) (*Quote, error) {
	q := &Quote{Table: GenAI}
	if !bytes.HasPrefix(bytes.TrimSpace(raw), []byte("[")) {
		bands, err := genAIBands(raw)
		if bands != nil {
			q.Steps = []Step{{Bands: bands}}
		}
		return q, err
	}
	var dated []struct {
		Constraint struct {
			Start string `json:"start_date"`
		} `json:"constraint"`
		Prices json.RawMessage `json:"prices"`
	}
	if err := json.Unmarshal(raw, &dated); err != nil {
		return nil, err
	}
	for _, d := range dated {
		bands, err := genAIBands(d.Prices)
		if err != nil {
			return nil, err
		}
		var from time.Time
		if d.Constraint.Start != "" {
			if from, err = time.Parse(time.DateOnly, d.Constraint.Start); err != nil {
				return nil, err
			}
		}
		q.Steps = append(q.Steps, Step{From: from, Bands: bands})
	}
	slices.SortFunc(q.Steps, func(a, b Step) int { return a.From.Compare(b.From) })
	return q, nil
}

// genAIBands reads one set of prices: numbers, or a base with prices for longer prompts.
func genAIBands(raw json.RawMessage) ([]Band, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil {
		return nil, err
	}
	above := map[int64]*Amounts{} // by the length that a prompt is longer than
	at := func(start int64) *Amounts {
		if above[start] == nil {
			a := Silent()
			above[start] = &a
		}
		return above[start]
	}
	for name, value := range members {
		field, ok := genAIFields[name]
		if !ok {
			continue
		}
		tiered, err := genAITiers(value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		for start, price := range tiered {
			if at(start)[field], err = micro(price, -6); err != nil {
				return nil, err
			}
		}
	}
	return bandsOf(above), nil
}

// genAITiers reads a price: by the length that a prompt is longer than.
func genAITiers(value json.RawMessage) (map[int64]json.Number, error) {
	var tiered struct {
		Base  json.Number `json:"base"`
		Tiers []struct {
			Start int64       `json:"start"`
			Price json.Number `json:"price"`
		} `json:"tiers"`
	}
	if err := json.Unmarshal(value, &tiered.Base); err != nil {
		if err := json.Unmarshal(value, &tiered); err != nil {
			return nil, err
		}
	}
	prices := map[int64]json.Number{0: tiered.Base}
	for _, t := range tiered.Tiers {
		prices[t.Start] = t.Price
	}
	return prices, nil
}

// bandsOf makes bands of prices for prompts that are longer than something. What a band
// is silent about is as in the one before it.
func bandsOf(above map[int64]*Amounts) []Band {
	starts := slices.Sorted(maps.Keys(above))
	var bands []Band
	for i, start := range starts {
		b := Band{Amounts: *above[start]}
		if i+1 < len(starts) {
			b.UpTo = starts[i+1]
		}
		for f := range b.Amounts {
			if b.Amounts[f] == Unsaid && i > 0 {
				b.Amounts[f] = bands[i-1].Amounts[f]
			}
		}
		bands = append(bands, b)
	}
	return bands
}
