package awsclient

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// Service names a service that Prewarm opens a connection to. The set is closed.
type Service string

// The services.
const (
	Bedrock    Service = "bedrock"
	DynamoDB   Service = "dynamodb"
	CloudWatch Service = "cloudwatch"
	SNS        Service = "sns"
)

// Prewarm does what the first call of each service would have to wait for: it resolves
// credentials and the service's endpoint and opens a connection to it, for all services at
// the same time. It asks the services for nothing, so it needs no permission: once a
// request is made up and signed, a plain GET for the host's root goes in its place, and
// any answer will do. Without services it does nothing but resolve the credentials. What
// failed is joined in the error, and harms nothing: the first call tries again. Prewarm
// returns when ctx ends at the latest.
func (s *Set) Prewarm(ctx context.Context, services ...Service) error {
	if s.cfg.Credentials != nil {
		if _, err := s.cfg.Credentials.Retrieve(ctx); err != nil {
			return fmt.Errorf("awsclient: credentials: %w", err)
		}
	}
	faults := make([]error, len(services))
	var all sync.WaitGroup
	for i, service := range services {
		all.Go(func() {
			if err := s.open(ctx, service); err != nil {
				faults[i] = fmt.Errorf("awsclient: %s: %w", service, err)
			}
		})
	}
	all.Wait()
	return errors.Join(faults...)
}

// open makes up a call of the service and opens a connection to where it would go.
func (s *Set) open(ctx context.Context, service Service) error {
	add := func(stack *middleware.Stack) error {
		return stack.Deserialize.Add(opener{s.cfg.HTTPClient}, middleware.After)
	}
	var err error
	switch service {
	case Bedrock:
		_, err = s.bedrock.CountTokens(ctx, &bedrockruntime.CountTokensInput{ModelId: aws.String("none")}, func(o *bedrockruntime.Options) {
			o.APIOptions = append(o.APIOptions, skipValidation, add)
		})
	case DynamoDB:
		_, err = s.dynamodb.ListTables(ctx, &dynamodb.ListTablesInput{}, func(o *dynamodb.Options) {
			o.Retryer, o.APIOptions = aws.NopRetryer{}, append(o.APIOptions, add)
		})
	case CloudWatch:
		_, err = s.cloudwatch.ListMetrics(ctx, &cloudwatch.ListMetricsInput{}, func(o *cloudwatch.Options) {
			o.Retryer, o.APIOptions = aws.NopRetryer{}, append(o.APIOptions, add)
		})
	case SNS:
		_, err = s.sns.ListTopics(ctx, &sns.ListTopicsInput{}, func(o *sns.Options) {
			o.Retryer, o.APIOptions = aws.NopRetryer{}, append(o.APIOptions, add)
		})
	default:
		return errors.New("there is no such service; use bedrock, dynamodb, cloudwatch or sns")
	}
	if errors.As(err, new(opened)) {
		return nil
	}
	return err
}

// skipValidation lets a made-up call pass that lacks what it would need.
func skipValidation(stack *middleware.Stack) error {
	_, _ = stack.Initialize.Remove("OperationInputValidation") // absent where nothing is required
	return nil
}

// opened is how a call ends that was to open a connection and nothing else.
type opened struct{}

// Error implements error.
func (opened) Error() string { return "the connection is open" }

// opener is the last middleware before the network. It sends a GET for the root of the
// host that the request would go to.
type opener struct{ client aws.HTTPClient }

// ID implements middleware.DeserializeMiddleware.
func (opener) ID() string { return "ForebayOpenConnection" }

// HandleDeserialize implements middleware.DeserializeMiddleware.
func (o opener) HandleDeserialize(ctx context.Context, in middleware.DeserializeInput, _ middleware.DeserializeHandler) (out middleware.DeserializeOutput, m middleware.Metadata, err error) {
	made, ok := in.Request.(*smithyhttp.Request)
	if !ok {
		return out, m, fmt.Errorf("the request is of another kind: %T", in.Request)
	}
	if o.client == nil {
		return out, m, errors.New("the configuration has no HTTP client")
	}
	root := *made.URL
	root.Path, root.RawPath, root.RawQuery = "/", "", ""
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, root.String(), nil)
	if err != nil {
		return out, m, err
	}
	resp, err := o.client.Do(r)
	if err != nil {
		return out, m, err
	}
	defer resp.Body.Close()
	// Read to its end, or the connection is not kept.
	if _, err := io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)); err != nil {
		return out, m, err
	}
	return out, m, opened{}
}
