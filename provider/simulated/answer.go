package simulated

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/forebay-ai/forebay/dialect/openai"
	"github.com/forebay-ai/forebay/llm"
)

// ToolMarker in the last message, if that is the user's, makes a request with
// tools get a call of the first one. Requests whose tool_choice demands a call
// get one in any case.
const ToolMarker = "[call tool]"

// created is the time that answers carry: the same request gets the same bytes.
const created = 1735689600 // 2025-01-01

// digest is the hash of what is asked, and where everything drawn comes from.
type digest [sha256.Size]byte

// digest hashes the canonical form, so that spelling, streaming and request ids
// do not change an answer.
func (p *Provider) digest(endpoint llm.Endpoint, body []byte) (digest, error) {
	buf := p.buffers.Get().(*[]byte) // New makes nothing else
	defer p.buffers.Put(buf)
	b := binary.BigEndian.AppendUint64((*buf)[:0], p.cfg.Seed)
	b = append(append(b, endpoint...), 0)
	// A model reads every character, so nothing of the texts is left out.
	b, err := openai.Dialect{}.Canonical(b, &llm.Request{Endpoint: endpoint, Body: body}, true)
	*buf = b
	if err != nil {
		return digest{}, err
	}
	return sha256.Sum256(b), nil
}

// latencies and words are separate sources, so that one does not shift the other.
func (d *digest) latencies() *rand.Rand { return d.source(0) }
func (d *digest) words() *rand.Rand     { return d.source(16) }

func (d *digest) source(at int) *rand.Rand {
	return rand.New(rand.NewPCG(binary.LittleEndian.Uint64(d[at:]), binary.LittleEndian.Uint64(d[at+8:])))
}

func (d *digest) id(prefix string) string { return prefix + hex.EncodeToString(d[:12]) }

// chat makes the answer to a chat request.
func (p *Provider) chat(d *digest, head openai.Head, body []byte) openai.Answer {
	r := d.words()
	a := openai.Answer{
		ID: d.id("chatcmpl-sim"), Created: created, Model: head.Model, Finish: llm.FinishStop,
		Usage: llm.Usage{Input: int64(max(1, head.PromptBytes/4))}, // 4 bytes a token: the usual rule of thumb
	}
	if head.HasTools || bytes.Contains(body, []byte(`"response_format"`)) {
		if special(&a, r, d, body) {
			return a
		}
	}
	n := p.cfg.Words
	if n == 0 {
		n = 20 + r.IntN(41)
	}
	if head.MaxTokens > 0 && int64(n) > head.MaxTokens {
		n, a.Finish = int(head.MaxTokens), llm.FinishLength
	}
	a.Text, a.Usage.Output = sentences(r, n), int64(n)
	return a
}

// asks is what a request says about the form of its answer.
type asks struct {
	Tools []struct {
		Function struct {
			Name       string         `json:"name"`
			Parameters map[string]any `json:"parameters"`
		} `json:"function"`
	} `json:"tools"`
	ToolChoice     json.RawMessage `json:"tool_choice"`
	ResponseFormat struct {
		Type       string `json:"type"`
		JSONSchema struct {
			Schema map[string]any `json:"schema"`
		} `json:"json_schema"`
	} `json:"response_format"`
	Messages []struct {
		Role    string          `json:"role"`
		Content json.RawMessage `json:"content"`
	} `json:"messages"`
}

// special answers with a tool call or with JSON where the request asks for that.
// What it cannot read it leaves to a text.
func special(a *openai.Answer, r *rand.Rand, d *digest, body []byte) bool {
	var ask asks
	if err := json.Unmarshal(body, &ask); err != nil {
		return false
	}
	if i := ask.tool(); i >= 0 {
		f := ask.Tools[i].Function
		arguments := example(f.Parameters, r)
		a.ToolCalls = []openai.ToolCall{{ID: d.id("call_sim"), Name: f.Name, Arguments: arguments}}
		a.Finish, a.Usage.Output = llm.FinishToolCalls, tokens(f.Name+arguments)
		return true
	}
	switch ask.ResponseFormat.Type {
	case "json_schema":
		a.Text = example(ask.ResponseFormat.JSONSchema.Schema, r)
	case "json_object":
		a.Text = example(map[string]any{"properties": map[string]any{"answer": map[string]any{"type": "string"}}}, r)
	default:
		return false
	}
	a.Usage.Output = tokens(a.Text)
	return true
}

func tokens(text string) int64 { return int64(max(1, len(text)/4)) }

