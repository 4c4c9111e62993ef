package openai

import (
	"encoding/base64"
	"encoding/binary"
	"math"
	"strconv"

	"github.com/forebay-ai/forebay/dialect/internal/scan"
	"github.com/forebay-ai/forebay/llm"
)

// Vectors is an embeddings answer, for whoever makes answers itself.
type Vectors struct {
	// Model is the name under which the model answers.
	Model string
	// Data has one vector for each input, in their order.
	Data [][]float32
	// Base64 writes each vector as base64 of its little-endian float32 values, as
	// encoding_format asks for, instead of as numbers.
	Base64 bool
	// Usage counts the inputs' tokens; embeddings have no output.
	Usage llm.Usage
}

// AppendEmbeddings appends the answer as a whole body. Values that JSON has no number
// for (infinities, NaN) are written as 0.
func AppendEmbeddings(dst []byte, v *Vectors) []byte {
	dst = append(dst, `{"object":"list","data":[`...)
	for i, vector := range v.Data {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendInt(append(dst, `{"object":"embedding","index":`...), int64(i), 10)
		dst = append(dst, `,"embedding":`...)
		if v.Base64 {
			dst = appendBase64(dst, vector)
		} else {
			dst = scan.AppendVector(dst, vector)
		}
		dst = append(dst, '}')
	}
	dst = scan.AppendString(append(dst, `],"model":`...), v.Model)
	tokens := v.Usage.Total()
	dst = strconv.AppendInt(append(dst, `,"usage":{"prompt_tokens":`...), tokens, 10)
	dst = strconv.AppendInt(append(dst, `,"total_tokens":`...), tokens, 10)
	return append(dst, "}}"...)
}

func appendBase64(dst []byte, vector []float32) []byte {
	raw := make([]byte, 0, 4*len(vector))
	for _, f := range vector {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(f))
	}
	dst = base64.StdEncoding.AppendEncode(append(dst, '"'), raw)
	return append(dst, '"')
}
