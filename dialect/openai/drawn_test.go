package openai_test

import (
	"encoding/json"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"
)

// texts has what is easily confused: white space, case, forms of one character.
var texts = []string{
	"", " ", "\n", "\t", "\u00a0", "\u2003", "\u0085", "\u200b", "\ufeff", "two  words", "hello", "Hello", "HELLO", "ß", "ss",
	"é", "e\u0301", "\u0301", "Å", "\u212b", "A\u030a", "ﬁ", "fi", "²", "2", "한", "\u1112\u1161\u11ab", "q\u0323\u0307", "q\u0307\u0323",
	`"`, `\`, `\n`, "\x00", "\u2028", "😀", "/", "a", "b", "user", "system", "text", "日本語",
}

func text() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		s := strings.Join(rapid.SliceOfN(rapid.SampledFrom(texts), 0, 3).Draw(t, "pieces"), "")
		if rapid.IntRange(0, 3).Draw(t, "more") == 0 {
			s += rapid.StringN(0, 8, -1).Draw(t, "any")
		}
		return s
	})
}

// numbers has neighbours, and spellings of the same.
var numbers = []string{
	"0", "-0", "0.0", "-0.0", "0e9", "1", "1.0", "10e-1", "-1", "100", "1e2", "1E+2", "0.1", "1e-1", "0.10", "0.7", "0.70000000000000001", "0.3",
	"0.30000000000000004", "9007199254740991", "9007199254740992", "9007199254740993", "9007199254740994", "9007199254740993.0",
	"9007199254740992e0", "-9007199254740993", "18446744073709551615", "18446744073709551616", "123456789012345678901234567890",
	"1e20", "100000000000000000000", "1e300", "1.7976931348623157e308", "5e-324", "1e-400",
}

func number() *rapid.Generator[json.Number] {
	return rapid.Custom(func(t *rapid.T) json.Number {
		if rapid.Bool().Draw(t, "any") {
			return json.Number(strconv.FormatInt(rapid.Int64().Draw(t, "int"), 10))
		}
		return json.Number(rapid.SampledFrom(numbers).Draw(t, "number"))
	})
}

// anything makes a JSON value of any kind.
func anything(depth int) *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		most := 6
		if depth == 0 {
			most = 4
		}
		switch rapid.IntRange(0, most).Draw(t, "kind") {
		case 0:
			return nil
		case 1:
			return rapid.Bool().Draw(t, "bool")
		case 2:
			return number().Draw(t, "number")
		case 3, 4:
			return text().Draw(t, "text")
		case 5:
			return rapid.SliceOfN(anything(depth-1), 0, 3).Draw(t, "array")
		}
		return rapid.MapOfN(name(), anything(depth-1), 0, 3).Draw(t, "object")
	})
}

// names of members: those that the package reads, and others.
func name() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.SampledFrom([]string{"role", "content", "type", "text", "name", "messages", "user", "User", "stream", "metadata", "seed", "x", "X", "refusal", "", "n", "tools"}),
		text(),
	)
}

func message() *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		m := map[string]any{"role": rapid.SampledFrom([]string{"user", "user", "user", "system", "developer", "assistant", "tool", "User"}).Draw(t, "role")}
		switch rapid.IntRange(0, 5).Draw(t, "content") {
		case 0:
			m["content"] = anything(2).Draw(t, "odd content")
		case 1, 2:
			var parts []any
			for range rapid.IntRange(0, 3).Draw(t, "parts") {
				parts = append(parts, part().Draw(t, "part"))
			}
			m["content"] = parts
		default:
			m["content"] = text().Draw(t, "text")
		}
		if rapid.IntRange(0, 4).Draw(t, "more") == 0 {
			m[name().Draw(t, "name")] = anything(1).Draw(t, "value")
		}
		return m
	})
}

func part() *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		p := map[string]any{"type": "text", "text": text().Draw(t, "text")}
		if rapid.IntRange(0, 3).Draw(t, "other") == 0 {
			p["type"] = rapid.SampledFrom([]any{"image_url", "refusal", "Text", nil}).Draw(t, "type")
		}
		if rapid.IntRange(0, 5).Draw(t, "more") == 0 {
			p[name().Draw(t, "name")] = anything(1).Draw(t, "value")
		}
		return p
	})
}

// request makes the body of a chat.
func request() *rapid.Generator[map[string]any] {
	return rapid.Custom(func(t *rapid.T) map[string]any {
		r := map[string]any{"model": "m", "messages": rapid.SliceOfN(message(), 1, 3).Draw(t, "messages")}
		for range rapid.IntRange(0, 4).Draw(t, "members") {
			member := rapid.SampledFrom([]string{
				"temperature", "top_p", "seed", "n", "stop", "tools", "tool_choice", "response_format", "logit_bias", "max_tokens",
				"user", "stream", "stream_options", "metadata", "store", "cache", "service_tier", "prompt_cache_key", "x_unknown", "",
			}).Draw(t, "member")
			r[member] = anything(2).Draw(t, "value")
		}
		if rapid.IntRange(0, 9).Draw(t, "odd") == 0 {
			r["messages"] = anything(3).Draw(t, "odd messages")
		}
		return r
	})
}

// mutate returns v with one change, somewhere. It may be one of spelling alone.
func mutate(t *rapid.T, v any) any {
	switch v := v.(type) {
	case map[string]any:
		if len(v) > 0 && rapid.IntRange(0, 5).Draw(t, "descend") > 0 {
			c := maps.Clone(v)
			at := rapid.SampledFrom(slices.Sorted(maps.Keys(v))).Draw(t, "at")
			for _, rich := range []string{"messages", "content", "text"} { // where there are more rules
				if _, ok := v[rich]; ok && rapid.Bool().Draw(t, "rich") {
					at = rich
				}
			}
			c[at] = mutate(t, v[at])
			return c
		}
		return mutateObject(t, v)
	case []any:
		if len(v) > 0 && rapid.IntRange(0, 5).Draw(t, "descend") > 0 {
			c := slices.Clone(v)
			at := rapid.IntRange(0, len(v)-1).Draw(t, "at")
			c[at] = mutate(t, v[at])
			return c
		}
		return mutateArray(t, v)
	case string:
		if rapid.IntRange(0, 9).Draw(t, "replace") > 0 {
			return mutateText(t, v)
		}
	case json.Number:
		n, isInteger := new(big.Int).SetString(string(v), 10)
		switch how := rapid.IntRange(0, 2).Draw(t, "respell"); {
		case how == 0 && isInteger: // its neighbour, which may be the same double
			return json.Number(n.Add(n, big.NewInt(1)).String())
		case how == 1:
			return number().Draw(t, "number")
		}
	}
	return anything(1).Draw(t, "other")
}

func mutateObject(t *rapid.T, v map[string]any) any {
	c := maps.Clone(v)
	switch how := rapid.IntRange(0, 2).Draw(t, "object"); {
	case how > 0 && len(c) > 0:
		at := rapid.SampledFrom(slices.Sorted(maps.Keys(v))).Draw(t, "at")
		delete(c, at)
		if how == 2 {
			c[name().Draw(t, "renamed")] = v[at]
		}
	default:
		c[name().Draw(t, "added")] = anything(1).Draw(t, "value")
	}
	return c
}

func mutateArray(t *rapid.T, v []any) any {
	c := slices.Clone(v)
	switch how := rapid.IntRange(0, 2).Draw(t, "array"); {
	case how == 1 && len(c) > 0:
		at := rapid.IntRange(0, len(c)-1).Draw(t, "removed")
		return slices.Delete(c, at, at+1)
	case how == 2 && len(c) > 1:
		at := rapid.IntRange(0, len(c)-2).Draw(t, "swapped")
		c[at], c[at+1] = c[at+1], c[at]
		return c
	}
	return slices.Insert(c, rapid.IntRange(0, len(c)).Draw(t, "place"), anything(1).Draw(t, "inserted"))
}

func mutateText(t *rapid.T, s string) string {
	space := rapid.SampledFrom([]string{" ", "\n", "\t", "\u00a0", "\u3000", "\u200b"}).Draw(t, "space")
	runes := []rune(s)
	middle := rapid.IntRange(0, len(runes)).Draw(t, "middle")
	switch rapid.IntRange(0, 9).Draw(t, "text") {
	case 0:
		return s + space
	case 1:
		return space + s
	case 2:
		return string(runes[:middle]) + space + string(runes[middle:])
	case 3:
		return strings.TrimSpace(s)
	case 4:
		return strings.ToUpper(s)
	case 5:
		return norm.NFC.String(s)
	case 6:
		return norm.NFD.String(s)
	case 7:
		return norm.NFKC.String(s)
	case 8:
		return string(runes[:middle])
	}
	return s + text().Draw(t, "appended")
}
