package openai

import (
	"io"
	"strconv"

	"github.com/forebay-ai/forebay/dialect/internal/edge"
	"github.com/forebay-ai/forebay/dialect/internal/intake"
	"github.com/forebay-ai/forebay/dialect/internal/scan"
	"github.com/forebay-ai/forebay/llm"
)

const (
	// DefaultMaxEvent bounds one event where ReaderOptions does not. Events have
	// about 200 bytes; one with a whole generated image or file has some 100 KiB.
	DefaultMaxEvent = 1 << 20
	// maxJoined bounds the memory for data of several lines that is kept for the next event.
	maxJoined = 1 << 10
)

// ReaderOptions bounds what a Reader takes.
type ReaderOptions struct {
	// MaxEvent bounds one event, framing included, in bytes. Zero means DefaultMaxEvent.
	MaxEvent int
	// MaxTotal bounds the whole stream in bytes. Zero means no bound.
	MaxTotal int64
}

// Reader reads the stream of a chat completion. It is for one goroutine. It holds
// no more than one event and one read's worth of bytes.
type Reader struct {
	in       intake.Buffer // read and not yet delivered
	maxEvent int
	maxTotal int64

	line  int   // where in what is held the line that is being looked at begins
	scan  int   // no line ends in held[line:scan]
	lines int   // lines of the first event that is held that end before line
	total int64 // bytes of the events that were delivered
	err   error // what Next says once all that came before is delivered

	opening opening
	endings endings
	model   string // the last one, so that it is allocated once
	joined  []byte // data of several lines
}

// NewReader reads events from r, which it does not close.
func NewReader(r io.Reader, opts ReaderOptions) *Reader {
	if opts.MaxEvent <= 0 {
		opts.MaxEvent = DefaultMaxEvent
	}
	return &Reader{in: intake.New(r), maxEvent: opts.MaxEvent, maxTotal: opts.MaxTotal}
}

// Next returns the events that one read of the stream completed, byte for byte as
// they came, in memory that is never used again. Comments and other blocks without
// data are delivered too, and count as no event. What ids say is left to the caller:
// servers exist that change them with every event, and with every choice.
//
// It returns io.EOF after the chunk that ends with "data: [DONE]"; what the
// provider sends behind that is not looked at. Every other end is an *llm.Error:
//   - the kind that DecodeError finds, for an event that reports an error;
//   - ProviderTruncated, where the stream stops or the connection breaks before [DONE];
//   - ProviderMalformed, for an event that is no JSON object or over a bound;
//   - the context's kinds, where reading fails with the context's errors.
//
// Events before the faulty one are delivered first, however the bytes arrived.
// After an error Next keeps returning it.
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

// take cuts the complete events off what is held and sets err where one is at fault, or is
// the last one.
func (r *Reader) take() llm.Chunk {
	var chunk llm.Chunk
	taken, held := 0, r.in.Held()
	for r.err == nil {
		end := r.eventEnd(held, taken)
		if end < 0 {
			break
		}
		size := end - taken
		if r.err = r.bounds(size); r.err == nil {
			r.err = r.event(held[taken:end], &chunk)
		}
		if r.err != nil && r.err != io.EOF {
			break
		}
		r.total += int64(size)
		taken = end
		r.lines = 0
	}
	if taken > 0 {
		raw := r.in.Take(taken)
		chunk.Raw, chunk.Last = raw, r.err == io.EOF
		chunk.Text = func() string { return streamText(raw) }
		r.line -= taken
		r.scan -= taken
	}
	if cap(r.joined) > maxJoined {
		r.joined = nil
	}
	if r.err == nil {
		r.err = r.bounds(len(held) - taken) // of an event that is not complete yet
	}
	return chunk
}

// eventEnd finds the end of the event that begins at held[start], or -1.
func (r *Reader) eventEnd(held []byte, start int) int {
	last := r.in.Ended() != nil
	for {
		text, next, ok := lineEnd(held, r.scan, last)
		if !ok {
			// A CR at the end is looked at again, together with what follows it.
			if r.scan = text; last {
				return r.lastEvent(held, start)
			}
			return -1
		}
		empty := text == r.line
		r.line, r.scan = next, next
		if empty {
			return next
		}
		r.lines++
	}
}

// lastEvent accepts an end mark at the end of the body whose empty line is missing.
// Everything else that is not complete by then is cut off.
func (r *Reader) lastEvent(held []byte, start int) int {
	if data, _, _ := eventData(held[start:], nil); !isDone(data) {
		return -1
	}
	r.lines++
	r.line, r.scan = len(held), len(held)
	return len(held)
}

// bounds checks the size of an event and what it makes of the stream's. The bound
// that is met first as bytes come in is the one named, also when they come at once.
func (r *Reader) bounds(size int) error {
	if left := r.maxTotal - r.total; r.maxTotal > 0 && left < int64(r.maxEvent) {
		if int64(size) <= left {
			return nil
		}
		e := llm.Errorf(llm.ProviderMalformed, "the provider's stream is too large")
		e.Limit, e.Value = "max_stream_bytes", strconv.FormatInt(r.maxTotal, 10)
		return e
	}
	if size <= r.maxEvent {
		return nil
	}
	e := llm.Errorf(llm.ProviderMalformed, "the provider sent an event that is too large")
	e.Limit, e.Value = "max_event_bytes", strconv.Itoa(r.maxEvent)
	return e
}

// event reads one event into chunk. It returns io.EOF for the end mark.
func (r *Reader) event(event []byte, chunk *llm.Chunk) error {
	var isError bool
	data, ok := onlyData(event, r.lines)
	if !ok {
		data, r.joined, isError = eventData(event, r.joined)
	}
	if len(data) == 0 {
		return nil
	}
	if isDone(data) {
		chunk.Events++
		chunk.Finish = r.endings.reason()
		return io.EOF
	}
	var f findings
	if !r.opening.skim(data, &f, &r.endings) {
		if isError {
			return DecodeError(0, nil, data)
		}
		return llm.Errorf(llm.ProviderMalformed, "the provider sent an event that is not a JSON object")
	}
	if f.failed || isError {
		return DecodeError(0, nil, data)
	}
	chunk.Events++
	chunk.Useful = chunk.Useful || f.useful
	if !f.usage.IsZero() { // an empty report takes nothing back, whichever chunk it is in
		chunk.Usage = f.usage
	}
	if len(f.model) > 0 {
		if string(f.model) != r.model {
			r.model = string(scan.Unescape(f.model))
		}
		chunk.Model = r.model
	}
	return nil
}

// onlyData is eventData's short way for nearly all events: one line of data and
// the empty line.
func onlyData(event []byte, lines int) ([]byte, bool) {
	const field = "data: {"
	if lines != 1 || len(event) < len(field) || string(event[:len(field)]) != field {
		return nil, false
	}
	return event[len("data: "):], true // skim passes the line ends
}
