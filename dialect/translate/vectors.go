package translate

import "github.com/forebay-ai/forebay/dialect/translate/internal/jsonbody"

import (
	"encoding/base64"
	"encoding/binary"
	"math"
	"strconv"
	"strings"

	"github.com/forebay-ai/forebay/dialect/bedrock"
)

// vectorForm is how a kind of models takes texts to embed.
type vectorForm struct {
	batch int   // texts in a call; 0 for a model that is not known
	fixed int64 // the only length of its vectors; 0 where that can be chosen
	body  func(e *embedCall, texts []jsonbody.Value) []byte
}

// vectorFormOf knows Bedrock's models by their ids.
func vectorFormOf(model string) vectorForm {
	name := bedrock.ModelName(model)
	switch {
	case strings.HasPrefix(name, "amazon.titan-embed-image"):
		return vectorForm{batch: 1, body: titanImageBody}
	case strings.HasPrefix(name, "amazon.titan-embed-text-v1"), strings.HasPrefix(name, "amazon.titan-embed-g1"):
		return vectorForm{batch: 1, fixed: 1536, body: titanBody}
	case strings.HasPrefix(name, "amazon.titan-embed"):
		return vectorForm{batch: 1, body: titanBody}
	case strings.HasPrefix(name, "amazon.nova") && strings.Contains(name, "embed"):
		return vectorForm{batch: 1, body: novaBody}
	case strings.HasPrefix(name, "cohere.embed-v4"):
		return vectorForm{batch: 96, body: cohereBody}
	case strings.HasPrefix(name, "cohere.embed"):
		return vectorForm{batch: 96, fixed: 1024, body: cohereBody}
	}
	return vectorForm{}
}

func titanBody(e *embedCall, texts []jsonbody.Value) []byte {
	dst := append([]byte(`{"inputText":`), texts[0].Text...)
	if e.dimensions.Given() {
		dst = append(jsonbody.Key(dst, "dimensions"), e.dimensions.Text...)
	}
	return append(dst, '}')
}

func titanImageBody(e *embedCall, texts []jsonbody.Value) []byte {
	dst := append([]byte(`{"inputText":`), texts[0].Text...)
	if e.dimensions.Given() {
		dst = append(append(append(dst, `,"embeddingConfig":{"outputEmbeddingLength":`...), e.dimensions.Text...), '}')
	}
	return append(dst, '}')
}

func novaBody(e *embedCall, texts []jsonbody.Value) []byte {
	dst := []byte(`{"taskType":"SINGLE_EMBEDDING","singleEmbeddingParams":{"embeddingPurpose":"GENERIC_INDEX"`)
	if e.dimensions.Given() {
		dst = append(jsonbody.Key(dst, "embeddingDimension"), e.dimensions.Text...)
	}
	dst = append(dst, `,"text":{"truncationMode":"NONE","value":`...)
	return append(append(dst, texts[0].Text...), "}}}"...)
}

func cohereBody(e *embedCall, texts []jsonbody.Value) []byte {
	dst := []byte(`{"texts":[`)
	for _, text := range texts {
		dst = append(jsonbody.Comma(dst), text.Text...)
	}
	dst = append(dst, `],"input_type":`...)
	if e.inputType.Kind() == '"' {
		dst = append(dst, e.inputType.Text...)
	} else {
		dst = append(dst, `"search_document"`...)
	}
	if e.dimensions.Given() {
		dst = append(jsonbody.Key(dst, "output_dimension"), e.dimensions.Text...)
	}
	return append(dst, '}')
}

// vectorsOf finds the vectors in an answer of any of the models.
func vectorsOf(root jsonbody.Value) []vector {
	var found []vector
	add := func(v jsonbody.Value) {
		if v.Kind() == '[' {
			found = append(found, vector{v})
		}
	}
	if one := root.Get("embedding"); one.Given() {
		add(one) // Titan
		return found
	}
	list := root.Get("embeddings")
	if list.Kind() == '{' {
		list = list.Get("float") // Cohere, by type
	}
	for v := range list.Elements {
		if v.Kind() == '{' {
			v = v.Get("embedding") // Nova
		}
		add(v)
	}
	if len(found) == 0 {
		add(root.Get("embeddingsByType").Get("float")) // Titan, by type
	}
	return found
}

// vector is an array of numbers.
type vector struct{ jsonbody.Value }

// append appends the numbers as they are spelled, or as OpenAI has them in base64: as
// little-endian float32.
func (v vector) append(dst []byte, packed bool) []byte {
	if !packed {
		return append(dst, v.Text...)
	}
	var raw []byte
	for n := range v.Elements {
		f, err := strconv.ParseFloat(string(n.Text), 32)
		if err != nil {
			f = 0 // as package openai writes what JSON has no number for
		}
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(float32(f)))
	}
	dst = base64.StdEncoding.AppendEncode(append(dst, '"'), raw)
	return append(dst, '"')
}
