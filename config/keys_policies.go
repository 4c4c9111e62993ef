package config

import (
	"time"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/cache"
	"github.com/forebay-ai/forebay/config/internal/settings"
	"github.com/forebay-ai/forebay/degrade"
	"github.com/forebay-ai/forebay/llm"
)

// One table on purpose: rows read best together.
func cacheKeys() []*settings.Key {
	return []*settings.Key{
		{
			Path: "cache.enabled", Kind: settings.Bool, Initial: "true", Env: "ENABLE_RESPONSE_CACHING",
			Doc: "Whether answers are kept.",
		},
		{
			Path: "cache.ttl", Kind: settings.Duration, Low: int64(time.Second), High: 365 * day, Initial: "24h", Env: "CACHE_DEFAULT_TTL_HOURS", Unit: "h",
			Doc: "How long answers are fresh.",
		},
		{
			Path: "cache.memory", Kind: settings.Size, Low: 64 << 10, High: 1 << 40, Initial: "256MiB",
			Doc: "Bounds the memory of all entries together.",
		},
		{
			Path: "cache.max_entries", Kind: settings.Int, Low: 0, High: 1_000_000_000, Initial: "10000", Env: "MAX_CACHE_SIZE",
			Doc: "Bounds the number of entries. 0 means that cache.memory alone does.",
		},
		{
			Path: "cache.max_entry", Kind: settings.Size, Low: 1, High: 1 << 30, Initial: "4MiB",
			Doc: "The largest answer that is kept. Where it is not set, at most an eighth of cache.memory.",
		},
		{
			Path: "cache.stale_for", Kind: settings.Duration, Low: 0, High: 365 * day, Initial: "24h",
			Doc: "How long an entry is kept after it expired, for the fallback cached.",
		},
		{
			Path: "cache.jitter", Kind: settings.Ratio, Initial: "10%",
			Doc: "Spreads lifetimes by this share, so that entries stored together do not expire together. At most 50%.",
		},
		{
			Path: "cache.tenant_floor", Kind: settings.Ratio, Initial: "50%",
			Doc: "The share of cache.memory that is divided among the tenants: what a tenant keeps within its part, no other tenant displaces. At most 90%. 0% means that they all compete.",
		},
		{
			Path: "cache.stale_while_revalidate", Kind: settings.Duration, Low: 0, High: 365 * day, Initial: "1m",
			Doc: "How long after its end an answer is still given while a new one is fetched behind it. 0 means not at all.",
		},
		{
			Path: "cache.negative_ttl", Kind: settings.Duration, Low: 0, High: day, Initial: "60s",
			Doc: "How long a provider's refusal of a request is repeated without asking again. 0 means not at all.",
		},
		{
			Path: "cache.similar", Kind: settings.Choice, Choices: similarModes(), Initial: "off",
			Doc: "When the answer to a similar request may be given, marked as such: off, degraded (by the fallback cached, when every target failed) or always (in place of a call). See docs/similar.md before.",
		},
		{
			Path: "cache.similar_threshold", Kind: settings.Number, Low: 0, High: 1, Example: "0.9",
			Doc: "The least similarity for that. Without it, the one at which 98% of matches are right on the data of docs/similar.md.",
		},
		{
			Path: "cache.persist", Kind: settings.Bool, Initial: "true",
			Doc: "Keeps answers in store.dir too, encrypted, where there is one.",
		},
		{
			Path: "cache.disk", Kind: settings.Size, Low: 1 << 20, High: 1 << 50, Initial: "4GiB",
			Doc: "Bounds the cache's file. The oldest answers go first.",
		},
		{
			Path: "cache.compression", Kind: settings.Bool, Initial: "true", Env: "ENABLE_CACHE_COMPRESSION",
			Doc: "Compresses answers of 1 KiB and more on disk (zstd).",
		},
		{
			Path: "cache.store_timeout", Kind: settings.Duration, Low: ms, High: int64(10 * time.Second), Initial: "5ms",
			Doc: "What a look-up on disk may cost a call. One that takes longer is a miss.",
		},
		{
			Path: "cache.write_buffer", Kind: settings.Size, Low: 64 << 10, High: 1 << 34, Initial: "16MiB",
			Doc: "Bounds the answers that wait to be written to disk. What does not fit stays in memory only.",
		},
		{
			Path: "cache.warmup", Kind: settings.Text, Example: "warmup.jsonl",
			Doc: "A file of requests, one a line, whose answers are fetched at the start at the lowest priority: lines of OpenAI's batch format, or bodies of chat completions. Relative to the file.",
		},
		{
			Path: "cache.warmup_concurrency", Kind: settings.Int, Low: 1, High: 64, Initial: "2",
			Doc: "How many of them are fetched at once.",
		},
	}
}

