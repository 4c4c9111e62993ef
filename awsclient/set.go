package awsclient

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sns"

	"github.com/forebay-ai/forebay/awsclient/connect"
)

// Options configure Load.
type Options = connect.Options

// Stats counts what happened on the connections of a Set.
type Stats = connect.Stats

// Timing is how often something was done, and how long it took altogether.
type Timing = connect.Timing

// Load is connect.Load: the configuration of AWS for this process, with a pool of
// connections as its HTTPClient.
func Load(ctx context.Context, o Options) (aws.Config, error) { return connect.Load(ctx, o) }

// Set has one client for each service, over one pool of connections. It is made once in a
// process, never changes, and is safe for concurrent use.
type Set struct {
	cfg        aws.Config
	pool       *connect.Pool // nil where cfg is not from Load
	bedrock    *bedrockruntime.Client
	dynamodb   *dynamodb.Client
	cloudwatch *cloudwatch.Client
	sns        *sns.Client
}

// Clients changes the options of the clients that New makes: for an emulator that speaks
// another protocol, or an endpoint for one service alone. Nil changes nothing.
type Clients struct {
	Bedrock    func(*bedrockruntime.Options)
	DynamoDB   func(*dynamodb.Options)
	CloudWatch func(*cloudwatch.Options)
	SNS        func(*sns.Options)
}

// New makes the clients of cfg, which Load gave, with what c changes; with another
// configuration they work, and Stats stays zero. It opens no connection.
func New(cfg aws.Config, c Clients) *Set {
	s := &Set{cfg: cfg}
	s.pool, _ = cfg.HTTPClient.(*connect.Pool)
	s.bedrock = bedrockruntime.NewFromConfig(cfg, func(o *bedrockruntime.Options) {
		o.Retryer = aws.NopRetryer{} // a call of a model costs: the layer above decides about another
		apply(o, c.Bedrock)
	})
	s.dynamodb = dynamodb.NewFromConfig(cfg, func(o *dynamodb.Options) { apply(o, c.DynamoDB) })
	s.cloudwatch = cloudwatch.NewFromConfig(cfg, func(o *cloudwatch.Options) { apply(o, c.CloudWatch) })
	s.sns = sns.NewFromConfig(cfg, func(o *sns.Options) { apply(o, c.SNS) })
	return s
}

func apply[O any](o *O, change func(*O)) {
	if change != nil {
		change(o)
	}
}

// Config is what the clients were made of, for clients of other services.
func (s *Set) Config() aws.Config { return s.cfg.Copy() }

// Region is where services are called.
func (s *Set) Region() string { return s.cfg.Region }

// Bedrock is the client for models. It tries each call once.
func (s *Set) Bedrock() *bedrockruntime.Client { return s.bedrock }

// DynamoDB is the client for tables.
func (s *Set) DynamoDB() *dynamodb.Client { return s.dynamodb }

// CloudWatch is the client for metrics.
func (s *Set) CloudWatch() *cloudwatch.Client { return s.cloudwatch }

// SNS is the client for topics.
func (s *Set) SNS() *sns.Client { return s.sns }

// Stats tells what happened on the Set's connections.
func (s *Set) Stats() Stats {
	if s.pool == nil {
		return Stats{}
	}
	return s.pool.Stats()
}

// Close closes the connections that nobody uses. The Set goes on working after it.
func (s *Set) Close() {
	if s.pool != nil {
		s.pool.CloseIdleConnections()
	}
}
