package dynamo

import "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

// controlTable is the form of the table of keys, hints of breakers, generations and quotas.
func controlTable() tableForm {
	return tableForm{key: keyForm{
		hash: attribute{"pk", types.ScalarAttributeTypeS}, sort: attribute{"sk", types.ScalarAttributeTypeS},
	}}
}
