//go:build linux

package faulttest_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// tokens is how many pieces an upstream's text has.
const tokens = 8

// textOf is what an upstream says: pieces that are told apart from every other's.
func textOf(name string) string { return strings.Join(pieces(name), "") }

func pieces(name string) []string {
	var all []string
	for i := range tokens {
		all = append(all, fmt.Sprintf("%s%d ", name, i))
	}
	return all
}

// quote is s in JSON.
func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // of a string
	}
	return string(b)
}

// event is an event of a stream with a delta.
func event(delta, finish string) string {
	if finish == "" {
		finish = "null"
	} else {
		finish = quote(finish)
	}
	return "data: " + `{"id":"c1","object":"chat.completion.chunk","created":1760000000,"model":"up","choices":[{"index":0,"delta":` +
		delta + `,"finish_reason":` + finish + "}]}\n\n"
}

const (
	roleEvent = `{"role":"assistant","content":""}`
	doneEvent = "data: [DONE]\n\n"
	eventType = "Content-Type: text/event-stream"
)

func content(piece string) string { return event(`{"content":`+quote(piece)+`}`, "") }

// opening is the event before any text.
func opening() string { return event(roleEvent, "") }

// ending is what follows the text.
func ending() string { return event("{}", "stop") + doneEvent }

// events is a whole stream with the upstream's text.
func events(name string) string {
	var b strings.Builder
	b.WriteString(opening())
	for _, p := range pieces(name) {
		b.WriteString(content(p))
	}
	return b.String() + ending()
}

// completion is a whole answer with text.
func completion(text, finish string) string {
	return `{"id":"c1","object":"chat.completion","created":1760000000,"model":"up","choices":[{"index":0,"message":{"role":"assistant","content":` +
		quote(text) + `},"logprobs":null,"finish_reason":` + quote(finish) +
		`}],"usage":{"prompt_tokens":9,"completion_tokens":8,"total_tokens":17}}`
}

// errorBody is an error as OpenAI words it.
func errorBody(message, kind, code string) string {
	return `{"error":{"message":` + quote(message) + `,"type":` + quote(kind) + `,"param":null,"code":` + quote(code) + `}}`
}

// speak is the script of a healthy provider, in the form that was asked for.
func speak(name string) play {
	return func(x *exchange) {
		if !x.Stream {
			x.answer(200, "application/json", completion(textOf(name), "stop"))
			return
		}
		x.head(200, eventType)
		x.chunk(opening())
		for _, p := range pieces(name) {
			x.chunk(content(p))
		}
		x.chunk(ending())
		x.done()
	}
}

// begin sends n pieces of a healthy answer and leaves the rest to the script. Of a
// whole answer that is the beginning of its body, and for n = 0 nothing of it.
func (x *exchange) begin(name string, n int) {
	if !x.Stream {
		body := completion(textOf(name), "stop")
		x.head(200, "Content-Type: application/json", fmt.Sprintf("Content-Length: %d", len(body)))
		x.send(body[:len(body)*n/(2*tokens)])
		return
	}
	x.head(200, eventType)
	x.chunk(opening())
	for _, p := range pieces(name)[:n] {
		x.chunk(content(p))
	}
}

// status is the script of an error answer.
func status(code int, body string, lines ...string) play {
	return func(x *exchange) { x.answer(code, "application/json", body, lines...) }
}

// trickle begins well and goes on with a token a second, without end.
func trickle(x *exchange) {
	x.begin("alpha", 3)
	for x.rest(time.Second) {
		if x.Stream {
			x.chunk(content("x"))
		} else {
			x.send(" ")
		}
	}
}
