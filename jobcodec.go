package forebay

import (
	"bytes"
	"encoding/json"
	"io"
	"time"

	"github.com/forebay-ai/forebay/jobs"
	"github.com/forebay-ai/forebay/llm"
)

// jobVersion is the version of what follows, as it is stored.
const jobVersion = 1

// jobHead is what a stored call says beside its body, on a line of JSON before it.
type jobHead struct {
	Version     int                 `json:"v"`
	Dialect     string              `json:"dialect"`
	Endpoint    llm.Endpoint        `json:"endpoint"`
	Model       string              `json:"model,omitempty"`
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
	Meta    Meta              `json:"meta"`
	Stream  bool              `json:"stream,omitempty"`
	Raw     map[string]string `json:"raw,omitempty"`
}

// encodeJob is the payload of a job that makes req.
func encodeJob(req *llm.Request, raw map[string]string) ([]byte, error) {
	return withHead(jobHead{
		Version: jobVersion, Dialect: req.Dialect.Name(), Endpoint: req.Endpoint, Model: req.Model, Persona: req.Persona,
		Residency: req.Residency, Locale: req.Locale,
		Stream: req.Stream, NoFallback: req.NoFallback, TraceParent: req.TraceParent, Cache: req.Cache, Raw: raw,
	}, req.Body)
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

// decodeJob is the request that a job makes, as of now.
func (c *Client) decodeJob(t *jobs.Task) (*llm.Request, map[string]string, error) {
	var h jobHead
	body, err := cutHead(t.Payload, &h)
	if err != nil {
		return nil, nil, err
	}
	dialect := c.dialects[h.Dialect]
	switch {
	case h.Version != jobVersion:
		return nil, nil, llm.Errorf(llm.ForebayInternal, "the job was stored by another version (%d, this is %d)", h.Version, jobVersion)
	case dialect == nil:
		return nil, nil, llm.Errorf(llm.ForebayInternal, "the job's dialect %q is not configured any more", h.Dialect)
	}
	if c.operation(t.Operation) == nil {
		return nil, nil, c.unknownOperation(t.Operation)
	}
	return &llm.Request{
		ID: t.ID.String(), Tenant: t.Tenant, User: t.User, Key: t.Key, Operation: t.Operation, Persona: h.Persona,
		Priority: t.Band, Timeout: max(time.Until(t.Deadline), time.Millisecond),
		Endpoint: h.Endpoint, Model: h.Model, Stream: h.Stream, Cache: h.Cache, NoFallback: h.NoFallback, Durable: true,
		Residency: h.Residency, Locale: h.Locale,
		Dialect: dialect, Body: body, TraceParent: h.TraceParent,
	}, h.Raw, nil
}

// relay reads s to its end, and passes the pieces of a streamed answer on.
func relay(s *Stream, streamed bool, emit func([]byte)) ([]byte, error) {
	defer s.Close()
	var body []byte
	for {
		chunk, err := s.Next()
		if err == io.EOF {
			return body, nil
		}
		if err != nil {
			return nil, err
		}
		body = append(body, chunk.Raw...)
		if streamed {
			emit(chunk.Raw)
		}
	}
}

func encodeResult(meta Meta, body []byte, streamed bool, raw map[string]string) ([]byte, error) {
	return withHead(resultHead{Version: jobVersion, Meta: meta, Stream: streamed, Raw: raw}, body)
}

// decodeResult is the answer of a job that was completed by encodeResult.
func decodeResult(stored []byte) (*Response, map[string]string, error) {
	var h resultHead
	body, err := cutHead(stored, &h)
	if err != nil {
		return nil, nil, err
	}
	if h.Version != jobVersion {
		return nil, nil, llm.Errorf(llm.ForebayInternal, "the result was stored by another version (%d, this is %d)", h.Version, jobVersion)
	}
	res := &Response{Meta: h.Meta, Streamed: h.Stream}
	res.Body = body
	return res, h.Raw, nil
}
