package form

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/forebay-ai/forebay/internal/near"
	"github.com/forebay-ai/forebay/llm"
)

// The bounds of what headers may say.
const (
	minTimeout = time.Millisecond
	MaxTimeout = 24 * time.Hour // of a call that is answered at once; jobs have longer ones
	maxMaxAge  = 365 * 24 * time.Hour
)

// Controls is what the headers of a request say about the call.
type Controls struct {
	Cache                    llm.CacheDirectives
	User, Persona, Operation string
	Residency, Locale        string
	Priority                 llm.Priority
	// HasPriority tells the zero value of Priority from none.
	HasPriority, NoFallback bool
	Timeout                 time.Duration
	// Webhook and Retention are for jobs.
	Webhook   string
	Retention time.Duration
}

// ControlPrefix begins the names of our headers.
const ControlPrefix = "X-Forebay-"

// control is one request header of ours.
type control struct {
	name string // canonical
	doc  string
	read func(c *Controls, name, value string) *llm.Error
}

// requestHeaders is every x-forebay header that a request may have, in the order
// in which faults are reported.
var requestHeaders = []control{
	{"X-Forebay-Cache", "rw, ro (do not store), wo (do not read) or off", readCache},
	{"X-Forebay-Cache-Ttl", "how long the answer is kept: 90 (seconds), 10m, 24h", readTTL},
	{"X-Forebay-Cache-Namespace", "separates cached answers further", text(func(c *Controls) *string { return &c.Cache.Namespace })},
	{"X-Forebay-Priority", "low, normal, high or critical, as the key grants", readPriority},
	{"X-Forebay-Operation", "the operation whose settings apply", text(func(c *Controls) *string { return &c.Operation })},
	{"X-Forebay-Persona", "selects templates and separates cached answers", text(func(c *Controls) *string { return &c.Persona })},
	{"X-Forebay-Residency", "the area that the call must not leave, such as eu", text(func(c *Controls) *string { return &c.Residency })},
	{"X-Forebay-User", "the end user; else the body's user member", text(func(c *Controls) *string { return &c.User })},
	{"X-Forebay-Timeout", "bounds the whole call: 2500 (milliseconds), 25s", readTimeout},
	{"X-Forebay-Fallback", "allow, or deny to get an error in place of a fallback answer", readFallback},
	{"X-Forebay-Webhook", "an address that is told of a job's end", readWebhook},
	{"X-Forebay-Retention", "how long a job's result is kept: 3600 (seconds), 24h", readRetention},
}

// ReadControls reads the headers of h. The error is an *llm.Error that names the
// header, what it may say, and what to do.
func ReadControls(h http.Header) (Controls, error) {
	c := Controls{Locale: locale(h)}
	if directives := h["Cache-Control"]; len(directives) > 0 {
		if err := readCacheControl(&c, directives); err != nil {
			return c, err
		}
	}
	ours := 0
	for name := range h {
		if strings.HasPrefix(name, ControlPrefix) {
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
			return c, Header(control.name, "is there more than once", "Send it once.")
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
		if strings.HasPrefix(name, ControlPrefix) && !slices.Contains(known, name) {
			unknown = append(unknown, name)
		}
	}
	name := slices.Min(unknown)
	for i := range known {
		known[i] = strings.ToLower(known[i])
	}
	return Header(name, "is not a header of this gateway"+near.DidYouMean(name, known), "Use "+strings.Join(known, ", ")+".")
}

// readCacheControl reads the request directives of RFC 9111. Directives that it
// does not know are ignored, as the RFC asks; a max-age that cannot be read is not.
func readCacheControl(c *Controls, values []string) *llm.Error {
	for _, value := range values {
		for directive := range strings.SplitSeq(value, ",") {
			name, arg, _ := strings.Cut(strings.TrimSpace(directive), "=")
			switch strings.ToLower(name) {
			case "no-cache":
				c.Cache.NoRead = true
			case "no-store":
				c.Cache.NoWrite = true
			case "only-if-cached":
				c.Cache.OnlyIfCached = true
			case "max-age":
				age, err := strconv.ParseUint(strings.Trim(arg, `"`), 10, 32)
				if err != nil {
					return Header("Cache-Control", fmt.Sprintf("has max-age=%.32q, which is no number of seconds", arg), "Send max-age=SECONDS, such as max-age=3600.")
				}
				c.Cache.MaxAge = min(time.Duration(age)*time.Second, maxMaxAge)
				if age == 0 { // nothing stored is young enough
					c.Cache.NoRead = true
				}
			}
		}
	}
	return nil
}

func readCache(c *Controls, name, value string) *llm.Error {
	switch strings.ToLower(value) {
	case "rw":
	case "ro":
		c.Cache.NoWrite = true
	case "wo":
		c.Cache.NoRead = true
	case "off":
		c.Cache.NoRead, c.Cache.NoWrite = true, true
	default:
		return Header(name, fmt.Sprintf("has the unknown value %.32q", value), OneOf("rw", "ro", "wo", "off"))
	}
	return nil
}

func readTTL(c *Controls, name, value string) *llm.Error {
	d, err := Kept(value, Header, name)
	c.Cache.TTL = d
	return err
}

func readTimeout(c *Controls, name, value string) *llm.Error {
	d, err := Timeout(value, name)
	c.Timeout = d
	return err
}

func readWebhook(c *Controls, name, value string) *llm.Error {
	c.Webhook = value
	return Webhook(value, Header, name)
}

func readRetention(c *Controls, name, value string) (err *llm.Error) {
	c.Retention, err = Kept(value, Header, name)
	return err
}

func readPriority(c *Controls, name, value string) *llm.Error {
	p, err := Priority(value, Header, name)
	c.Priority, c.HasPriority = p, true
	return err
}

func readFallback(c *Controls, name, value string) *llm.Error {
	switch strings.ToLower(value) {
	case "allow":
	case "deny":
		c.NoFallback = true
	default:
		return Header(name, fmt.Sprintf("has the unknown value %.32q", value), OneOf("allow", "deny"))
	}
	return nil
}

// text reads a header that is a name: 1 to 256 bytes of printable UTF-8.
func text(member func(*Controls) *string) func(*Controls, string, string) *llm.Error {
	return func(c *Controls, name, value string) *llm.Error {
		*member(c) = value
		return Name(value, Header, name)
	}
}

// longestLocale is that of package degrade, which knows none that is longer.
const longestLocale = 35

// locale is the language that the client prefers, or empty. Among several it is the
// first of the list, which is where user agents put what they prefer.
func locale(h http.Header) string {
	first, _, _ := strings.Cut(h.Get("Accept-Language"), ",")
	tag, _, _ := strings.Cut(first, ";")
	if tag = strings.TrimSpace(tag); tag == "*" || len(tag) > longestLocale {
		return ""
	}
	return tag
}
