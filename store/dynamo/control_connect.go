package dynamo

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/forebay-ai/forebay/awsclient"
)

// Connect is Open with a client of its own, made from the environment where o does not say otherwise. Calls are tried once, whatever
// o says: the Store repeats by itself.
func Connect(ctx context.Context, cfg Config, o awsclient.Options) (*Store, error) {
	o.Attempts = 1
	aws, err := awsclient.Load(ctx, o)
	if err != nil {
		return nil, err
	}
	cfg.Client = dynamodb.NewFromConfig(aws)
	return Open(ctx, cfg)
}
