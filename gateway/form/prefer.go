package form

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/forebay-ai/forebay/llm"
)

// MaxWait bounds how long an answer is held for the end of a job. Proxies in front
// mostly give up on a silent connection after one to five minutes.
const MaxWait = 5 * time.Minute

// Preferences is what the header Prefer says, as far as it is known here.
type Preferences struct {
	Async bool          // respond-async
	Wait  time.Duration // wait=SECONDS, at most MaxWait; zero where it is not there
}

// Prefer reads Prefer as RFC 7240 has it: what is not known, or cannot be read, is as
// if it were not there, and of what is there twice the first counts. A longer wait
// than MaxWait becomes MaxWait; Applied tells.
func Prefer(values []string) Preferences {
	var p Preferences
	waits := false
	for _, value := range values {
		for value != "" {
			var one string
			one, value = cutUnquoted(value, ',')
			one, _ = cutUnquoted(one, ';') // parameters of a preference
			name, arg, _ := strings.Cut(one, "=")
			switch strings.ToLower(strings.TrimSpace(name)) {
			case "respond-async":
				p.Async = true
			case "wait":
				if !waits {
					p.Wait = waitSeconds(strings.Trim(strings.TrimSpace(arg), `"`))
				}
				waits = true
			}
		}
	}
	return p
}

func waitSeconds(text string) time.Duration {
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return 0
	}
	return min(time.Duration(n)*time.Second, MaxWait)
}

// cutUnquoted cuts s at the first sep that does not stand in a quoted string.
func cutUnquoted(s string, sep byte) (before, after string) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			quoted = !quoted
		case c == '\\' && quoted:
			i++
		case c == sep && !quoted:
			return s[:i], s[i+1:]
		}
	}
	return s, ""
}

// Applied is the value of Preference-Applied where the answer is a job (async), or
// where it was waited for.
func (p Preferences) Applied(async bool) string {
	var all []string
	if async {
		all = append(all, "respond-async")
	}
	if p.Wait > 0 {
		all = append(all, "wait="+strconv.FormatInt(int64(p.Wait/time.Second), 10))
	}
	return strings.Join(all, ", ")
}

// Wait reads for how long an answer is held until a job's end: the parameter wait,
// such as 30s, or else what Prefer says.
func Wait(param string, p Preferences) (time.Duration, error) {
	if param == "" {
		return p.Wait, nil
	}
	d, err := Duration(param, time.Second)
	if err != nil || d < 0 || d > MaxWait {
		return 0, Bound(Param("wait", notATime(param), "Send seconds such as 30, or a duration such as 30s."), "0 to 5m")
	}
	return d, nil
}

// maxIdempotencyKey is the longest key that Stripe takes, whose header this is.
const maxIdempotencyKey = 255

// IdempotencyKey reads the header Idempotency-Key; empty where there is none.
func IdempotencyKey(h http.Header) (string, error) {
	values := h["Idempotency-Key"]
	if len(values) == 0 {
		return "", nil
	}
	fault := ""
	switch {
	case len(values) > 1:
		fault = "is there more than once"
	case values[0] == "":
		fault = "is empty"
	case len(values[0]) > maxIdempotencyKey:
		fault = "has " + strconv.Itoa(len(values[0])) + " characters"
	case !Visible(values[0]):
		fault = "has characters that are no visible ASCII"
	default:
		return values[0], nil
	}
	e := Header("Idempotency-Key", fault, "Send 1 to 255 visible ASCII characters, such as a UUID, once.")
	return "", Bound(e, strconv.Itoa(maxIdempotencyKey)+" characters")
}

// LastEvent reads Last-Event-ID: the id of the last event that the reader has; zero
// where it is not there.
func LastEvent(h http.Header) (int64, error) {
	values := h["Last-Event-Id"]
	if len(values) == 0 {
		return 0, nil
	}
	n, err := strconv.ParseInt(values[0], 10, 64)
	if err != nil || n < 0 || len(values) > 1 {
		return 0, Header("Last-Event-ID", fmt.Sprintf("is %.32q", strings.Join(values, ", ")), "Send the id of the last event that came, or leave it out.")
	}
	return n, nil
}

// bands is what to do where no band is known by a name.
func bands() string { return OneOf("low", "normal", "high", "critical") }

// Priority reads the name of a band.
func Priority(value string, refuse Refuse, name string) (llm.Priority, *llm.Error) {
	p, err := llm.ParsePriority(value)
	if err != nil || value == "" {
		return 0, refuse(name, fmt.Sprintf("has the unknown value %.32q", value), bands())
	}
	return p, nil
}
