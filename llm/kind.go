package llm

import "net/http"

// Kind says what went wrong and whose fault it is. The set is closed: the same
// value stands in the error body (error_type), in logs, metrics and spans, and
// its prefix is the fault's domain.
type Kind string

// The kinds.
const (
	CallerInvalidRequest   Kind = "caller_invalid_request" // malformed or impossible request
	CallerUnauthenticated  Kind = "caller_unauthenticated" // no key, or an unknown one
	CallerForbidden        Kind = "caller_forbidden"       // the key does not grant this
	CallerNotFound         Kind = "caller_not_found"       // no such route or thing
	CallerMethodNotAllowed Kind = "caller_method_not_allowed"
	CallerUnknownOperation Kind = "caller_unknown_operation" // no operation of that name
	CallerUnknownModel     Kind = "caller_unknown_model"     // no model of that name
	CallerTooLarge         Kind = "caller_too_large"         // body or header over its limit
	CallerTooSlow          Kind = "caller_too_slow"          // the body did not arrive in time
	CallerUnsupportedMedia Kind = "caller_unsupported_media" // content type or encoding
	CallerConflict         Kind = "caller_conflict"          // the same key with another body
	CallerDeadline         Kind = "caller_deadline"          // the caller's own time is up
	CallerCancelled        Kind = "caller_cancelled"         // the caller went away
	CallerNotCached        Kind = "caller_not_cached"        // only-if-cached and nothing cached

	PolicyOverloaded     Kind = "policy_overloaded"      // no room: the queue, or no hope before the deadline
	PolicyRateLimited    Kind = "policy_rate_limited"    // over a rate that was granted
	PolicyBudgetExceeded Kind = "policy_budget_exceeded" // over a budget
	PolicyBlocked        Kind = "policy_blocked"         // refused by a content policy
	PolicyBreakerOpen    Kind = "policy_breaker_open"    // every target's breaker is open
	PolicyResidency      Kind = "policy_residency"       // no target may serve it: residency

	ProviderRateLimited      Kind = "provider_rate_limited"      // 429: feeds the limiter, not the breaker
	ProviderOverloaded       Kind = "provider_overloaded"        // 503, 529
	ProviderError            Kind = "provider_error"             // 500 and its like
	ProviderTimeout          Kind = "provider_timeout"           // no head, no token or no end in time
	ProviderConnectionFailed Kind = "provider_connection_failed" // could not connect, reset before an answer
	ProviderTruncated        Kind = "provider_truncated"         // the answer stopped before its end mark
	ProviderMalformed        Kind = "provider_malformed"         // the answer is not of the dialect
	ProviderAuthFailed       Kind = "provider_auth_failed"       // our credentials were refused
	ProviderQuotaExceeded    Kind = "provider_quota_exceeded"    // our quota or credit is used up
	ProviderRejected         Kind = "provider_rejected"          // 4xx about the request itself
	ProviderFiltered         Kind = "provider_filtered"          // refused by the provider's content filter
	ProviderContextExceeded  Kind = "provider_context_exceeded"  // longer than the model's context window

	ForebayInternal    Kind = "forebay_internal"    // a fault of ours
	ForebayUnavailable Kind = "forebay_unavailable" // a store or a needed part is down
	ForebayDraining    Kind = "forebay_draining"    // shutting down, try another instance
)

// Domain is whose fault an error is.
type Domain string

// The domains.
const (
	CallerFault   Domain = "caller"
	PolicyFault   Domain = "policy"
	ProviderFault Domain = "provider"
	ForebayFault  Domain = "forebay"
)

// traits is what the request path wants to know of a kind.
type traits struct {
	domain  Domain
	status  int  // HTTP status towards the caller
	retry   bool // the same target may well answer the next time
	next    bool // another target may answer
	breaker bool // counts as a failure of the target
	limiter bool // the target is overloaded: fewer calls at once
}

