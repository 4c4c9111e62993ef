// Package poolmetrics shows what happens on the connections of an awsclient.Set as metrics
// of Prometheus: how many were opened, how many calls went over one that was there already,
// and how long names, connections and handshakes took. A program registers a Collector
// beside its other metrics. The gateway has what its own tables cost in forebay_dynamodb_*.
package poolmetrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/forebay-ai/forebay/awsclient"
)

// Source tells what happened on a pool; *awsclient.Set is one.
type Source interface{ Stats() awsclient.Stats }

// Collector is a prometheus.Collector over a Source. It keeps nothing: each gathering
// reads the pool's counts. It is safe for concurrent use.
type Collector struct {
	source                               Source
	open                                 *prometheus.Desc
	requests, failed, opened, reused     *prometheus.Desc
	dialFailed, renewed, thawed, resumed *prometheus.Desc
	setup                                *prometheus.Desc
}

// New makes a collector of source whose metrics begin with namespace; empty means forebay.
func New(source Source, namespace string) *Collector {
	if namespace == "" {
		namespace = "forebay"
	}
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName(namespace, "aws", name), help, labels, nil)
	}
	return &Collector{
		source:     source,
		open:       desc("connections", "Open connections to AWS"),
		requests:   desc("requests_total", "Requests to AWS, each attempt by itself"),
		failed:     desc("requests_failed_total", "Requests to AWS that got no answer"),
		opened:     desc("connections_opened_total", "Connections to AWS that were made"),
		reused:     desc("connections_reused_total", "Requests to AWS that went over a connection that was there already"),
		dialFailed: desc("connections_failed_total", "Connections to AWS that could not be made"),
		renewed:    desc("connections_renewed_total", "How often all connections to AWS were replaced for their age"),
		thawed:     desc("connections_thawed_total", "How often idle connections to AWS were thrown away because the process had been stopped"),
		resumed:    desc("tls_resumed_total", "TLS handshakes with AWS that resumed a session"),
		setup:      desc("connection_setup_seconds", "Time of the parts of opening a connection to AWS", "part"),
	}
}

// Describe implements prometheus.Collector.
func (c *Collector) Describe(to chan<- *prometheus.Desc) { prometheus.DescribeByCollect(c, to) }

// Collect implements prometheus.Collector.
func (c *Collector) Collect(to chan<- prometheus.Metric) {
	s := c.source.Stats()
	to <- prometheus.MustNewConstMetric(c.open, prometheus.GaugeValue, float64(s.Open))
	for _, counter := range []struct {
		desc  *prometheus.Desc
		value int64
	}{
		{c.requests, s.Requests},
		{c.failed, s.Failed},
		{c.opened, s.Opened},
		{c.reused, s.Reused},
		{c.dialFailed, s.DialFailed},
		{c.renewed, s.Renewed},
		{c.thawed, s.Thawed},
		{c.resumed, s.Resumed},
	} {
		to <- prometheus.MustNewConstMetric(counter.desc, prometheus.CounterValue, float64(counter.value))
	}
	for _, part := range []struct {
		name   string
		timing awsclient.Timing
	}{{"dns", s.DNS}, {"connect", s.Connect}, {"tls", s.TLS}} {
		to <- prometheus.MustNewConstSummary(c.setup, uint64(part.timing.Count), part.timing.Total.Seconds(), nil, part.name)
	}
}
