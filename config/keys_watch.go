package config

import (
	"time"

	"github.com/forebay-ai/forebay/config/internal/senders"
	"github.com/forebay-ai/forebay/config/internal/settings"
	"github.com/forebay-ai/forebay/telemetry/cloudwatch/names"
)

// watchKeys are about measurements, alarms, costs and the dashboard.
func watchKeys() []*settings.Key {
	var all []*settings.Key
	for _, part := range [][]*settings.Key{monitorKeys(), alarmKeys(), notifierKeys(), costKeys(), telemetryKeys(), metricsKeys()} {
		all = append(all, part...)
	}
	return all
}

// One table on purpose: rows read best together.
func monitorKeys() []*settings.Key {
	return []*settings.Key{
		{
			Path: "monitor.enabled", Kind: settings.Bool, Initial: "true", Env: "ENABLE_PERFORMANCE_MONITORING",
			Doc:   "Measurement of calls.",
			Later: &settings.Later{Inert: []string{"true"}, Instead: "Calls are always measured."},
		},
		{
			Path: "monitor.response_time", Kind: settings.Duration, Low: ms, High: day, Initial: "30s", Env: "MAX_RESPONSE_TIME_MS", Unit: "ms",
			Doc: "The objective for response times: calls that are answered within it count as good.",
		},
		{
			Path: "monitor.user_metrics", Kind: settings.Bool, Initial: "false",
			Doc: "Takes the custom metrics study_time, documents and queries.",
		},
		{
			Path: "monitor.functions", Kind: settings.Choices, Example: "[voice-learning, semantic-search]",
			Doc: "The names that a Go program's TrackResponseTime may give its handlers; others are measured as other.",
		},
		{
			Path: "monitor.custom.*.kind", Kind: settings.Choice, Choices: []string{"counter", "gauge", "histogram"}, Example: "counter",
			Doc: "A metric of your own, by its name: what it is. Values come by POST /v1/measurements or from Go. Required.",
		},
		{
			Path: "monitor.custom.*.unit", Kind: settings.Text, Example: "documents",
			Doc: "The unit of its values: s, bytes, USD, ratio, or a word of your business. Without it, plain numbers.",
		},
		{
			Path: "monitor.custom.*.doc", Kind: settings.Text, Example: "Documents that users added.",
			Doc: "A sentence that says what is measured.",
		},
		{
			Path: "monitor.custom.*.labels.*", Kind: settings.Choices, Example: "[free, paid]",
			Doc: "A label of it, with all of its values: others are counted as other. Up to 4 labels.",
		},
		{
			Path: "requests.enabled", Kind: settings.Bool, Initial: "true",
			Doc: "Keeps a log of calls: who, when, how long, how it ended, what it cost. Never prompts or answers.",
		},
		{
			Path: "requests.retention", Kind: settings.Duration, Low: int64(time.Hour), High: 365 * day, Initial: "168h",
			Doc: "How long entries of the log are kept.",
		},
		{
			Path: "requests.max", Kind: settings.Int, Low: 1000, High: 100_000_000, Initial: "2000000",
			Doc: "How many entries of the log are kept at most. Without store.dir it is the last thousand.",
		},
		{
			Path: "dashboard.enabled", Kind: settings.Bool, Initial: "true",
			Doc: "Serves the dashboard under /ui/, at control where there is such an address, else at listen.",
		},
		{
			Path: "dashboard.read_only", Kind: settings.Bool, Initial: "false",
			Doc: "Lets nobody change anything through the dashboard.",
		},
		{
			Path: "dashboard.trusted_proxies", Kind: settings.Choices, Example: "[10.0.0.0/8]",
			Doc: "Prefixes of addresses of proxies in front whose X-Forwarded-Proto and X-Forwarded-For are believed: behind TLS the session's cookie is then sent over TLS alone.",
		},
	}
}

