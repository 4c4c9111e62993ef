package monitor

import (
	"github.com/prometheus/client_golang/prometheus"
)

// declare makes metrics of one namespace, and notes each for Monitor.Vocabulary.
type declare struct {
	namespace string
	noted     *[]MetricInfo
	// unit and cloudWatch are those of the next metric, where they are not to be had
	// from its name.
	unit, cloudWatch string
	own              bool
}

// as gives a declare for one metric of the embedder's.
func (d declare) as(unit, cloudWatch string) declare {
	d.unit, d.cloudWatch, d.own = unit, cloudWatch, true
	return d
}

// opts notes a metric and gives what all kinds need.
func (d declare) opts(kind, name, help string, labels []string) prometheus.Opts {
	info := MetricInfo{Name: d.namespace + "_" + name, Kind: kind, Unit: unitOf(name), Labels: labels, Doc: help}
	if d.own {
		info.Unit, info.CloudWatch, info.Custom = d.unit, d.cloudWatch, true
	} else {
		elsewhere := namesElsewhere(name)
		info.CloudWatch, info.OTel = elsewhere.cloudWatch, elsewhere.otel
	}
	*d.noted = append(*d.noted, info)
	return prometheus.Opts{Namespace: d.namespace, Name: name, Help: help}
}

func (d declare) counter(name, help string) prometheus.Opts {
	return d.opts("counter", name, help, nil)
}

func (d declare) counters(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts(d.opts("counter", name, help, labels)), labels)
}

func (d declare) gauge(name, help string, labels ...string) prometheus.Opts {
	return d.opts("gauge", name, help, labels)
}

func (d declare) gauges(name, help string, labels ...string) *prometheus.GaugeVec {
	return prometheus.NewGaugeVec(prometheus.GaugeOpts(d.gauge(name, help, labels...)), labels)
}

func (d declare) histogram(name, help string, buckets []float64, labels ...string) prometheus.HistogramOpts {
	o := d.opts("histogram", name, help, labels)
	return prometheus.HistogramOpts{
		Namespace:                      o.Namespace,
		Name:                           o.Name,
		Help:                           o.Help,
		Buckets:                        buckets,
		NativeHistogramBucketFactor:    nativeFactor,
		NativeHistogramZeroThreshold:   nativeZero,
		NativeHistogramMaxBucketNumber: nativeBuckets,
	}
}

func (d declare) histograms(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(d.histogram(name, help, buckets, labels...), labels)
}

// desc describes a metric whose value is asked for at a scrape: a counter where its
// name ends like one, else a gauge.
func (d declare) desc(name, help string, labels ...string) *prometheus.Desc {
	kind := "gauge"
	if isTotal(name) {
		kind = "counter"
	}
	d.opts(kind, name, help, labels)
	return prometheus.NewDesc(prometheus.BuildFQName(d.namespace, "", name), help, labels, nil)
}
