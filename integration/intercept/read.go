package intercept

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/forebay-ai/forebay/dialect/bedrock"
	"github.com/forebay-ai/forebay/dialect/openai"
	"github.com/forebay-ai/forebay/llm"
)

// Recognised says that a request may be one that Read reads: by its method, its path and
// the type of its body.
func Recognised(r *http.Request) bool {
	if r.Method != http.MethodPost || r.Body == nil || r.Header.Get("Content-Encoding") != "" {
		return false
	}
	if _, _, ok := bedrockPath(r.URL.EscapedPath()); ok {
		return true
	}
	media, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	return endpoint(r.URL.Path) != "" && strings.TrimSpace(media) == "application/json"
}

// endpoint is that of a path of OpenAI's API, below whatever base; empty for others.
func endpoint(path string) llm.Endpoint {
	switch {
	case strings.HasSuffix(path, "/chat/completions"):
		return llm.Chat
	case strings.HasSuffix(path, "/embeddings"):
		return llm.Embeddings
	}
	return ""
}

// bedrockPath reads …/model/{id}/{action}; the id is escaped as one segment.
func bedrockPath(path string) (model, action string, ok bool) {
	rest, action, ok := cutLast(path, "/")
	if !ok {
		return "", "", false
	}
	rest, id, ok := cutLast(rest, "/")
	if !ok || !strings.HasSuffix(rest, "/model") {
		return "", "", false
	}
	model, err := url.PathUnescape(id)
	switch action {
	case "converse", "converse-stream", "invoke", "invoke-with-response-stream":
		return model, action, err == nil && model != ""
	}
	return "", "", false
}

func cutLast(s, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return "", "", false
	}
	return s[:i], s[i+len(sep):], true
}

// Read fills what r and its body say into req: dialect, endpoint, model, stream and body. It
// is false where the body is not well formed, or asks for what the request path does not
// know: such a call is best sent as it is.
func Read(req *llm.Request, r *http.Request, body []byte) bool {
	req.Body = body
	if model, action, ok := bedrockPath(r.URL.EscapedPath()); ok {
		return readBedrock(req, r.Header, model, action)
	}
	req.Dialect, req.Endpoint = openai.Dialect{}, endpoint(r.URL.Path)
	parse := openai.ParseChat
	if req.Endpoint == llm.Embeddings {
		parse = openai.ParseEmbeddings
	}
	head, err := parse(body)
	if err != nil || head.Cache != (llm.CacheDirectives{}) { // directives for a proxy that it is sent to
		return false
	}
	req.Model, req.Stream, req.User = head.Model, head.Stream, head.User
	return true
}

// settingPrefix begins the headers in which InvokeModel has what Converse has in its body, a
// guardrail first of all.
const settingPrefix = "X-Amzn-Bedrock-"

// settings are what a call of InvokeModel says beside its body; false where that is not plain.
func settings(h http.Header) (llm.Settings, bool) {
	pairs := map[string]string{}
	for name, values := range h {
		if !strings.HasPrefix(name, settingPrefix) || name == settingPrefix+"Accept" || name == settingPrefix+"Content-Type" {
			continue
		}
		if len(values) != 1 || strings.ContainsAny(values[0], "\r\n") {
			return "", false
		}
		pairs[name] = values[0]
	}
	return llm.MakeSettings(pairs), true
}

func readBedrock(req *llm.Request, h http.Header, model, action string) bool {
	req.Model, req.Endpoint = model, llm.Chat
	req.Stream = strings.HasSuffix(action, "-stream")
	var err error
	if strings.HasPrefix(action, "converse") {
		req.Dialect = bedrock.Converse{}
		_, err = bedrock.ParseConverse(req.Body)
		return err == nil
	}
	req.Dialect = bedrock.Invoke{}
	var plain bool
	if req.Settings, plain = settings(h); !plain {
		return false
	}
	if bedrock.IsEmbeddings(model) {
		req.Endpoint = llm.Embeddings
	}
	head, err := bedrock.ParseInvoke(model, req.Body)
	if req.User == "" {
		req.User = head.User
	}
	return err == nil
}