// tool returns the index of the tool to call, or -1.
func (ask *asks) tool() int {
	if len(ask.Tools) == 0 {
		return -1
	}
	var choice string
	if json.Unmarshal(ask.ToolChoice, &choice) == nil && choice == "required" {
		return 0
	}
	var named struct {
		Function struct {
			Name string `json:"name"`
		} `json:"function"`
	}
	if json.Unmarshal(ask.ToolChoice, &named) == nil && named.Function.Name != "" {
		for i, t := range ask.Tools {
			if t.Function.Name == named.Function.Name {
				return i
			}
		}
	}
	if len(ask.Messages) > 0 && choice != "none" {
		last := ask.Messages[len(ask.Messages)-1]
		if last.Role == "user" && bytes.Contains(last.Content, []byte(ToolMarker)) {
			return 0
		}
	}
	return -1
}

// fingerprint labels every answer and chunk, right behind the opening brace.
const fingerprint = `"system_fingerprint":"simulated",`

// labelled puts the fingerprint into the object that begins at dst[start:] or
// behind "data: " there.
func labelled(dst []byte, start int) []byte {
	brace := bytes.IndexByte(dst[start:], '{')
	if brace < 0 {
		return dst // the end mark
	}
	return slices.Insert(dst, start+brace+1, []byte(fingerprint)...)
}

// events writes the answer as a stream, and where each event ends.
func events(a *openai.Answer, includeUsage bool) (body []byte, ends []int) {
	words := strings.SplitAfter(a.Text, " ")
	body = make([]byte, 0, 260*(len(words)+4))
	add := func(grown []byte) {
		body = labelled(grown, len(body))
		ends = append(ends, len(body))
	}
	add(openai.AppendRoleChunk(body, a))
	for _, word := range words {
		if word != "" {
			add(openai.AppendTextChunk(body, a, word))
		}
	}
	for i := range a.ToolCalls {
		add(openai.AppendToolCallChunk(body, a, i))
	}
	add(openai.AppendFinishChunk(body, a))
	if includeUsage {
		add(openai.AppendUsageChunk(body, a))
	}
	add(openai.AppendDone(body))
	return body, ends
}

// vectors makes the answer to an embeddings request: for each input a vector of
// length 1 that depends on the model, the length and the input alone.
func (p *Provider) vectors(head openai.Head, body []byte) ([]byte, error) {
	dimensions := int64(p.cfg.Dimensions)
	if head.Dimensions > 0 {
		dimensions = head.Dimensions
	}
	if dimensions > maxNumbers/int64(max(1, head.Inputs)) {
		return nil, &llm.Error{
			Kind: llm.CallerInvalidRequest, Message: "too many numbers in the answer", Param: "dimensions",
			Limit: "inputs times dimensions", Value: "4194304", Fix: "Send fewer inputs at once.",
		}
	}
	v := openai.Vectors{
		Model: head.Model, Base64: head.Base64,
		Usage: llm.Usage{Input: int64(max(1, head.PromptBytes/4))},
	}
	for _, input := range inputs(body) {
		v.Data = append(v.Data, p.vector(head.Model, input, int(dimensions)))
	}
	return openai.AppendEmbeddings(nil, &v), nil
}

// inputs returns the texts, or arrays of tokens, of a request that was checked.
func inputs(body []byte) []json.RawMessage {
	var ask struct {
		Input json.RawMessage `json:"input"`
	}
	var list []json.RawMessage
	_ = json.Unmarshal(body, &ask) // checked by ParseEmbeddings
	if json.Unmarshal(ask.Input, &list) != nil || len(list) == 0 || list[0][0] != '"' && list[0][0] != '[' {
		return []json.RawMessage{ask.Input} // one text, or the tokens of one
	}
	return list
}

func (p *Provider) vector(model string, input []byte, dimensions int) []float32 {
	b := binary.BigEndian.AppendUint64(nil, p.cfg.Seed)
	b = append(append(append(b, model...), 0), input...)
	d := digest(sha256.Sum256(b))
	r := d.words()
	v := make([]float32, dimensions)
	var sum float64
	for i := range v {
		x := r.NormFloat64()
		v[i] = float32(x)
		sum += x * x
	}
	length := float32(math.Sqrt(sum))
	for i := range v {
		v[i] /= length
	}
	return v
}

// duration scales a drawn latency.
func scaled(d time.Duration, factor float64) time.Duration { return clamp(float64(d) * factor) }
