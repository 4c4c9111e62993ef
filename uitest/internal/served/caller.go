package served

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// most bounds an answer that is read, in bytes: no page of the API has more.
const most = 8 << 20

// Caller makes calls with one key. It may be used concurrently.
type Caller struct {
	// URL is the gateway's, Key the caller's; without a key none is sent.
	URL, Key string
}

// Post sends a body as JSON, with more headers where head is not nil, and returns status and answer.
func (c Caller) Post(ctx context.Context, path string, body any, head http.Header) (int, string, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return 0, "", err
	}
	return c.do(ctx, http.MethodPost, path, text, head)
}

// Get reads what the API has at a path into v.
func (c Caller) Get(ctx context.Context, path string, v any) error {
	status, text, err := c.do(ctx, http.MethodGet, path, nil, nil)
	if err != nil {
		return err
	}
	if status != http.StatusOK {
		return fmt.Errorf("GET %s: status %d: %.300s", path, status, text)
	}
	if err := json.Unmarshal([]byte(text), v); err != nil {
		return fmt.Errorf("GET %s: %w", path, err)
	}
	return nil
}

func (c Caller) do(ctx context.Context, method, path string, body []byte, head http.Header) (int, string, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.URL+path, bytes.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	for name, values := range head {
		req.Header[name] = values
	}
	req.Header.Set("Content-Type", "application/json")
	if c.Key != "" {
		req.Header.Set("Authorization", "Bearer "+c.Key)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, most))
	return res.StatusCode, string(text), err
}

// Chat is the body of a chat completion with one message.
func Chat(model, user, message string, stream bool) map[string]any {
	return map[string]any{
		"model": model, "user": user, "stream": stream, "max_tokens": 200,
		"messages": []map[string]string{{"role": "user", "content": message}},
	}
}
