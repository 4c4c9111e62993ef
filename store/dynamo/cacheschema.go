package dynamo

import "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

// The names of the cache's table. Those that the specification's table has too, it has with this meaning.
const (
	attrCacheKey  = "cacheKey"  // the key, in hexadecimal
	attrOperation = "operation" // a tag, as the other four
	attrUser      = "userId"
	attrModel     = "model"
	attrNamespace = "namespace"
	attrResponse  = "response" // what is sealed
	attrStamp     = "timestamp"
	attrExpires   = "expires"
	attrKeep      = "keep"
	attrSince     = "since"
	attrSize      = "size"
	attrSlot      = "slot"
	attrScope     = "scope" // the tags of tenant and operation, one behind the other

	indexScope = "scope"
)

// cacheTable is the form of the table of entries. The index has what selections are about, so that whoever looks for the
// entries of a tenant reads some 200 bytes of each, not its answer.
func cacheTable() tableForm {
	return tableForm{
		key: keyForm{hash: attribute{attrCacheKey, types.ScalarAttributeTypeS}},
		indexes: []indexForm{{
			name: indexScope, key: keyForm{hash: attribute{attrSlot, types.ScalarAttributeTypeS}, sort: attribute{attrScope, types.ScalarAttributeTypeS}},
			include: []string{attrUser, attrModel, attrNamespace, attrSince, attrKeep, attrSize},
		}},
	}
}
