package form

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/forebay-ai/forebay/internal/near"
	"github.com/forebay-ai/forebay/llm"
)

// The bounds of what callers write.
const (
	MaxName    = 256 // bytes of a user, persona, namespace, operation or model
	MaxQuery   = 4 << 10
	MaxID      = 128                 // characters of an id that a caller brings
	MaxKept    = 30 * 24 * time.Hour // how long an answer or a result may be kept
	MinKept    = time.Second
	maxAddress = 2048                      // bytes of a webhook's: what browsers and proxies take
	beyond     = 10 * 365 * 24 * time.Hour // above every bound there is
)

// Name refuses a value that is no name: 1 to 256 bytes of printable UTF-8.
func Name(value string, refuse Refuse, name string) *llm.Error {
	fault := NameFault(value)
	if fault == "" {
		return nil
	}
	return Bound(refuse(name, fault, "Send 1 to 256 bytes of printable UTF-8."), strconv.Itoa(MaxName)+" bytes")
}

// NameFault says what keeps s from being a name, or nothing.
func NameFault(s string) string {
	switch {
	case s == "":
		return "is empty"
	case len(s) > MaxName:
		return "has " + strconv.Itoa(len(s)) + " bytes"
	case ascii(s, ' '):
		return ""
	case !utf8.ValidString(s):
		return "is not valid UTF-8"
	}
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return "has characters that do not print"
		}
	}
	return ""
}

// ascii says that s is ASCII from the character least to the last that prints.
func ascii(s string, least byte) bool {
	for i := range len(s) {
		if s[i] < least || s[i] > '~' {
			return false
		}
	}
	return true
}

// Visible says that s is ASCII that is seen: no spaces.
func Visible(s string) bool { return ascii(s, '!') }

// Duration reads a whole number of unit, or a duration with its own unit.
func Duration(value string, unit time.Duration) (time.Duration, error) {
	if n, err := strconv.ParseUint(value, 10, 40); err == nil {
		if n > uint64(beyond/unit) {
			return beyond, nil // above every bound, and no overflow
		}
		return time.Duration(n) * unit, nil
	}
	return time.ParseDuration(value)
}

// notATime is the fault of a value that is no time between its bounds.
func notATime(value string) string {
	return fmt.Sprintf("has %.32q, which is not a time within its bounds", value)
}

// Timeout reads how long a call may take. Jobs may have longer than calls that are
// answered at once; how long is for the configuration.
func Timeout(value, header string) (time.Duration, *llm.Error) {
	d, err := Duration(value, time.Millisecond)
	if err != nil || d < time.Millisecond || d > MaxKept {
		return 0, BadTimeout(value, header)
	}
	return d, nil
}

// BadTimeout refuses the timeout of a call.
func BadTimeout(value, header string) *llm.Error {
	e := Header(header, notATime(value), "Send milliseconds such as 25000, or a duration such as 25s.")
	return Bound(e, "1ms to 24h, for a job to 720h")
}

// Kept reads for how long something is kept. The configuration's own bound is checked
// where it is stored.
func Kept(value string, refuse Refuse, name string) (time.Duration, *llm.Error) {
	d, err := Duration(value, time.Second)
	if err != nil || d < MinKept || d > MaxKept {
		e := refuse(name, notATime(value), "Send seconds such as 600, or a duration such as 10m or 24h.")
		return 0, Bound(e, "1s to 720h")
	}
	return d, nil
}

// Webhook refuses what is no address at all. Whether it may be called is decided where
// the job is taken in.
func Webhook(address string, refuse Refuse, name string) *llm.Error {
	if address != "" && len(address) <= maxAddress && Visible(address) {
		return nil
	}
	e := refuse(name, "is no address of a webhook", "Send an address such as https://example.com/hooks/forebay.")
	return Bound(e, strconv.Itoa(maxAddress)+" bytes of visible ASCII")
}

// Query reads a query: parameters of known names, each at most once.
func Query(raw string, known ...string) (url.Values, error) { return Repeated(raw, known, nil) }

// Repeated is Query for a query in which the parameters of the names in many may be there
// more than once.
func Repeated(raw string, known, many []string) (url.Values, error) {
	known = slices.Concat(known, many)
	if len(raw) > MaxQuery {
		return nil, LongQuery(raw)
	}
	q, err := url.ParseQuery(raw)
	if err != nil {
		return nil, &llm.Error{
			Kind: llm.CallerInvalidRequest, Message: "the query is not well formed", Fix: "Escape it as URLs ask for: a space is %20, & is %26.",
		}
	}
	for _, name := range slices.Sorted(maps.Keys(q)) { // the first fault is the same one each time
		shown := Printable(name, 64)
		if !slices.Contains(known, name) {
			fix := "This route has no parameters."
			if len(known) > 0 {
				fix = "Use " + strings.Join(known, ", ") + "."
			}
			return nil, Param(shown, "is not known"+near.DidYouMean(name, known), fix)
		}
		if len(q[name]) > 1 && !slices.Contains(many, name) {
			return nil, Param(shown, "is there more than once", "Send it once.")
		}
	}
	return q, nil
}

// LongQuery refuses a query that is too long.
func LongQuery(raw string) *llm.Error {
	return &llm.Error{
		Kind: llm.CallerTooLarge, Message: "the query has " + strconv.Itoa(len(raw)) + " bytes",
		Limit: "query", Value: strconv.Itoa(MaxQuery) + " bytes", Fix: "Send fewer filters.",
	}
}

// ValidID says that s may be used as a request id: 1 to 128 visible ASCII characters.
func ValidID(s string) bool {
	return s != "" && len(s) <= MaxID && Visible(s)
}
