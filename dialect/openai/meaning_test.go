package openai_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// uncompared are the members that make no difference, by their names in OpenAI's
// documentation. The package has a list of its own, with reasons.
var uncompared = []string{
	"stream", "stream_options", "user", "safety_identifier", "metadata", "store", "prompt_cache_key", "prompt_cache_retention", "service_tier", "cache",
}

// meaning is the model: what the canonical form stands for, written down the long way.
func meaning(v map[string]any, verbatim bool) string {
	v = maps.Clone(v)
	for _, member := range uncompared {
		delete(v, member)
	}
	if messages, ok := v["messages"].([]any); ok && !verbatim {
		messages = slices.Clone(messages)
		for i := range messages {
			messages[i] = plainMessage(messages[i])
		}
		v["messages"] = messages
	}
	var b strings.Builder
	write(&b, v)
	return b.String()
}

func plainMessage(v any) any {
	m, ok := v.(map[string]any)
	if role, _ := m["role"].(string); !ok || role != "user" && role != "system" && role != "developer" {
		return v
	}
	m = maps.Clone(m)
	switch content := m["content"].(type) {
	case string:
		m["content"] = strings.TrimFunc(norm.NFC.String(content), unicode.IsSpace)
	case []any:
		parts := slices.Clone(content)
		for i := range parts {
			said, ok := partText(content, i)
			if !ok {
				continue
			}
			said = norm.NFC.String(said)
			if _, before := partText(content, i-1); !before {
				said = strings.TrimLeftFunc(said, unicode.IsSpace)
			}
			if _, behind := partText(content, i+1); !behind {
				said = strings.TrimRightFunc(said, unicode.IsSpace)
			}
			p := maps.Clone(parts[i].(map[string]any))
			p["text"] = said
			parts[i] = p
		}
		m["content"] = parts
	}
	return m
}

func partText(parts []any, at int) (string, bool) {
	if at < 0 || at >= len(parts) {
		return "", false
	}
	p, _ := parts[at].(map[string]any)
	said, ok := p["text"].(string)
	if !ok || p["type"] != "text" {
		return "", false
	}
	return said, true
}

// blankLastTurn is the text that the user said last, empty where there is none to be
// had, and the meaning of the request with an empty text in its place.
func blankLastTurn(v map[string]any) (said, rest string) {
	messages, _ := v["messages"].([]any)
	if !answersText(v) || len(messages) == 0 {
		return "", ""
	}
	last, _ := plainMessage(messages[len(messages)-1]).(map[string]any)
	if last["role"] != "user" {
		return "", ""
	}
	for member := range last {
		if member != "role" && member != "content" && member != "name" {
			return "", ""
		}
	}
	last = maps.Clone(last)
	switch content := last["content"].(type) {
	case string:
		said, last["content"] = content, ""
	case []any:
		if len(content) != 1 {
			return "", ""
		}
		said, _ = partText(content, 0)
		if said != "" {
			p := maps.Clone(content[0].(map[string]any))
			p["text"] = ""
			last["content"] = []any{p}
		}
	}
	v = maps.Clone(v)
	v["messages"] = append(slices.Clone(messages[:len(messages)-1]), last)
	return said, meaning(v, false)
}

// answersText says that the answer is one text, of no schema and without tools.
func answersText(v map[string]any) bool {
	for _, member := range []string{"tools", "functions", "tool_choice", "function_call"} {
		list, isList := v[member].([]any)
		if v[member] != nil && !(isList && len(list) == 0) {
			return false
		}
	}
	if n, given := v["n"]; given && n != nil {
		if count, ok := n.(json.Number); !ok || plainNumber(count) != "1" {
			return false
		}
	}
	format, given := v["response_format"]
	object, _ := format.(map[string]any)
	return !given || format == nil || object["type"] == "text" || object["type"] == "json_object"
}

// write writes a value so that values that mean different things look different.
func write(b *strings.Builder, v any) {
	switch v := v.(type) {
	case map[string]any:
		b.WriteByte('{')
		for _, member := range slices.Sorted(maps.Keys(v)) {
			fmt.Fprintf(b, "%q:", member)
			write(b, v[member])
			b.WriteByte(',')
		}
		b.WriteByte('}')
	case []any:
		b.WriteByte('[')
		for _, element := range v {
			write(b, element)
			b.WriteByte(',')
		}
		b.WriteByte(']')
	case string:
		fmt.Fprintf(b, "%q", v)
	case json.Number:
		b.WriteString(plainNumber(v))
	default:
		fmt.Fprint(b, v)
	}
}

// plainNumber writes an integer as it stands and everything else as the double that
// it is for every reader, in digits where JavaScript would write digits.
func plainNumber(n json.Number) string {
	if strings.Trim(string(n), "-0123456789") == "" {
		return cmp.Or(strings.TrimPrefix(string(n), "-0"), "0")
	}
	f, _ := n.Float64()
	switch abs := math.Abs(f); {
	case f == 0:
		return "0"
	case abs < 1e21 && f == math.Trunc(f):
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	return strconv.FormatFloat(f, 'e', -1, 64)
}
