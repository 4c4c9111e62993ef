package dynamo

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/forebay-ai/forebay/store/dynamo/internal/jobtable"
)

// TTLAttribute is the attribute, in seconds since 1970, by which DynamoDB removes expired items. All tables use
// it; CreateTable cannot say so, UpdateTimeToLive does.
const TTLAttribute = jobtable.AttrTTL

// Schemas returns the tables that a configuration names, as CreateTable takes them: on demand, encrypted with
// AWS's key, protected against deletion. Of the configuration it uses the names only.
func Schemas(cfg Config) []dynamodb.CreateTableInput {
	var all []dynamodb.CreateTableInput
	for _, t := range []struct {
		name string
		form tableForm
	}{{cfg.Queue, queueTable()}, {cfg.Cache, cacheTable()}, {cfg.Ledger, ledgerTable()}, {cfg.Control, controlTable()}} {
		if t.name != "" {
			all = append(all, t.form.input(t.name))
		}
	}
	return all
}

// queueTable is the form of the table of jobs. Both indexes are sparse: an item is in one only while it has its
// second key. They have the keys and the attempt, so that a renewed lease costs nothing in them.
func queueTable() tableForm {
	shard := attribute{jobtable.AttrShard, types.ScalarAttributeTypeS}
	index := func(name string, hash attribute, sort string) indexForm {
		return indexForm{name: name, key: keyForm{hash, attribute{sort, types.ScalarAttributeTypeN}}, include: []string{jobtable.AttrAttempt}}
	}
	return tableForm{
		key: keyForm{hash: shard, sort: attribute{jobtable.AttrID, types.ScalarAttributeTypeS}},
		indexes: []indexForm{
			index(jobtable.IndexReady, attribute{jobtable.AttrReady, types.ScalarAttributeTypeS}, jobtable.AttrScore),
			index(jobtable.IndexLeased, shard, jobtable.AttrWatch),
		},
	}
}

// tableForm is what is particular of a table.
type tableForm struct {
	key     keyForm
	indexes []indexForm
}

// keyForm is a key: a partition and, where not empty, what orders the items in it.
type keyForm struct{ hash, sort attribute }

// attribute is one that a key consists of.
type attribute struct {
	name string
	kind types.ScalarAttributeType // S, N or B
}

// indexForm is a global secondary index. It has the keys of item and index, and what else include names.
type indexForm struct {
	name    string
	key     keyForm
	include []string
}

func (k keyForm) schema() []types.KeySchemaElement {
	s := []types.KeySchemaElement{{AttributeName: &k.hash.name, KeyType: types.KeyTypeHash}}
	if k.sort.name != "" {
		s = append(s, types.KeySchemaElement{AttributeName: &k.sort.name, KeyType: types.KeyTypeRange})
	}
	return s
}

func (f tableForm) input(name string) dynamodb.CreateTableInput {
	in := dynamodb.CreateTableInput{
		TableName: &name, KeySchema: f.key.schema(), BillingMode: types.BillingModePayPerRequest, DeletionProtectionEnabled: yes(),
	}
	// Without a specification the table is encrypted too, with a key that is AWS's and costs nothing.
	keys := []keyForm{f.key}
	for _, x := range f.indexes {
		keys = append(keys, x.key)
		in.GlobalSecondaryIndexes = append(in.GlobalSecondaryIndexes, types.GlobalSecondaryIndex{
			IndexName: aws.String(x.name), KeySchema: x.key.schema(), Projection: x.projection(),
		})
	}
	for _, k := range keys {
		for _, a := range []attribute{k.hash, k.sort} {
			known := slices.ContainsFunc(in.AttributeDefinitions, func(d types.AttributeDefinition) bool { return *d.AttributeName == a.name })
			if a.name != "" && !known {
				in.AttributeDefinitions = append(in.AttributeDefinitions, types.AttributeDefinition{AttributeName: aws.String(a.name), AttributeType: a.kind})
			}
		}
	}
	return in
}

func (x indexForm) projection() *types.Projection {
	if len(x.include) == 0 {
		return &types.Projection{ProjectionType: types.ProjectionTypeKeysOnly}
	}
	return &types.Projection{ProjectionType: types.ProjectionTypeInclude, NonKeyAttributes: x.include}
}