// One table on purpose: rows read best together.
func alarmKeys() []*settings.Key {
	const at = "alarms.definitions.*."
	return []*settings.Key{
		{
			Path: "alarms.enabled", Kind: settings.Bool, Initial: "true",
			Doc: "Judges alarms. Their states are at /v1/alarms; they are sent where notifiers say.",
		},
		{
			Path: "alarms.profile", Kind: settings.Choice, Choices: Profiles(), Example: "interactive",
			Doc: "The set of alarms: docs/alarms.md lists them. Without it, that of profile.",
		},
		{
			Path: "alarms.error_budget", Kind: settings.Ratio, Initial: "1%",
			Doc: "The share of calls that may fail over 30 days, for the alarms on the rate at which it is used up.",
		},
		{
			Path: "alarms.group", Kind: settings.Duration, Low: 0, High: int64(time.Hour), Initial: "10s",
			Doc: "Changes within this time go into one notice.",
		},
		{
			Path: "alarms.repeat", Kind: settings.Duration, Low: 0, High: 30 * day, Initial: "4h",
			Doc: "After what time an alarm that still fires is told again. 0 means never.",
		},
		{
			Path: at + "severity", Kind: settings.Choice, Choices: []string{"warning", "critical"}, Example: "critical",
			Doc: "Changes an alarm of the profile, or adds one of your own under a new name. How bad it is.",
		},
		{Path: at + "metric", Kind: settings.Text, Example: "duration", Doc: "What is measured; GET /v1/series/metrics lists it. Required for a new one."},
		{Path: at + "stat", Kind: settings.Text, Example: "p95", Doc: "Which statistic: sum, rate, count, last, min, max, mean, p50, p90, p95, p99. Required for a new one."},
		{Path: at + "over", Kind: settings.Text, Example: "requests", Doc: "A metric whose sum divides the sum of metric: a ratio from 0 to 1."},
		{Path: at + "by", Kind: settings.Text, Example: "operation", Doc: "A label, each value of which is judged by itself."},
		{Path: at + "window", Kind: settings.Duration, Low: 10 * int64(time.Second), High: 30 * day, Example: "5m", Doc: "The time that is looked back on. Required for a new one."},
		{Path: at + "op", Kind: settings.Choice, Choices: []string{">", "<"}, Example: ">", Doc: "On which side of the threshold it is wrong."},
		{Path: at + "threshold", Kind: settings.Number, Example: "25", Doc: "The threshold, in the unit of the metric; ratios from 0 to 1. Required for a new one."},
		{Path: at + "clear", Kind: settings.Number, Example: "20", Doc: "The value that ends it. Without it, the threshold."},
		{Path: at + "every", Kind: settings.Duration, Low: int64(time.Second), High: day, Example: "10s", Doc: "How often it is judged. Without it, every 10 s."},
		{Path: at + "m", Kind: settings.Int, Low: 1, High: 1000, Example: "3", Doc: "How many of the last n judgements have to be bad. Without it, 1."},
		{Path: at + "n", Kind: settings.Int, Low: 1, High: 1000, Example: "5", Doc: "See m."},
		{Path: at + "min_count", Kind: settings.Int, Low: 0, High: 1 << 40, Example: "20", Doc: "Measurements that a window needs to be judged."},
		{Path: at + "missing", Kind: settings.Choice, Choices: []string{"keep", "ok", "firing", "no_data"}, Example: "ok", Doc: "What a window without measurements means."},
		{Path: at + "message", Kind: settings.Text, Example: "Answers are slow", Doc: "What is wrong."},
		{Path: at + "do", Kind: settings.Text, Example: "Look at the slowest target.", Doc: "What to do about it."},
		{Path: at + "runbook", Kind: settings.Text, Example: "https://wiki.example.com/slow", Doc: "Where to read more."},
		{Path: at + "unit", Kind: settings.Text, Example: "s", Doc: "The unit of the threshold, for people; INR or EUR for amounts in these."},
		{Path: at + "off", Kind: settings.Bool, Example: "true", Doc: "Takes the alarm out."},
		{
			Path: "alarms.topic", Kind: settings.Text, Env: "BEDROCK_ALERT_TOPIC_ARN", Example: "arn:aws:sns:eu-central-1:123456789012:alerts",
			Doc: "The SNS topic that alarms go to, by its ARN: as a notifier of the type sns by the name of topic.",
		},
	}
}

