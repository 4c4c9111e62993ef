// Package jobtable keeps durable jobs in a DynamoDB table. It is the part of package dynamo that
// implements backlog.Store; Backlog says how.
package jobtable
