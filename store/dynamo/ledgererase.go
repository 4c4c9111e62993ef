package dynamo

import (
	"context"
	"encoding/hex"
	"hash/fnv"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/forebay-ai/forebay/ledger"
)

// erasedUser is the user to whom the sums of erased users move.
const erasedUser = "erased"

// eraseRow moves a row's sums to the user "erased". The sums are added there first, marked with the revision of the row
// that they were read of, and then the row goes, unless somebody has posted to it meanwhile: then what was moved is
// subtracted from it, and the rest is moved next. So whoever is interrupted can begin again.
func (l *Ledger) eraseRow(ctx context.Context, row accountRow) error {
	to, key := row.of, row.key
	to.User = erasedUser
	for {
		out, err := l.conn.get(ctx, "ledger.erase", &dynamodb.GetItemInput{TableName: &l.table, Key: key, ConsistentRead: yes()})
		if err != nil || out.Item == nil {
			return err
		}
		_, sum, err := readRow(out.Item)
		if err != nil {
			return err
		}
		revision := natural(out.Item, attrRevision)
		if sum != (ledger.Amounts{}) {
			if err := l.addTo(ctx, &to, &sum, mark{eraseMark(key, out.Item), revision}); err != nil && !conditionFailed(err) {
				return err
			}
		}
		gone, err := l.removeRow(ctx, key, revision)
		if err != nil || gone {
			return err
		}
		if err := l.subtract(ctx, key, &sum); err != nil {
			return err
		}
	}
}

// accountRow is one of the items of an account.
type accountRow struct {
	of  ledger.Account
	key item
}

// eraseMark names a row in the one to which its sums move.
func eraseMark(key, row item) string {
	sk, _ := text(key, "sk")
	born, _ := text(row, attrBorn)
	h := fnv.New64a()
	_, _ = h.Write([]byte(sk + born))
	return "e_" + hex.EncodeToString(h.Sum(nil))
}

// removeRow deletes a row that has the revision, or says that it has another one.
func (l *Ledger) removeRow(ctx context.Context, key item, revision uint64) (gone bool, err error) {
	var e expression
	condition := e.n(attrRevision) + " = " + e.v("seen", unsigned(revision))
	_, err = l.conn.remove(ctx, "ledger.erase", &dynamodb.DeleteItemInput{
		TableName: &l.table, Key: key, ConditionExpression: &condition, ExpressionAttributeNames: e.names, ExpressionAttributeValues: e.values,
	})
	if conditionFailed(err) {
		return false, nil
	}
	return err == nil, err
}

// subtract takes away from a row what was moved. It raises the revision, so that what is left is moved under another mark.
func (l *Ledger) subtract(ctx context.Context, key item, sum *ledger.Amounts) error {
	var e expression
	add := "ADD " + e.n(attrRevision) + " " + e.v("one", num(1))
	for _, part := range amountParts(sum) {
		if *part.n != 0 {
			add += ", " + e.n(part.name) + " " + e.v(part.name, num(-*part.n))
		}
	}
	_, err := l.conn.update(ctx, "ledger.erase", &dynamodb.UpdateItemInput{
		TableName: &l.table, Key: key, UpdateExpression: &add, ExpressionAttributeNames: e.names, ExpressionAttributeValues: e.values,
	})
	return err
}
