package config

import (
	"context"
	"fmt"
	"io"
	"os"

	put "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/schemas"
	"github.com/aws/smithy-go/transport/http/protocol/awsquery"

	"github.com/forebay-ai/forebay/awsclient/connect"
	"github.com/forebay-ai/forebay/telemetry/cloudwatch"
	"github.com/forebay-ai/forebay/telemetry/cloudwatch/names"
)

// CloudWatch says what is published in Amazon CloudWatch.
type CloudWatch struct {
	// Enabled says that anything is, EMF that it is written to standard output.
	Enabled, EMF bool
	// Sink is the sink's configuration, without Client and Writer.
	Sink cloudwatch.Config
	// AWS is how CloudWatch is reached.
	AWS connect.Options
}

func (f *File) cloudWatch() CloudWatch {
	v := f.values
	at := func(member string) []string { return []string{"metrics", "cloudwatch", member} }
	c := CloudWatch{
		Enabled: v.Bool(at("enabled")...), EMF: v.Text(at("emf")...) == "stdout",
		AWS: connect.Options{Region: v.Text(at("region")...), Endpoint: v.Text(at("endpoint")...), Attempts: 1, Concurrency: 2},
		Sink: cloudwatch.Config{
			Namespace: v.Text(at("namespace")...), Dimensions: map[string]string{}, By: []names.Dimension{},
			MaxSeries: int(v.Int(at("max_series")...)), Interval: v.Duration(at("interval")...),
		},
	}
	for _, name := range v.Names(at("dimensions")...) {
		c.Sink.Dimensions[name] = v.Text(append(at("dimensions"), name)...)
	}
	for _, name := range v.List(at("by")...) {
		c.Sink.By = append(c.Sink.By, names.Dimension(name))
	}
	return c
}

// Open makes the sink, of Sink with the operations, Gatherer, OnDrop and Logger of with; nil
// where nothing is to be published.
func (c CloudWatch) Open(ctx context.Context, with cloudwatch.Config) (*cloudwatch.Sink, error) {
	if !c.Enabled {
		return nil, nil
	}
	cfg := c.Sink
	cfg.Operations, cfg.Gatherer, cfg.OnDrop, cfg.Logger = with.Operations, with.Gatherer, with.OnDrop, with.Logger
	if c.EMF {
		cfg.Writer = os.Stdout
		return cloudwatch.New(cfg)
	}
	aws, err := connect.Load(ctx, c.AWS)
	if err != nil {
		return nil, fmt.Errorf("metrics.cloudwatch: %w", err)
	}
	cfg.Client = put.NewFromConfig(aws, c.protocol)
	return cloudwatch.New(cfg)
}

// protocol has the client speak the older of CloudWatch's two protocols to an endpoint of the
// file: AWS understands both, emulators mostly that one alone.
func (c CloudWatch) protocol(o *put.Options) {
	if c.AWS.Endpoint != "" {
		o.Protocol = awsquery.New(schemas.GraniteServiceVersion20100801)
	}
}

// check is what CloudWatch would refuse.
func (c CloudWatch) check() error {
	c.Sink.Writer = io.Discard
	if err := c.Sink.Validate(); err != nil {
		return fmt.Errorf("metrics.cloudwatch: %w", err)
	}
	return nil
}
