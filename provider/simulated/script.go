package simulated

import (
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/forebay-ai/forebay/dialect/openai"
	"github.com/forebay-ai/forebay/llm"
)

// script is what one call gets, ready to be played: over a socket by Handler, in
// the process by source.
type script struct {
	delay      time.Duration // before the head
	refuse     bool          // no answer at all
	hang       bool          // no head, for ever
	status     int
	retryAfter time.Duration
	events     bool   // a stream
	body       []byte // not changed once it is played
	ends       []int  // where each piece of body ends
	gap        time.Duration
	end        ending
}

// ending is what comes behind the last piece.
type ending int

const (
	complete ending = iota
	silent          // nothing, until the caller leaves
	broken          // the connection breaks
	unframed        // a clean end, without a word on the length that was due
)

// compose writes the script of a call that is within the capacity.
func (p *Provider) compose(s *session, endpoint llm.Endpoint, head openai.Head, body []byte) (*script, error) {
	d, err := p.digest(endpoint, body)
	if err != nil {
		return nil, err
	}
	sc := &script{status: http.StatusOK}
	r := d.latencies()
	if endpoint == llm.Embeddings {
		if sc.body, err = p.vectors(head, body); err != nil {
			return nil, err
		}
		sc.ends = []int{len(sc.body)}
		sc.delay = scaled(p.cfg.Latency.Embedding.Draw(r), s.scale)
	} else {
		p.composeChat(sc, s, &d, head, body)
	}
	for _, f := range s.faults {
		sc.apply(f)
	}
	return sc, nil
}

func (p *Provider) composeChat(sc *script, s *session, d *digest, head openai.Head, body []byte) {
	a := p.chat(d, head, body)
	r := d.latencies()
	sc.delay = scaled(p.cfg.Latency.FirstToken.Draw(r), s.scale)
	perToken := scaled(p.cfg.Latency.PerToken.Draw(r), s.scale)
	if head.Stream {
		sc.events, sc.gap = true, perToken
		sc.body, sc.ends = events(&a, head.IncludeUsage)
		return
	}
	sc.delay = clamp(float64(sc.delay) + float64(perToken)*float64(a.Usage.Output))
	sc.body = labelled(openai.AppendChatBody(nil, &a), 0)
	sc.ends = []int{len(sc.body)}
}

// failure is the script of an answer with an error.
func failure(e *llm.Error, status int) *script {
	body := openai.EncodeError(e)
	return &script{status: status, retryAfter: e.RetryAfter, body: body, ends: []int{len(body)}}
}

// apply makes a fault happen.
func (sc *script) apply(f Fault) {
	switch f.Kind {
	case FaultStatus:
		e := statusError(f)
		failed := failure(e, f.Status)
		failed.delay, failed.refuse, failed.hang = sc.delay, sc.refuse, sc.hang
		*sc = *failed
	case FaultLatency:
		sc.delay, sc.gap = scaled(sc.delay, f.Factor), scaled(sc.gap, f.Factor)
	case FaultDelay:
		sc.delay = clamp(float64(sc.delay) + float64(f.Wait))
	case FaultHang:
		sc.hang = true
	case FaultRefuse:
		sc.refuse = true
	case FaultStall:
		sc.keep(f.After, silent)
	case FaultCut:
		sc.keep(f.After, broken)
	case FaultTrickle:
		sc.trickle(f.Wait)
	case FaultGarbage:
		sc.garbage(f.After)
	case FaultErrorEvent:
		sc.fail(f.After)
	case FaultNoEnd:
		sc.keep(len(sc.ends)-1, unframed)
	}
}

// keep ends the body early: a stream after n events and before its end mark, a
// whole answer after its first half.
func (sc *script) keep(n int, end ending) {
	sc.end = end
	if !sc.events {
		sc.ends = []int{sc.ends[len(sc.ends)-1] / 2}
		return
	}
	sc.ends = slices.Clone(sc.ends[:max(0, min(n, len(sc.ends)-1))])
}

