package openai

import (
	"context"
	"net/http"
	"strings"

	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/provider/internal/exchange"
)

// stored is where the back end keeps chat completions that were made with "store".
const stored = "/chat/completions"

// Forward passes a call about stored completions on and returns what the back end
// answered, whatever its status: GET and POST and DELETE of /chat/completions,
// /chat/completions/{id} and /chat/completions/{id}/messages. path is not
// escaped; rawQuery is, and has no question mark; body may be nil.
//
// The bounds of whole answers hold. Errors are those of Call; a path, query or
// method outside of the above is CallerInvalidRequest. Our own keys are taken out
// of error answers; of the headers only the content type is passed on.
func (p *Provider) Forward(ctx context.Context, method, path, rawQuery string, body []byte) (status int, contentType string, answer []byte, err error) {
	if fault := checkForward(method, path, rawQuery); fault != "" {
		return 0, "", nil, p.line.About("", llm.Errorf(llm.CallerInvalidRequest, "%s", fault))
	}
	template := p.template(method, path)
	template.URL.RawQuery = rawQuery
	x := p.begin(ctx, "", template, body)
	defer x.Release()
	x.Request().Header["Accept"] = acceptJSON
	if err := x.Send(); err != nil {
		return 0, "", nil, err
	}
	status, contentType = x.Status(), string(p.secrets.Scrub([]byte(x.Header().Get("Content-Type"))))
	if status < 400 {
		if err := x.Accepted(); err != nil {
			return 0, "", nil, err
		}
	}
	if answer, err = x.ReadAll(x.Bounds().MaxBody); err != nil {
		return 0, "", nil, x.Failed(err)
	}
	if status >= 400 {
		answer = p.secrets.Scrub(answer)
	}
	return status, contentType, answer, nil
}

// checkForward says what is wrong with a call, or nothing. It makes sure that a
// caller's words cannot reach another path of the back end under our key.
func checkForward(method, path, rawQuery string) string {
	switch method {
	case http.MethodGet, http.MethodPost, http.MethodDelete:
	default:
		return "stored completions take GET, POST and DELETE"
	}
	rest, ok := strings.CutPrefix(path, stored)
	if !ok || rest != "" && rest[0] != '/' {
		return "not a path of stored completions"
	}
	segments := strings.Split(rest, "/")[1:]
	if len(segments) > 2 || len(segments) == 2 && segments[1] != "messages" {
		return "not a path of stored completions"
	}
	for _, s := range segments {
		if s == "" || s == "." || s == ".." || !exchange.ValidValue(s) || strings.ContainsAny(s, `\%?#`) {
			return "not the id of a stored completion"
		}
	}
	if !exchange.ValidValue(rawQuery) || strings.ContainsAny(rawQuery, " #") {
		return "the query is not escaped"
	}
	return ""
}
