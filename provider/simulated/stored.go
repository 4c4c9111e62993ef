package simulated

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/forebay-ai/forebay/dialect/openai"
	"github.com/forebay-ai/forebay/llm"
)

// Stored completions: nothing is stored, and every id exists. What is answered has
// the shape that OpenAI documents, so that clients can decode it.

const storedRoot = "/chat/completions"

// Forward answers a call about stored completions within the process, as the
// openai provider's method of this name does over HTTP: path is below the base
// URL, the status is the answer's, whatever it is.
func (p *Provider) Forward(ctx context.Context, method, path, _ string, body []byte) (status int, contentType string, answer []byte, err error) {
	if err := ctx.Err(); err != nil {
		return 0, "", nil, about("", llm.AsError(err))
	}
	status, answer = stored(method, path, body)
	return status, jsonType[0], answer, nil
}

func (p *Provider) serveStored(w http.ResponseWriter, r *http.Request) {
	body, e := readBody(w, r)
	if e != nil {
		writeError(w, e)
		return
	}
	status, answer := stored(r.Method, strings.TrimPrefix(r.URL.Path, "/v1"), body)
	writeJSON(w, status, answer)
}

// stored answers a call below storedRoot.
func stored(method, path string, body []byte) (status int, answer []byte) {
	rest, ok := strings.CutPrefix(path, storedRoot)
	if !ok || rest != "" && rest[0] != '/' {
		return storedError(llm.CallerNotFound, "no route "+path)
	}
	id, rest, _ := strings.Cut(strings.TrimPrefix(rest, "/"), "/")
	switch {
	case rest == "messages" && method == http.MethodGet:
		return list(map[string]any{
			"id": id + "-0", "object": "chat.completion.message", "role": "user",
			"content": label + " a stored message", "content_parts": nil, "name": nil,
		})
	case rest != "":
		return storedError(llm.CallerNotFound, "no route "+path)
	case id == "" && method == http.MethodGet:
		return list(completion("chatcmpl-sim-stored", nil))
	case id == "":
		return storedError(llm.CallerMethodNotAllowed, "the list takes GET")
	}
	switch method {
	case http.MethodGet:
		return object(completion(id, nil))
	case http.MethodPost:
		var update struct {
			Metadata map[string]string `json:"metadata"`
		}
		if err := json.Unmarshal(body, &update); err != nil {
			return storedError(llm.CallerInvalidRequest, "the body must be an object with metadata: "+err.Error())
		}
		return object(completion(id, update.Metadata))
	case http.MethodDelete:
		return object(map[string]any{"object": "chat.completion.deleted", "id": id, "deleted": true})
	}
	return storedError(llm.CallerMethodNotAllowed, "stored completions take GET, POST and DELETE")
}

// completion is a stored completion as it is shown.
func completion(id string, metadata map[string]string) map[string]any {
	a := openai.Answer{
		ID: id, Created: created, Model: "simulated-chat", Text: label + " a stored answer.",
		Usage: llm.Usage{Input: 4, Output: 4},
	}
	var c map[string]any
	// It was made here, so it is JSON.
	_ = json.Unmarshal(labelled(openai.AppendChatBody(nil, &a), 0), &c)
	if metadata == nil {
		metadata = map[string]string{}
	}
	c["metadata"] = metadata
	return c
}

// list is a page with one thing in it.
func list(thing map[string]any) (int, []byte) {
	return object(map[string]any{
		"object": "list", "data": []any{thing}, "first_id": thing["id"], "last_id": thing["id"], "has_more": false,
	})
}

func object(thing map[string]any) (int, []byte) {
	body, err := json.Marshal(thing)
	if err != nil { // maps of strings can be marshalled
		return storedError(llm.ForebayInternal, err.Error())
	}
	return http.StatusOK, body
}

func storedError(kind llm.Kind, message string) (int, []byte) {
	return kind.Status(), openai.EncodeError(llm.Errorf(kind, "%s %s", label, message))
}
