package app

import (
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// gatherer gives the metrics of a client that is made later.
type gatherer struct{ *watching }

// Gather implements prometheus.Gatherer.
func (g gatherer) Gather() ([]*dto.MetricFamily, error) {
	if m := g.monitor.Load(); m != nil {
		return m.Registry().Gather()
	}
	return nil, nil
}

var _ prometheus.Gatherer = gatherer{}
