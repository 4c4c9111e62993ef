package awslambda

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"
	"github.com/go-json-experiment/json"

	"github.com/forebay-ai/forebay/dialect/openai"
	"github.com/forebay-ai/forebay/llm"
)

// reply is the answer to one invocation.
type reply struct {
	io.Reader
	contentType string
	closing     []func() // run once by Close, in order
	once        sync.Once
}

// whole is an answer that is there already: JSON.
func whole(body []byte) *reply {
	return &reply{Reader: bytes.NewReader(body), contentType: "application/json"}
}

func (r *reply) onClose(f func()) { r.closing = append(r.closing, f) }

// Close ends the invocation. It waits for whatever still works on the answer.
func (r *reply) Close() error {
	r.once.Do(func() {
		for _, f := range r.closing {
			f()
		}
	})
	return nil
}

// ContentType is asked for by the runtime's loop.
func (r *reply) ContentType() string { return r.contentType }

// MarshalJSON has the runtime's loop read the answer instead.
func (r *reply) MarshalJSON() ([]byte, error) {
	return nil, errors.New("awslambda: an answer is read, not encoded")
}

// head is the beginning of an HTTP answer.
type head struct {
	status int
	header http.Header
}

// hop are headers that Lambda and what is in front of it set themselves, or that mean a connection.
var hop = map[string]bool{
	"Connection": true, "Keep-Alive": true, "Transfer-Encoding": true, "Trailer": true, "Upgrade": true, "Content-Length": true,
}

// single is the headers in the form of one value each, and the cookies apart.
func (h head) single() (headers map[string]string, cookies []string) {
	headers = make(map[string]string, len(h.header))
	for name, values := range h.header {
		switch {
		case name == "Set-Cookie":
			cookies = values
		case !hop[name]:
			headers[name] = strings.Join(values, ", ")
		}
	}
	return headers, cookies
}

// multiple is the headers with all their values.
func (h head) multiple() map[string][]string {
	headers := make(map[string][]string, len(h.header))
	for name, values := range h.header {
		if !hop[name] {
			headers[name] = values
		}
	}
	return headers
}

// streamed is an answer to shape whose body is still being made.
func (h head) streamed(shape Shape, body io.Reader) *reply {
	if shape == RESTAPI {
		r := &events.APIGatewayProxyStreamingResponse{StatusCode: h.status, MultiValueHeaders: h.multiple(), Body: body}
		return &reply{Reader: r, contentType: r.ContentType()}
	}
	r := &events.LambdaFunctionURLStreamingResponse{StatusCode: h.status, Body: body}
	r.Headers, r.Cookies = h.single()
	return &reply{Reader: r, contentType: r.ContentType()}
}

// document is a whole answer in the form of any of the shapes.
type document struct {
	StatusCode        int                 `json:"statusCode"`
	StatusDescription string              `json:"statusDescription,omitzero"` // load balancers
	Headers           map[string]string   `json:"headers,omitzero"`
	MultiValueHeaders map[string][]string `json:"multiValueHeaders,omitzero"`
	Cookies           []string            `json:"cookies,omitzero"` // format 2.0
	Body              string              `json:"body"`
	IsBase64Encoded   bool                `json:"isBase64Encoded"`
}

// encode puts a whole answer into the form of r's shape.
func (r *request) encode(h head, body []byte) ([]byte, error) {
	d := document{StatusCode: h.status, Body: string(body)}
	if !isText(h.header.Get("Content-Type"), body) {
		d.Body, d.IsBase64Encoded = base64.StdEncoding.EncodeToString(body), true
	}
	switch r.shape {
	case RESTAPI:
		d.MultiValueHeaders = h.multiple()
	case LoadBalancer:
		d.StatusDescription = strings.TrimSpace(strconv.Itoa(h.status) + " " + http.StatusText(h.status))
		if r.multi {
			d.MultiValueHeaders = h.multiple()
		} else { // cookies share the one header; a balancer that has to set several is to send multiple values
			d.Headers, d.Cookies = h.single()
			if len(d.Cookies) > 0 {
				d.Headers["Set-Cookie"] = d.Cookies[0]
			}
			d.Cookies = nil
		}
	default:
		d.Headers, d.Cookies = h.single()
	}
	return json.Marshal(d)
}

// isText says that a body goes into a JSON string as it is.
func isText(contentType string, body []byte) bool {
	media, _, _ := mime.ParseMediaType(contentType)
	return media != "application/octet-stream" && media != "application/vnd.amazon.eventstream" && utf8.Valid(body)
}

// refusal is an error as an HTTP answer.
func refusal(err error) (head, []byte) {
	e := llm.AsError(err)
	return head{e.HTTPStatus(), http.Header{"Content-Type": {"application/json"}, "X-Should-Retry": {"false"}}}, openai.EncodeError(e)
}
