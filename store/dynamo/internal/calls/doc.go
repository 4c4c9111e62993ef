// Package calls makes the calls of DynamoDB for the stores of package dynamo: it counts what they consume,
// repeats what was throttled, and reads and writes items. It knows nothing of what the items mean.
package calls
