package replay

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"time"

	"github.com/forebay-ai/forebay/llm"
)

// Bounds on what a trace may hold: far above the published ones (the longest
// line of Mooncake's is 3 KB, the largest prompt 191,378 tokens), low enough
// that a wrong file fails before it fills the memory.
const (
	maxLineBytes  = 1 << 20
	maxTraceBytes = 1 << 30 // after decompression
	maxRequests   = 5_000_000
	maxTokens     = 10_000_000
	maxSpan       = 366 * 24 * time.Hour
)

// Arrival is one call of a trace.
type Arrival struct {
	// At is the time since the first arrival of the trace.
	At time.Duration
	// PromptTokens and OutputTokens are the recorded sizes.
	PromptTokens, OutputTokens int
	// Blocks names the blocks of 512 tokens that the prompt consists of: prompts
	// that begin with the same blocks begin with the same text. Nil where the
	// trace does not say; such prompts share nothing.
	Blocks []int64
}

// Format names the layout of a trace file.
type Format string

// The formats.
const (
	// Azure is the CSV of the Azure LLM inference traces: TIMESTAMP, ContextTokens
	// and GeneratedTokens.
	Azure Format = "azure-csv"
	// Mooncake is the JSON Lines of the Mooncake traces: timestamp in milliseconds,
	// input_length, output_length and hash_ids.
	Mooncake Format = "mooncake-jsonl"
)

// Trace is a recorded load: calls in the order of their arrival.
type Trace struct {
	Format   Format
	Arrivals []Arrival
}

// Duration is the time from the first to the last arrival.
func (t Trace) Duration() time.Duration {
	if len(t.Arrivals) == 0 {
		return 0
	}
	return t.Arrivals[len(t.Arrivals)-1].At
}

// Open reads the trace in the file at path, as Read does. A file that does not
// exist gives an *llm.Error of kind CallerNotFound, everything else one of kind
// CallerInvalidRequest that names the file and, for its content, the line.
func Open(path string) (Trace, error) {
	f, err := os.Open(path)
	if err != nil {
		kind := llm.CallerInvalidRequest
		if errors.Is(err, fs.ErrNotExist) {
			kind = llm.CallerNotFound
		}
		return Trace{}, &llm.Error{Kind: kind, Message: "cannot open the trace " + path, Err: err}
	}
	defer f.Close() // only read from: nothing can be lost
	t, err := Read(f)
	if err != nil {
		e := *llm.AsError(err)
		e.Message = path + ", " + e.Message
		return Trace{}, &e
	}
	return t, nil
}

// Read reads a whole trace: Azure's CSV or Mooncake's JSON Lines, plain or
// gzip-compressed, told apart by their content. It is strict: the first line
// that is not of the format, and times that go back, end it with an *llm.Error
// of kind CallerInvalidRequest that names the line (counted from 1).
func Read(r io.Reader) (Trace, error) {
	br := bufio.NewReader(r)
	if magic, _ := br.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		zr, err := gzip.NewReader(br)
		if err != nil {
			return Trace{}, badLine(1, "is not valid gzip", err)
		}
		br = bufio.NewReader(zr)
	}
	lines := newLineReader(br)
	if first, _ := br.Peek(1); len(first) == 1 && first[0] == '{' {
		return readTrace(lines, Mooncake, parseMooncake)
	}
	if line, ok := lines.next(); !ok || string(line) != azureHeader {
		if lines.err != nil {
			return Trace{}, lines.err
		}
		e := badLine(1, fmt.Sprintf("is neither %q nor a JSON object", azureHeader), nil)
		e.Fix = "Give an Azure LLM trace (CSV) or a Mooncake trace (JSON Lines), plain or .gz"
		return Trace{}, e
	}
	return readTrace(lines, Azure, parseAzure)
}

// record is a line as its format gives it: the time on the trace's own clock.
type record struct {
	at      time.Duration
	arrival Arrival
}

func readTrace(lines *lineReader, format Format, parse func([]byte) (record, error)) (Trace, error) {
	t := Trace{Format: format}
	var first time.Duration
	for {
		line, ok := lines.next()
		if !ok {
			break
		}
		rec, err := parse(line)
		if err != nil {
			return Trace{}, badLine(lines.number, err.Error(), nil)
		}
		if len(t.Arrivals) == 0 {
			first = rec.at
		}
		a := rec.arrival
		a.At = rec.at - first
		switch {
		case a.At < t.Duration():
			return Trace{}, badLine(lines.number, "is earlier than the line before it", nil)
		case a.At > maxSpan:
			return Trace{}, boundMet(lines.number, "is too long after the first one", "time span", maxSpan.String())
		case len(t.Arrivals) == maxRequests:
			return Trace{}, boundMet(lines.number, "is one request too many", "requests", strconv.Itoa(maxRequests))
		}
		t.Arrivals = append(t.Arrivals, a)
	}
	if lines.err != nil {
		return Trace{}, lines.err
	}
	if len(t.Arrivals) == 0 {
		return Trace{}, badLine(lines.number+1, "is missing: the trace holds no requests", nil)
	}
	return t, nil
}

// lineReader counts lines, bounds their length and the length of them all, and
// lets empty lines stand only at the end.
type lineReader struct {
	scan   *bufio.Scanner
	number int   // of the last line given, from 1
	bytes  int64 // read so far
	err    error // *llm.Error, or nil
}

func newLineReader(r io.Reader) *lineReader {
	scan := bufio.NewScanner(r)
	scan.Buffer(make([]byte, 0, 64<<10), maxLineBytes)
	return &lineReader{scan: scan}
}

// next gives the next line without its end; it is valid until the next call.
func (l *lineReader) next() ([]byte, bool) {
	empty := false
	// A reader that fails gives what it had as a last line: that is no line.
	for l.err == nil && l.scan.Scan() && l.scan.Err() == nil {
		l.number++
		line := l.scan.Bytes()
		l.bytes += int64(len(line)) + 1
		switch {
		case l.bytes > maxTraceBytes:
			l.err = boundMet(l.number, "makes the trace too large", "bytes", strconv.Itoa(maxTraceBytes))
		case len(line) == 0:
			empty = true
		case empty:
			l.err = badLine(l.number-1, "is empty", nil)
		default:
			return line, true
		}
	}
	if err := l.scan.Err(); err != nil && l.err == nil {
		if errors.Is(err, bufio.ErrTooLong) {
			l.err = boundMet(l.number+1, "is too long", "line bytes", strconv.Itoa(maxLineBytes))
		} else {
			l.err = badLine(l.number+1, "cannot be read: "+err.Error(), err)
		}
	}
	return nil, false
}

func badLine(number int, fault string, cause error) *llm.Error {
	return &llm.Error{Kind: llm.CallerInvalidRequest, Message: fmt.Sprintf("line %d %s", number, fault), Err: cause}
}

func boundMet(number int, fault, limit, value string) *llm.Error {
	e := badLine(number, fault, nil)
	e.Limit, e.Value = limit, value
	return e
}
