package translate

import "github.com/forebay-ai/forebay/dialect/translate/internal/jsonbody"

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/forebay-ai/forebay/dialect/bedrock"
	"github.com/forebay-ai/forebay/dialect/internal/scan"
	"github.com/forebay-ai/forebay/llm"
)

// vectorCall is a call of InvokeModel for vectors on its way to OpenAI's format.
type vectorCall struct {
	jsonbody.Task
	out    []byte
	cohere bool
	byType bool // the caller asked for vectors by type
	texts  []byte
}

// invokeVectors translates the body of a model whose form id, a model of Bedrock, tells.
func invokeVectors(body []byte, id, model string) *vectorCall {
	v := &vectorCall{Task: jsonbody.Task{Body: body, Table: embedTable}}
	switch name := bedrock.ModelName(id); {
	case strings.HasPrefix(name, "cohere.embed"):
		v.cohere = true
	case strings.HasPrefix(name, "amazon.titan-embed"):
	default:
		v.Err = unknownVectors(id)
		return v
	}
	root := v.Root()
	v.out = scan.AppendString([]byte(`{"model":`), model)
	for m := range root.Members {
		v.member(m)
	}
	if v.Err == nil && v.texts == nil {
		v.Err = jsonbody.Missing("inputText")
		if v.Err.Fix = "Send a text."; v.cohere {
			v.Err = jsonbody.Missing("texts")
			v.Err.Fix = "Send at least one text."
		}
	}
	v.out = append(append(jsonbody.Key(v.out, "input"), v.texts...), `,"encoding_format":"float"}`...)
	return v
}

func (v *vectorCall) member(m jsonbody.Value) {
	switch {
	case m.Name == "inputText" && !v.cohere:
		if v.Want(m, '"') {
			v.texts = m.Text
		}
	case m.Name == "texts" && v.cohere:
		if v.Want(m, '[') && !m.Empty() {
			v.texts = m.Text
		}
		for text := range m.Elements {
			if text.Kind() != '"' {
				v.Mistyped(text, "a string")
			}
		}
	case m.Name == "dimensions" && !v.cohere, m.Name == "output_dimension" && v.cohere:
		v.dimensions(m)
	case m.Name == "embeddingConfig" && !v.cohere:
		v.dimensions(m.Get("outputEmbeddingLength"))
	case m.Name == "embedding_types" && v.cohere, m.Name == "embeddingTypes" && !v.cohere:
		v.byType = v.byType || m.Given()
		v.Other(m)
	case m.Name == "input_type":
		v.Drop(m) // OpenAI's models embed questions and documents alike
	case m.Name == "dimensions", m.Name == "user", m.Name == "model", m.Name == "input":
		v.Drop(m) // OpenAI's, not the model's
	default:
		v.Other(m)
	}
}

func (v *vectorCall) dimensions(m jsonbody.Value) {
	if v.Number(m) {
		v.out = append(jsonbody.Key(v.out, "dimensions"), m.Text...)
	}
}

// answer makes the model's own form of OpenAI's answer.
func (v *vectorCall) answer(body []byte) (llm.Chunk, error) {
	root, err := answerRoot(body)
	if err != nil {
		return llm.Chunk{}, err
	}
	vectors, err := numberedVectors(root.Get("data"))
	if err != nil {
		return llm.Chunk{}, err
	}
	if len(vectors) == 0 || !v.cohere && len(vectors) > 1 {
		return llm.Chunk{}, llm.Errorf(llm.ProviderMalformed, "the provider's answer has another number of vectors than there were texts")
	}
	used := chatUsage(root.Get("usage"))
	dst := []byte{'{'}
	if v.cohere {
		list := []byte{'['}
		for _, vector := range vectors {
			list = append(jsonbody.Comma(list), vector.Text...)
		}
		dst = append(v.cohereAnswer(dst, append(list, ']')), `,"texts":`...)
		dst = append(dst, v.texts...)
	} else {
		dst = append(jsonbody.Key(dst, "embedding"), vectors[0].Text...)
		if v.byType {
			dst = append(append(append(jsonbody.Key(dst, "embeddingsByType"), `{"float":`...), vectors[0].Text...), '}')
		}
		dst = strconv.AppendInt(jsonbody.Key(dst, "inputTextTokenCount"), used.Total(), 10)
	}
	return llm.Chunk{
		Raw: append(dst, '}'), Events: 1, Last: true, Useful: true, Usage: used, Model: root.Get("model").String(),
	}, nil
}

func (v *vectorCall) cohereAnswer(dst, list []byte) []byte {
	if v.byType {
		dst = append(append(append(jsonbody.Key(dst, "embeddings"), `{"float":`...), list...), '}')
		return append(jsonbody.Key(dst, "response_type"), `"embeddings_by_type"`...)
	}
	dst = append(jsonbody.Key(dst, "embeddings"), list...)
	return append(jsonbody.Key(dst, "response_type"), `"embeddings_floats"`...)
}

// numberedVector is one vector of OpenAI's answer.
type numberedVector struct {
	number int64
	jsonbody.Value
}

// numberedVectors are the vectors of OpenAI's answer in the order of their texts.
func numberedVectors(data jsonbody.Value) (vectors []numberedVector, err error) {
	for d := range data.Elements {
		vector := d.Get("embedding")
		if vector.Kind() != '[' {
			return nil, llm.Errorf(llm.ProviderMalformed, "the provider's answer has vectors that are no arrays of numbers")
		}
		vectors = append(vectors, numberedVector{count(d.Get("index")), vector})
	}
	slices.SortStableFunc(vectors, func(a, b numberedVector) int { return cmp.Compare(a.number, b.number) })
	return vectors, nil
}
