//go:build lambda.norpc

package local

import (
	"context"
	"errors"
)

// Open fails: this build has no embedded store.
func Open(context.Context, Config) (*Store, error) {
	return nil, errors.New("this build, for Lambda, has no embedded store: name tables under store.dynamodb")
}
