package awstest

import (
	"context"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

// Tables makes tables, such as those of dynamo.Schemas, waits until they are there, and deletes
// them at the test's end. It is safe for concurrent use.
func Tables(t testing.TB, c *dynamodb.Client, tables []dynamodb.CreateTableInput) {
	t.Helper()
	for _, table := range tables {
		// The emulator would say so in each answer, and tables of tests are thrown away.
		table.DeletionProtectionEnabled = nil
		if _, err := c.CreateTable(t.Context(), &table); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_, _ = c.DeleteTable(context.Background(), &dynamodb.DeleteTableInput{TableName: table.TableName})
		})
	}
	often := func(o *dynamodb.TableExistsWaiterOptions) {
		o.MinDelay, o.MaxDelay = time.Millisecond, 100*time.Millisecond
	}
	for _, table := range tables {
		err := dynamodb.NewTableExistsWaiter(c).Wait(t.Context(), &dynamodb.DescribeTableInput{TableName: table.TableName}, time.Minute, often)
		if err != nil {
			t.Fatal(err)
		}
	}
}
