package gateway

import (
	"cmp"
	"encoding/json"
	"net/http"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/dialect/openai"
	"github.com/forebay-ai/forebay/gateway/form"
	"github.com/forebay-ai/forebay/internal/near"
	"github.com/forebay-ai/forebay/llm"
)

// models serves GET /v1/models.
func (g *Gateway) models(x *visit) error {
	all, err := g.catalog.Models(x.r.Context())
	if err != nil {
		return err
	}
	return x.answer(http.StatusOK, jsonType, openai.EncodeModels(all))
}

// model serves GET /v1/models/{id...}. Ids may have slashes, as those of
// OpenRouter and Hugging Face do.
func (g *Gateway) model(x *visit) error {
	all, err := g.catalog.Models(x.r.Context())
	if err != nil {
		return err
	}
	ids := make([]string, 0, len(all))
	for _, m := range all {
		if m.ID == x.variable {
			return x.answer(http.StatusOK, jsonType, openai.EncodeModel(m))
		}
		ids = append(ids, m.ID)
	}
	return &llm.Error{
		Kind: llm.CallerUnknownModel, Param: "model",
		Message: "there is no model " + form.Printable(x.variable, 100) + near.DidYouMean(x.variable, ids),
		Fix:     "GET /v1/models lists what may be asked for.",
	}
}

// health serves GET /v1/health. Load balancers read the status: 503 says that some
// model has no target left.
func (g *Gateway) health(x *visit) error {
	h := g.condition.Health()
	body, err := json.Marshal(h)
	if err != nil {
		return err
	}
	status := http.StatusOK
	if h.Overall == forebay.Unhealthy {
		status = http.StatusServiceUnavailable
	}
	return x.answer(status, jsonType, body)
}

// alive serves GET /healthz.
func (g *Gateway) alive(x *visit) error {
	return x.answer(http.StatusOK, jsonType, []byte(`{"status":"alive"}`))
}

// ready serves GET /readyz.
func (g *Gateway) ready(x *visit) error {
	if err := g.condition.Ready(); err != nil {
		return err
	}
	return x.answer(http.StatusOK, jsonType, []byte(`{"status":"ready"}`))
}

// index serves GET /: what is served here, for people and for monitors.
func (g *Gateway) index(x *visit) error {
	b := form.Quoted([]byte(`{"name":"forebay","version":`), g.cfg.Version)
	b = append(b, `,"routes":[`...)
	for i, r := range Routes() {
		if i > 0 {
			b = append(b, ',')
		}
		b = form.Quoted(append(b, "\n{\"method\":"...), r.Method)
		b = form.Quoted(append(b, `,"path":`...), r.Pattern)
		b = form.Quoted(append(b, `,"scope":`...), r.Scope)
		b = append(form.Quoted(append(b, `,"doc":`...), r.Doc), '}')
	}
	return x.answer(http.StatusOK, jsonType, append(b, "\n]}\n"...))
}

// measurements serves GET /metrics.
func (g *Gateway) measurements(x *visit) error {
	if g.metrics == nil {
		return &llm.Error{Kind: llm.CallerNotFound, Message: "this gateway has no measurements"}
	}
	g.metrics.ServeHTTP(&headed{ResponseWriter: x.w, visit: x}, x.r)
	return nil
}

// headed lets a handler of another package answer a visit: it adds the headers
// that every answer has.
type headed struct {
	http.ResponseWriter
	visit *visit
}

// WriteHeader writes the head, once.
func (h *headed) WriteHeader(status int) {
	if h.visit.status == 0 {
		contentType := h.Header().Get("Content-Type")
		h.visit.head(status, cmp.Or(contentType, "text/plain; charset=utf-8"))
	}
}

// Write writes a part of the body, behind the head.
func (h *headed) Write(p []byte) (int, error) {
	h.WriteHeader(http.StatusOK)
	n, err := h.ResponseWriter.Write(p)
	h.visit.bytes += int64(n)
	return n, err
}
