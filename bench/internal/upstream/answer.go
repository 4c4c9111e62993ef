package upstream

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// The models that the upstream knows; every other name is Small.
const (
	Small = "bench"      // SmallBytes, at once
	Large = "bench-2k"   // LargeBytes, at once
	Slow  = "bench-slow" // SmallBytes, after SlowDelay
	// Words is LargeBytes at once, which can be compressed as what models write (Prose).
	Words = "bench-words"
)

// Sizes of the answers' bodies, and the delay of Slow. Small is what a model's
// short answer weighs with OpenAI's members around it.
const (
	SmallBytes = 690
	LargeBytes = 2048
	SlowDelay  = 50 * time.Millisecond
	// Chunks is how many chunks of a streamed answer carry text. A chunk with the
	// role stands before them, one with the finish reason, one with the usage and
	// the end mark behind them.
	Chunks = 20
)

// answer is what one model says, as the bytes of whole HTTP responses.
type answer struct {
	delay         time.Duration
	whole, stream []byte
}

func newAnswers() map[string]*answer {
	stream := streamResponse()
	return map[string]*answer{
		Small: {whole: wholeResponse(SmallBytes), stream: stream},
		Large: {whole: wholeResponse(LargeBytes), stream: stream},
		Words: {whole: response(Prose(LargeBytes, 1)), stream: stream},
		Slow:  {whole: wholeResponse(SmallBytes), stream: stream, delay: SlowDelay},
	}
}

const (
	idMembers    = `"id":"chatcmpl-bench0001","created":1760000000,"model":"bench","system_fingerprint":"fp_bench",`
	usageMember  = `"usage":{"prompt_tokens":60,"completion_tokens":20,"total_tokens":80,"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":0}}`
	wholeHead    = `{` + idMembers + `"object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"`
	wholeTail    = `","refusal":null},"logprobs":null,"finish_reason":"stop"}],` + usageMember + `}`
	chunkHead    = `{` + idMembers + `"object":"chat.completion.chunk",`
	wholeFormat  = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
	streamHead   = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n"
	streamEnding = "0\r\n\r\n"
)

// wholeResponse makes an answer whose body has exactly size bytes.
func wholeResponse(size int) []byte {
	text := strings.Repeat("water flows ", size/12+1)[:size-len(wholeHead)-len(wholeTail)]
	return response([]byte(wholeHead + text + wholeTail))
}

// response is a whole HTTP response with a body of JSON.
func response(body []byte) []byte { return fmt.Appendf(nil, wholeFormat, len(body), body) }

// streamResponse makes a streamed answer, one HTTP chunk an event, as servers
// that flush each event write it.
func streamResponse() []byte {
	out := []byte(streamHead)
	event := func(data string) {
		data = "data: " + data + "\n\n"
		out = fmt.Appendf(out, "%x\r\n%s\r\n", len(data), data)
	}
	choice := func(delta, finish string) {
		event(chunkHead + `"choices":[{"index":0,"delta":` + delta + `,"finish_reason":` + finish + `}]}`)
	}
	choice(`{"role":"assistant","content":""}`, "null")
	for i := range Chunks {
		choice(`{"content":"word`+strconv.Itoa(i)+` "}`, "null")
	}
	choice(`{}`, `"stop"`)
	event(chunkHead + `"choices":[],` + usageMember + `}`)
	event("[DONE]")
	return append(out, streamEnding...)
}
