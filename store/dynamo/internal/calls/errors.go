package calls

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"

	"github.com/forebay-ai/forebay/llm"
)

// ThrottledError says that DynamoDB had no capacity for a call. The call was not made.
type ThrottledError struct {
	// Reasons say what had none and where, such as "IndexWriteKeyRangeThroughputExceeded
	// (arn:…/index/ready)"; may be empty.
	Reasons []string
	// Err is what DynamoDB answered.
	Err error
}

// Error names the reasons.
func (e *ThrottledError) Error() string {
	if len(e.Reasons) == 0 {
		return fmt.Sprintf("DynamoDB throttles: %v", e.Err)
	}
	return fmt.Sprintf("DynamoDB throttles: %s: %v", strings.Join(e.Reasons, ", "), e.Err)
}

// Unwrap returns what DynamoDB answered.
func (e *ThrottledError) Unwrap() error { return e.Err }

// throttling says whether DynamoDB refused a call for want of capacity, and why. Such a call was not made.
func throttling(err error) (reasons []string, throttled bool) {
	var list []types.ThrottlingReason
	var provisioned *types.ProvisionedThroughputExceededException
	var limit *types.RequestLimitExceeded
	var other *types.ThrottlingException
	var coded smithy.APIError
	switch {
	case err == nil:
		return nil, false
	case errors.As(err, &provisioned):
		list = provisioned.ThrottlingReasons
	case errors.As(err, &limit):
		list = limit.ThrottlingReasons
	case errors.As(err, &other):
		list = other.ThrottlingReasons
	case errors.As(err, &coded) && strings.HasPrefix(coded.ErrorCode(), "Throttl"):
	default:
		return nil, false
	}
	for _, r := range list {
		reason := aws.ToString(r.Reason)
		if where := aws.ToString(r.Resource); where != "" {
			reason += " (" + where + ")"
		}
		reasons = append(reasons, reason)
	}
	return reasons, true
}

// busy is the error of a call that was throttled until patience was over.
func busy(op string, reasons []string, err error) error {
	return &llm.Error{
		Kind: llm.ForebayUnavailable, Message: "the store has no capacity at the moment", RetryAfter: time.Second,
		Fix: "Try again; an operator raises the table's capacity, or its number of shards.",
		Err: fmt.Errorf("dynamo: %s: %w", op, &ThrottledError{Reasons: reasons, Err: err}),
	}
}

// Throttled says that a call failed because DynamoDB had no capacity for it: it was not made.
func Throttled(err error) bool {
	var throttled *ThrottledError
	return errors.As(err, &throttled)
}

// ConditionFailed says that a write was not made because its condition did not hold.
func ConditionFailed(err error) bool {
	var failed *types.ConditionalCheckFailedException
	return errors.As(err, &failed)
}

// OldItem is the item as a failed condition met it, where DynamoDB tells. An emulator may not, and of an item that is not
// there is none either: whoever gets nil reads the item.
func OldItem(err error) Item {
	var failed *types.ConditionalCheckFailedException
	if errors.As(err, &failed) && len(failed.Item) > 0 {
		return failed.Item
	}
	return nil
}
