package forebay

import (
	"time"

	"github.com/forebay-ai/forebay/jobs"
	"github.com/forebay-ai/forebay/jobs/form"
	"github.com/forebay-ai/forebay/llm"
)

// decodeJob is the request that a job makes, as of now.
func (c *Client) decodeJob(t *jobs.Task) (*llm.Request, map[string]string, error) {
	req, raw, err := form.Decode(t.Payload, c.dialects)
	if err != nil {
		return nil, nil, err
	}
	if c.operation(t.Operation) == nil {
		return nil, nil, c.unknownOperation(t.Operation)
	}
	req.ID, req.Tenant, req.User, req.Key, req.Operation = t.ID.String(), t.Tenant, t.User, t.Key, t.Operation
	req.Priority, req.Timeout, req.Durable = t.Band, max(time.Until(t.Deadline), time.Millisecond), true
	return req, raw, nil
}

// decodeResult is the answer of a job.
func decodeResult(stored []byte) (*Response, map[string]string, error) {
	res := new(Response)
	a, err := form.DecodeAnswer(stored, &res.Meta)
	if err != nil {
		return nil, nil, err
	}
	res.Body, res.Streamed = a.Body, a.Streamed
	return res, a.Raw, nil
}
