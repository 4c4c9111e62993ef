package replay

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/forebay-ai/forebay/llm"
)

// Bounds on what is read of an answer. Far above what a model says at once.
const (
	maxAnswerBytes = 16 << 20
	maxEventBytes  = 1 << 20
	maxErrorBytes  = 64 << 10
)

// usage is the token count of an answer, as its body reports it.
type usage struct {
	Input  int64 `json:"prompt_tokens"`
	Output int64 `json:"completion_tokens"`
}

// readAnswer reads a 200 to its end and checks that it is the complete answer
// that was asked for.
func (s *sender) readAnswer(res *http.Response, c call, intended time.Time, out *outcome) error {
	kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	switch {
	case c.stream && kind == "text/event-stream":
		return readStream(res.Body, intended, out)
	case !c.stream && kind == "application/json":
		return readWhole(res.Body, out)
	}
	return errBody{failMalformed}
}

func readWhole(r io.Reader, out *outcome) error {
	body, err := readAtMost(r, maxAnswerBytes)
	if err != nil {
		return err
	}
	var answer struct {
		Choices []jsontext.Value `json:"choices"`
		Usage   *usage           `json:"usage"`
		Error   jsontext.Value   `json:"error"`
	}
	if json.Unmarshal(body, &answer) != nil || len(answer.Choices) == 0 || present(answer.Error) {
		return errBody{failMalformed}
	}
	if answer.Usage != nil {
		out.usage = *answer.Usage
	}
	return nil
}

func readAtMost(r io.Reader, limit int64) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(body)) > limit {
		err = errBody{failTooLarge}
	}
	return body, err
}

// readStream reads events up to the end of the body. The end mark must be the
// last of them: SDKs take a clean end of the body for success, so a cut shows
// only here.
func readStream(r io.Reader, intended time.Time, out *outcome) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 4<<10), maxEventBytes)
	done := false
	for lines.Scan() {
		data, ok := bytes.CutPrefix(lines.Bytes(), []byte("data:"))
		if !ok {
			if bytes.HasPrefix(lines.Bytes(), []byte("event: error")) {
				return errBody{failErrorEvent}
			}
			continue // blank, comment, or a field that chat completions do not use
		}
		data = bytes.TrimSpace(data)
		switch {
		case done:
			return errBody{failMalformed}
		case string(data) == "[DONE]":
			done = true
		default:
			if err := readEvent(data, intended, out); err != nil {
				return err
			}
		}
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return errBody{failTooLarge}
	case err != nil:
		return err
	case !done:
		return errBody{failTruncated}
	}
	return nil
}

// readEvent reads one chunk. After the first useful one it parses only chunks
// that may hold usage or an error: the replay shares its machine with the gateway
// it measures.
func readEvent(data []byte, intended time.Time, out *outcome) error {
	if out.useful && !bytes.Contains(data, []byte(`"usage"`)) && !bytes.Contains(data, []byte(`"error"`)) {
		return nil
	}
	var chunk struct {
		Choices []struct {
			Delta struct {
				Content   string         `json:"content"`
				Refusal   string         `json:"refusal"`
				ToolCalls jsontext.Value `json:"tool_calls"`
			} `json:"delta"`
		} `json:"choices"`
		Usage *usage         `json:"usage"`
		Error jsontext.Value `json:"error"`
	}
	if err := json.Unmarshal(data, &chunk); err != nil {
		return errBody{failMalformed}
	}
	if present(chunk.Error) {
		return errBody{errorType(data, failErrorEvent)}
	}
	if chunk.Usage != nil {
		out.usage = *chunk.Usage
	}
	for _, choice := range chunk.Choices {
		if d := choice.Delta; !out.useful && (d.Content != "" || d.Refusal != "" || present(d.ToolCalls)) {
			out.useful, out.ttft = true, time.Since(intended)
		}
	}
	return nil
}

// present says that a member was there and is not null.
func present(v jsontext.Value) bool { return len(v) > 0 && string(v) != "null" }

// errorLabel reads an answer that is not a 200 and gives its error_type, or its
// status for one without. An error means that it could not be read to its end.
func errorLabel(res *http.Response) (string, error) {
	body, err := readAtMost(res.Body, maxErrorBytes)
	if err != nil {
		return "", err
	}
	return errorType(body, fmt.Sprintf("http_%d", res.StatusCode)), nil
}

// errorType finds the error_type of an error body: beside message in the OpenAI
// and Anthropic encodings, at the top in problem+json. Only kinds of the closed
// set become labels; everything else is otherwise.
func errorType(body []byte, otherwise string) string {
	var b struct {
		ErrorType string `json:"error_type"`
		Error     struct {
			ErrorType string `json:"error_type"`
			Type      any    `json:"type"`
			Code      any    `json:"code"`
		} `json:"error"`
	}
	if json.Unmarshal(body, &b) != nil {
		return otherwise
	}
	for _, v := range []any{b.ErrorType, b.Error.ErrorType, b.Error.Code, b.Error.Type} {
		if s, ok := v.(string); ok && known(llm.Kind(s)) {
			return s
		}
	}
	return otherwise
}

func known(k llm.Kind) bool {
	for _, kind := range llm.Kinds() {
		if k == kind {
			return true
		}
	}
	return false
}
