package dynamo

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/forebay-ai/forebay/awsclient/connect"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/store/dynamo/internal/calls"
	"github.com/forebay-ai/forebay/store/dynamo/internal/jobtable"
)

// Store is a set of tables. Its methods, and those of what it gives, may be called concurrently.
type Store struct {
	cfg     Config
	conn    *conn
	backlog *Backlog      // nil without a queue table
	pool    *connect.Pool // nil where the client was given
}

// Open checks that the tables are there and of the form that Schemas says, and reads how the queue is spread. It makes
// no tables: `forebay aws tables apply` does. Errors: those of Config.Validate, joined, and
// ForebayUnavailable with what to do.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	s := &Store{cfg: cfg, conn: &conn{calls.New(cfg.Client, cfg.Patience)}}
	err := s.checkTables(ctx, Schemas(cfg))
	if err == nil && cfg.Queue != "" {
		s.backlog, err = jobtable.Open(ctx, jobtable.Config{
			Table: cfg.Queue, Shards: cfg.Shards, MaxPayload: cfg.MaxPayload, Grace: cfg.Grace, Logger: cfg.Logger,
		}, s.conn.Conn)
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Close waits for the calls in progress. Operations that begin later fail. It may be called more than once.
func (s *Store) Close() error {
	s.conn.Close()
	return nil
}

// Backlog returns the queue of jobs, or nil where no queue table is configured.
func (s *Store) Backlog() *Backlog { return s.backlog }

// Stats returns what was consumed since Open, by operation.
func (s *Store) Stats() Stats { return s.conn.Conn.Stats() }

// Connections counts what happened on the connections that Connect made; zero after Open.
func (s *Store) Connections() connect.Stats {
	if s.pool == nil {
		return connect.Stats{}
	}
	return s.pool.Stats()
}

// checkTables checks all tables at the same time: one after the other they would be a good part of
// a cold start on Lambda, and the connections that this takes are those of the first calls.
func (s *Store) checkTables(ctx context.Context, tables []dynamodb.CreateTableInput) error {
	faults := make([]error, len(tables))
	var all sync.WaitGroup
	for i := range tables {
		all.Go(func() { faults[i] = s.checkTable(ctx, &tables[i]) })
	}
	all.Wait()
	return errors.Join(faults...)
}

// checkTable says what is wrong with a table, as far as it would make operations fail or lie.
func (s *Store) checkTable(ctx context.Context, want *dynamodb.CreateTableInput) error {
	name := aws.ToString(want.TableName)
	refuse := func(what string, cause error) error {
		return &llm.Error{
			Kind: llm.ForebayUnavailable, Message: fmt.Sprintf("the DynamoDB table %s %s", name, what),
			Fix: "Run `forebay aws tables plan`, then `forebay aws tables apply`.", Err: cause,
		}
	}
	out, err := s.conn.Describe(ctx, name)
	var missing *types.ResourceNotFoundException
	switch {
	case errors.As(err, &missing):
		return refuse("does not exist", nil)
	case err != nil:
		return fmt.Errorf("dynamo: describe table %s: %w", name, err)
	case out.TableStatus != types.TableStatusActive && out.TableStatus != types.TableStatusUpdating:
		return refuse("is "+string(out.TableStatus), nil)
	}
	for _, d := range Differences(want, out) {
		if d.Serious {
			return refuse("is of another form: "+d.Text, nil)
		}
	}
	return nil
}
