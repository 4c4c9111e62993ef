package bedrock

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"slices"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"
	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream/eventstreamapi"

	"github.com/forebay-ai/forebay/dialect/internal/scan"
	"github.com/forebay-ai/forebay/llm"
)

const (
	// MaxMessage bounds one event-stream message, framing included, in bytes: AWS's own
	// bound of a payload, and of headers (128 KiB) beside it.
	MaxMessage = 16<<20 + 128<<10
	// preludeSize is what comes before a message's headers: its length, the headers'
	// length and a checksum of these, 4 bytes each.
	preludeSize = 12
	// minMessage is an empty message: the prelude and the message's checksum.
	minMessage = preludeSize + 4
)

// Event is one message of an event stream.
type Event struct {
	// Type is the event's :event-type, such as contentBlockDelta, or an exception's
	// :exception-type, such as throttlingException.
	Type string
	// Exception says that the message reports a failure, after which nothing follows.
	Exception bool
	// Payload is the event's JSON. It points into what was decoded.
	Payload []byte
}

// usual has the headers of Bedrock's events, as the codec writes them; Bedrock sends the
// same bytes. The codec makes some forty small allocations for the headers of one
// message, which a stream would cost with every token. So it has done its work once: of
// a message with one of these blocks the lengths and the checksums are all that is left.
// Nobody changes it.
var usual = func() (blocks []usualBlock) {
	for _, name := range [...]string{
		"contentBlockDelta", "chunk", "contentBlockStart", "contentBlockStop", "messageStart", "messageStop", "metadata",
	} {
		var w bytes.Buffer
		if eventstream.EncodeHeaders(&w, heading(eventstreamapi.EventTypeHeader, name, eventstreamapi.EventMessageType)) == nil {
			blocks = append(blocks, usualBlock{name, w.Bytes()})
		}
	}
	return blocks
}()

// usualBlock is an event's type and its headers.
type usualBlock struct {
	name  string
	block []byte
}

// AppendEvent appends an event as one message, with the headers that Bedrock sends. A
// payload that makes it longer than MaxMessage, which nobody reads, appends nothing.
func AppendEvent(dst []byte, eventType string, payload []byte) []byte {
	i := slices.IndexFunc(usual, func(u usualBlock) bool { return u.name == eventType })
	if i < 0 {
		return appendMessage(dst, heading(eventstreamapi.EventTypeHeader, eventType, eventstreamapi.EventMessageType), payload)
	}
	block, start := usual[i].block, len(dst)
	size := minMessage + len(block) + len(payload)
	if size > MaxMessage {
		return dst
	}
	dst = slices.Grow(dst, size)
	dst = binary.BigEndian.AppendUint32(dst, uint32(size))
	dst = appendSum(binary.BigEndian.AppendUint32(dst, uint32(len(block))), start)
	return appendSum(append(append(dst, block...), payload...), start)
}

// appendSum appends the checksum of dst[start:].
func appendSum(dst []byte, start int) []byte {
	return binary.BigEndian.AppendUint32(dst, crc32.ChecksumIEEE(dst[start:]))
}

// AppendException appends an exception as one message. exceptionType is the member's
// name in the operation's stream, such as throttlingException; the message is what SDKs
// show.
func AppendException(dst []byte, exceptionType, message string) []byte {
	payload := append(scan.AppendString([]byte(`{"message":`), message), '}')
	return appendException(dst, exceptionType, payload)
}

func appendException(dst []byte, exceptionType string, payload []byte) []byte {
	return appendMessage(dst, heading(eventstreamapi.ExceptionTypeHeader, exceptionType, eventstreamapi.ExceptionMessageType), payload)
}

