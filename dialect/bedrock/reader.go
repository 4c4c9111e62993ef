package bedrock

import (
	"io"
	"strconv"

	"github.com/forebay-ai/forebay/dialect/internal/edge"
	"github.com/forebay-ai/forebay/dialect/internal/intake"
	"github.com/forebay-ai/forebay/dialect/internal/scan"
	"github.com/forebay-ai/forebay/llm"
)

// maxDecoded bounds the memory for a chunk's bytes that is kept for the next chunk.
const maxDecoded = 1 << 10

// ReaderOptions says what a Reader reads, and bounds it.
type ReaderOptions struct {
	// Invoke says that the stream is that of InvokeModelWithResponseStream, not of
	// ConverseStream.
	Invoke bool
	// Model is the model that is asked, for the chunks of an answer that names none.
	Model string
	// MaxEvent bounds one message, framing included, in bytes. Zero means MaxMessage,
	// which is also the most.
	MaxEvent int
	// MaxBytes bounds the whole stream in bytes. Zero means no bound.
	MaxBytes int64
}

// Reader reads the event stream of an answer. It is for one goroutine. It holds no more
// than one message and one read's worth of bytes.
type Reader struct {
	in    intake.Buffer // read and not yet delivered
	opts  ReaderOptions
	total int64 // bytes of the messages that were delivered
	err   error // what Next says once all that came before is delivered

	found findings
	used  llm.Usage // what was reported last
	model string    // the last one, so that it is allocated once
}

// NewReader reads messages from r, which it does not close.
func NewReader(r io.Reader, o ReaderOptions) *Reader {
	if o.MaxEvent <= 0 || o.MaxEvent > MaxMessage {
		o.MaxEvent = MaxMessage
	}
	return &Reader{in: intake.New(r), opts: o}
}

// Next returns the messages that one read of the stream completed, byte for byte as
// they came, in memory that is never used again.
//
// It returns io.EOF after the chunk that ends the answer, and looks at nothing behind
// it: metadata after messageStop for Converse, and for Invoke the model's own end:
// Anthropic's message_stop, Nova's metadata after messageStop, Titan's completionReason,
// and for all others Bedrock's own count of the tokens, which it adds to the last chunk.
// Every other end is an *llm.Error:
//   - what DecodeError makes of an exception, or of an error within a chunk;
//   - ProviderTruncated, where the stream stops or the connection breaks before that,
//     be it between two messages;
//   - ProviderMalformed, for a message that is damaged, over a bound, or no JSON object;
//   - the context's kinds, where reading fails with the context's errors.
//
// Messages before the faulty one are delivered first, however the bytes arrived. After
// an error Next keeps returning it.
func (r *Reader) Next() (llm.Chunk, error) {
	for r.err == nil {
		if chunk := r.take(); len(chunk.Raw) > 0 {
			return chunk, nil
		}
		if r.err == nil && !r.in.Fill() {
			r.err = edge.EndError(r.in.Ended())
		}
	}
	return llm.Chunk{}, r.err
}

// Await implements llm.Awaiter.
func (r *Reader) Await() {
	if r.err == nil {
		r.in.Await()
	}
}

// take cuts the complete messages off what is held and sets err where one is at fault, or
// is the last one.
func (r *Reader) take() llm.Chunk {
	var chunk llm.Chunk
	taken, held := 0, r.in.Held()
	for r.err == nil {
		e, n, err := nextEvent(held[taken:], r.opts.MaxEvent)
		if n == 0 && err == nil {
			break
		}
		if err == nil {
			err = r.bounds(n)
		}
		if err == nil {
			err = r.event(e, &chunk)
		}
		if r.err = err; err != nil && err != io.EOF {
			break
		}
		r.total += int64(n)
		taken += n
		chunk.Events++
	}
	if taken > 0 {
		raw := r.in.Take(taken)
		invoke := r.opts.Invoke
		chunk.Raw, chunk.Last = raw, r.err == io.EOF
		chunk.Text = func() string { return streamText(raw, invoke) }
	}
	if cap(r.found.decoded) > maxDecoded {
		r.found.decoded = nil
	}
	if r.err == nil {
		r.err = r.bounds(len(held) - taken) // of a message that is not complete yet
	}
	return chunk
}

// bounds checks what a message makes of the stream's size; the codec checks its own.
func (r *Reader) bounds(size int) error {
	if r.opts.MaxBytes <= 0 || int64(size) <= r.opts.MaxBytes-r.total {
		return nil
	}
	e := llm.Errorf(llm.ProviderMalformed, "the provider's stream is too large")
	e.Limit, e.Value = "max_stream_bytes", strconv.FormatInt(r.opts.MaxBytes, 10)
	return e
}

// event reads one event into chunk. It returns io.EOF for the last one.
func (r *Reader) event(e Event, chunk *llm.Chunk) error {
	if e.Exception {
		return exception(e)
	}
	f := &r.found
	f.useful = false
	if !f.event(e, r.opts.Invoke) {
		return llm.Errorf(llm.ProviderMalformed, "the provider sent an event that is not a JSON object")
	}
	if f.failed {
		inner := e.Payload
		if r.opts.Invoke {
			inner = f.decoded
		}
		return DecodeError(0, nil, inner)
	}
	chunk.Useful = chunk.Useful || f.useful
	if used := f.used(); used != r.used {
		r.used, chunk.Usage = used, used
	}
	if len(f.model) > 0 {
		if string(f.model) != r.model {
			r.model = string(scan.Unescape(f.model))
		}
		chunk.Model = r.model
		f.model = nil // it points into what is held
	} else if r.model == "" {
		chunk.Model = r.opts.Model
	}
	if f.ended {
		chunk.Finish = f.finish()
		return io.EOF
	}
	return nil
}

// streamText is the text that the messages of raw add to the answer.
func streamText(raw []byte, invoke bool) string {
	f := findings{texts: true}
	for {
		e, n, err := NextEvent(raw)
		if n == 0 || err != nil {
			return string(f.text)
		}
		raw = raw[n:]
		f.event(e, invoke)
	}
}