// One table on purpose: rows read best together.
func notifierKeys() []*settings.Key {
	const at = "alarms.notifiers.*."
	return []*settings.Key{
		{Path: at + "type", Kind: settings.Choice, Choices: []string{senders.Log, senders.Webhook, senders.Slack, senders.Mail, senders.SNS}, Example: "slack", Doc: "How people are told: log, webhook (signed JSON), slack (an incoming webhook), mail or sns (a topic of Amazon SNS). Required. `forebay alarms test` tries them."},
		{Path: at + "url", Kind: settings.Secret, Example: "${SLACK_URL}", Doc: "Where webhook and slack post to. Required there. Treated as a secret, since its path often is one."},
		{Path: at + "secret", Kind: settings.Secret, Only: senders.Webhook, Example: "${HOOK_SECRET}", Doc: "Signs the notices, in the form whsec_ and base64 of 24 to 64 bytes. Required there."},
		{Path: at + "allow", Kind: settings.Choices, Only: senders.Webhook, Example: "[10.0.0.0/8]", Doc: "Private hosts and prefixes that may be posted to, and by plain http."},
		{Path: at + "host", Kind: settings.Text, Only: senders.Mail, Example: "smtp.example.com", Doc: "The mail server. Required there."},
		{Path: at + "port", Kind: settings.Int, Only: senders.Mail, Low: 0, High: 65535, Initial: "0", Doc: "Its port. 0 means 587, or 465 with encryption tls."},
		{Path: at + "encryption", Kind: settings.Choice, Only: senders.Mail, Choices: []string{"starttls", "tls"}, Example: "starttls", Doc: "How the connection is encrypted. Without it, starttls, or tls for port 465."},
		{Path: at + "user", Kind: settings.Text, Only: senders.Mail, Example: "forebay", Doc: "Logs in, with password."},
		{Path: at + "password", Kind: settings.Secret, Only: senders.Mail, Example: "${SMTP_PASSWORD}", Doc: "Logs in, with user."},
		{Path: at + "from", Kind: settings.Text, Only: senders.Mail, Example: "Forebay <alarms@example.com>", Doc: "The sender. Required there."},
		{Path: at + "to", Kind: settings.Choices, Only: senders.Mail, Example: "[oncall@example.com]", Doc: "The recipients. Required there."},
		{Path: at + "topic", Kind: settings.Text, Only: senders.SNS, Example: "arn:aws:sns:eu-central-1:123456789012:alerts", Doc: "The topic's ARN, which names its Region too. Required there. Credentials are those of AWS's environment."},
	}
}

// One table on purpose: rows read best together.
func costKeys() []*settings.Key {
	const at = "budgets.*."
	return []*settings.Key{
		{Path: "cost.enabled", Kind: settings.Bool, Initial: "true", Doc: "Keeps the books of what calls cost in store.dir. Without that directory they are in memory and lost at the end."},
		{Path: "cost.list_prices", Kind: settings.Bool, Initial: "true", Doc: "Prices calls of providers that are known (api.openai.com) by the built-in table of list prices, where a target has no price of its own. docs/prices.md has it."},
		{Path: "cost.prices", Kind: settings.Text, Example: "prices.yaml", Doc: "A file of prices and exchange rates that go before the built-in ones. Relative to the file."},
		{Path: "cost.rates.*", Kind: settings.Number, Example: "83.5", Doc: "Units of a currency (EUR, INR) for one dollar, in place of the built-in rates."},
		{Path: at + "tenant", Kind: settings.Text, Example: "*", Doc: "Whose calls the budget is for: a tenant; * gives each tenant a budget of its own. Without it, all tenants' together."},
		{Path: at + "key", Kind: settings.Text, Example: "web", Doc: "The same for keys, by name."},
		{Path: at + "user", Kind: settings.Text, Example: "*", Doc: "The same for users."},
		{Path: at + "operation", Kind: settings.Text, Example: "vc-analysis", Doc: "The same for operations."},
		{Path: at + "period", Kind: settings.Choice, Choices: []string{"day", "month"}, Example: "month", Doc: "How long it lasts before it begins anew, in UTC. Without it, month."},
		{Path: at + "kind", Kind: settings.Choice, Choices: []string{"soft", "hard", "degrade"}, Example: "hard", Doc: "What happens when it is spent: soft (it is told), hard (calls are refused) or degrade (calls get the operation's simplified answer; those without one are refused). Without it, soft."},
		{Path: at + "usd", Kind: settings.Dollars, Example: "100", Doc: "The budget in dollars. Required."},
		{Path: at + "warn", Kind: settings.Ratio, Example: "80%", Doc: "The share from which it counts as nearly spent. Without it, 80 %."},
	}
}

