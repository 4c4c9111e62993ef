package awsclient

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
)

// Load gives the configuration of AWS for this process: region, credentials, certificates
// (AWS_CA_BUNDLE) and endpoints from the environment and AWS's files, where o does not say
// otherwise, and a pool of connections as its HTTPClient. It reads files and opens no
// connection; credentials are resolved at their first use, or by Set.Prewarm. The error
// names every fault.
func Load(ctx context.Context, o Options) (aws.Config, error) {
	if err := o.Validate(); err != nil {
		return aws.Config{}, fmt.Errorf("awsclient: %w", err)
	}
	o = o.withDefaults()
	from := []func(*config.LoadOptions) error{
		// The SDK adds the certificates of AWS_CA_BUNDLE to a client of this type alone.
		config.WithHTTPClient(awshttp.NewBuildableClient()),
		config.WithRetryMaxAttempts(o.Attempts),
		config.WithAppID("forebay"),
	}
	if o.Region != "" {
		from = append(from, config.WithRegion(o.Region))
	}
	if o.Profile != "" {
		from = append(from, config.WithSharedConfigProfile(o.Profile))
	}
	if o.Endpoint != "" {
		from = append(from, config.WithBaseEndpoint(o.Endpoint))
	}
	if o.Credentials != nil {
		from = append(from, config.WithCredentialsProvider(o.Credentials))
	}
	cfg, err := config.LoadDefaultConfig(ctx, from...)
	if err != nil {
		return aws.Config{}, fmt.Errorf("awsclient: %w", err)
	}
	if cfg.Region == "" {
		return aws.Config{}, errors.New("awsclient: region: there is none; set AWS_REGION, or the region in the configuration")
	}
	client, ok := cfg.HTTPClient.(*awshttp.BuildableClient)
	if !ok { // the SDK hands back what it was given, with certificates added
		return aws.Config{}, fmt.Errorf("awsclient: the SDK made an HTTP client of another kind: %T", cfg.HTTPClient)
	}
	cfg.HTTPClient = newPool(client, o)
	return cfg, nil
}