// trickle makes the body slow: event by event, or byte by byte.
func (sc *script) trickle(gap time.Duration) {
	sc.gap = gap
	if sc.events {
		return
	}
	sc.ends = make([]int, sc.sent())
	for i := range sc.ends {
		sc.ends[i] = i + 1
	}
}

// sent is the length of what is sent of the body.
func (sc *script) sent() int {
	if len(sc.ends) == 0 {
		return 0
	}
	return sc.ends[len(sc.ends)-1]
}

// garbage is what no reader of JSON accepts.
const garbage = `{"id": simulated garbage`

func (sc *script) garbage(after int) {
	if !sc.events {
		sc.replace([]byte(garbage), 0)
		return
	}
	sc.insert(after, []byte("data: "+garbage+"\n\n"))
}

// fail reports an error where success was promised.
func (sc *script) fail(after int) {
	e := statusError(Fault{Status: http.StatusInternalServerError})
	if !sc.events {
		sc.replace(openai.EncodeError(e), 0)
		return
	}
	n := max(0, min(after, len(sc.ends)-1))
	sc.ends = slices.Clone(sc.ends[:n])
	sc.replace(openai.ErrorEvent(e), sc.sent())
}

// replace puts text in the place of everything from an end of a piece on.
func (sc *script) replace(text []byte, from int) {
	sc.body = append(slices.Clone(sc.body[:from]), text...)
	if from == 0 {
		sc.ends = nil
	}
	sc.ends = append(sc.ends, len(sc.body))
}

// insert puts an event behind n others, and before the end mark.
func (sc *script) insert(n int, event []byte) {
	n = max(0, min(n, len(sc.ends)-1))
	at := 0
	if n > 0 {
		at = sc.ends[n-1]
	}
	sc.body = slices.Insert(slices.Clone(sc.body), at, event...)
	ends := slices.Insert(slices.Clone(sc.ends), n, at+len(event))
	for i := n + 1; i < len(ends); i++ {
		ends[i] += len(event)
	}
	sc.ends = ends
}

// header is what goes with the status, beside the length.
func (sc *script) header(h http.Header) {
	h["X-Simulated"] = isSimulated
	h["Content-Type"] = jsonType
	if sc.events {
		h["Content-Type"] = eventType
		h["Cache-Control"] = noStore
	}
	if sc.retryAfter > 0 {
		seconds := (sc.retryAfter + time.Second - 1) / time.Second
		h.Set("Retry-After", strconv.FormatInt(int64(seconds), 10))
		h.Set("Retry-After-Ms", strconv.FormatInt(sc.retryAfter.Milliseconds(), 10))
	}
}

// Shared by all answers; nobody changes them.
var (
	isSimulated = []string{"true"}
	jsonType    = []string{"application/json"}
	eventType   = []string{"text/event-stream; charset=utf-8"}
	noStore     = []string{"no-cache"}
)

// statusError is the error that a fault reports, labelled.
func statusError(f Fault) *llm.Error {
	text := http.StatusText(f.Status)
	if text == "" {
		text = "status " + strconv.Itoa(f.Status)
	}
	return &llm.Error{
		Kind: kindOf(f.Status), Message: label + " " + text + ", as planned",
		Code: codes[f.Status], RetryAfter: f.RetryAfter, Status: f.Status,
	}
}

// codes are the words that OpenAI uses for some statuses, so that whoever reads
// the body comes to the same kind as from the status.
var codes = map[int]string{
	http.StatusUnauthorized:    "invalid_api_key",
	http.StatusTooManyRequests: "rate_limit_exceeded",
}

// kindOf asks the dialect what a status means.
func kindOf(status int) llm.Kind {
	return openai.DecodeError(status, nil, nil).Kind
}

// chunksIn counts the pieces that end within the first n bytes of the body.
func (sc *script) chunksIn(n int) int {
	i, found := slices.BinarySearch(sc.ends, n)
	if found {
		i++
	}
	return i
}
