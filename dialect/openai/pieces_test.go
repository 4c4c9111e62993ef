package openai_test

import (
	"errors"
	"io"

	"github.com/forebay-ai/forebay/dialect/openai"
	"github.com/forebay-ai/forebay/llm"
)

// pieces is a body that arrives in the given parts, one a read, and ends with err
// (io.EOF where that is nil).
type pieces struct {
	parts [][]byte
	err   error
}

func (p *pieces) Read(b []byte) (int, error) {
	for len(p.parts) > 0 && len(p.parts[0]) == 0 {
		p.parts = p.parts[1:]
	}
	if len(p.parts) == 0 {
		if p.err != nil {
			return 0, p.err
		}
		return 0, io.EOF
	}
	n := copy(b, p.parts[0])
	// A new slice header: the caller's parts stay as they are.
	p.parts = append([][]byte{p.parts[0][n:]}, p.parts[1:]...)
	return n, nil
}

// outcome is what reading a stream gave, chunk borders left out.
type outcome struct {
	Raw    string
	Text   string
	Events int
	Useful bool
	Usage  llm.Usage
	Finish llm.FinishReason
	Model  string
	Kind   llm.Kind // empty for io.EOF
	Limit  string
}

func read(opts openai.ReaderOptions, parts ...[]byte) outcome {
	r := openai.NewReader(&pieces{parts: parts}, opts)
	var o outcome
	for {
		c, err := r.Next()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				e := llm.AsError(err)
				o.Kind, o.Limit = e.Kind, e.Limit
			}
			return o
		}
		o.Raw += string(c.Raw)
		o.Text += c.Text()
		o.Events += c.Events
		o.Useful = o.Useful || c.Useful
		if !c.Usage.IsZero() {
			o.Usage = c.Usage
		}
		if c.Finish != "" {
			o.Finish = c.Finish
		}
		if c.Model != "" {
			o.Model = c.Model
		}
	}
}
