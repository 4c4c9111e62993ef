// Package estimate says what a call may cost before it is made: what is reserved for it
// in the books. It is shared by those who wire a client, and knows no more of prices than
// the client's own configuration.
package estimate

import (
	"bytes"
	"cmp"
	"encoding/json"
	"time"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/cost"
	"github.com/forebay-ai/forebay/llm"
)

// usualOutput is the answer that is reserved for where a call bounds it nowhere, in tokens:
// longer than most. What the answer really takes is settled.
const usualOutput = 1024

// Of says what a call may cost: its prompt and the longest answer that it allows, at
// the most expensive target of its model, in micro-dollars. It may be called concurrently.
func Of(cfg forebay.Config) func(*llm.Request) int64 {
	return func(req *llm.Request) int64 {
		if req.Endpoint == llm.Function || req.Endpoint == llm.CountTokens {
			return 0 // these have no price
		}
		name := cmp.Or(req.Model, cfg.Operations[req.Operation].Model, cfg.Defaults.Model)
		m, ok := cfg.Models[name]
		if !ok {
			m = cfg.Models["*"]
		}
		output := 0
		if d, ok := req.Dialect.(llm.OutputBounder); ok {
			output = d.MaxOutput(req)
		}
		u := cost.Estimate(len(req.Body), 0)
		u.Output = int64(cmp.Or(output, usualOutput))
		u.Output *= choices(req.Body)
		most, now := int64(0), time.Now()
		for i := range m.Targets {
			most = max(most, m.Targets[i].MicroUSD(cmp.Or(m.Targets[i].Model, req.Model), u, now))
		}
		return most
	}
}

// mostChoices is how many answers a call may ask for at once in OpenAI's format.
const mostChoices = 128

// choices is how many answers a call asks for at once.
func choices(body []byte) int64 {
	if !bytes.Contains(body, []byte(`"n"`)) {
		return 1
	}
	var in struct {
		N int64 `json:"n"`
	}
	_ = json.Unmarshal(body, &in) // what cannot be read is refused elsewhere
	return min(max(in.N, 1), mostChoices)
}
