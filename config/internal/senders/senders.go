// Package senders makes what tells people of alarms, for the configuration. The build for
// Lambda has none: nothing runs there between invocations that could judge an alarm
// (they are CloudWatch's), and mail, templates and the client of SNS would be loaded by
// each cold start.
package senders

import "github.com/forebay-ai/forebay/llm"

// The kinds of senders.
const (
	Log     = "log"
	Webhook = "webhook"
	Slack   = "slack"
	Mail    = "mail"
	SNS     = "sns"
)

// Config is what a file says of one sender; which members count is its Kind's matter.
type Config struct {
	Name, Kind string
	URL        llm.Secret // of webhooks and of Slack
	Secret     llm.Secret // of webhooks
	Allow      []string   // addresses that webhooks may reach
	Topic      string     // of SNS

	Host       string // of mail, as what follows
	Port       int
	Encryption string // starttls, tls or empty
	User       string
	Password   llm.Secret
	From       string
	To         []string
}
