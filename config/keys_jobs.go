package config

import "github.com/forebay-ai/forebay/config/internal/settings"

// One table on purpose: rows read best together.
func jobKeys() []*settings.Key {
	return []*settings.Key{
		{
			Path: "jobs.enabled", Kind: settings.Bool, Initial: "true",
			Doc: "Whether calls are taken in as durable jobs, where there is a store.dir to keep them in.",
		},
		{
			Path: "jobs.max", Kind: settings.Int, Low: 0, High: 10_000_000, Initial: "0",
			Doc: "How many jobs wait at most. 0 means as many as queue.max. A job that could not be done before its deadline is refused earlier. A waiting job takes about 300 bytes of memory.",
		},
		{
			Path: "jobs.max_bytes", Kind: settings.Size, Low: 0, High: 1 << 44, Initial: "1GiB",
			Doc: "Bounds what the jobs that wait take on disk. 0B means no bound.",
		},
		{
			Path: "jobs.concurrency", Kind: settings.Int, Low: 0, High: 100_000, Initial: "0",
			Doc: "How many jobs of each band are in progress at once, waiting for a target's slot included. 0 means as many as limits.max_concurrent, or 256 where that has no bound.",
		},
		{
			Path: "jobs.timeout", Kind: settings.Duration, Low: 0, High: 7 * day, Initial: "0s",
			Doc: "The time from acceptance to the deadline of a job that names none: waiting, attempts and the pauses between them. 0s means the operation's deadline.",
		},
		{
			Path: "jobs.max_timeout", Kind: settings.Duration, Low: ms, High: 30 * day, Initial: "168h",
			Doc: "The longest time that a job may ask for.",
		},
		{
			Path: "jobs.retries", Kind: settings.Int, Low: 0, High: 100, Initial: "3",
			Doc: "Attempts after the first that failed and may succeed. A job that used them up is a dead letter. Each has the attempts of retry.max inside.",
		},
		{
			Path: "jobs.backoff", Kind: settings.Duration, Low: ms, High: day, Initial: "1s",
			Doc: "The bound of the first pause between attempts. It doubles up to jobs.max_backoff, and each pause is drawn from zero to it.",
		},
		{
			Path: "jobs.max_backoff", Kind: settings.Duration, Low: ms, High: day, Initial: "1m",
			Doc: "The largest bound of a pause.",
		},
		{
			Path: "jobs.lease", Kind: settings.Duration, Low: 100 * ms, High: int64(3600e9), Initial: "15s",
			Doc: "How long a job stays with a worker that gives no sign of life. Renewed every third of it.",
		},
		{
			Path: "jobs.lost_leases", Kind: settings.Int, Low: 1, High: 100, Initial: "3",
			Doc: "How often the process may die, or stall, with a job in progress. The next time makes it a dead letter.",
		},
		{
			Path: "jobs.retention", Kind: settings.Duration, Low: 1000 * ms, High: 365 * day, Initial: "24h",
			Doc: "How long the result of a job that names no time is kept.",
		},
		{
			Path: "jobs.max_retention", Kind: settings.Duration, Low: 1000 * ms, High: 365 * day, Initial: "720h",
			Doc: "The longest time that a job may ask for.",
		},
		{
			Path: "jobs.dead_retention", Kind: settings.Duration, Low: 1000 * ms, High: 365 * day, Initial: "336h",
			Doc: "How long dead letters, failed and timed-out jobs are kept, to be looked at and requeued.",
		},
		{
			Path: "jobs.durable_claims", Kind: settings.Bool, Initial: "true",
			Doc: "Whether a job is begun only after its claim is on disk. Otherwise a power cut may let it run once more than the counts say; taking in and completing stay durable.",
		},
		{
			Path: "jobs.webhooks", Kind: settings.Bool, Initial: "true",
			Doc: "Whether jobs may name an address that is told of their end.",
		},
		{
			Path: "jobs.webhook_hosts", Kind: settings.Choices, Example: "[hooks.internal:8443, 10.1.0.0/16]",
			Doc: "Hosts, hosts with port, and networks that webhooks may reach although their addresses are private, and by http. All other private addresses are refused.",
		},
	}
}