// One table on purpose: rows read best together.
func queueKeys() []*settings.Key {
	offset := func(band, initial string) *settings.Key {
		return &settings.Key{
			Path: "queue.offsets." + band, Kind: settings.Duration, Low: 0, High: day, Initial: initial,
			Doc: "How much longer than a critical request one of band " + band + " waits before it is its equal.",
		}
	}
	return []*settings.Key{
		{
			Path: "queue.enabled", Kind: settings.Bool, Initial: "true", Env: "ENABLE_REQUEST_QUEUING",
			Doc: "Whether calls wait when the target is busy. Otherwise they are refused at once.",
		},
		{
			Path: "queue.max", Kind: settings.Int, Low: 1, High: 10_000_000, Initial: "500", Env: "MAX_QUEUE_SIZE",
			Doc: "How many calls wait for one target at most.",
		},
		{
			Path: "queue.max_bytes", Kind: settings.Size, Low: 0, High: 1 << 40, Initial: "64MiB",
			Doc: "Bounds the bodies of the calls that wait for one target. 0B means no bound.",
		},
		{
			Path: "queue.queue_at", Kind: settings.Int, Low: 0, High: 10_000_000, Initial: "0",
			Doc: "Calls in progress from which all but critical ones wait although there is room. 0 means that calls wait when there is none.",
		},
		{
			Path: "queue.warn", Kind: settings.Int, Low: 1, High: 10_000_000, Initial: "50", Env: "QUEUE_THRESHOLD",
			Doc: "Waiting calls from which health is degraded. Where it is not set, at most queue.critical.",
		},
		{
			Path: "queue.critical", Kind: settings.Int, Low: 1, High: 10_000_000, Initial: "100",
			Doc: "Waiting calls from which pressure is critical. Where it is not set, at most queue.max.",
		},
		{
			Path: "queue.max_age", Kind: settings.Duration, Low: ms, High: day, Initial: "60s",
			Doc: "How long a call waits at most, whatever its deadline.",
		},
		{
			Path: "queue.target", Kind: settings.Duration, Low: 0, High: day, Initial: "0s",
			Doc: "The wait that calls may have all the time. Above it, the newest call of a band goes first and those that waited longest are refused, until it is met. 0s means that it follows from the calls' deadlines.",
		},
		{
			Path: "queue.interval", Kind: settings.Duration, Low: 0, High: day, Initial: "0s",
			Doc: "How long waits have to be above queue.target before that happens. 0s means that it follows from the time that calls take.",
		},
		{
			Path: "queue.announce", Kind: settings.Duration, Low: 0, High: day, Initial: "2s",
			Doc: "How long a streamed call waits until it is told its place, once a second, in comments of the stream. 0s means never.",
		},
		offset("high", "5s"),
		offset("normal", "15s"),
		offset("low", "60s"),
		{
			Path: "queue.critical_reserve", Kind: settings.Ratio, Initial: "80%",
			Doc: "The share of freed slots that goes to waiting critical calls at least.",
		},
		{
			Path: "queue.floor", Kind: settings.Ratio, Initial: "5%",
			Doc: "The share of freed slots that each other band is sure of while it waits. At most 33%.",
		},
		{
			Path: "limits.max_concurrent", Kind: settings.Int, Low: 0, High: 1_000_000, Initial: "256", Env: "MAX_CONCURRENT_REQUESTS",
			Doc: "Calls in progress to one target: where the bound starts, and the most that it becomes. 0 means no bound. 256 suits a hosted provider, whose own limits are in the hundreds.",
		},
		{
			Path: "limits.adaptive", Kind: settings.Bool, Initial: "true",
			Doc: "Moves the bound of each target between 1 and max_concurrent, by the time to the first token, the time between tokens and refusals for overload; never by how long answers take.",
		},
	}
}

