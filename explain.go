package forebay

import (
	"encoding/json"
	"time"

	"github.com/forebay-ai/forebay/cache"
	"github.com/forebay-ai/forebay/llm"
)

// Explanation says under which key the cache looks for the answer to a request, and
// what made that key.
type Explanation struct {
	// Key is the key in hexadecimal.
	Key string `json:"key"`
	// Cached says whether the answer may be taken from the cache and stored there,
	// and Why what keeps it from that.
	Cached bool   `json:"cached"`
	Why    string `json:"why,omitempty"`
	// Found is hit, stale or miss: what is in memory now, with its age and the time
	// that it stays fresh, in seconds.
	Found      string  `json:"found"`
	AgeSeconds float64 `json:"age_seconds,omitempty"`
	TTLSeconds float64 `json:"ttl_seconds"`

	// What the key is made of: the identity, whom answers are kept apart by with the
	// values of this request, and the canonical form of the body.
	Dialect       string            `json:"dialect"`
	Endpoint      string            `json:"endpoint"`
	Operation     string            `json:"operation"`
	Family        string            `json:"provider_family"`
	Model         string            `json:"model"`
	PromptVersion string            `json:"prompt_version"`
	Namespace     string            `json:"namespace"`
	Scope         map[string]string `json:"scope"`
	Canonical     json.RawMessage   `json:"canonical"`
	// Omitted says what of the body does not count, and how texts were normalised.
	Omitted []llm.Omission `json:"omitted"`
}

// Explain says how the cache sees req. It makes no call and counts nothing.
func (cc CacheControl) Explain(req *llm.Request) (Explanation, error) {
	if err := cc.Usable(); err != nil {
		return Explanation{}, err
	}
	k, err := cc.client.open(req, nil)
	if err != nil {
		return Explanation{}, err
	}
	if err := k.makeKey(); err != nil {
		return Explanation{}, err
	}
	id := k.identity()
	x := Explanation{
		Key: k.key.String(), Found: cache.Miss.String(), TTLSeconds: k.op.Cache.TTL.Seconds(),
		Dialect: id.Dialect, Endpoint: id.Endpoint, Operation: id.Operation, Family: id.Family, Model: id.Model,
		PromptVersion: id.PromptVersion, Namespace: id.Namespace, Scope: k.scopeValues(), Omitted: []llm.Omission{},
	}
	if x.Canonical, err = req.Dialect.Canonical(nil, req, k.op.Cache.Verbatim); err != nil {
		return Explanation{}, llm.AsError(err)
	}
	if d, ok := req.Dialect.(llm.Omitter); ok {
		if x.Omitted, err = d.Omissions(req, k.op.Cache.Verbatim); err != nil {
			return Explanation{}, llm.AsError(err)
		}
	}
	x.Why = k.uncached()
	x.Cached = x.Why == ""
	k.findFor(&x)
	return x, nil
}

// scopeValues are the values of this call by which answers are kept apart.
func (k *call) scopeValues() map[string]string {
	all := map[cache.Dimension]string{cache.Tenant: k.req.Tenant, cache.User: k.req.User, cache.Persona: k.req.Persona}
	values := map[string]string{}
	for _, d := range k.op.Cache.Scope {
		if d == cache.Shared {
			return map[string]string{string(cache.Shared): "everybody"}
		}
		values[string(d)] = all[d]
	}
	values[string(cache.Tenant)] = k.req.Tenant // under every other scope
	return values
}

// uncached says what keeps the call from the cache; empty for nothing.
func (k *call) uncached() string {
	d := &k.req.Cache
	switch {
	case k.op.Cache.Off:
		return "the operation keeps its answers out of the cache (cache.off)"
	case d.NoRead && d.NoWrite:
		return "the request says off (x-forebay-cache, or no-cache with no-store)"
	case d.NoRead:
		return "the request does not want a cached answer; a new one is stored (wo, no-cache)"
	case d.NoWrite:
		return "the request does not let its answer be stored; a cached one is given (ro, no-store)"
	}
	return ""
}

// findFor looks into memory without counting.
func (k *call) findFor(x *Explanation) {
	e := k.client.cache.Peek(k.query())
	if e == nil {
		return
	}
	x.Found = cache.Hit.String()
	x.AgeSeconds = k.start.Sub(e.Stored).Round(time.Millisecond).Seconds()
	x.TTLSeconds = e.Expires.Sub(k.start).Round(time.Millisecond).Seconds()
}
