package tables

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"

	"github.com/forebay-ai/forebay/cost"
)

// portkeyConfig is a set of prices in the table, in cents a token.
type portkeyConfig struct {
	Usual map[string]json.RawMessage `json:"pay_as_you_go"`
	Batch map[string]json.RawMessage `json:"batch_config"`
}

// portkeyMode is what one way of calling costs: by length of the prompt or not.
type portkeyMode struct {
	Config *portkeyConfig `json:"pricing_config"`
	Tiers  map[string]struct {
		Config portkeyConfig `json:"pricing_config"`
	} `json:"context_tiers"`
}

type portkeyModel struct {
	Config portkeyConfig `json:"pricing_config"`
	Custom struct {
		Starts  map[string]string `json:"context_tier_map"` // length to the name of a tier
		Regions map[string]struct {
			Modes map[string]portkeyMode `json:"execution_modes"`
		} `json:"regions"`
	} `json:"custom_pricing"`
}

func readPortkey(text []byte) (map[string]*Quote, error) {
	quotes := map[string]*Quote{}
	for r := tar.NewReader(bytes.NewReader(text)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return quotes, nil
		}
		if err != nil {
			return nil, err
		}
		provider := strings.TrimSuffix(path.Base(h.Name), ".json")
		if path.Base(path.Dir(h.Name)) != "pricing" || !strings.Contains(" "+strings.Join(Providers(), " ")+" ", " "+provider+" ") {
			continue
		}
		var models map[string]portkeyModel
		if err := json.NewDecoder(r).Decode(&models); err != nil {
			return nil, fmt.Errorf("%s: %w", provider, err)
		}
		for id, m := range models {
			if id == "default" || !Priced(id) {
				continue
			}
			if err := m.quotes(provider, id, quotes); err != nil {
				return nil, fmt.Errorf("%s/%s: %w", provider, id, err)
			}
		}
	}
}

// quotes adds what the table says of one model, everywhere and by region. What it says by
// region and way of calling goes before the plain prices.
func (m *portkeyModel) quotes(provider, id string, into map[string]*Quote) error {
	plain, err := portkeyAmounts(m.Config.Usual)
	if err != nil {
		return err
	}
	batch, err := portkeyAmounts(m.Config.Batch)
	if err != nil {
		return err
	}
	usual := &Quote{Table: Portkey, Variants: map[cost.Tier][]Step{}}
	if plain.Said() {
		usual.Steps = []Step{{Bands: []Band{{Amounts: plain}}}}
	}
	if batch.Said() {
		usual.Variants[cost.Batch] = []Step{{Bands: []Band{{Amounts: batch}}}}
	}
	for regions, custom := range m.Custom.Regions {
		q, err := m.region(custom.Modes)
		if err != nil {
			return err
		}
		if q.Steps == nil {
			continue
		}
		if regions == "default" {
			usual = q
			continue
		}
		for region := range strings.SplitSeq(regions, ",") {
			into[provider+"/"+region+"/"+id] = q
		}
	}
	if usual.Steps != nil {
		into[provider+"/"+id] = usual
	}
	return nil
}

// region reads the prices of a region, by way of calling.
func (m *portkeyModel) region(modes map[string]portkeyMode) (*Quote, error) {
	q := &Quote{Table: Portkey, Variants: map[cost.Tier][]Step{}}
	for mode, prices := range modes {
		bands, err := m.bands(prices)
		if err != nil {
			return nil, err
		}
		switch tier := cost.Tier(mode); {
		case len(bands) == 0:
		case tier == cost.Standard:
			q.Steps = []Step{{Bands: bands}}
		case tier == cost.Batch || tier == cost.Flex || tier == cost.Priority:
			q.Variants[tier] = []Step{{Bands: bands}}
		}
	}
	return q, nil
}

// bands reads one way of calling.
func (m *portkeyModel) bands(mode portkeyMode) ([]Band, error) {
	above := map[int64]*Amounts{}
	if mode.Config != nil {
		a, err := portkeyAmounts(mode.Config.Usual)
		if err != nil {
			return nil, err
		}
		above[0] = &a
	}
	for start, name := range m.Custom.Starts {
		tier, ok := mode.Tiers[name]
		if !ok {
			continue
		}
		length, err := strconv.ParseInt(start, 10, 64)
		if err != nil {
			return nil, err
		}
		a, err := portkeyAmounts(tier.Config.Usual)
		if err != nil {
			return nil, err
		}
		above[length] = &a
	}
	if above[0] == nil || !above[0].Said() {
		return nil, nil
	}
	return bandsOf(above), nil
}

// portkeyAmounts reads the prices of tokens. Zeros are the table's way of saying nothing:
// it has them for every cache price of a model without a cache.
func portkeyAmounts(members map[string]json.RawMessage) (Amounts, error) {
	a := Silent()
	var more map[string]json.RawMessage
	if raw, ok := members["additional_units"]; ok {
		if err := json.Unmarshal(raw, &more); err != nil {
			return a, err
		}
	}
	for _, part := range [...]struct {
		raw   json.RawMessage
		field Field
	}{
		{members["request_token"], Input},
		{members["response_token"], Output},
		{members["cache_read_input_token"], CacheRead},
		{members["cache_write_input_token"], CacheWrite},
		{more["cache_write_1h"], CacheWriteHour},
	} {
		if part.raw == nil {
			continue
		}
		var price struct {
			Price json.Number `json:"price"`
		}
		if err := json.Unmarshal(part.raw, &price); err != nil {
			return a, err
		}
		if price.Price == "" {
			continue
		}
		amount, err := micro(price.Price, -2)
		if err != nil {
			return a, err
		}
		if amount > 0 {
			a[part.field] = amount
		}
	}
	return a, nil
}
