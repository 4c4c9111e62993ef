//go:build !lambda.norpc

package senders

import (
	"log/slog"

	"github.com/forebay-ai/forebay/alarm"
	"github.com/forebay-ai/forebay/alarm/notify"
)

// New makes a sender. The error lists every fault.
func New(c Config, log *slog.Logger) (alarm.Notifier, error) {
	switch c.Kind {
	case Webhook:
		return notify.NewWebhook(notify.WebhookConfig{Name: c.Name, URL: c.URL, Secret: c.Secret, Allow: c.Allow})
	case Slack:
		return notify.NewSlack(notify.SlackConfig{Name: c.Name, URL: c.URL})
	case Mail:
		return notify.NewMail(notify.MailConfig{
			Name: c.Name, Host: c.Host, Port: c.Port, Encryption: encryption(c.Encryption), User: c.User, Password: c.Password, From: c.From, To: c.To,
		})
	case SNS:
		return notify.NewSNS(notify.SNSConfig{Name: c.Name, Topic: c.Topic})
	}
	return notify.NewLog(c.Name, log), nil
}

// IsTopic says whether arn is that of a topic.
func IsTopic(arn string) bool { return notify.TopicRegion(arn) != "" }

// encryption is the name of package notify for a file's.
func encryption(text string) notify.Encryption {
	switch text {
	case "tls":
		return notify.ImplicitTLS
	case "":
		return ""
	}
	return notify.StartTLS
}
