package replay

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/forebay-ai/forebay/llm"
)

// DefaultMaxInFlight is the bound on calls in progress: each holds a connection,
// and half of the 20,000 descriptors that a shell commonly grants is left to a
// gateway on the same machine.
const DefaultMaxInFlight = 10_000

// DefaultTimeout bounds each call: beyond the gateway's own default deadline of
// 45 s, so that the gateway's answer to a late call is seen and not cut off.
const DefaultTimeout = 60 * time.Second

// Config says what to send where. Zero values mean the defaults that each field
// states; Run reports every fault at once and sends nothing.
type Config struct {
	// Trace holds the calls to send, in order of arrival. Required.
	Trace []Arrival
	// Offset leaves out that many calls at the start of Trace, Limit ends after so
	// many. A Limit of zero means to the end.
	Offset, Limit int
	// Speed divides the times of the trace: 60 sends an hour in a minute. Zero means 1.
	Speed float64

	// URL is the gateway's base URL, with or without /v1. Required.
	URL string
	// Key is sent as bearer token. Empty sends none.
	Key llm.Secret
	// Model is what the calls ask for. Required unless Operation names one that
	// brings its own.
	Model string
	// Operation is sent as x-forebay-operation. Empty sends none.
	Operation string
	// Users is how many users the calls come from (x-forebay-user). Zero sends none.
	Users int
	// Priorities is each band's share of the calls, relative to the others. Nil
	// means low 20 %, normal 60 %, high 15 %, critical 5 %.
	Priorities map[llm.Priority]float64
	// Repeat is the share of calls that say exactly what an earlier one said, from
	// the same user: what a cache can answer. 0 to 1.
	Repeat float64
	// Stream is the share of calls that ask for a streamed answer. 0 to 1.
	Stream float64
	// Seed fixes prompts, repeats, streams, priorities and users. Another seed
	// gives other prompts, so that an earlier run has not filled the cache.
	Seed uint64

	// Timeout bounds a call, counted from its intended start. Zero means DefaultTimeout.
	Timeout time.Duration
	// MaxInFlight bounds calls in progress. A call that would go over it is counted
	// as unsent. Zero means DefaultMaxInFlight.
	MaxInFlight int
	// Transport sends the calls. Nil means one of the run's own, without proxy and
	// compression, whose connections are closed when the run ends.
	Transport http.RoundTripper
	// Progress is told how far the run is, four times a second and once at its
	// end, never concurrently. Nil tells nobody.
	Progress func(Progress)
}

// Progress says how far a run is.
type Progress struct {
	// Planned calls of the run; Sent of them so far, and Done, however they ended.
	Planned, Sent, Done int
	// Elapsed is the time since the first intended start.
	Elapsed time.Duration
}

// withDefaults returns a copy that needs no defaults, or every fault at once.
func (c Config) withDefaults() (Config, error) {
	if err := c.validate(); err != nil {
		return c, err
	}
	if c.Speed == 0 {
		c.Speed = 1
	}
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	if c.MaxInFlight == 0 {
		c.MaxInFlight = DefaultMaxInFlight
	}
	if c.Priorities == nil {
		c.Priorities = map[llm.Priority]float64{llm.Low: 0.20, llm.Normal: 0.60, llm.High: 0.15, llm.Critical: 0.05}
	}
	return c, nil
}

func (c *Config) validate() error {
	var faults []error
	check := func(ok bool, field, format string, args ...any) {
		if !ok {
			faults = append(faults, &llm.Error{
				Kind: llm.CallerInvalidRequest, Param: field, Message: field + " " + fmt.Sprintf(format, args...),
			})
		}
	}
	check(len(c.Trace) > 0, "Trace", "holds no calls")
	check(c.Offset >= 0 && (len(c.Trace) == 0 || c.Offset < len(c.Trace)), "Offset", "%d is outside the trace's %d calls", c.Offset, len(c.Trace))
	check(c.Limit >= 0, "Limit", "%d is negative", c.Limit)
	check(c.Speed >= 0 && !math.IsInf(c.Speed, 0), "Speed", "%v is not a positive number", c.Speed)
	check(c.Speed <= 0 || Trace{Arrivals: c.Trace}.Duration().Seconds()/c.Speed <= maxSpan.Seconds(), "Speed", "%v makes the run longer than a year", c.Speed)
	u, err := url.Parse(c.URL)
	check(err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.RawQuery == "" && u.User == nil,
		"URL", "is not of the form http://host:port, with or without /v1")
	check(c.Model != "" || c.Operation != "", "Model", "is empty and no operation brings one")
	check(utf8.ValidString(c.Model), "Model", "is not UTF-8")
	check(headerSafe(c.Operation), "Operation", "%q does not fit a header", c.Operation)
	check(headerSafe(strings.ReplaceAll(c.Key.Reveal(), " ", "")), "Key", "does not fit a header")
	check(c.Users >= 0, "Users", "%d is negative", c.Users)
	check(c.Repeat >= 0 && c.Repeat <= 1, "Repeat", "%v is outside 0 to 1", c.Repeat)
	check(c.Stream >= 0 && c.Stream <= 1, "Stream", "%v is outside 0 to 1", c.Stream)
	check(c.Timeout >= 0, "Timeout", "%v is negative", c.Timeout)
	check(c.MaxInFlight >= 0, "MaxInFlight", "%d is negative", c.MaxInFlight)
	check(validShares(c.Priorities), "Priorities", "need known bands, shares of 0 or more, and one above 0")
	return errors.Join(faults...)
}

func validShares(shares map[llm.Priority]float64) bool {
	total := 0.0
	for band, share := range shares {
		if band < llm.Low || band > llm.Critical || !(share >= 0) {
			return false
		}
		total += share
	}
	return shares == nil || total > 0 && !math.IsInf(total, 0)
}

// headerSafe says that s is visible ASCII, which every HTTP implementation takes
// in a header.
func headerSafe(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
