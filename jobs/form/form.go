// Package form is how a call and its answer are stored with a durable job: a head, one
// line of JSON that says what stands beside the body, and the body as it came.
package form

import (
	"bytes"
	"encoding/json"

	"github.com/forebay-ai/forebay/llm"
)

// version is the version of the heads.
const version = 1

// head is what a stored call says beside its body.
type head struct {
	Version     int                 `json:"v"`
	Dialect     string              `json:"dialect"`
	Endpoint    llm.Endpoint        `json:"endpoint"`
	Model       string              `json:"model,omitempty"`
	Settings    llm.Settings        `json:"settings,omitempty"`
	Persona     string              `json:"persona,omitempty"`
	Residency   string              `json:"residency,omitempty"`
	Locale      string              `json:"locale,omitempty"`
	Stream      bool                `json:"stream,omitempty"`
	NoFallback  bool                `json:"no_fallback,omitempty"`
	TraceParent string              `json:"traceparent,omitempty"`
	Cache       llm.CacheDirectives `json:"cache,omitzero"`
	Raw         map[string]string   `json:"raw,omitempty"`
}

// resultHead is what a stored answer says beside its body.
type resultHead struct {
	Version int               `json:"v"`
	Meta    json.RawMessage   `json:"meta"`
	Stream  bool              `json:"stream,omitempty"`
	Raw     map[string]string `json:"raw,omitempty"`
}

// Encode is the payload of a job that makes req. raw is kept beside it. Who asks and
// when is the job's, not the payload's.
func Encode(req *llm.Request, raw map[string]string) ([]byte, error) {
	return withHead(head{
		Version: version, Dialect: req.Dialect.Name(), Endpoint: req.Endpoint, Model: req.Model, Settings: req.Settings, Persona: req.Persona,
		Residency: req.Residency, Locale: req.Locale,
		Stream: req.Stream, NoFallback: req.NoFallback, TraceParent: req.TraceParent, Cache: req.Cache, Raw: raw,
	}, req.Body)
}

// Decode reads a payload. The request has what Encode kept; the dialect is found by its
// name in dialects.
func Decode(stored []byte, dialects map[string]llm.Dialect) (req *llm.Request, raw map[string]string, err error) {
	var h head
	body, err := cutHead(stored, &h)
	if err != nil {
		return nil, nil, err
	}
	dialect := dialects[h.Dialect]
	switch {
	case h.Version != version:
		return nil, nil, llm.Errorf(llm.ForebayInternal, "the job was stored by another version (%d, this is %d)", h.Version, version)
	case dialect == nil:
		return nil, nil, llm.Errorf(llm.ForebayInternal, "the job's dialect %q is not configured any more", h.Dialect)
	}
	return &llm.Request{
		Persona: h.Persona, Residency: h.Residency, Locale: h.Locale, Endpoint: h.Endpoint, Model: h.Model, Settings: h.Settings, Stream: h.Stream,
		Cache: h.Cache, NoFallback: h.NoFallback, Dialect: dialect, Body: body, TraceParent: h.TraceParent,
	}, h.Raw, nil
}

// Answer is a stored answer.
type Answer struct {
	Body     []byte
	Streamed bool // Body holds the events of a stream
	Raw      map[string]string
}

// EncodeAnswer is the result of a job that was answered; meta, which says how the answer
// came about, is anything that JSON can carry.
func EncodeAnswer(meta any, a Answer) ([]byte, error) {
	told, err := json.Marshal(meta)
	if err != nil {
		return nil, llm.Errorf(llm.ForebayInternal, "store an answer: %v", err)
	}
	return withHead(resultHead{Version: version, Meta: told, Stream: a.Streamed, Raw: a.Raw}, a.Body)
}

// DecodeAnswer reads a result, and what it says of how it came about into meta.
func DecodeAnswer(stored []byte, meta any) (Answer, error) {
	var h resultHead
	body, err := cutHead(stored, &h)
	if err != nil {
		return Answer{}, err
	}
	if h.Version != version {
		return Answer{}, llm.Errorf(llm.ForebayInternal, "the result was stored by another version (%d, this is %d)", h.Version, version)
	}
	if err := json.Unmarshal(h.Meta, meta); err != nil {
		return Answer{}, llm.Errorf(llm.ForebayInternal, "what is stored of the job cannot be read: %v", err)
	}
	return Answer{Body: body, Streamed: h.Stream, Raw: h.Raw}, nil
}

func withHead(head any, body []byte) ([]byte, error) {
	line, err := json.Marshal(head)
	if err != nil {
		return nil, llm.Errorf(llm.ForebayInternal, "store a call: %v", err)
	}
	return append(append(append(make([]byte, 0, len(line)+1+len(body)), line...), '\n'), body...), nil
}

// cutHead reads the line before a body.
func cutHead(stored []byte, head any) (body []byte, err error) {
	line, body, found := bytes.Cut(stored, []byte("\n"))
	if !found {
		return nil, llm.Errorf(llm.ForebayInternal, "what is stored of the job has no head")
	}
	if err := json.Unmarshal(line, head); err != nil {
		return nil, llm.Errorf(llm.ForebayInternal, "what is stored of the job cannot be read: %v", err)
	}
	return body, nil
}
