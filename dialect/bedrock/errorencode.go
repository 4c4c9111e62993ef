package bedrock

import (
	"net/http"

	"github.com/forebay-ai/forebay/dialect/internal/scan"
	"github.com/forebay-ai/forebay/llm"
)

// The types of errors that AWS's SDKs know for Bedrock's runtime, and those that every
// AWS service has.
const (
	typeThrottling   = "ThrottlingException"
	typeNotReady     = "ModelNotReadyException"
	typeUnavailable  = "ServiceUnavailableException"
	typeInternal     = "InternalServerException"
	typeTimeout      = "ModelTimeoutException"
	typeModel        = "ModelErrorException"
	typeModelStream  = "ModelStreamErrorException"
	typeQuota        = "ServiceQuotaExceededException"
	typeValidation   = "ValidationException"
	typeDenied       = "AccessDeniedException"
	typeNotFound     = "ResourceNotFoundException"
	typeConflict     = "ConflictException"
	typeUnrecognized = "UnrecognizedClientException"
	typeUnknown      = "UnknownOperationException"
	typeRequestSlow  = "RequestTimeoutException"
)

// awsError is a type with the status that AWS gives it.
type awsError struct {
	name   string
	status int
}

// errorTypes says what each kind is to a caller that speaks AWS. What its SDK does about
// it follows from type and status: 500, 502, 503, 504 and the throttling types are tried
// again (by the JavaScript client every 429), all others are not. So what is of no use
// to repeat has a status that says so: a budget that is used up is 400, as AWS's own
// quotas, a deadline that has passed is 408, as AWS's own timeouts of models.
var errorTypes = map[llm.Kind]awsError{
	llm.CallerInvalidRequest:   {typeValidation, http.StatusBadRequest},
	llm.CallerUnauthenticated:  {typeUnrecognized, http.StatusForbidden},
	llm.CallerForbidden:        {typeDenied, http.StatusForbidden},
	llm.CallerNotFound:         {typeNotFound, http.StatusNotFound},
	llm.CallerMethodNotAllowed: {typeUnknown, http.StatusMethodNotAllowed},
	llm.CallerUnknownOperation: {typeNotFound, http.StatusNotFound},
	llm.CallerUnknownModel:     {typeNotFound, http.StatusNotFound},
	llm.CallerTooLarge:         {typeValidation, http.StatusRequestEntityTooLarge},
	llm.CallerTooSlow:          {typeRequestSlow, http.StatusRequestTimeout},
	llm.CallerUnsupportedMedia: {typeValidation, http.StatusUnsupportedMediaType},
	llm.CallerConflict:         {typeConflict, http.StatusBadRequest},
	llm.CallerDeadline:         {typeTimeout, http.StatusRequestTimeout},
	llm.CallerCancelled:        {typeTimeout, http.StatusRequestTimeout},
	llm.CallerNotCached:        {typeNotFound, http.StatusNotFound},

	llm.PolicyOverloaded:     {typeUnavailable, http.StatusServiceUnavailable},
	llm.PolicyRateLimited:    {typeThrottling, http.StatusTooManyRequests},
	llm.PolicyBudgetExceeded: {typeQuota, http.StatusBadRequest},
	llm.PolicyBlocked:        {typeValidation, http.StatusBadRequest},
	llm.PolicyBreakerOpen:    {typeUnavailable, http.StatusServiceUnavailable},
	llm.PolicyResidency:      {typeDenied, http.StatusForbidden},

	llm.ProviderRateLimited:      {typeThrottling, http.StatusTooManyRequests},
	llm.ProviderOverloaded:       {typeUnavailable, http.StatusServiceUnavailable},
	llm.ProviderError:            {typeInternal, http.StatusInternalServerError},
	llm.ProviderTimeout:          {typeTimeout, http.StatusRequestTimeout},
	llm.ProviderConnectionFailed: {typeUnavailable, http.StatusServiceUnavailable},
	llm.ProviderTruncated:        {typeInternal, http.StatusInternalServerError},
	llm.ProviderMalformed:        {typeInternal, http.StatusInternalServerError},
	llm.ProviderAuthFailed:       {typeModel, http.StatusFailedDependency}, // ours, not the caller's: nothing that it could do
	llm.ProviderQuotaExceeded:    {typeQuota, http.StatusBadRequest},
	llm.ProviderRejected:         {typeValidation, http.StatusBadRequest},
	llm.ProviderFiltered:         {typeValidation, http.StatusBadRequest},
	llm.ProviderContextExceeded:  {typeValidation, http.StatusBadRequest},

	llm.ForebayInternal:    {typeInternal, http.StatusInternalServerError},
	llm.ForebayUnavailable: {typeUnavailable, http.StatusServiceUnavailable},
	llm.ForebayDraining:    {typeUnavailable, http.StatusServiceUnavailable},
}