// heading is a message's headers, in Bedrock's own order.
func heading(typeHeader, typeName, messageType string) eventstream.Headers {
	return eventstream.Headers{
		{Name: typeHeader, Value: eventstream.StringValue(scan.Cut(typeName, maxName))},
		{Name: eventstreamapi.ContentTypeHeader, Value: eventstream.StringValue("application/json")},
		{Name: eventstreamapi.MessageTypeHeader, Value: eventstream.StringValue(messageType)},
	}
}

// appendMessage appends a message that the codec makes.
func appendMessage(dst []byte, headers eventstream.Headers, payload []byte) []byte {
	if len(payload) > MaxMessage {
		return dst
	}
	w := bytes.NewBuffer(dst)
	if err := eventstream.NewEncoder().Encode(w, eventstream.Message{Headers: headers, Payload: payload}); err != nil {
		return dst // a buffer takes everything, and the headers are short
	}
	return w.Bytes()
}

// NextEvent decodes the first message of b and says how long it is. n == 0 without an
// error means that more bytes are needed. Messages over MaxMessage, checksums that do
// not fit and headers that cannot be read are an *llm.Error of kind ProviderMalformed,
// after which nothing in b can be trusted. The payload points into b.
func NextEvent(b []byte) (e Event, n int, err error) { return nextEvent(b, MaxMessage) }

// nextEvent is NextEvent with another bound.
func nextEvent(b []byte, most int) (e Event, n int, err error) {
	size, err := messageSize(b, most)
	if err != nil || size == 0 || size > len(b) {
		return Event{}, 0, err
	}
	m := b[:size:size]
	block := m[preludeSize:][:binary.BigEndian.Uint32(m[4:])]
	e.Payload = m[preludeSize+len(block) : size-4 : size-4]
	for i := range usual {
		if u := &usual[i]; bytes.Equal(u.block, block) && checked(m) {
			e.Type = u.name
			return e, size, nil
		}
	}
	decoded, err := eventstream.NewDecoder().Decode(bytes.NewReader(m), make([]byte, 0, len(e.Payload)+bytes.MinRead))
	if err != nil {
		fault := llm.Errorf(llm.ProviderMalformed, "the provider sent an event that is damaged")
		fault.Err = err
		return Event{}, 0, fault
	}
	e.Type, e.Exception = eventType(decoded.Headers)
	return e, size, nil
}

// checked says that the last 4 bytes of b are the checksum of those before.
func checked(b []byte) bool {
	end := len(b) - 4
	return crc32.ChecksumIEEE(b[:end]) == binary.BigEndian.Uint32(b[end:])
}

// messageSize is the length that the first message of b says it has; 0 where its
// prelude is not there yet. What the codec takes for granted is checked here, and the
// prelude's checksum before a damaged length is waited for.
func messageSize(b []byte, most int) (int, error) {
	if len(b) < preludeSize {
		return 0, nil
	}
	size, headers := binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])
	if uint64(size) > uint64(most) {
		e := llm.Errorf(llm.ProviderMalformed, "the provider sent an event that is too large")
		e.Limit, e.Value = "max_event_bytes", strconv.Itoa(most)
		return 0, e
	}
	if size < minMessage || headers > size-minMessage || !checked(b[:preludeSize]) {
		return 0, llm.Errorf(llm.ProviderMalformed, "the provider sent an event whose lengths do not fit")
	}
	return int(size), nil
}

// eventType reads a message's headers. Errors that are not modelled (:message-type
// error) come as exceptions whose type is their code.
func eventType(h eventstream.Headers) (name string, exception bool) {
	switch headerText(h, eventstreamapi.MessageTypeHeader) {
	case eventstreamapi.ExceptionMessageType:
		return headerText(h, eventstreamapi.ExceptionTypeHeader), true
	case eventstreamapi.ErrorMessageType:
		return headerText(h, eventstreamapi.ErrorCodeHeader), true
	}
	return headerText(h, eventstreamapi.EventTypeHeader), false
}

func headerText(h eventstream.Headers, name string) string {
	text, _ := h.Get(name).(eventstream.StringValue)
	return string(text)
}
