package config

import (
	"time"

	"github.com/forebay-ai/forebay/config/internal/settings"
	"github.com/forebay-ai/forebay/provider/bedrock"
)

// The largest duration that a key may have unless its row says otherwise: longer
// ones are units mixed up.
const day = int64(24 * time.Hour)

const ms = int64(time.Millisecond)

// table is every key there is, in the order of the reference page. Its defaults
// are the specification's numbers (its environment variables are named beside
// them) or say where else they come from. Profiles change some of them.
func table() []*settings.Key {
	var all []*settings.Key
	for _, part := range [][]*settings.Key{
		serverKeys(), providerKeys(), modelKeys(), operationKeys(), personaKeys(),
		cacheKeys(), queueKeys(), jobKeys(), retryKeys(), breakerKeys(), gatewayKeys(), watchKeys(), otherKeys(),
	} {
		all = append(all, part...)
	}
	return all
}

// One table on purpose: rows read best together.
func serverKeys() []*settings.Key {
	return []*settings.Key{
		{
			Path: "profile", Kind: settings.Choice, Choices: Profiles(), Initial: "standard", Env: "FOREBAY_PROFILE",
			Doc: "The set of defaults: standard (a gateway in front of a hosted provider), analysis (batches of analyses on Lambda, with their operations and their persona) or interactive (people who wait for an answer).",
		},
		{
			Path: "listen", Kind: settings.Address, Initial: "127.0.0.1:8080", Env: "FOREBAY_LISTEN",
			Doc: "Where calls are served. An address that other machines reach needs keys.",
		},
		{
			Path: "control", Kind: settings.Address, Env: "FOREBAY_CONTROL", Example: "127.0.0.1:8081",
			Doc: "Where /metrics, /healthz, /readyz and /v1/health are served apart from calls. /metrics is then not on listen.",
		},
		templatesDirKey(),
		{
			Path: "keys[].name", Kind: settings.Text, Example: "web",
			Doc: "The key's name in logs and accounts: 1 to 64 of A-Z a-z 0-9 . _ -. Required. FOREBAY_KEYS gives keys without a file, and then the file's are not used.",
		},
		{
			Path: "keys[].secret", Kind: settings.Secret, Example: "${WEB_KEY}",
			Doc: "What the caller sends: 8 to 512 visible ASCII characters. Required. Only an HMAC of it is kept while running, unless there is an access_key_id.",
		},
		{
			Path: "keys[].access_key_id", Kind: settings.Text, Example: "FOREBAYWEB0000000001",
			Doc: "Makes the key an AWS-style pair too: requests to the Bedrock door may be signed with this id and the secret as secret access key. 16 to 128 of A-Z a-z 0-9 _ -, unique. The secret is then kept while running, because a signature cannot be checked without it. forebay keys new makes a pair.",
		},
		{
			Path: "keys[].tenant", Kind: settings.Text, Initial: "default", Example: "matbakh",
			Doc: "Whom the calls belong to. Keys of one tenant share cached answers and accounts.",
		},
		{
			Path: "keys[].scopes", Kind: settings.Choices, Choices: scopes(), Initial: "call", Example: "[call, metrics]",
			Doc: "What the key may be used for: call (models and operations), stored (completions kept by the provider), jobs, metrics (how things are, and the own tenant's calls and costs), cache (figures, and invalidation and warm-up of the own tenant's answers), costs (booking what users' work has cost elsewhere), admin (of all tenants').",
		},
		{
			Path: "keys[].bands", Kind: settings.Choices, Choices: bands(), Initial: "low, normal", Example: "[normal, high]",
			Doc: "The priorities that the caller may ask for.",
		},
		{
			Path: "keys[].expires", Kind: settings.Text, Example: "2030-01-31",
			Doc: "When the key ends, as a date (its first second in UTC) or in the form of RFC 3339. Without it the key does not end.",
		},
	}
}

