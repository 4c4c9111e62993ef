//go:build lambda.norpc

package connect

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// usual is what Lambda puts into the environment.
func usual(ctx context.Context, o Options) (aws.Config, error) { return environment(ctx, o) }

// Validate returns the fault of c: a profile.
func (c Chain) Validate() error {
	if c.Profile != "" {
		return errProfile
	}
	return nil
}

// Retrieve implements aws.CredentialsProvider.
func (c Chain) Retrieve(ctx context.Context) (aws.Credentials, error) {
	if err := c.Validate(); err != nil {
		return aws.Credentials{}, err
	}
	return variables{}.Retrieve(ctx)
}
