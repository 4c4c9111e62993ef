package dynamo

import "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

// ledgerTable is the form of the table of spending, budgets and reservations.
func ledgerTable() tableForm {
	return tableForm{key: keyForm{
		hash: attribute{"pk", types.ScalarAttributeTypeS}, sort: attribute{"sk", types.ScalarAttributeTypeS},
	}}
}
