package cloudwatch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/forebay-ai/forebay/telemetry/cloudwatch/names"
)

// API is what a Sink uses of the client of CloudWatch; *cloudwatch.Client is one.
type API interface {
	PutMetricData(ctx context.Context, in *cloudwatch.PutMetricDataInput, with ...func(*cloudwatch.Options)) (*cloudwatch.PutMetricDataOutput, error)
}

// Config configures New. Exactly one of Client and Writer is set.
type Config struct {
	// Client sends by PutMetricData. Calls of it are tried once each: the Sink repeats.
	Client API
	// Writer takes lines of the embedded metric format: standard output on Lambda. Each
	// is written by one call of Write.
	Writer io.Writer
	// Namespace is where the metrics are in CloudWatch. Empty means Forebay.
	Namespace string
	// Dimensions are those of every metric, such as FunctionName or Environment: at most
	// 29. They cost nothing by themselves, since they have one value each.
	Dimensions map[string]string
	// By is what metrics are told apart by, one dimension at a time, beside the metric
	// for everything. Nil means names.DefaultBy; empty means nothing.
	By []names.Dimension
	// Operations and Models are the values of these dimensions; others are published as
	// "other". Nil takes what comes, up to MaxSeries.
	Operations, Models []string
	// MaxSeries bounds the metrics with a dimension of By and the custom ones with labels,
	// over the life of the Sink: each costs $0.30 a month. Zero means 100; at most 10,000.
	// What is beyond counts in the metric for everything alone.
	MaxSeries int
	// Interval is between two sendings by Run, 1 s to 15 min. Zero means 1 min.
	Interval time.Duration
	// Resolution is the time over which values are added up: 1 min, or 1 s for
	// high-resolution metrics, which alarms can judge every 10 s. Zero means 1 min.
	Resolution time.Duration
	// Gatherer gives the metrics of Prometheus for what is not told of by calls, and
	// Prefix is their namespace there. Nil leaves these metrics out. An empty Prefix means
	// forebay.
	Gatherer prometheus.Gatherer
	Prefix   string
	// Spool bounds the data that wait for CloudWatch, 1 to 1,000,000. One datum is one
	// metric of one minute, of some 200 bytes, at most 2.5 KB. Zero means 10,000.
	Spool int
	// Timeout bounds one request. Zero means 10 s.
	Timeout time.Duration
	// OnDrop is told of n data that were given up. It may be called from several
	// goroutines, also from the request's, and must not block. Nil is not told.
	OnDrop func(n int64)
	// Logger takes what goes wrong, at most once a minute. Nil means none.
	Logger *slog.Logger
	// Jitter returns a pause from nothing to most before another try. Nil means a random
	// one.
	Jitter func(most time.Duration) time.Duration
}

const (
	defaultSeries   = 100
	mostSeries      = 10_000
	defaultInterval = time.Minute
	longestInterval = 15 * time.Minute
	defaultSpool    = 10_000
	mostSpool       = 1_000_000
	defaultTimeout  = 10 * time.Second
	// CloudWatch takes 30 dimensions of a metric; one of them may be of Config.By.
	mostDimensions   = 29
	longestNamespace = 255
	longestKey       = 250 // of EMF; 255 of PutMetricData
)

func (c Config) withDefaults() Config {
	c.Namespace = cmp.Or(c.Namespace, names.Namespace)
	c.Prefix = cmp.Or(c.Prefix, "forebay")
	c.MaxSeries = cmp.Or(c.MaxSeries, defaultSeries)
	c.Interval = cmp.Or(c.Interval, defaultInterval)
	c.Resolution = cmp.Or(c.Resolution, time.Minute)
	c.Spool = cmp.Or(c.Spool, defaultSpool)
	c.Timeout = cmp.Or(c.Timeout, defaultTimeout)
	if c.By == nil {
		c.By = names.DefaultBy()
	}
	if c.OnDrop == nil {
		c.OnDrop = func(int64) {}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Jitter == nil {
		c.Jitter = fullJitter
	}
	return c
}

// Validate returns every fault of c, joined; each names its key.
func (c Config) Validate() error {
	c = c.withDefaults()
	var faults []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	check((c.Client == nil) != (c.Writer == nil), "client, writer: exactly one of them is needed")
	check(validNamespace(c.Namespace), "namespace: %.64q is not possible; use up to %d letters, digits and . - _ / #, and not AWS/ in front", c.Namespace, longestNamespace)
	check(len(c.Dimensions) <= mostDimensions, "dimensions: %d are too many; use at most %d", len(c.Dimensions), mostDimensions)
	for name, value := range c.Dimensions {
		check(validKey(name) && !reserved(name), "dimensions: %.64q is not a possible name; use up to %d ASCII characters, no colon in front, and no name of a metric or of by", name, longestKey)
		check(validValue(value), "dimensions.%.64s: %.64q is not a possible value; use 1 to %d ASCII characters", name, value, names.LongestValue)
	}
	for i, d := range c.By {
		check(slices.Contains(names.Dimensions(), d), "by: there is no dimension %.64q; use some of %v", d, names.Dimensions())
		check(!slices.Contains(c.By[:i], d), "by: %s is there twice", d)
	}
	check(c.MaxSeries >= 1 && c.MaxSeries <= mostSeries, "max_series: %d is not possible; use 1 to %d", c.MaxSeries, mostSeries)
	check(c.Interval >= time.Second && c.Interval <= longestInterval, "interval: %v is not possible; use 1s to %v", c.Interval, longestInterval)
	check(c.Resolution == time.Second || c.Resolution == time.Minute, "resolution: %v is not possible; use 1s or 1m", c.Resolution)
	check(c.Spool >= 1 && c.Spool <= mostSpool, "spool: %d is not possible; use 1 to %d", c.Spool, mostSpool)
	check(c.Timeout > 0, "timeout: %v is not possible; use a duration above 0", c.Timeout)
	return errors.Join(faults...)
}

// validNamespace says that CloudWatch takes a namespace.
func validNamespace(s string) bool {
	const also = ".-_/#"
	return s != "" && len(s) <= longestNamespace && !strings.HasPrefix(s, "AWS/") && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune(also, r)
	})
}

// validKey says that CloudWatch takes the name of a metric or dimension.
func validKey(s string) bool {
	return s != "" && len(s) <= longestKey && s[0] != ':' && strings.TrimSpace(s) != "" && printableASCII(s)
}

// validValue says that CloudWatch takes the value of a dimension.
func validValue(s string) bool { return s == names.Value(s) }

func printableASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}

// reserved says that a fixed dimension of this name would stand where a line of EMF has
// something else.
func reserved(name string) bool {
	return name == "_aws" || slices.Contains(names.Dimensions(), names.Dimension(name)) ||
		slices.ContainsFunc(names.Metrics(), func(m names.Metric) bool { return m.Name == name })
}
