//go:build !lambda.norpc

package connect

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
)

// usual is what AWS's environment and files say.
func usual(ctx context.Context, o Options) (aws.Config, error) {
	from := []func(*config.LoadOptions) error{
		// The SDK adds the certificates of AWS_CA_BUNDLE to a client of this type alone.
		config.WithHTTPClient(awshttp.NewBuildableClient()),
		config.WithRetryMaxAttempts(o.Attempts),
		config.WithAppID(appID),
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
	return config.LoadDefaultConfig(ctx, from...)
}

// Validate returns the fault of c. Here it has none: what a profile says is read when
// credentials are asked for.
func (c Chain) Validate() error { return nil }

// Retrieve implements aws.CredentialsProvider.
func (c Chain) Retrieve(ctx context.Context) (aws.Credentials, error) {
	options := []func(*config.LoadOptions) error{
		config.WithRegion(c.Region),
		// Loadings are minutes apart: nothing is gained by a connection that stays open.
		config.WithHTTPClient(awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) { t.DisableKeepAlives = true })),
	}
	if c.Profile != "" {
		options = append(options, config.WithSharedConfigProfile(c.Profile))
	}
	cfg, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return aws.Credentials{}, fmt.Errorf("loading the AWS configuration: %w", err)
	}
	if cfg.Credentials == nil {
		return aws.Credentials{}, errors.New("the AWS configuration names no credentials")
	}
	credentials, err := cfg.Credentials.Retrieve(ctx)
	if err != nil {
		return aws.Credentials{}, fmt.Errorf("loading AWS credentials: %w", err)
	}
	return credentials, nil
}