func retryKeys() []*settings.Key {
	return []*settings.Key{
		{
			Path: "retry.max", Kind: settings.Int, Low: 0, High: 20, Initial: "3", Env: "MAX_RETRIES",
			Doc: "Repeated attempts of one call, after each of its targets was tried once.",
		},
		{
			Path: "retry.budget", Kind: settings.Ratio, Initial: "10%",
			Doc: "The share of calls that may be repeated, over all calls of a target and again over those of a tenant. 0% means none. A tenth is the Google SRE book's.",
		},
		{
			Path: "retry.base", Kind: settings.Duration, Low: ms, High: day, Initial: "100ms",
			Doc: "The first wait between attempts. It doubles with each, and is drawn from zero to that.",
		},
		{
			Path: "retry.cap", Kind: settings.Duration, Low: ms, High: day, Initial: "5s",
			Doc: "Bounds each wait. Where it is not set, at least retry.base.",
		},
	}
}

// One table on purpose: rows read best together.
func breakerKeys() []*settings.Key {
	return []*settings.Key{
		{
			Path: "breaker.enabled", Kind: settings.Bool, Initial: "true",
			Doc: "Whether failures open a target's breaker.",
		},
		{
			Path: "breaker.consecutive", Kind: settings.Int, Low: 0, High: 1_000_000, Initial: "5", Env: "CIRCUIT_BREAKER_THRESHOLD",
			Doc: "Failures in a row that open it. 0 means that they do not.",
		},
		{
			Path: "breaker.failure_rate", Kind: settings.Ratio, Initial: "10%", Env: "MAX_FAILURE_RATE",
			Doc: "The share of failures within the window that opens it. 0% means that no share does.",
		},
		{
			Path: "breaker.window", Kind: settings.Duration, Low: int64(time.Second), High: day, Initial: "5m", Env: "FAILURE_WINDOW_MS", Unit: "ms",
			Doc: "How far back shares look.",
		},
		{
			Path: "breaker.min_volume", Kind: settings.Int, Low: 1, High: 1_000_000, Initial: "20",
			Doc: "Calls within the window below which no share opens it.",
		},
		{
			Path: "breaker.open_for", Kind: settings.Duration, Low: ms, High: day, Initial: "1s",
			Doc: "How long it stays open the first time. Each reopening doubles that.",
		},
		{
			Path: "breaker.max_open_for", Kind: settings.Duration, Low: ms, High: day, Initial: "8s",
			Doc: "Bounds how long it stays open. Where it is not set, at least breaker.open_for.",
		},
		{
			Path: "breaker.probes", Kind: settings.Int, Low: 1, High: 10_000, Initial: "3",
			Doc: "Calls that pass at once while it is half-open, and that have to succeed before it closes.",
		},
		{
			Path: "breaker.ramp", Kind: settings.Duration, Low: 0, High: day, Initial: "5s",
			Doc: "How long a target's share of the calls takes to grow from a tenth to all after it closed. 0 means that it gets all at once.",
		},
		{
			Path: "breaker.slow_call", Kind: settings.Duration, Low: 0, High: day, Initial: "0s",
			Doc: "The duration from which a call counts as slow. 0 means that none does.",
		},
		{
			Path: "breaker.slow_rate", Kind: settings.Ratio, Initial: "50%",
			Doc: "The share of slow calls within the window that opens it.",
		},
	}
}

