package calls

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// Item is an item as DynamoDB has it, or its key.
type Item = map[string]types.AttributeValue

// Str is a string. DynamoDB takes valid UTF-8 only: what may be anything is kept as data.
func Str(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

// Num is a whole number.
func Num(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}

// Data are bytes; they are not copied.
func Data(b []byte) types.AttributeValue { return &types.AttributeValueMemberB{Value: b} }

// Flag is true or false.
func Flag(b bool) types.AttributeValue { return &types.AttributeValueMemberBOOL{Value: b} }

// Shown is a text for people's eyes, made valid where it is not.
func Shown(s string) types.AttributeValue {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\ufffd")
	}
	return Str(s)
}

// Text reads a string; ok is false where there is none of that name.
func Text(it Item, name string) (s string, ok bool) {
	v, ok := it[name].(*types.AttributeValueMemberS)
	if !ok {
		return "", false
	}
	return v.Value, true
}

// Number reads a whole number; ok is false where there is none of that name.
func Number(it Item, name string) (n int64, ok bool) {
	v, ok := it[name].(*types.AttributeValueMemberN)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseInt(v.Value, 10, 64)
	return n, err == nil
}

// Raw reads bytes; ok is false where there are none of that name. Empty ones are not nil.
func Raw(it Item, name string) (b []byte, ok bool) {
	v, ok := it[name].(*types.AttributeValueMemberB)
	if !ok {
		return nil, false
	}
	if v.Value == nil {
		return []byte{}, true
	}
	return v.Value, true
}

// Truth reads true or false; ok is false where there is none of that name.
func Truth(it Item, name string) (b, ok bool) {
	v, ok := it[name].(*types.AttributeValueMemberBOOL)
	return ok && v.Value, ok
}

// SizeOf is how large an item is for DynamoDB, in bytes: names and values, of numbers the most that they may take.
func SizeOf(it Item) (n int) {
	for name, v := range it {
		n += len(name)
		switch v := v.(type) {
		case *types.AttributeValueMemberS:
			n += len(v.Value)
		case *types.AttributeValueMemberN:
			n += len(v.Value)/2 + 2
		case *types.AttributeValueMemberB:
			n += len(v.Value)
		default:
			n++
		}
	}
	return n
}

// Yes is a pointer to true, as requests want it.
func Yes() *bool {
	b := true
	return &b
}

// Expression collects the names and values of an expression, which may be any word and any bytes. Build the texts with
// N and V; one expression serves all texts of a request.
type Expression struct {
	Names  map[string]string
	Values Item
}

// N stands for an attribute's name.
func (e *Expression) N(name string) string {
	if e.Names == nil {
		e.Names = map[string]string{}
	}
	e.Names["#"+name] = name
	return "#" + name
}

// V stands for a value; a name is given to one value only.
func (e *Expression) V(name string, value types.AttributeValue) string {
	if e.Values == nil {
		e.Values = Item{}
	}
	e.Values[":"+name] = value
	return ":" + name
}
