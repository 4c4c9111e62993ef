package awsclient

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sns"
)

// Set has one client for each service, over one pool of connections. It is made once in a
// process, never changes, and is safe for concurrent use.
type Set struct {
	cfg        aws.Config
	pool       *pool // nil where cfg is not from Load
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

// New makes the clients of cfg, which Load gave; with another configuration they work,
// and Stats stays zero. Of o it uses Clients alone: the rest is in cfg. It opens no
// connection.
func New(cfg aws.Config, o Options) *Set {
	c := o.Clients
	s := &Set{cfg: cfg}
	s.pool, _ = cfg.HTTPClient.(*pool)
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

// Timing is how often something was done, and how long it took altogether.
type Timing struct {
	Count int64
	Total time.Duration
}

// Mean is the time of one; 0 where there was none.
func (t Timing) Mean() time.Duration {
	if t.Count == 0 {
		return 0
	}
	return t.Total / time.Duration(t.Count)
}

// Stats counts what happened on a pool since it was made. The numbers are read one by one
// while it is in use, so they may be a few calls apart.
type Stats struct {
	// Requests counts calls over HTTP, each attempt by itself; Failed those without an
	// answer.
	Requests, Failed int64
	// Opened counts connections that were made, Reused requests that went over one that
	// was there already, Open the connections there are now, DialFailed those that could
	// not be made.
	Opened, Reused, Open, DialFailed int64
	// Renewed counts how often all connections were replaced for their age, Thawed how
	// often idle ones were thrown away because the process had been stopped.
	Renewed, Thawed int64
	// DNS, Connect and TLS are the parts of opening a connection; Resumed counts the
	// handshakes that resumed a session.
	DNS, Connect, TLS Timing
	Resumed           int64
}

// ReuseRate is the share of requests that needed no new connection, from 0 to 1; 0 before
// the first.
func (s Stats) ReuseRate() float64 {
	if s.Requests == 0 {
		return 0
	}
	return min(float64(s.Reused)/float64(s.Requests), 1)
}

// Stats tells what happened on the Set's connections.
func (s *Set) Stats() Stats {
	if s.pool == nil {
		return Stats{}
	}
	c := &s.pool.counts
	return Stats{
		Requests: c.requests.Load(), Failed: c.failed.Load(),
		Opened: c.opened.Load(), Reused: c.reused.Load(), Open: c.open.Load(), DialFailed: c.dialFailed.Load(),
		Renewed: c.renewals.Load(), Thawed: c.thaws.Load(),
		DNS: c.dns.stats(), Connect: c.connect.stats(), TLS: c.handshake.stats(), Resumed: c.resumed.Load(),
	}
}

// Close closes the connections that nobody uses. The Set goes on working after it.
func (s *Set) Close() {
	if s.pool != nil {
		s.pool.CloseIdleConnections()
	}
}
