package loadgen

import (
	"fmt"
	"strings"
)

// numberDigits is the width of the number that makes prompts differ: a run sends
// far fewer than 10^12.
const numberDigits = 12

// template is a request as bytes, with a place for a number in its prompt.
type template struct {
	bytes []byte
	at    int // where the number stands
}

// newTemplate builds the chat completion that every request of a run is. Prompts
// have 200 bytes behind a short system message, as the published figures of other
// gateways were measured.
func newTemplate(s *Spec) template {
	number := strings.Repeat("0", numberDigits)
	prompt := number + " " + strings.Repeat("tell me a story about queues. ", 7)[:200-numberDigits-1]
	body := fmt.Sprintf(`{"model":%q,"messages":[{"role":"system","content":"You are a helpful assistant."},`+
		`{"role":"user","content":"%s"}],"temperature":0`, s.Model, prompt)
	if s.Stream {
		body += `,"stream":true`
	}
	body += "}"
	head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nAccept: */*\r\n", s.Path, s.Addr)
	if s.Key != "" {
		head += "Authorization: Bearer " + s.Key + "\r\n"
	}
	text := fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", head, len(body), body)
	return template{bytes: []byte(text), at: strings.Index(text, prompt)}
}

// number writes n into a copy of the template.
func (t template) number(dst []byte, n int64) {
	for i := t.at + numberDigits - 1; i >= t.at; i-- {
		dst[i] = '0' + byte(n%10)
		n /= 10
	}
}
