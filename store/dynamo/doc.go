// Package dynamo keeps what lasts in four DynamoDB tables: the queue of jobs, the cache
// with its journal, the books with budgets, and the state that gateways share. Any number of
// processes may use one set of tables at the same time.
//
// It uses single-item reads and conditional writes only: no transactions, which cost twice as much
// and fail under contention, and no Scan. What has to be consistent is read consistently from
// the tables themselves; an index only suggests (it lags), and a conditional write on the item decides.
//
// # Money
//
// Every operation asks DynamoDB what it consumed; Store.Stats has the sums. The types say what their
// operations cost.
//
// # Throttling
//
// A call that DynamoDB throttles was not made. It is repeated here with growing, random pauses until
// Config.Patience is over or the context ends (the SDK is told to try once); then the error is an *llm.Error of
// ForebayUnavailable with RetryAfter, and ThrottledError among its causes says which table or index
// had no room. A call without an answer is not repeated here: its error leaves open whether the change was made,
// as the contracts of the stores say.
//
// # Expiry
//
// DynamoDB removes expired items within days, not at once. So what has an expiry is looked at when it
// is read: what is over is not there.
package dynamo
