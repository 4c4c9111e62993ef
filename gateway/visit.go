package gateway

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/access"
	"github.com/forebay-ai/forebay/gateway/form"
	"github.com/forebay-ai/forebay/gateway/head"
	"github.com/forebay-ai/forebay/gateway/wire"
	"github.com/forebay-ai/forebay/llm"
)

const (
	jsonType    = "application/json"
	eventsType  = "text/event-stream"
	problemType = "application/problem+json"
)

// visit is one request on its way through the gateway. One goroutine uses it at a
// time: the handler's, and an announcer's until the handler has stopped it.
type visit struct {
	gateway *Gateway
	w       http.ResponseWriter
	r       *http.Request
	start   time.Time

	id, trace   string // request id; traceparent with a span of ours
	callerTrace string // the caller's own, where it is valid
	route       *route // nil where the path or the method is unknown
	variable    string // the variable in the route's path
	style       style
	named       bool          // the id stands in the body
	early       bool          // the head was written while the call still waited
	grant       *access.Grant // nil until the caller is known

	waiting   llm.Waiting // where the call stands while it waits for a slot
	meta      forebay.Meta
	called    bool // meta says how a call went
	costKnown bool // meta.CostMicroUSD is final
	cut       bool // the answer stopped before its end: the connection has to break

	rest answer // of a stream: what relay passes on, and ServeHTTP closes
	more bool   // rest has not ended

	// ctx is the context of a stream's call, ended ends it, and release unties it from
	// that of the request; nil where it is the request's own.
	ctx      context.Context
	ended    context.CancelFunc
	release  func() bool
	detached bool // ServeHTTP has left it to a goroutine of its own

	notes    llm.Notes // what of the request did not reach the model
	body     []byte    // of the request, where bodyRead
	bodyRead bool      // the body had to be read before the caller was known

	status int      // 0 until the head was written
	kind   llm.Kind // of the error that was answered; empty for none
	bytes  int64    // of the body, written

	// values backs the header's values, so that setting one allocates nothing.
	values [12]string
	used   int
	// conn takes the lines of the head that every answer has past net/http; nil where
	// the connection is not one of ours. lines are what it will get.
	conn  *wire.Conn
	lines []byte
}

// set sets a header. The name has to be in its canonical form.
func (x *visit) set(name, value string) {
	if x.used == len(x.values) {
		x.w.Header()[name] = []string{value}
		return
	}
	x.values[x.used] = value
	x.used++
	x.w.Header()[name] = x.values[x.used-1 : x.used : x.used]
}

// identify fixes the ids of the request: those that the caller brings, where they
// are valid, or new ones.
func (x *visit) identify() {
	x.id = x.r.Header.Get("X-Request-Id")
	if !form.ValidID(x.id) {
		x.id = head.NewID()
	}
	x.callerTrace = head.CallerTrace(x.r.Header)
	x.trace = head.TraceParent(x.callerTrace)
}

// say sets a header that every answer has. The value is printable ASCII: ids that
// were checked, numbers, words of ours, and what headerText made of the rest.
func (x *visit) say(name, value string) {
	if x.conn == nil {
		x.set(name, value)
		return
	}
	x.lines = append(append(append(append(x.lines, name...), ": "...), value...), "\r\n"...)
}

// linesSize is above what the lines of the head take in all but odd cases.
const linesSize = 768

// head writes the status and the headers that every answer has.
func (x *visit) head(status int, contentType string) {
	x.status = status
	if x.conn != nil {
		x.lines = make([]byte, 0, linesSize)
	}
	x.set("Content-Type", contentType)
	x.say("X-Request-Id", x.id)
	x.style.head(x)
	x.say("Traceparent", x.trace)
	m := &x.meta
	x.say("Cache-Status", head.CacheStatus(m, x.called))
	if fromCache(m) || m.Cache.Age > 0 {
		x.say("Age", strconv.FormatInt(int64(m.Cache.Age/time.Second), 10))
	}
	x.say("Server-Timing", head.ServerTiming(m, x.start))
	x.rateLimit()
	x.course(m)
	x.say("X-Forebay-Queue-Ms", strconv.FormatInt(m.Timing.Queue.Milliseconds(), 10))
	if ahead, waited := x.waiting.Joined(); waited {
		x.say(placeHeader, strconv.Itoa(ahead))
	}
	if !x.early && (!x.called || x.costKnown || m.Attempts == 0) {
		x.say(costHeader, head.Dollars(m.CostMicroUSD))
	}
	if x.conn != nil {
		x.conn.Say(x.lines)
		x.lines = nil // the connection lets go of them as soon as they are written
	}
	x.w.WriteHeader(status)
}

// course tells of the way that a call went.
func (x *visit) course(m *forebay.Meta) {
	x.say("X-Forebay-Provider", headerText(m.Provider))
	x.say("X-Forebay-Model", headerText(m.Model))
	x.say("X-Forebay-Attempts", strconv.Itoa(m.Attempts))
	x.say("X-Forebay-Fallback", headerText(string(m.Fallback)))
	x.say("X-Forebay-Degradation", headerText(string(m.Level)))
	if m.Region != "" {
		x.say("X-Forebay-Region", headerText(m.Region))
	}
	if m.Template != "" {
		x.say("X-Forebay-Template", headerText(m.Template))
	}
	if dropped := x.dropped(); dropped != "" {
		x.say(droppedHeader, dropped)
	}
}

// droppedHeader names what of the request did not reach the model. It is absent where
// all did.
const droppedHeader = "X-Forebay-Dropped"

// dropped lists what of the request did not reach the model.
func (x *visit) dropped() string {
	members, more := x.notes.List()
	if len(members) == 0 {
		return ""
	}
	if more > 0 {
		members = append(members, "and "+strconv.Itoa(more)+" more")
	}
	return headerText(strings.Join(members, ", "))
}

// rateLimit tells how much room there is, in the words of OpenAI's headers. Without
// a bound there is nothing to tell: a limit of 0 would stop clients that pace
// themselves by it.
func (x *visit) rateLimit() {
	load := x.gateway.condition.Load()
	if load.Limit == 0 {
		return
	}
	x.say("X-Ratelimit-Limit-Requests", strconv.Itoa(load.Limit))
	x.say("X-Ratelimit-Remaining-Requests", strconv.Itoa(load.Remaining))
	x.say("X-Ratelimit-Reset-Requests", head.ResetText(load.Wait))
}

// answer writes a whole answer.
func (x *visit) answer(status int, contentType string, body []byte) error {
	x.set("Content-Length", strconv.Itoa(len(body)))
	x.head(status, contentType)
	x.write(body)
	return nil
}

// write writes a part of the body. A client that is gone or that stopped reading
// is no error of anybody's: the answer is marked as cut, and that is all.
func (x *visit) write(body []byte) (ok bool) {
	n, err := x.w.Write(body)
	x.bytes += int64(n)
	if err != nil && x.r.Method != http.MethodHead {
		x.cut = true
	}
	return err == nil
}

// maxHeaderText bounds what a header of ours says, whatever its source.
const maxHeaderText = 256

// headerText is s as a header's value: "none" for nothing, and never longer than
// 256 bytes or with characters that do not print.
func headerText(s string) string {
	switch {
	case s == "":
		return "none"
	case len(s) <= maxHeaderText && access.PlainText(s):
		return s
	}
	return form.Printable(s, maxHeaderText)
}
