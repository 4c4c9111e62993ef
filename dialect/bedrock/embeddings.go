package bedrock

import (
	"math"
	"strconv"

	"github.com/forebay-ai/forebay/dialect/internal/scan"
	"github.com/forebay-ai/forebay/llm"
)

// TitanText is a text for one of Titan's embedding models, which take one a call.
type TitanText struct {
	Text string
	// Dimensions is the length that the vector shall have: 256, 512 or 1024, for the
	// models that let one choose (amazon.titan-embed-text-v2:0). Zero means the model's own.
	Dimensions int
}

// AppendTitanText appends the body that asks for the vector of a text.
func AppendTitanText(dst []byte, t TitanText) []byte {
	dst = scan.AppendString(append(dst, `{"inputText":`...), t.Text)
	if t.Dimensions > 0 {
		dst = strconv.AppendInt(append(dst, `,"dimensions":`...), int64(t.Dimensions), 10)
	}
	return append(dst, '}')
}

// DecodeTitanVector reads the vector of a text, and how many tokens the text had. An
// answer without one, or with something else than finite numbers in it, is an *llm.Error
// of kind ProviderMalformed.
func DecodeTitanVector(body []byte) (vector []float32, tokens int64, err error) {
	c := scan.Cursor{Text: body, Max: maxAnswerDepth}
	ok := true
	for more := c.Peek() == '{' && c.Open('{'); more; more = c.More('}') {
		switch string(c.Name()) {
		case "embedding":
			vector, ok = numbers(&c)
		case "inputTextTokenCount":
			tokens = c.Count()
		default:
			c.Skip()
		}
	}
	if !ok || len(vector) == 0 || !c.Whole() {
		return nil, 0, llm.Errorf(llm.ProviderMalformed, "the provider's answer has no embedding that can be read")
	}
	return vector, tokens, nil
}

// numbers reads a list of numbers.
func numbers(c *scan.Cursor) (vector []float32, ok bool) {
	if c.Peek() != '[' {
		c.Skip()
		return nil, false
	}
	ok = true
	for more := c.Open('['); more; more = c.More(']') {
		f, err := strconv.ParseFloat(string(c.Value()), 32)
		if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
			ok = false
		}
		vector = append(vector, float32(f))
	}
	return vector, ok
}

// AppendTitanVector appends the answer with the vector of a text. Values that JSON has no
// number for (infinities, NaN) are written as 0.
func AppendTitanVector(dst []byte, vector []float32, tokens int64) []byte {
	dst = scan.AppendVector(append(dst, `{"embedding":`...), vector)
	dst = strconv.AppendInt(append(dst, `,"inputTextTokenCount":`...), tokens, 10)
	return append(dst, '}')
}