// One table on purpose: rows read best together.
func telemetryKeys() []*settings.Key {
	return []*settings.Key{
		{Path: "telemetry.endpoint", Kind: settings.URL, Env: "OTEL_EXPORTER_OTLP_ENDPOINT", Example: "http://127.0.0.1:4318", Doc: "An OpenTelemetry collector that gets metrics and traces by OTLP over HTTP. Without it nothing is sent."},
		{Path: "telemetry.headers.*", Kind: settings.Secret, Example: "${OTLP_TOKEN}", Doc: "Headers sent with them."},
		{Path: "telemetry.service", Kind: settings.Text, Initial: "forebay", Env: "OTEL_SERVICE_NAME", Doc: "The name of this service there."},
		{Path: "telemetry.interval", Kind: settings.Duration, Low: int64(time.Second), High: int64(time.Hour), Initial: "1m", Doc: "How often metrics are sent."},
		{Path: "telemetry.sample", Kind: settings.Ratio, Initial: "100%", Doc: "The share of calls that are traced, of those whose caller did not decide."},
	}
}

// One table on purpose: rows read best together.
func metricsKeys() []*settings.Key {
	const at = "metrics.cloudwatch."
	return []*settings.Key{
		{Path: at + "enabled", Kind: settings.Bool, Initial: "false", Doc: "Publishes metrics in Amazon CloudWatch. docs/cloudwatch.md lists them, and what they cost."},
		{Path: at + "emf", Kind: settings.Choice, Choices: []string{"off", "stdout"}, Initial: "off", Doc: "stdout writes them as lines of the embedded metric format, for Lambda; off sends them by PutMetricData."},
		{Path: at + "namespace", Kind: settings.Text, Initial: names.Namespace, Doc: "Where they are in CloudWatch."},
		{Path: at + "dimensions.*", Kind: settings.Text, Example: "production", Doc: "A dimension of every metric, by its name, with its one value. Never a user."},
		{Path: at + "by", Kind: settings.Choices, Empty: true, Initial: "Operation, ErrorType, Function", Example: "[Operation, Target]", Doc: "What metrics are told apart by, one at a time: Operation, Model, ErrorType, Status, TokenType, Target, Budget, Priority, Function. Each value is a metric that costs money; an empty list tells nothing apart."},
		{Path: at + "max_series", Kind: settings.Int, Low: 1, High: 10_000, Initial: "100", Doc: "How many metrics with a dimension of by there are at most."},
		{Path: at + "interval", Kind: settings.Duration, Low: int64(time.Second), High: 15 * int64(time.Minute), Initial: "1m", Doc: "How often they are sent."},
		{Path: at + "region", Kind: settings.Text, Example: "eu-central-1", Doc: "The Region of CloudWatch. Without it, that of AWS's environment."},
		{Path: at + "endpoint", Kind: settings.URL, Example: "http://127.0.0.1:5000", Doc: "Another address of CloudWatch: an emulator or a proxy."},
	}
}
