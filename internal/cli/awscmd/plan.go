package awscmd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"

	"github.com/forebay-ai/forebay/store/dynamo"
)

// State says how far a step is.
type State string

// The states of a step.
const (
	Planned    State = "planned"
	Done       State = "done"
	Failed     State = "failed"
	Impossible State = "impossible" // not without making a table or index anew
	Unknown    State = "unknown"    // the service does not tell
	Same       State = "same"
)

// Plan is what is to be done with one table.
type Plan struct {
	Table string  `json:"table"`
	Steps []*Step `json:"steps"`
}

// Step is one change.
type Step struct {
	// Part is what changes: table, key, billing, "index ready", expiry, recovery.
	Part  string `json:"part"`
	State State  `json:"state"`
	// Text says what differs, or what is done, for people.
	Text string `json:"text"`

	do func(context.Context) error
}

// planner compares and changes tables.
type planner struct {
	client     *dynamodb.Client
	flags      *flags
	cache      string // the table that may be lost
	poll, wait time.Duration
}

// plan compares one table with what it should be.
func (p *planner) plan(ctx context.Context, want *dynamodb.CreateTableInput) (*Plan, error) {
	if p.flags.noGuard {
		want.DeletionProtectionEnabled = nil
	}
	if p.flags.kms {
		want.SSESpecification = &types.SSESpecification{Enabled: aws.Bool(true), SSEType: types.SSETypeKms}
	}
	plan := &Plan{Table: *want.TableName, Steps: []*Step{}}
	out, err := p.client.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: want.TableName})
	var missing *types.ResourceNotFoundException
	switch {
	case errors.As(err, &missing):
		plan.add("table", fmt.Sprintf("make it, on demand, with %d indexes", len(want.GlobalSecondaryIndexes)), p.create(want))
		plan.add("expiry", "remove items whose "+dynamo.TTLAttribute+" has passed", p.expire(plan.Table))
		if p.wantsRecovery(plan.Table) {
			plan.add("recovery", "keep changes of the last 35 days (point-in-time recovery)", p.recovery(plan.Table))
		}
		return plan, nil
	case err != nil:
		return nil, fmt.Errorf("describe table %s: %w", plan.Table, err)
	}
	p.differences(plan, want, out.Table)
	if err := p.expiry(ctx, plan); err != nil {
		return nil, err
	}
	if p.wantsRecovery(plan.Table) {
		return plan, p.recoverable(ctx, plan)
	}
	return plan, nil
}

// add adds a step that can be made.
func (p *Plan) add(part, text string, do func(context.Context) error) {
	p.Steps = append(p.Steps, &Step{Part: part, State: Planned, Text: text, do: do})
}

// wantsRecovery says whether a table's changes are kept; entries of the cache can be had again.
func (p *planner) wantsRecovery(table string) bool { return !p.flags.noPITR && table != p.cache }

func (p *planner) differences(plan *Plan, want *dynamodb.CreateTableInput, have *types.TableDescription) {
	for _, d := range dynamo.Differences(want, have) {
		switch {
		case d.Fixed:
			plan.Steps = append(plan.Steps, &Step{Part: d.Part, State: Impossible, Text: d.Text})
		case d.Create != nil:
			plan.add(d.Part, d.Text+": make it", p.update(plan.Table, &dynamodb.UpdateTableInput{
				AttributeDefinitions: want.AttributeDefinitions,
				GlobalSecondaryIndexUpdates: []types.GlobalSecondaryIndexUpdate{{Create: &types.CreateGlobalSecondaryIndexAction{
					IndexName: d.Create.IndexName, KeySchema: d.Create.KeySchema, Projection: d.Create.Projection,
				}}},
			}))
		case d.Part == "billing":
			plan.add(d.Part, d.Text+": change it (possible once in 24 hours)", p.update(plan.Table, &dynamodb.UpdateTableInput{BillingMode: want.BillingMode}))
		default:
			plan.add(d.Part, d.Text+": protect it", p.update(plan.Table, &dynamodb.UpdateTableInput{DeletionProtectionEnabled: aws.Bool(true)}))
		}
	}
	encrypted := have.SSEDescription != nil && have.SSEDescription.SSEType == types.SSETypeKms
	if want.SSESpecification != nil && !encrypted {
		plan.add("encryption", "it is encrypted with the key that AWS owns: use KMS", p.update(plan.Table, &dynamodb.UpdateTableInput{SSESpecification: want.SSESpecification}))
	}
}

// expiry looks whether expired items are removed.
func (p *planner) expiry(ctx context.Context, plan *Plan) error {
	out, err := p.client.DescribeTimeToLive(ctx, &dynamodb.DescribeTimeToLiveInput{TableName: &plan.Table})
	if err != nil {
		return fmt.Errorf("describe the expiry of table %s: %w", plan.Table, err)
	}
	d := out.TimeToLiveDescription
	switch on := d != nil && (d.TimeToLiveStatus == types.TimeToLiveStatusEnabled || d.TimeToLiveStatus == types.TimeToLiveStatusEnabling); {
	case !on:
		plan.add("expiry", "expired items are not removed: remove those whose "+dynamo.TTLAttribute+" has passed", p.expire(plan.Table))
	case aws.ToString(d.AttributeName) != dynamo.TTLAttribute:
		plan.Steps = append(plan.Steps, &Step{
			Part: "expiry", State: Impossible,
			Text: fmt.Sprintf("items expire by %s, not by %s; turn that off by hand first", aws.ToString(d.AttributeName), dynamo.TTLAttribute),
		})
	}
	return nil
}

// recoverable looks whether changes are kept.
func (p *planner) recoverable(ctx context.Context, plan *Plan) error {
	out, err := p.client.DescribeContinuousBackups(ctx, &dynamodb.DescribeContinuousBackupsInput{TableName: &plan.Table})
	if unsupported(err) {
		plan.Steps = append(plan.Steps, &Step{Part: "recovery", State: Unknown, Text: "this endpoint knows no backups"})
		return nil
	}
	if err != nil {
		return fmt.Errorf("describe the backups of table %s: %w", plan.Table, err)
	}
	d := out.ContinuousBackupsDescription
	if d == nil || d.PointInTimeRecoveryDescription == nil || d.PointInTimeRecoveryDescription.PointInTimeRecoveryStatus != types.PointInTimeRecoveryStatusEnabled {
		plan.add("recovery", "keep changes of the last 35 days (point-in-time recovery)", p.recovery(plan.Table))
	}
	return nil
}

// unsupported says that an endpoint, which is an emulator then, does not know an operation.
func unsupported(err error) bool {
	var coded smithy.APIError
	return errors.As(err, &coded) && coded.ErrorCode() == "UnknownOperationException"
}
