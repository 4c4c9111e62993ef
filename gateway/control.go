package gateway

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/forebay-ai/forebay/access"
	"github.com/forebay-ai/forebay/internal/near"
	"github.com/forebay-ai/forebay/llm"
)

// The bounds of what headers may say.
const (
	maxName    = 256 // bytes of a user, persona, namespace, operation or model
	minTimeout = time.Millisecond
	maxTimeout = 24 * time.Hour
	minTTL     = time.Second
	maxTTL     = 30 * 24 * time.Hour
	maxMaxAge  = 365 * 24 * time.Hour
)

// controls is what the headers of a request say about the call.
type controls struct {
	cache                    llm.CacheDirectives
	user, persona, operation string
	priority                 llm.Priority
	hasPriority              bool
	timeout                  time.Duration
	noFallback               bool
}

const controlPrefix = "X-Forebay-"

// control is one request header of ours.
type control struct {
	name string // canonical
	doc  string
	read func(c *controls, name, value string) *llm.Error
}

// requestHeaders is every x-forebay header that a request may have, in the order
// in which faults are reported.
var requestHeaders = []control{
	{"X-Forebay-Cache", "rw, ro (do not store), wo (do not read) or off", readCache},
	{"X-Forebay-Cache-Ttl", "how long the answer is kept: 90 (seconds), 10m, 24h", readTTL},
	{"X-Forebay-Cache-Namespace", "separates cached answers further", text(func(c *controls) *string { return &c.cache.Namespace })},
	{"X-Forebay-Priority", "low, normal, high or critical, as the key grants", readPriority},
	{"X-Forebay-Operation", "the operation whose settings apply", text(func(c *controls) *string { return &c.operation })},
	{"X-Forebay-Persona", "selects templates and separates cached answers", text(func(c *controls) *string { return &c.persona })},
	{"X-Forebay-User", "the end user; else the body's user member", text(func(c *controls) *string { return &c.user })},
	{"X-Forebay-Timeout", "bounds the whole call: 2500 (milliseconds), 25s", readTimeout},
	{"X-Forebay-Fallback", "allow, or deny to get an error in place of a fallback answer", readFallback},
}

// readControls reads the headers of h. The error is an *llm.Error that names the
// header, what it may say, and what to do.
func readControls(h http.Header) (controls, error) {
	var c controls
	if directives := h["Cache-Control"]; len(directives) > 0 {
		if err := readCacheControl(&c, directives); err != nil {
			return c, err
		}
	}
	ours := 0
	for name := range h {
		if strings.HasPrefix(name, controlPrefix) {
			ours++
		}
	}
	if ours == 0 {
		return c, nil
	}
	for i := range requestHeaders {
		control := &requestHeaders[i]
		values := h[control.name]
		if len(values) == 0 {
			continue
		}
		ours--
		if len(values) > 1 {
			return c, badHeader(control.name, "is there more than once", "Send it once.")
		}
		if err := control.read(&c, control.name, values[0]); err != nil {
			return c, err
		}
	}
	if ours > 0 {
		return c, unknownControl(h)
	}
	return c, nil
}

// unknownControl is the refusal of a header that begins like ours and is none: a
// misspelt header that is ignored is found out weeks later.
func unknownControl(h http.Header) *llm.Error {
	var known, unknown []string
	for i := range requestHeaders {
		known = append(known, requestHeaders[i].name)
	}
	for name := range h {
		if strings.HasPrefix(name, controlPrefix) && !slices.Contains(known, name) {
			unknown = append(unknown, name)
		}
	}
	name := slices.Min(unknown)
	for i := range known {
		known[i] = strings.ToLower(known[i])
	}
	return badHeader(name, "is not a header of this gateway"+near.DidYouMean(name, known), "Use "+strings.Join(known, ", ")+".")
}

// badHeader is the refusal of a header's value.
func badHeader(name, message, fix string) *llm.Error {
	name = strings.ToLower(name)
	return &llm.Error{Kind: llm.CallerInvalidRequest, Message: fmt.Sprintf("the header %.64s %s", name, message), Param: name, Fix: fix}
}

func oneOf(names ...string) string { return "Send one of " + strings.Join(names, ", ") + "." }

