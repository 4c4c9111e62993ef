package openai

import (
	"net/http"

	"github.com/forebay-ai/forebay/dialect/internal/scan"
	"github.com/forebay-ai/forebay/llm"
)

// EncodeError makes the body that tells a caller of e. The four members of OpenAI's
// own errors are there as its SDKs decode them (strings, param may be null): message
// is e.Text, type is OpenAI's word for the status, code is the provider's code or
// else the kind. error_type is the kind and support_id the request's id. The cause
// (e.Err) is not in it.
func EncodeError(e *llm.Error) []byte { return appendError(nil, e) }

// ErrorEvent makes the event that tells of e in a stream that has begun. OpenAI's
// SDKs fail the stream on it; no end mark follows.
func ErrorEvent(e *llm.Error) []byte {
	return append(appendError([]byte("data: "), e), "\n\n"...)
}

func appendError(dst []byte, e *llm.Error) []byte {
	code := e.Code
	if code == "" {
		code = string(e.Kind)
	}
	dst = scan.AppendString(append(dst, `{"error":{"message":`...), e.Text())
	dst = scan.AppendString(append(dst, `,"type":`...), errorType(e.HTTPStatus()))
	if dst = append(dst, `,"param":`...); e.Param == "" {
		dst = append(dst, "null"...)
	} else {
		dst = scan.AppendString(dst, e.Param)
	}
	dst = scan.AppendString(append(dst, `,"code":`...), code)
	dst = scan.AppendString(append(dst, `,"error_type":`...), string(e.Kind))
	dst = scan.AppendString(append(dst, `,"support_id":`...), e.SupportID)
	return append(dst, "}}"...)
}

// errorType is OpenAI's word for what a status says.
func errorType(status int) string {
	switch status {
	case http.StatusUnauthorized:
		return "authentication_error"
	case http.StatusForbidden:
		return "permission_error"
	case http.StatusNotFound:
		return "not_found_error"
	case http.StatusRequestTimeout, http.StatusGatewayTimeout:
		return "timeout_error"
	case http.StatusTooManyRequests:
		return "rate_limit_error"
	}
	if status >= http.StatusInternalServerError {
		return "server_error"
	}
	return "invalid_request_error"
}