// passed are the types that go on as they came, where the kind is that of what said them:
// the provider's own word tells a caller more than ours, and the words about signatures
// make the SDKs set their clocks.
var passed = map[string]struct {
	kind   llm.Kind
	status int
}{
	typeNotReady:                          {llm.ProviderOverloaded, http.StatusTooManyRequests},
	typeModel:                             {llm.ProviderError, http.StatusFailedDependency},
	typeModelStream:                       {llm.ProviderError, http.StatusFailedDependency},
	typeConflict:                          {llm.ProviderRejected, http.StatusBadRequest},
	typeNotFound:                          {llm.ProviderRejected, http.StatusNotFound},
	typeDenied:                            {llm.ProviderRejected, http.StatusForbidden},
	"InvalidSignatureException":           {llm.CallerUnauthenticated, http.StatusForbidden},
	"SignatureDoesNotMatch":               {llm.CallerUnauthenticated, http.StatusForbidden},
	"IncompleteSignatureException":        {llm.CallerUnauthenticated, http.StatusForbidden},
	"MissingAuthenticationTokenException": {llm.CallerUnauthenticated, http.StatusForbidden},
	"RequestExpired":                      {llm.CallerUnauthenticated, http.StatusForbidden},
	"RequestTimeTooSkewed":                {llm.CallerUnauthenticated, http.StatusForbidden},
}

// errorOf finds type and status for an error.
func errorOf(e *llm.Error) awsError {
	if p, ok := passed[e.Code]; ok && p.kind == e.Kind {
		return awsError{e.Code, p.status}
	}
	if e.Kind == llm.ProviderRejected {
		switch e.Status {
		case http.StatusForbidden:
			return awsError{typeDenied, e.Status}
		case http.StatusNotFound:
			return awsError{typeNotFound, e.Status}
		case http.StatusConflict:
			return awsError{typeConflict, http.StatusBadRequest}
		}
	}
	if known, ok := errorTypes[e.Kind]; ok {
		return known
	}
	return awsError{typeInternal, http.StatusInternalServerError}
}

// Status is the HTTP status with which EncodeError's type is told. It is not always the
// kind's own: AWS's SDKs decide by it whether they try again.
func Status(e *llm.Error) int { return errorOf(e).status }

// EncodeError makes what tells a caller that speaks AWS of e: the value of header
// X-Amzn-ErrorType and the body. In the body message is e.Text, __type the same type
// again, error_type the kind and support_id the request's id; code is the provider's own
// code and param the member at fault, where there are such. The cause (e.Err) is not in
// it. The status is that of Status.
func EncodeError(e *llm.Error) (errorType string, body []byte) {
	errorType = errorOf(e).name
	return errorType, appendError([]byte(`{"__type":"`+errorType+`",`), e)
}

// appendError appends an error's members behind the brace.
func appendError(dst []byte, e *llm.Error) []byte {
	dst = scan.AppendString(append(dst, `"message":`...), e.Text())
	dst = scan.AppendString(append(dst, `,"error_type":`...), string(e.Kind))
	if e.Code != "" {
		dst = scan.AppendString(append(dst, `,"code":`...), e.Code)
	}
	if e.Param != "" {
		dst = scan.AppendString(append(dst, `,"param":`...), e.Param)
	}
	dst = scan.AppendString(append(dst, `,"support_id":`...), e.SupportID)
	return append(dst, '}')
}

// ErrorEvent makes the exception that tells of e in a stream that has begun; nothing
// follows it. The SDKs give it to the caller as a typed error, and try nothing again.
// ConverseStream has no exception for a timeout of the model; its SDKs tell of
// modelTimeoutException by that name all the same, without a type of its own.
func ErrorEvent(e *llm.Error) []byte {
	return appendException(nil, exceptionType(e), appendError([]byte{'{'}, e))
}

// exceptionType is the name of the exception, of the six that streams have.
func exceptionType(e *llm.Error) string {
	switch e.Kind {
	case llm.ProviderError, llm.ProviderTruncated, llm.ProviderMalformed, llm.ProviderConnectionFailed, llm.ProviderAuthFailed:
		return "modelStreamErrorException"
	}
	switch errorOf(e).name {
	case typeThrottling, typeQuota:
		return "throttlingException"
	case typeUnavailable, typeNotReady:
		return "serviceUnavailableException"
	case typeTimeout:
		return "modelTimeoutException"
	case typeInternal:
		return "internalServerException"
	}
	return "validationException"
}
