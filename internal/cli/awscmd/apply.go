package awscmd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/forebay-ai/forebay/store/dynamo"
)

// apply makes the steps in order. After one that fails, the rest of its table stays planned; other tables go on.
func (p *planner) apply(ctx context.Context, all []*Plan) error {
	var faults []error
	for _, plan := range all {
		for _, s := range plan.Steps {
			if s.do == nil {
				continue
			}
			err := s.do(ctx)
			if unsupported(err) {
				s.State, s.Text = Unknown, s.Text+" (this endpoint does not know how)"
				continue
			}
			if err != nil {
				s.State = Failed
				faults = append(faults, fmt.Errorf("table %s, %s: %w", plan.Table, s.Part, err))
				break
			}
			s.State = Done
		}
	}
	return errors.Join(faults...)
}

// create makes a table and waits for it.
func (p *planner) create(want *dynamodb.CreateTableInput) func(context.Context) error {
	return func(ctx context.Context) error {
		if _, err := p.client.CreateTable(ctx, want); err != nil {
			return err
		}
		return p.ready(ctx, *want.TableName)
	}
}

// update changes a table and waits for it. DynamoDB takes one kind of change at a time.
func (p *planner) update(table string, in *dynamodb.UpdateTableInput) func(context.Context) error {
	return func(ctx context.Context) error {
		in.TableName = &table
		if _, err := p.client.UpdateTable(ctx, in); err != nil {
			return err
		}
		return p.ready(ctx, table)
	}
}

// expire has a table remove expired items. It takes up to an hour until DynamoDB does.
func (p *planner) expire(table string) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := p.client.UpdateTimeToLive(ctx, &dynamodb.UpdateTimeToLiveInput{
			TableName:               &table,
			TimeToLiveSpecification: &types.TimeToLiveSpecification{AttributeName: aws.String(dynamo.TTLAttribute), Enabled: aws.Bool(true)},
		})
		return err
	}
}

// recovery has a table keep its changes.
func (p *planner) recovery(table string) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := p.client.UpdateContinuousBackups(ctx, &dynamodb.UpdateContinuousBackupsInput{
			TableName:                        &table,
			PointInTimeRecoverySpecification: &types.PointInTimeRecoverySpecification{PointInTimeRecoveryEnabled: aws.Bool(true)},
		})
		return err
	}
}

// ready waits until a table and its indexes are active.
func (p *planner) ready(ctx context.Context, table string) error {
	ctx, cancel := context.WithTimeout(ctx, p.wait)
	defer cancel()
	for {
		out, err := p.client.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &table})
		if err == nil && active(out.Table) {
			return nil
		}
		if err != nil && ctx.Err() == nil {
			return err
		}
		timer := time.NewTimer(p.poll)
		select {
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("it is not ready after %s: %w", p.wait, ctx.Err())
		case <-timer.C:
		}
	}
}

func active(t *types.TableDescription) bool {
	if t == nil || t.TableStatus != types.TableStatusActive {
		return false
	}
	for i := range t.GlobalSecondaryIndexes {
		if t.GlobalSecondaryIndexes[i].IndexStatus != types.IndexStatusActive {
			return false
		}
	}
	return true
}
