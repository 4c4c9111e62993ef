package gateway

import (
	"net/http"
	"strings"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/access"
	"github.com/forebay-ai/forebay/gateway/form"
	"github.com/forebay-ai/forebay/internal/ident"
	"github.com/forebay-ai/forebay/llm"
)

// storedID says whether s looks like the id of a stored completion. It goes into the path
// of the provider's API, so it has nothing that could lead elsewhere.
func storedID(s string) bool { return ident.Is(s, 1, 128, "_-") }

// apiPrefix begins the paths of the OpenAI protocol. A provider's base URL has it.
const apiPrefix = "/v1"

// stored passes the requests about stored completions on to the provider: they live
// in its account and have nothing to cache, queue or degrade. The model in the query
// of a list, if any, says which provider is asked; else it is that of the model "*".
func (g *Gateway) stored(x *visit) error {
	if x.variable != "" && !storedID(x.variable) {
		return &llm.Error{
			Kind: llm.CallerNotFound, Param: "id", Message: "no stored completion has the id " + form.Printable(x.variable, 64),
			Limit: "id", Value: "128 characters", Fix: "Ids have letters, digits, _ and -, such as chatcmpl-123.",
		}
	}
	query := x.r.URL.RawQuery
	if len(query) > form.MaxQuery {
		return form.LongQuery(query)
	}
	c, err := form.ReadControls(x.r.Header)
	if err != nil {
		return err
	}
	exchange := forebay.Exchange{Method: x.r.Method, Path: strings.TrimPrefix(x.r.URL.Path, apiPrefix), Query: query, Residency: c.Residency}
	if x.r.Method == http.MethodHead {
		exchange.Method = http.MethodGet
	}
	if x.r.Method == http.MethodPost {
		body, err := x.readJSON()
		if err != nil {
			return err
		}
		exchange.Body = body
	}
	res, err := g.caller.Forward(x.r.Context(), x.r.URL.Query().Get("model"), exchange)
	if err != nil {
		return err
	}
	return x.answer(res.Status, passedType(res.ContentType), res.Body)
}

// passedType is the content type of an answer that is passed on. Only JSON is
// passed on as such: a provider's error page must not run in anybody's browser.
func passedType(contentType string) string {
	if len(contentType) <= 64 && access.PlainText(contentType) && (contentType == jsonType || contentType == jsonType+"; charset=utf-8") {
		return contentType
	}
	return "application/octet-stream"
}