// One table on purpose: rows read best together.
func gatewayKeys() []*settings.Key {
	return []*settings.Key{
		{
			Path: "gateway.max_body", Kind: settings.Size, Low: 1 << 10, High: 1 << 30, Initial: "10MiB",
			Doc: "Bounds the body of a request.",
		},
		{
			Path: "gateway.max_header", Kind: settings.Size, Low: 1 << 10, High: 16 << 20, Initial: "32KiB",
			Doc: "Bounds request line and headers. 4 KiB are granted on top.",
		},
		{
			Path: "gateway.header_timeout", Kind: settings.Duration, Low: ms, High: day, Initial: "5s",
			Doc: "Bounds the time for request line and headers.",
		},
		{
			Path: "gateway.idle_timeout", Kind: settings.Duration, Low: ms, High: day, Initial: "60s",
			Doc: "How long a connection waits for its next request.",
		},
		{
			Path: "gateway.body_timeout", Kind: settings.Duration, Low: ms, High: day, Initial: "10s",
			Doc: "How long a body may take before gateway.body_rate counts.",
		},
		{
			Path: "gateway.body_rate", Kind: settings.Size, Low: 1, High: 1 << 30, Initial: "1KiB",
			Doc: "What a body has to bring each second, on average, after that.",
		},
		{
			Path: "gateway.write_timeout", Kind: settings.Duration, Low: ms, High: day, Initial: "10s",
			Doc: "Bounds each write to a client: one that stops reading is cut.",
		},
		{
			Path: "gateway.repeated_signatures", Kind: settings.Choice, Choices: []string{"refuse", "seconds", "allow"}, Initial: "refuse",
			Doc: "What is done about signed requests to the Bedrock door that were seen before: refuse (each is taken once; calls and retries that an SDK tells apart are taken, even those of one second), seconds (again for two seconds, for clients that sign equal calls of one second equally and say nothing else of them) or allow (as long as the signature is current, as AWS does).",
		},
		{
			Path: "gateway.public_metrics", Kind: settings.Bool, Initial: "false",
			Doc: "Serves /metrics without a key.",
		},
	}
}

// One table on purpose: rows read best together.
func otherKeys() []*settings.Key {
	return append([]*settings.Key{
		{
			Path: "log.level", Kind: settings.Choice, Choices: []string{"debug", "info", "warn", "error"}, Initial: "info", Env: "FOREBAY_LOG_LEVEL",
			Doc: "The least important lines that are logged.",
		},
		{
			Path: "log.format", Kind: settings.Choice, Choices: []string{"auto", "text", "json"}, Initial: "auto", Env: "FOREBAY_LOG_FORMAT",
			Doc: "How lines are written. auto is text on a terminal and json elsewhere.",
		},
		{
			Path: "log.requests", Kind: settings.Bool, Initial: "false", Env: "FOREBAY_LOG_REQUESTS",
			Doc: "Logs a line for each request at level info. Prompts and answers are never logged.",
		},
		{
			Path: "store.dir", Kind: settings.Text, Env: "FOREBAY_STORE_DIR", Example: "./forebay-data",
			Doc: "A directory for what has to last; one process uses it at a time. Relative to the file. Without it everything is kept in memory and lost at the end.",
		},
		{
			Path: "store.key_file", Kind: settings.Text, Example: "/run/secrets/forebay.key",
			Doc: "The file of the master key that what is stored is encrypted under: 32 bytes in base64 or hexadecimal a line, the current one first, older ones behind it. Only its owner may read it. Without it, master.key in store.dir, which is made at the first start. Relative to the file.",
		},
		{
			Path: "store.master_key", Kind: settings.Secret, Env: "FOREBAY_MASTER_KEY", Example: "${FOREBAY_MASTER_KEY}",
			Doc: "The master key itself, in place of a file; older ones behind it, separated by commas.",
		},
	}, dynamoKeys()...)
}

// providerTypes are what providers.*.type may say. Those of later versions are
// known, so that the message about them is not "did you mean".
func providerTypes() []string { return []string{typeOpenAI, typeBedrock, typeSimulated, "anthropic"} }

const (
	typeOpenAI    = "openai"
	typeBedrock   = "bedrock"
	typesHTTP     = typeOpenAI + " " + typeBedrock
	typeSimulated = "simulated"
)

// scopes are those of the gateway's keys.
func scopes() []string {
	return []string{"call", "stored", "jobs", "metrics", "cache", "costs", "admin"}
}

func bands() []string {
	var names []string
	for _, p := range llm.Priorities {
		names = append(names, p.String())
	}
	return names
}

func fallbacks() []string {
	var names []string
	for _, s := range degrade.Strategies() {
		names = append(names, string(s))
	}
	return names
}

// storable are the ends of answers that are not kept unless a policy says so.
func storable() []string {
	return []string{string(llm.FinishToolCalls), string(llm.FinishRefusal), string(llm.FinishFilter)}
}

func similarModes() []string {
	return []string{string(forebay.SimilarOff), string(forebay.SimilarDegraded), string(forebay.SimilarAlways)}
}

func dimensions() []string {
	return []string{string(cache.Tenant), string(cache.User), string(cache.Persona), string(cache.Shared)}
}
