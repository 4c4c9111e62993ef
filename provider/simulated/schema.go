package simulated

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
)

// deepest bounds the nesting of examples: schemas may refer to themselves.
const deepest = 16

// example makes a JSON text that fits the JSON schema of an object, as far as the
// usual keywords go: type, properties, items, enum, const, anyOf, oneOf, allOf,
// minimum, and references within the schema. Texts carry the label.
func example(schema map[string]any, r *rand.Rand) string {
	e := exampler{root: schema, r: r}
	value := e.value(schema, 0)
	if _, ok := value.(map[string]any); !ok {
		value = map[string]any{}
	}
	text, err := json.Marshal(value)
	if err != nil { // a schema from JSON holds nothing that JSON cannot
		return "{}"
	}
	return string(text)
}

type exampler struct {
	root map[string]any
	r    *rand.Rand
}

func (e *exampler) value(schema map[string]any, depth int) any {
	if depth > deepest {
		return nil
	}
	if ref, ok := schema["$ref"].(string); ok {
		return e.value(e.resolve(ref), depth+1)
	}
	if fixed, ok := schema["const"]; ok {
		return fixed
	}
	if choices, ok := schema["enum"].([]any); ok && len(choices) > 0 {
		return choices[e.r.IntN(len(choices))]
	}
	for _, key := range []string{"anyOf", "oneOf", "allOf"} {
		if choices, ok := schema[key].([]any); ok && len(choices) > 0 {
			first, _ := choices[0].(map[string]any)
			return e.value(first, depth+1)
		}
	}
	switch kind(schema) {
	case "object":
		return e.object(schema, depth)
	case "array":
		items, _ := schema["items"].(map[string]any)
		return []any{e.value(items, depth+1)}
	case "integer":
		return int64(least(schema)) + e.r.Int64N(10)
	case "number":
		return least(schema) + float64(e.r.IntN(100))/10
	case "boolean":
		return e.r.IntN(2) == 1
	case "null":
		return nil
	}
	return label + " " + vocabulary[e.r.IntN(len(vocabulary))]
}

// object fills every property, in the order of their names.
func (e *exampler) object(schema map[string]any, depth int) any {
	properties, _ := schema["properties"].(map[string]any)
	names := make([]string, 0, len(properties))
	for name := range properties {
		names = append(names, name)
	}
	slices.Sort(names)
	object := make(map[string]any, len(names))
	for _, name := range names {
		property, _ := properties[name].(map[string]any)
		object[name] = e.value(property, depth+1)
	}
	return object
}

// resolve follows a reference such as #/$defs/Address.
func (e *exampler) resolve(ref string) map[string]any {
	at := e.root
	path, ok := strings.CutPrefix(ref, "#/")
	if !ok {
		return nil
	}
	for name := range strings.SplitSeq(path, "/") {
		at, _ = at[name].(map[string]any)
	}
	return at
}

// kind is the type of a schema; of several the first, and without one what its
// keywords tell.
func kind(schema map[string]any) string {
	switch t := schema["type"].(type) {
	case string:
		return t
	case []any:
		if len(t) > 0 {
			first, _ := t[0].(string)
			return first
		}
	}
	if _, ok := schema["properties"]; ok {
		return "object"
	}
	return "string"
}

func least(schema map[string]any) float64 {
	minimum, _ := schema["minimum"].(float64)
	return min(max(minimum, -1e15), 1e15) // what an int64 and a float64 both hold
}