// readCacheControl reads the request directives of RFC 9111. Directives that it
// does not know are ignored, as the RFC asks; a max-age that cannot be read is not.
func readCacheControl(c *controls, values []string) *llm.Error {
	for _, value := range values {
		for directive := range strings.SplitSeq(value, ",") {
			name, arg, _ := strings.Cut(strings.TrimSpace(directive), "=")
			switch strings.ToLower(name) {
			case "no-cache":
				c.cache.NoRead = true
			case "no-store":
				c.cache.NoWrite = true
			case "only-if-cached":
				c.cache.OnlyIfCached = true
			case "max-age":
				age, err := strconv.ParseUint(strings.Trim(arg, `"`), 10, 32)
				if err != nil {
					return badHeader("Cache-Control", fmt.Sprintf("has max-age=%.32q, which is no number of seconds", arg), "Send max-age=SECONDS, such as max-age=3600.")
				}
				c.cache.MaxAge = min(time.Duration(age)*time.Second, maxMaxAge)
				if age == 0 { // nothing stored is young enough
					c.cache.NoRead = true
				}
			}
		}
	}
	return nil
}

func readCache(c *controls, name, value string) *llm.Error {
	switch strings.ToLower(value) {
	case "rw":
	case "ro":
		c.cache.NoWrite = true
	case "wo":
		c.cache.NoRead = true
	case "off":
		c.cache.NoRead, c.cache.NoWrite = true, true
	default:
		return badHeader(name, fmt.Sprintf("has the unknown value %.32q", value), oneOf("rw", "ro", "wo", "off"))
	}
	return nil
}

func readTTL(c *controls, name, value string) *llm.Error {
	d, err := readDuration(value, time.Second)
	if err != nil || d < minTTL || d > maxTTL {
		return outOfBounds(name, value, "1s to 720h", "Send seconds such as 600, or a duration such as 10m or 24h.")
	}
	c.cache.TTL = d
	return nil
}

func readTimeout(c *controls, name, value string) *llm.Error {
	d, err := readDuration(value, time.Millisecond)
	if err != nil || d < minTimeout || d > maxTimeout {
		return outOfBounds(name, value, "1ms to 24h", "Send milliseconds such as 25000, or a duration such as 25s.")
	}
	c.timeout = d
	return nil
}

// readDuration reads a whole number of unit, or a duration with its own unit.
func readDuration(value string, unit time.Duration) (time.Duration, error) {
	if n, err := strconv.ParseUint(value, 10, 40); err == nil {
		if n > uint64(maxTTL/unit) {
			return maxTTL + maxTimeout, nil // beyond every bound, and no overflow
		}
		return time.Duration(n) * unit, nil
	}
	return time.ParseDuration(value)
}

func outOfBounds(name, value, bounds, fix string) *llm.Error {
	e := badHeader(name, fmt.Sprintf("has %.32q, which is not a time within its bounds", value), fix)
	e.Limit, e.Value = e.Param, bounds
	return e
}

func readPriority(c *controls, name, value string) *llm.Error {
	p, err := llm.ParsePriority(value)
	if err != nil || value == "" {
		return badHeader(name, fmt.Sprintf("has the unknown value %.32q", value), oneOf("low", "normal", "high", "critical"))
	}
	c.priority, c.hasPriority = p, true
	return nil
}

func readFallback(c *controls, name, value string) *llm.Error {
	switch strings.ToLower(value) {
	case "allow":
	case "deny":
		c.noFallback = true
	default:
		return badHeader(name, fmt.Sprintf("has the unknown value %.32q", value), oneOf("allow", "deny"))
	}
	return nil
}

// text reads a header that is a name: 1 to 256 bytes of printable UTF-8.
func text(member func(*controls) *string) func(*controls, string, string) *llm.Error {
	return func(c *controls, name, value string) *llm.Error {
		if fault := nameFault(value); fault != "" {
			e := badHeader(name, fault, "Send 1 to 256 bytes of printable UTF-8.")
			e.Limit, e.Value = e.Param, strconv.Itoa(maxName)+" bytes"
			return e
		}
		*member(c) = value
		return nil
	}
}

// nameFault says what keeps s from being a name, or nothing.
func nameFault(s string) string {
	switch {
	case s == "":
		return "is empty"
	case len(s) > maxName:
		return "has " + strconv.Itoa(len(s)) + " bytes"
	case access.PlainText(s):
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
