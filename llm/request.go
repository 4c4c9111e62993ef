package llm

import (
	"fmt"
	"strings"
	"time"
)

// Endpoint names what is asked of a model, independent of the wire format.
type Endpoint string

// The endpoints.
const (
	// Chat is a conversation that gets an answer: whole or streamed.
	Chat Endpoint = "chat"
	// Embeddings turns texts into vectors. It is never streamed.
	Embeddings Endpoint = "embeddings"
	// CountTokens asks how many tokens a conversation has, which costs nothing. Its body is
	// that of the conversation. It is never streamed.
	CountTokens Endpoint = "count_tokens"
	// Function is a caller's own function run through the request path
	// (forebay.Process). Its body is the canonical JSON of the payload.
	Function Endpoint = "function"
)

// Priority is one of four bands. The zero value is Normal. Bands order as
// integers: a larger value goes first.
type Priority int8

// The bands, with what the specification says they are for.
const (
	Low      Priority = iota - 1 // background work, analytics
	Normal                       // ordinary users
	High                         // premium users
	Critical                     // maintenance, emergencies
)

// Priorities lists the bands from the lowest to the highest.
var Priorities = [...]Priority{Low, Normal, High, Critical}

var priorityNames = [...]string{"low", "normal", "high", "critical"}

// String returns the band's name in lower case.
func (p Priority) String() string {
	if p < Low || p > Critical {
		return fmt.Sprintf("priority(%d)", int8(p))
	}
	return priorityNames[p-Low]
}

// Index returns the band's place in Priorities, 0 for Low to 3 for Critical.
// A value outside the bands counts as the nearest band.
func (p Priority) Index() int {
	return int(min(max(p, Low), Critical) - Low)
}

// ParsePriority reads a band's name, in any case. The empty name is Normal.
func ParsePriority(name string) (Priority, error) {
	if name == "" {
		return Normal, nil
	}
	for i, n := range priorityNames {
		if strings.EqualFold(n, name) {
			return Priorities[i], nil
		}
	}
	return Normal, fmt.Errorf("unknown priority %q: one of %s", name, strings.Join(priorityNames[:], ", "))
}

// Request is one call, decoded and authenticated. The door that made it owns it
// until it is handed to the request path; from then on nobody changes it: steps
// that need another model or deadline work on a copy.
type Request struct {
	// ID identifies the call in logs, headers and errors (the support id).
	ID string
	// Tenant and User say for whom the call is made. The tenant comes from the
	// caller's key, never from the request.
	Tenant, User string
	// Key names the caller's key (never its secret), for accounting.
	Key string
	// Operation selects the configuration of the call; empty means the default one.
	Operation string
	// Persona selects templates and separates cached answers; may be empty.
	Persona string
	// Priority is the band that the caller may use and has asked for.
	Priority Priority
	// Arrived is when the door saw the call. Zero means the start of the request path.
	Arrived time.Time
	// Timeout bounds the whole call: waiting, attempts and fallbacks.
	// Zero means the operation's default.
	Timeout time.Duration

	Endpoint Endpoint
	// Model is what the caller asked for, as it stands in Body.
	Model string
	// Stream says that the caller wants the answer in pieces.
	Stream bool
	// Cache holds what the caller said about caching this call.
	Cache CacheDirectives

	// Residency names the area that the call must not leave, such as eu: only targets
	// marked with it, or with a part of it (eu-de), are called. Empty means anywhere.
	Residency string
	// Locale is the language that the caller reads, as a BCP 47 tag: it selects
	// prepared texts. Empty means the persona's.
	Locale string

	// NoFallback asks for the error where every target failed, whatever fallbacks
	// the operation has.
	NoFallback bool
	// Repeated says that this is not the caller's first attempt at the call. It is not
	// repeated here as well: attempts of the caller's and ours add up and do not multiply.
	Repeated bool

	// Background says that nobody waits for the answer: the call is made for what it
	// leaves in the cache. It counts as no request of a caller's; what it uses is
	// booked as ever.
	Background bool

	// Durable says that the call is a job that was taken in for good: it waits for a
	// slot until its deadline, is not sent away to make room, and keeps its order.
	Durable bool
	// Waiting is told where the request stands while it waits. Nil means that nobody asks.
	Waiting *Waiting
	// Notes is told which members of Body did not reach the model. Nil means that nobody
	// wants to know.
	Notes *Notes

	// Dialect is the wire format of Body and of the answer.
	Dialect Dialect
	// Body holds the bytes that were authorised. Providers of the same dialect
	// send these bytes; nobody changes them.
	Body []byte
	// Settings are what the wire format says about the call beside Body.
	Settings Settings
	// TraceParent is the W3C trace context that goes upstream; may be empty.
	TraceParent string
	// CallerTrace is the trace context that the caller sent, of which TraceParent is a
	// part; empty where it sent none.
	CallerTrace string
}

// CacheDirectives is what one call says about the cache. The zero value means:
// read and write as the operation is configured.
type CacheDirectives struct {
	// NoRead skips the look-up (Cache-Control: no-cache).
	NoRead bool
	// NoWrite keeps the answer out of the cache (Cache-Control: no-store).
	NoWrite bool
	// OnlyIfCached fails the call where there is no usable entry.
	OnlyIfCached bool
	// MaxAge refuses entries older than this. Zero means no bound of its own.
	MaxAge time.Duration
	// TTL replaces the operation's time to live for the entry. Zero means the operation's.
	TTL time.Duration
	// Namespace separates entries further; part of the key.
	Namespace string
}
