package notify

import (
	"context"
	"log/slog"

	"github.com/forebay-ai/forebay/alarm"
)

// Log writes notices to a log.
type Log struct {
	name   string
	logger *slog.Logger
}

// NewLog returns a notifier that writes one line for each alarm of a notice: at level
// error what is critical, at level warning the rest, and at level info what is over or a
// test. An empty name means "log"; a nil logger means slog.Default().
func NewLog(name string, logger *slog.Logger) *Log {
	if name == "" {
		name = "log"
	}
	return &Log{name, logger}
}

// Name returns the notifier's name.
func (l *Log) Name() string { return l.name }

// Notify writes n. It never fails.
func (l *Log) Notify(ctx context.Context, n alarm.Notice) error {
	logger := l.logger
	if logger == nil {
		logger = slog.Default()
	}
	for _, it := range n.Items {
		level := slog.LevelWarn
		switch {
		case n.Resolved || n.Test:
			level = slog.LevelInfo
		case it.Severity == alarm.Critical:
			level = slog.LevelError
		}
		logger.LogAttrs(ctx, level, headline(n, 300),
			slog.String("notice", n.ID), slog.String("alarm", it.Name), slog.String("of", it.Of),
			slog.String("state", string(it.State)), slog.Time("since", it.Since),
			slog.String("message", it.Message), slog.String("reason", it.Reason), slog.String("do", it.Do))
	}
	if len(n.Items) == 0 {
		logger.LogAttrs(ctx, slog.LevelWarn, headline(n, 300), slog.String("notice", n.ID))
	}
	return nil
}
