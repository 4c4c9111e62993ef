//go:build lambda.norpc

package senders

import (
	"context"
	"errors"
	"log/slog"
	"strings"

	"github.com/forebay-ai/forebay/alarm"
)

// New makes a sender that refuses: this build has none. What c says is not looked at, since
// the same file may be that of gateways that send.
func New(c Config, _ *slog.Logger) (alarm.Notifier, error) { return none(c.Name), nil }

// IsTopic says whether arn may be that of a topic.
func IsTopic(arn string) bool { return strings.HasPrefix(arn, "arn:") }

// none is the name of a sender that is not in this build.
type none string

// Name implements alarm.Notifier.
func (n none) Name() string { return string(n) }

// Notify implements alarm.Notifier.
func (none) Notify(context.Context, alarm.Notice) error {
	return errors.New("this build, for Lambda, tells nobody of alarms: they are CloudWatch's there")
}