// Difference is one thing in which a table is not as Schemas says.
type Difference struct {
	// Part is what differs: "key", "index ready", "billing", "deletion protection".
	Part string
	// Text says how, for people.
	Text string
	// Serious says that operations fail or lie with it.
	Serious bool
	// Fixed says that it cannot be changed without making the table, or the index, anew.
	Fixed bool
	// Create is the index that is missing; nil for other differences.
	Create *types.GlobalSecondaryIndex
}

// Differences compares a table with what Schemas says. What a table has more, as an index of somebody
// else's, is no difference.
func Differences(want *dynamodb.CreateTableInput, have *types.TableDescription) []Difference {
	var all []Difference
	kinds := map[string]types.ScalarAttributeType{}
	for _, d := range have.AttributeDefinitions {
		kinds[aws.ToString(d.AttributeName)] = d.AttributeType
	}
	wanted := map[string]types.ScalarAttributeType{}
	for _, d := range want.AttributeDefinitions {
		wanted[aws.ToString(d.AttributeName)] = d.AttributeType
	}
	if is, should := keyText(have.KeySchema, kinds), keyText(want.KeySchema, wanted); is != should {
		all = append(all, Difference{Part: "key", Text: fmt.Sprintf("its key is (%s), not (%s)", is, should), Serious: true, Fixed: true})
	}
	for i := range want.GlobalSecondaryIndexes {
		all = append(all, indexDifferences(&want.GlobalSecondaryIndexes[i], have, kinds, wanted)...)
	}
	mode := types.BillingModeProvisioned
	if have.BillingModeSummary != nil {
		mode = have.BillingModeSummary.BillingMode
	}
	if mode != want.BillingMode {
		all = append(all, Difference{Part: "billing", Text: fmt.Sprintf("its billing mode is %s, not %s", mode, want.BillingMode)})
	}
	if aws.ToBool(want.DeletionProtectionEnabled) && !aws.ToBool(have.DeletionProtectionEnabled) {
		all = append(all, Difference{Part: "deletion protection", Text: "it is not protected against deletion"})
	}
	return all
}

func indexDifferences(want *types.GlobalSecondaryIndex, have *types.TableDescription, kinds, wanted map[string]types.ScalarAttributeType) []Difference {
	name := aws.ToString(want.IndexName)
	d := Difference{Part: "index " + name, Serious: true}
	at := slices.IndexFunc(have.GlobalSecondaryIndexes, func(x types.GlobalSecondaryIndexDescription) bool { return aws.ToString(x.IndexName) == name })
	if at < 0 {
		d.Text, d.Create = "it has no index "+name, want
		return []Difference{d}
	}
	is := &have.GlobalSecondaryIndexes[at]
	d.Fixed = true
	if a, b := keyText(is.KeySchema, kinds), keyText(want.KeySchema, wanted); a != b {
		d.Text = fmt.Sprintf("the key of its index %s is (%s), not (%s)", name, a, b)
		return []Difference{d}
	}
	if lacks := notProjected(want.Projection, is.Projection); len(lacks) > 0 {
		d.Text = fmt.Sprintf("its index %s lacks %s", name, strings.Join(lacks, ", "))
		return []Difference{d}
	}
	return nil
}

// keyText names a key's attributes and their types, the partition first.
func keyText(key []types.KeySchemaElement, kinds map[string]types.ScalarAttributeType) string {
	key = slices.Clone(key)
	slices.SortFunc(key, func(a, b types.KeySchemaElement) int { return cmp.Compare(a.KeyType, b.KeyType) })
	var all []string
	for _, k := range key {
		name := aws.ToString(k.AttributeName)
		all = append(all, name+" "+string(kinds[name]))
	}
	return strings.Join(all, ", ")
}

// notProjected lists what an index should have and has not.
func notProjected(want, have *types.Projection) (lacks []string) {
	if have == nil {
		have = &types.Projection{ProjectionType: types.ProjectionTypeKeysOnly}
	}
	if have.ProjectionType == types.ProjectionTypeAll {
		return nil
	}
	for _, name := range want.NonKeyAttributes {
		if !slices.Contains(have.NonKeyAttributes, name) {
			lacks = append(lacks, name)
		}
	}
	return lacks
}
