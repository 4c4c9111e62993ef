package tables

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/forebay-ai/forebay/cost"
)

// liteProviders are the providers' names in the table. What is sold under another brand's
// endpoint ("mantle") has the prices of Bedrock.
var liteProviders = map[string]string{
	"openai": "openai", "text-completion-openai": "openai", "anthropic": "anthropic",
	"bedrock": "bedrock", "bedrock_converse": "bedrock", "bedrock_mantle": "bedrock",
}

var liteModes = map[string]bool{"chat": true, "responses": true, "embedding": true, "completion": true}

// litePrice takes the name of a price apart: which, for prompts longer than what, for
// which tier.
var litePrice = regexp.MustCompile(
	`^(input_cost_per_token|output_cost_per_token|cache_read_input_token_cost|cache_creation_input_token_cost)` +
		`(_above_1hr)?(?:_above_(\d+)k_tokens)?(_batches|_priority|_flex)?$`)

var liteFields = map[string]Field{
	"input_cost_per_token": Input, "output_cost_per_token": Output,
	"cache_read_input_token_cost": CacheRead, "cache_creation_input_token_cost": CacheWrite,
}

func readLiteLLM(text []byte) (map[string]*Quote, error) {
	var all map[string]map[string]any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&all); err != nil {
		return nil, err
	}
	quotes := map[string]*Quote{}
	// In the order of their length, so that of two names of one model the plain one counts.
	for _, id := range slices.SortedFunc(maps.Keys(all), func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) }) {
		members := all[id]
		provider := liteProviders[asText(members["litellm_provider"])]
		if provider == "" || !liteModes[asText(members["mode"])] || !Priced(id) {
			continue
		}
		q, err := liteQuote(members)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", id, err)
		}
		if key := provider + "/" + liteID(provider, id); q != nil && quotes[key] == nil {
			quotes[key] = q
		}
	}
	return quotes, nil
}

// liteID is a model's id without what the table's own routing puts in front.
func liteID(provider, id string) string {
	for _, front := range [...]string{"bedrock_mantle/", "bedrock/invoke/", "bedrock/", "text-completion-openai/", provider + "/"} {
		id = strings.TrimPrefix(id, front)
	}
	return id
}

func asText(v any) string {
	s, _ := v.(string)
	return s
}

func liteQuote(members map[string]any) (*Quote, error) {
	tiers := map[cost.Tier]map[int64]*Amounts{}
	for name, value := range members {
		number, ok := value.(json.Number)
		m := litePrice.FindStringSubmatch(name)
		if m == nil || !ok {
			continue
		}
		tier, start, field, err := liteName(m)
		if err != nil {
			return nil, err
		}
		if tiers[tier] == nil {
			tiers[tier] = map[int64]*Amounts{}
		}
		if tiers[tier][start] == nil {
			a := Silent()
			tiers[tier][start] = &a
		}
		if tiers[tier][start][field], err = micro(number, 0); err != nil {
			return nil, err
		}
	}
	q := &Quote{Table: LiteLLM, Variants: map[cost.Tier][]Step{}}
	for tier, above := range tiers {
		if above[0] == nil {
			continue // prices for long prompts alone
		}
		if steps := []Step{{Bands: bandsOf(above)}}; tier == cost.Standard {
			q.Steps = steps
		} else {
			q.Variants[tier] = steps
		}
	}
	if q.Steps == nil {
		return nil, nil
	}
	return q, nil
}

// liteName says what a name that litePrice took apart is the price of.
func liteName(m []string) (tier cost.Tier, start int64, field Field, err error) {
	field = liteFields[m[1]]
	if m[2] != "" {
		field = CacheWriteHour
	}
	if m[3] != "" {
		if start, err = strconv.ParseInt(m[3], 10, 64); err != nil {
			return "", 0, 0, err
		}
	}
	tier = map[string]cost.Tier{"": cost.Standard, "_batches": cost.Batch, "_priority": cost.Priority, "_flex": cost.Flex}[m[4]]
	return tier, start * 1000, field, nil
}