// One table on purpose: rows read best together.
func providerKeys() []*settings.Key {
	return []*settings.Key{
		{
			Path: "providers.*.type", Kind: settings.Choice, Choices: providerTypes(), Example: "openai",
			Doc: "What the back end speaks: openai (OpenAI, Ollama, vLLM and all else with that protocol), bedrock (Amazon Bedrock) or simulated (made-up answers for trials, labelled as such). Required.",
		},
		{
			Path: "providers.*.base_url", Kind: settings.URL, Example: "https://api.openai.com/v1",
			Only: typeOpenAI,
			Doc:  "What the protocol's paths are appended to, version included. Required there.",
		},
		{
			Path: "providers.*.api_key", Kind: settings.Secret, Example: "${OPENAI_API_KEY}",
			Only: typesHTTP,
			Doc:  "Sent as bearer token to the host of base_url or endpoint, to no other. May be left out; Bedrock is then called with AWS_BEARER_TOKEN_BEDROCK where that is set and no profile is, and else with signatures.",
		},
		{Path: "providers.*.region", Kind: settings.Text, Example: "eu-central-1", Only: typeBedrock, Doc: "The AWS region that is called. Required there. Targets without a region have this one; those without a residency have eu, us, us-gov, jp, au or apac where region and model say so: a model of the profile eu. called from an EU region stays in eu, one without a profile in its region's area, one of the profile global. is bound to none."},
		{Path: "providers.*.endpoint", Kind: settings.URL, Example: "https://vpce-0a1b.bedrock-runtime.eu-central-1.vpce.amazonaws.com", Only: typeBedrock, Doc: "Replaces https://bedrock-runtime.REGION.amazonaws.com: for VPC endpoints, FIPS, dual stack and tests."},
		{Path: "providers.*.profile", Kind: settings.Text, Example: "production", Only: typeBedrock, Doc: "The profile of AWS's shared files that has the credentials. Without it, the default chain: environment, AWS_PROFILE, web identity, container, instance. A function on Lambda takes its role from the environment and refuses a profile."},
		{Path: "providers.*.on_unsupported", Kind: settings.Choice, Choices: []string{bedrock.Drop, bedrock.Refuse}, Initial: bedrock.Drop, Only: typeBedrock, Doc: "What happens to a request with a member that its model does not take: drop leaves the member out and says so in x-forebay-dropped, refuse refuses the request."},
		{
			Path: "providers.*.headers.*", Kind: settings.Secret, Example: "${GATEWAY_KEY}",
			Only: typeOpenAI,
			Doc:  "Headers sent with every call, such as api-key or OpenAI-Organization. They are treated as secrets.",
		},
		{
			Path: "providers.*.connect_timeout", Kind: settings.Duration, Low: ms, High: day, Initial: "3s",
			Only: typesHTTP,
			Doc:  "Bounds the TCP connection, and again the TLS handshake, and with bedrock the wait for credentials. 3 s is the time of a SYN and its first repetition, unanswered.",
		},
		{
			Path: "providers.*.first_byte_timeout", Kind: settings.Duration, Low: 0, High: day, Initial: "120s",
			Only: typesHTTP,
			Doc:  "Bounds the time to the head of an answer. 0 means no bound but the deadline.",
		},
		{
			Path: "providers.*.idle_timeout", Kind: settings.Duration, Low: 0, High: day, Initial: "30s",
			Only: typesHTTP,
			Doc:  "Bounds silence within an answer. 0 means no bound but the deadline.",
		},
		{
			Path: "providers.*.max_conns", Kind: settings.Int, Low: 0, High: 1_000_000, Initial: "0",
			Only: typesHTTP,
			Doc:  "Bounds the connections. 0 means that limits.max_concurrent alone does.",
		},
		{
			Path: "providers.*.proxy", Kind: settings.Bool, Initial: "false",
			Only: typesHTTP,
			Doc:  "Honours HTTPS_PROXY and its like.",
		},
		{
			Path: "providers.*.latency_scale", Kind: settings.Number, Low: 0, High: 1000, Initial: "1",
			Only: typeSimulated,
			Doc:  "Multiplies the drawn latencies. 0 answers at once.",
		},
		{
			Path: "providers.*.capacity", Kind: settings.Int, Low: 0, High: 1_000_000, Initial: "0",
			Only: typeSimulated,
			Doc:  "Calls at once; those over it get 429. 0 means no bound.",
		},
		{
			Path: "providers.*.seed", Kind: settings.Int, Low: 0, Initial: "0",
			Only: typeSimulated,
			Doc:  "Another seed gives other answers, latencies and faults.",
		},
		{
			Path: "providers.*.faults", Kind: settings.Choices, Example: `["status=503,share=0.5,from=2s,to=10s"]`,
			Only: typeSimulated,
			Doc:  "What goes wrong, when, and for which share of the calls.",
		},
	}
}

func modelKeys() []*settings.Key {
	price := func(name, what string) *settings.Key {
		return &settings.Key{
			Path: "models.*.targets[].price." + name, Kind: settings.Dollars, Initial: "0", Example: "0.25",
			Doc: "Dollars for a million " + what + ".",
		}
	}
	return append([]*settings.Key{
		{
			Path: "models.*.targets[].provider", Kind: settings.Text, Example: "openai",
			Doc: "A name under providers. Required. Targets are tried in the order of the list; the model named * stands for every model that is not named.",
		},
		{
			Path: "models.*.targets[].model", Kind: settings.Text, Example: "gpt-4.1-mini",
			Doc: "The provider's own name of the model. Without it, the name that the caller asked for.",
		},
		{
			Path: "models.*.targets[].family", Kind: settings.Text, Example: "llama3",
			Doc: "Targets of one family and model give answers that are interchangeable: they share cache entries. Without it, the provider's name.",
		},
		price("input", "input tokens"),
		price("output", "output tokens"),
		price("cache_read", "input tokens read from the provider's prompt cache"),
		price("cache_write", "input tokens written to the provider's prompt cache"),
	}, targetKeys()...)
}

