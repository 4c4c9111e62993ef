package connect

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

// Load gives the configuration of AWS for this process: region, credentials, certificates
// (AWS_CA_BUNDLE) and endpoints from the environment and AWS's files, where o does not say
// otherwise, and a Pool as its HTTPClient. It reads files and opens no connection;
// credentials are resolved at their first use. In a program that is built with the tag
// lambda.norpc it is FromEnvironment. The error names every fault.
func Load(ctx context.Context, o Options) (aws.Config, error) { return load(ctx, o, usual) }

// FromEnvironment is Load with the variables that Lambda sets, and no files: AWS_REGION,
// AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN. It also honours
// AWS_DEFAULT_REGION, AWS_CA_BUNDLE, AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_<SERVICE>,
// AWS_IGNORE_CONFIGURED_ENDPOINT_URLS, AWS_USE_FIPS_ENDPOINT, AWS_USE_DUALSTACK_ENDPOINT,
// AWS_ACCOUNT_ID and AWS_ACCOUNT_ID_ENDPOINT_MODE. A Profile is refused.
func FromEnvironment(o Options) (aws.Config, error) {
	return load(context.Background(), o, environment)
}

// load is Load with what one source says.
func load(ctx context.Context, o Options, source func(context.Context, Options) (aws.Config, error)) (aws.Config, error) {
	if err := o.Validate(); err != nil {
		return aws.Config{}, fmt.Errorf("awsclient: %w", err)
	}
	o = o.withDefaults()
	cfg, err := source(ctx, o)
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
