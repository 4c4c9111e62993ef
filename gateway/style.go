package gateway

import (
	"net/http"
	"strconv"
	"time"

	"github.com/forebay-ai/forebay/dialect/bedrock"
	"github.com/forebay-ai/forebay/dialect/openai"
	"github.com/forebay-ai/forebay/gateway/form"
	"github.com/forebay-ai/forebay/llm"
)

// style is how the routes of a door speak where they do not pass on what a model said.
type style interface {
	// failure makes the answer with an error. It may set headers.
	failure(x *visit, e *llm.Error) (status int, contentType string, body []byte)
	// head sets headers that every answer has beside those of all doors.
	head(x *visit)
	// events is the content type of streams.
	events() string
	// broken is the event that tells of an error in a stream that has begun.
	broken(x *visit, e *llm.Error) []byte
	// comments says that streams may have comments, which their readers skip.
	comments() bool
}

// The styles, one for each encoding.
var (
	openAI  style = openAIStyle{} // what SDKs may hit, unknown paths included
	problem style = problemStyle{}
	aws     style = awsStyle{}
)

// openAIStyle is that of the OpenAI protocol.
type openAIStyle struct{}

func (openAIStyle) failure(_ *visit, e *llm.Error) (int, string, []byte) {
	return e.HTTPStatus(), jsonType, openai.EncodeError(e)
}
func (openAIStyle) head(*visit)                          {}
func (openAIStyle) events() string                       { return eventsType }
func (openAIStyle) broken(_ *visit, e *llm.Error) []byte { return openai.ErrorEvent(e) }
func (openAIStyle) comments() bool                       { return true }

// problemStyle is RFC 9457, for routes of our own.
type problemStyle struct{}

func (problemStyle) failure(x *visit, e *llm.Error) (int, string, []byte) {
	return e.HTTPStatus(), problemType, x.encodeProblem(e)
}
func (problemStyle) head(*visit)    {}
func (problemStyle) events() string { return eventsType }
func (problemStyle) broken(x *visit, e *llm.Error) []byte {
	return append(append([]byte("event: error\ndata: "), x.encodeProblem(e)...), "\n\n"...)
}
func (problemStyle) comments() bool { return true }

// awsStyle is that of AWS's services.
type awsStyle struct{}

// frames is the content type of streams: binary messages, without room for comments.
const frames = "application/vnd.amazon.eventstream"

func (awsStyle) failure(x *visit, e *llm.Error) (int, string, []byte) {
	errorType, body := bedrock.EncodeError(e)
	x.set("X-Amzn-Errortype", errorType)
	return bedrock.Status(e), jsonType, body
}

// head sets what the SDKs read of every answer, and what programs read that call
// InvokeModel: there the body has the counts in a form of each model's own.
func (awsStyle) head(x *visit) {
	x.say("X-Amzn-Requestid", x.id)
	if u := &x.meta.Usage; !u.IsZero() && !x.early {
		x.say("X-Amzn-Bedrock-Input-Token-Count", strconv.FormatInt(u.Input, 10))
		x.say("X-Amzn-Bedrock-Output-Token-Count", strconv.FormatInt(u.Output, 10))
	}
}
func (awsStyle) events() string                       { return frames }
func (awsStyle) broken(_ *visit, e *llm.Error) []byte { return bedrock.ErrorEvent(e) }
func (awsStyle) comments() bool                       { return false }

// encodeProblem is e as RFC 9457 problem details. The members that are not of the
// RFC say the same as in the OpenAI form; success is the specification's.
func (x *visit) encodeProblem(e *llm.Error) []byte {
	status := e.HTTPStatus()
	b := make([]byte, 0, 512)
	b = append(b, `{"success":false,"type":"urn:forebay:error:`...)
	b = append(b, e.Kind...)
	b = append(b, `","status":`...)
	b = strconv.AppendInt(b, int64(status), 10)
	member := func(name, value string) {
		if value != "" {
			b = append(append(append(b, `,"`...), name...), `":`...)
			b = form.Quoted(b, value)
		}
	}
	member("title", statusText(status))
	member("detail", e.Text())
	member("error_type", string(e.Kind))
	member("limit", e.Limit)
	member("value", e.Value)
	member("fix", e.Fix)
	member("param", e.Param)
	member("provider", e.Provider)
	member("code", e.Code)
	member("support_id", e.SupportID)
	member("requestId", x.id)
	if e.RetryAfter > 0 {
		b = append(b, `,"retry_after_ms":`...)
		b = strconv.AppendInt(b, int64((e.RetryAfter+time.Millisecond-1)/time.Millisecond), 10)
	}
	return append(b, '}')
}

func statusText(status int) string {
	if status == llm.CallerCancelled.Status() {
		return "Client Closed Request" // nginx's words, as is the number
	}
	return http.StatusText(status)
}