// kinds is the one table of decisions. Caller faults and 429 never count for the
// breaker: a bad request says nothing about the target, and 429 is load.
var kinds = map[Kind]traits{
	CallerInvalidRequest:   {domain: CallerFault, status: http.StatusBadRequest},
	CallerUnauthenticated:  {domain: CallerFault, status: http.StatusUnauthorized},
	CallerForbidden:        {domain: CallerFault, status: http.StatusForbidden},
	CallerNotFound:         {domain: CallerFault, status: http.StatusNotFound},
	CallerMethodNotAllowed: {domain: CallerFault, status: http.StatusMethodNotAllowed},
	CallerUnknownOperation: {domain: CallerFault, status: http.StatusNotFound},
	CallerUnknownModel:     {domain: CallerFault, status: http.StatusNotFound},
	CallerTooLarge:         {domain: CallerFault, status: http.StatusRequestEntityTooLarge},
	CallerTooSlow:          {domain: CallerFault, status: http.StatusRequestTimeout},
	CallerUnsupportedMedia: {domain: CallerFault, status: http.StatusUnsupportedMediaType},
	CallerConflict:         {domain: CallerFault, status: http.StatusUnprocessableEntity},
	CallerDeadline:         {domain: CallerFault, status: http.StatusGatewayTimeout},
	CallerCancelled:        {domain: CallerFault, status: 499}, // nginx's number; nobody is left to read it
	CallerNotCached:        {domain: CallerFault, status: http.StatusGatewayTimeout},

	PolicyOverloaded:     {domain: PolicyFault, status: http.StatusServiceUnavailable, next: true},
	PolicyRateLimited:    {domain: PolicyFault, status: http.StatusTooManyRequests},
	PolicyBudgetExceeded: {domain: PolicyFault, status: http.StatusTooManyRequests},
	PolicyBlocked:        {domain: PolicyFault, status: http.StatusBadRequest},
	PolicyBreakerOpen:    {domain: PolicyFault, status: http.StatusServiceUnavailable, next: true},
	PolicyResidency:      {domain: PolicyFault, status: http.StatusForbidden},

	ProviderRateLimited:      {domain: ProviderFault, status: http.StatusTooManyRequests, retry: true, next: true, limiter: true},
	ProviderOverloaded:       {domain: ProviderFault, status: http.StatusServiceUnavailable, retry: true, next: true, breaker: true, limiter: true},
	ProviderError:            {domain: ProviderFault, status: http.StatusBadGateway, retry: true, next: true, breaker: true},
	ProviderTimeout:          {domain: ProviderFault, status: http.StatusGatewayTimeout, retry: true, next: true, breaker: true},
	ProviderConnectionFailed: {domain: ProviderFault, status: http.StatusBadGateway, retry: true, next: true, breaker: true},
	ProviderTruncated:        {domain: ProviderFault, status: http.StatusBadGateway, retry: true, next: true, breaker: true},
	ProviderMalformed:        {domain: ProviderFault, status: http.StatusBadGateway, retry: true, next: true, breaker: true},
	ProviderAuthFailed:       {domain: ProviderFault, status: http.StatusBadGateway, next: true, breaker: true},
	ProviderQuotaExceeded:    {domain: ProviderFault, status: http.StatusTooManyRequests, next: true},
	ProviderRejected:         {domain: ProviderFault, status: http.StatusBadRequest},
	ProviderFiltered:         {domain: ProviderFault, status: http.StatusBadRequest},
	ProviderContextExceeded:  {domain: ProviderFault, status: http.StatusBadRequest}, // only a larger window helps: package route

	ForebayInternal:    {domain: ForebayFault, status: http.StatusInternalServerError},
	ForebayUnavailable: {domain: ForebayFault, status: http.StatusServiceUnavailable},
	ForebayDraining:    {domain: ForebayFault, status: http.StatusServiceUnavailable},
}

// Kinds returns every kind, for labels, documentation and tests.
func Kinds() []Kind {
	all := make([]Kind, 0, len(kinds))
	for k := range kinds {
		all = append(all, k)
	}
	return all
}

// Domain says whose fault errors of this kind are. Unknown kinds are ours.
func (k Kind) Domain() Domain {
	if t, ok := kinds[k]; ok {
		return t.domain
	}
	return ForebayFault
}

// Status is the HTTP status that tells a caller of this kind. Unknown kinds give 500.
func (k Kind) Status() int {
	if t, ok := kinds[k]; ok {
		return t.status
	}
	return http.StatusInternalServerError
}

// Retryable says that the same target may well answer the next attempt.
func (k Kind) Retryable() bool { return kinds[k].retry }

// TryNext says that another target may answer.
func (k Kind) TryNext() bool { return kinds[k].next }

// CountsForBreaker says that the target failed, so that its breaker counts it.
func (k Kind) CountsForBreaker() bool { return kinds[k].breaker }

// FeedsLimiter says that the target has more calls than it can take: fewer at once
// are what helps.
func (k Kind) FeedsLimiter() bool { return kinds[k].limiter }
