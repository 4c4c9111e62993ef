package dynamo

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/forebay-ai/forebay/awsclient/connect"
)

// callTimeout bounds one call of DynamoDB, its answer included: it answers within
// milliseconds, and a line that is dead must not hold up a start or a batch for ever.
const callTimeout = 10 * time.Second

// Connect is Open with a client of its own, made from the environment where o does not say otherwise. Calls are tried once, whatever
// o says: the Store repeats by itself. Each takes 10 s at most.
func Connect(ctx context.Context, cfg Config, o connect.Options) (*Store, error) {
	o.Attempts = 1
	loaded, err := connect.Load(ctx, o)
	if err != nil {
		return nil, err
	}
	pool, _ := loaded.HTTPClient.(*connect.Pool)
	loaded.HTTPClient = bounded{loaded.HTTPClient}
	cfg.Client = dynamodb.NewFromConfig(loaded)
	s, err := Open(ctx, cfg)
	if err != nil {
		return nil, err
	}
	s.pool = pool
	return s, nil
}

// bounded gives each call its own time.
type bounded struct{ next aws.HTTPClient }

// Do makes a call.
func (b bounded) Do(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(r.Context(), callTimeout)
	res, err := b.next.Do(r.WithContext(ctx))
	if err != nil {
		cancel()
		return nil, err
	}
	res.Body = &boundedBody{res.Body, cancel}
	return res, nil
}

// boundedBody ends the call's time when it is closed, which the SDK always does.
type boundedBody struct {
	io.ReadCloser
	cancel context.CancelFunc
}

// Close closes the body.
func (b *boundedBody) Close() error {
	defer b.cancel()
	return b.ReadCloser.Close()
}