// callKeys are the settings that operations have and defaults too.
func callKeys(under string) []*settings.Key {
	return append([]*settings.Key{
		{
			Path: under + ".model", Kind: settings.Text, Example: "haiku",
			Doc: "The model of calls that name none: a name under models.",
		},
		{
			Path: under + ".deadline", Kind: settings.Duration, Low: ms, High: day, Example: "45s",
			Doc: "Bounds the whole call: waiting, attempts and fallbacks.",
		},
		{
			Path: under + ".fallback", Kind: settings.Choices, Choices: fallbacks(), Example: "[cached, template, error]",
			Doc: "What is tried, in order, when every target failed: cached (an answer that is no longer fresh), template (a prepared text), simplified (a lesser answer: that of simplified.model, or of a function), error.",
		},
		{
			Path: under + ".cache.off", Kind: settings.Bool, Example: "true",
			Doc: "Keeps answers out of the cache.",
		},
		{
			Path: under + ".cache.scope", Kind: settings.Choices, Choices: dimensions(), Example: "[tenant, user, persona]",
			Doc: "Who shares answers. The tenant is always part of it, unless shared stands alone: then everybody shares.",
		},
		{
			Path: under + ".cache.store", Kind: settings.Choices, Choices: storable(), Example: "[tool_calls]",
			Doc: "Answers that are kept beside those that are complete: tool_calls (the model calls tools), refusal (it declines to answer), content_filter (the provider cut it).",
		},
		{
			Path: under + ".cache.verbatim", Kind: settings.Bool, Example: "true",
			Doc: "Compares texts byte for byte. Otherwise the texts of users and of the system are compared in Unicode's form NFC and without white space around them; never without case.",
		},
		{
			Path: under + ".cache.stale_if_error", Kind: settings.Duration, Low: 0, High: 365 * day, Example: "24h",
			Doc: "How long after its end an answer may stand in when every target failed, at most cache.stale_for; the fallback cached is then first, also where fallback does not list it. 0 means not at all. Without it, where fallback lists cached, as long as answers are kept.",
		},
	}, courseKeys(under)...)
}

// One table on purpose: rows read best together.
func operationKeys() []*settings.Key {
	d := callKeys("defaults")
	d[0].Env = "FOREBAY_MODEL"
	d[1].Initial, d[1].Env, d[1].Unit = "45s", "DEFAULT_TIMEOUT_MS", "ms"
	d[2].Initial = "error"
	d[3].Initial = "false"
	d[6].Initial = "false"
	d[4].Initial = "tenant, user, persona"
	setCourse(d)
	o := callKeys("operations.*")
	for _, k := range o {
		k.Doc += " Without it, that of defaults."
	}
	return append(append(d, o...), []*settings.Key{
		{
			Path: "operations.*.cache.ttl", Kind: settings.Duration, Low: int64(time.Second), High: 365 * day, Example: "24h",
			Doc: "How long answers of this operation are fresh. Without it, cache.ttl.",
		},
		{
			Path: "operations.*.cache.stale_while_revalidate", Kind: settings.Duration, Low: 0, High: 365 * day, Example: "1h",
			Doc: "How long after its end an answer of this operation is still given while a new one is fetched. Without it, cache.stale_while_revalidate.",
		},
		{
			Path: "operations.*.cache.negative_ttl", Kind: settings.Duration, Low: 0, High: day, Example: "0s",
			Doc: "How long a provider's refusal of a request of this operation is repeated. Without it, cache.negative_ttl.",
		},
		{
			Path: "operations.*.cache.similar", Kind: settings.Choice, Choices: similarModes(), Example: "degraded",
			Doc: "When the answer to a similar request of this operation may be given. Without it, cache.similar.",
		},
		{
			Path: "operations.*.cache.similar_threshold", Kind: settings.Number, Low: 0, High: 1, Example: "0.9",
			Doc: "The least similarity for that. Without it, cache.similar_threshold.",
		},
		{
			Path: "operations.*.prompt", Kind: settings.Text, Example: "You rate websites.",
			Doc: "The system prompt of POST /v1/operations/NAME.",
		},
		{
			Path: "operations.*.prompt_version", Kind: settings.Text, Example: "2",
			Doc: "Part of the cache key: a new version gets new answers.",
		},
		{
			Path: "operations.*.privacy", Kind: settings.Choice, Choices: []string{"off", "detect", "redact", "block"}, Initial: "off",
			Doc:   "What is done about personal data.",
			Later: &settings.Later{Inert: []string{"off"}, Refuse: true, Instead: "Requests are not inspected; remove personal data before the call."},
		},
	}...)
}
