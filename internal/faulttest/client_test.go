//go:build linux

package faulttest_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// caller talks to a gateway as its clients do, without retries.
type caller struct {
	url  string
	http *http.Client

	mu     sync.Mutex // guards leaked
	leaked string     // of the first answer with a key in it
}

func newCaller(url string) *caller {
	return &caller{url: url, http: &http.Client{Transport: &http.Transport{
		MaxIdleConnsPerHost: 256, MaxIdleConns: 256, DisableCompression: true,
	}}}
}

// question is one request.
type question struct {
	model   string
	id      string // the first word of the prompt
	stream  bool
	headers []string // name and value, one after another
	key     string   // in place of secret
	body    string   // in place of a chat completion
}

func (q question) text() string {
	if q.body != "" {
		return q.body
	}
	return fmt.Sprintf(`{"model":%q,"stream":%t,"messages":[{"role":"user","content":"%s %s"}]}`, q.model, q.stream, q.id, private)
}

// answer is what came of one.
type answer struct {
	err    error // there is no answer at all
	status int
	header http.Header
	body   string
	end    error // how the body ended; nil for a clean end

	asked, first, ended time.Time // first: of the body
}

// ask sends a request once and reads all that comes.
func (c *caller) ask(q question) *answer {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	// The type hides that the body could be sent again, as net/http may do by itself.
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+"/v1/chat/completions", struct{ io.Reader }{strings.NewReader(q.text())})
	if err != nil {
		return &answer{err: err}
	}
	req.Header.Set("Authorization", "Bearer "+cmp.Or(q.key, secret))
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(q.headers); i += 2 {
		req.Header.Set(q.headers[i], q.headers[i+1])
	}
	a := &answer{asked: time.Now()}
	defer func() { a.ended = time.Now() }()
	res, err := c.http.Do(req)
	if err != nil {
		a.err = err
		return a
	}
	defer res.Body.Close()
	a.status, a.header = res.StatusCode, res.Header
	var body bytes.Buffer
	piece := make([]byte, 16<<10)
	for a.end == nil {
		n, err := res.Body.Read(piece)
		if n > 0 && a.first.IsZero() {
			a.first = time.Now()
		}
		body.Write(piece[:n])
		a.end = err
	}
	if errors.Is(a.end, io.EOF) { // a body that was cut ends with ErrUnexpectedEOF
		a.end = nil
	}
	a.body = body.String()
	c.look(a)
	return a
}

// look remembers an answer with a key in it.
func (c *caller) look(a *answer) {
	all := fmt.Sprint(a.header) + a.body
	if !strings.Contains(all, canary) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.leaked == "" {
		c.leaked = fmt.Sprintf("%.2000s", all)
	}
}

func (c *caller) leak() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.leaked
}

// took is how long the answer took.
func (a *answer) took() time.Duration { return a.ended.Sub(a.asked) }

// String is an answer for a test's message.
func (a *answer) String() string {
	if a.err != nil {
		return fmt.Sprintf("no answer: %v", a.err)
	}
	end := "a clean end"
	if a.end != nil {
		end = a.end.Error()
	}
	return fmt.Sprintf("status %d after %s, cache %q, attempts %s, %s, body %.1200q",
		a.status, a.took().Round(time.Millisecond), a.header.Get("Cache-Status"), a.header.Get("X-Forebay-Attempts"), end, a.body)
}

// data are the events of a stream.
func (a *answer) data() []string {
	var all []string
	// The format allows three ends of a line.
	for line := range strings.Lines(strings.NewReplacer("\r\n", "\n", "\r", "\n", "\ufeff", "").Replace(a.body)) {
		if d, found := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "data:"); found {
			all = append(all, strings.TrimPrefix(d, " "))
		}
	}
	return all
}

// piece is what is read of an answer, of an event and of an error.
type piece struct {
	Choices []struct {
		Delta, Message struct{ Content string }
	}
	Error *struct {
		Kind    string `json:"error_type"`
		Support string `json:"support_id"`
		Message string
	}
}

// said is the text of the answer.
func (a *answer) said() string {
	var b strings.Builder
	for _, d := range append(a.data(), a.body) {
		var p piece
		if json.Unmarshal([]byte(d), &p) != nil || len(p.Choices) == 0 {
			continue
		}
		b.WriteString(p.Choices[0].Delta.Content + p.Choices[0].Message.Content)
	}
	return b.String()
}

// kind is the error_type of an error answer, or of the last event of a stream; ""
// for no error.
func (a *answer) kind() string {
	text := a.body
	if d := a.data(); len(d) > 0 {
		text = d[len(d)-1]
	}
	var p piece
	if json.Unmarshal([]byte(text), &p) != nil || p.Error == nil {
		return ""
	}
	if p.Error.Support == "" || p.Error.Message == "" {
		return p.Error.Kind + " without message or support id"
	}
	return p.Error.Kind
}

// marked says whether the stream has an end mark.
func (a *answer) marked() bool {
	d := a.data()
	return len(d) > 0 && d[len(d)-1] == "[DONE]"
}

// complete says what keeps the answer from being a complete one with text.
func (a *answer) complete(text string, stream bool) string {
	switch {
	case a.err != nil || a.status != http.StatusOK || a.end != nil || a.kind() != "":
		return "no complete answer: " + a.String()
	case a.said() != text:
		return fmt.Sprintf("it says %q, want %q: %s", a.said(), text, a)
	case stream && !a.marked():
		return "no end mark: " + a.String()
	}
	return ""
}

// broken says what keeps the answer from being a stream that visibly broke: an error
// event of one of the kinds as the last one, no end mark, no clean end.
func (a *answer) broken(kinds ...string) string {
	switch {
	case a.err != nil || a.status != http.StatusOK:
		return "no stream that began: " + a.String()
	case a.end == nil:
		return "the connection ends cleanly: " + a.String()
	case strings.Contains(a.body, "[DONE]"):
		return "there is an end mark: " + a.String()
	}
	return a.wantKind(kinds)
}

// refused says what keeps the answer from being an error with a status.
func (a *answer) refused(status int, kinds ...string) string {
	switch {
	case a.err != nil || a.end != nil || a.status != status:
		return fmt.Sprintf("want status %d: %s", status, a)
	}
	return a.wantKind(kinds)
}

func (a *answer) wantKind(kinds []string) string {
	for _, k := range kinds {
		if a.kind() == k {
			return ""
		}
	}
	return fmt.Sprintf("it is %q, want one of %q: %s", a.kind(), kinds, a)
}
