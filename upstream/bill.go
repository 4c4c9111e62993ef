package upstream

import (
	"time"

	"github.com/forebay-ai/forebay/cost"
	"github.com/forebay-ai/forebay/llm"
)

// Bill is what calls of targets used and cost.
type Bill struct {
	Usage llm.Usage
	// Estimated says that a part of Usage is, because a provider reported none.
	Estimated bool
	// MicroUSD is the price in millionths of a dollar.
	MicroUSD int64
}

// Plus is the sum of two bills.
func (b Bill) Plus(o Bill) Bill {
	return Bill{Usage: b.Usage.Plus(o.Usage), Estimated: b.Estimated || o.Estimated, MicroUSD: b.MicroUSD + o.MicroUSD}
}

// Bill prices what a call of a model at the place used, at the prices of that moment.
func (p *Place) Bill(model string, u llm.Usage, estimated bool, at time.Time) Bill {
	return Bill{Usage: u, Estimated: estimated, MicroUSD: p.MicroUSD(model, u, at)}
}

// MicroUSD is the price of u at a moment, in millionths of a dollar: by Tariff, that of
// the model, or where there is none by Price.
func (p *Place) MicroUSD(model string, u llm.Usage, at time.Time) int64 {
	tariff := p.Tariff
	if tariff == nil && p.TariffOf != nil {
		tariff = p.TariffOf(model)
	}
	if tariff != nil {
		return tariff.MicroUSD(u, at)
	}
	return p.Price.MicroUSD(u)
}

// listed is the price by which places are compared.
func (p *Place) listed() cost.Price {
	if p.Tariff != nil {
		return p.Tariff.PriceAt(time.Now(), 0)
	}
	return p.Price
}

// free says that no calls of an endpoint use tokens: there is nothing to estimate.
func free(e llm.Endpoint) bool { return e == llm.Function || e == llm.CountTokens }

// Answered is what an answer used: what its provider reported or, where an answer of
// bytes in events came without a report, an estimate. That is the case of a stream that
// was not asked for usage, or was cut.
func Answered(req *llm.Request, reported llm.Usage, bytes, events int) (u llm.Usage, estimated bool) {
	if !reported.IsZero() || bytes == 0 || free(req.Endpoint) {
		return reported, false
	}
	if req.Stream {
		bytes = events * bytesPerToken // models stream about one token an event
	}
	return cost.Estimate(len(req.Body), bytes), true
}

// Unseen is what an attempt used of which nothing was passed on: what the provider
// reported, or the prompt and the pieces that came, where it took the call at all.
func Unseen(req *llm.Request, held []llm.Chunk, kind llm.Kind) (u llm.Usage) {
	events := 0
	for i := range held {
		if !held[i].Usage.IsZero() {
			u = held[i].Usage
		}
		if held[i].Useful {
			events += held[i].Events
		}
	}
	taken := len(held) > 0
	switch kind {
	case llm.ProviderTimeout, llm.ProviderTruncated, llm.ProviderMalformed, llm.CallerCancelled, llm.CallerDeadline:
		taken = true
	}
	if !u.IsZero() || !taken || free(req.Endpoint) {
		return u
	}
	return cost.Estimate(len(req.Body), events*bytesPerToken)
}
