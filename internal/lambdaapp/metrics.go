package lambdaapp

import (
	"context"
	"maps"
	"slices"

	"github.com/forebay-ai/forebay/config"
	"github.com/forebay-ai/forebay/monitor"
	"github.com/forebay-ai/forebay/telemetry/cloudwatch"
)

// publish attaches what the file's metrics.cloudwatch says to a monitor, and returns what
// writes it out: nil where nothing is published.
func (a *App) publish(ctx context.Context, m *monitor.Monitor, c config.CloudWatch) (func(context.Context) error, error) {
	sink, err := c.Open(ctx, cloudwatch.Config{
		Operations: slices.Sorted(maps.Keys(a.base.Operations)), Gatherer: m.Registry(), Logger: a.log,
		OnDrop: func(n int64) { m.Dropped("cloudwatch", n) },
	})
	if sink == nil || err != nil {
		return nil, err
	}
	m.Attach(sink)
	return sink.Flush, nil
}
