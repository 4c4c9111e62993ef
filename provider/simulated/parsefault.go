package simulated

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ParseFault reads a fault from key=value pairs with commas between them, of
// which exactly one is a kind:
//
//	status=503,share=0.5,from=2s,to=10s,retry_after=1s
//	latency=3           factor
//	delay=500ms         more before the head
//	hang                no head at all
//	stall=4             silence after 4 chunks (0 where no number is given)
//	trickle=1s          a chunk a second
//	cut=4               broken connection after 4 chunks
//	refuse              no answer
//	garbage=1           no JSON after 1 chunk
//	error_event=2       an error event after 2 chunks
//	no_end              no end mark
//
// share is above 0 and 1 at most, from and to are durations since the fault is
// set, or times of RFC 3339, model restricts it to one model, and retry_after
// goes with status. Errors name every fault of the text, and what would be right.
func ParseFault(text string) (Fault, error) {
	var f Fault
	var faults []error
	seen := map[string]bool{}
	for pair := range strings.SplitSeq(text, ",") {
		key, value, given := strings.Cut(pair, "=")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		if seen[key] {
			faults = append(faults, fmt.Errorf("%s stands there twice", key))
			continue
		}
		seen[key] = true
		if err := f.set(key, value, given); err != nil {
			faults = append(faults, err)
		}
	}
	if f.Kind == "" && len(faults) == 0 {
		faults = append(faults, errors.New("no kind: one of "+kindList))
	}
	if f.RetryAfter > 0 && f.Kind != "" && f.Kind != FaultStatus {
		faults = append(faults, fmt.Errorf("retry_after goes with status, not with %s", f.Kind))
	}
	if len(faults) == 0 {
		faults = append(faults, f.Validate())
	}
	if err := errors.Join(faults...); err != nil {
		return Fault{}, fmt.Errorf("fault %q: %w", text, err)
	}
	return f, nil
}

// set reads one pair.
func (f *Fault) set(key, value string, given bool) (err error) {
	switch key {
	case "share":
		f.Share, err = parseNumber(key, value)
		if err == nil && f.Share <= 0 {
			err = fmt.Errorf("share=%s: above 0, 1 at most", value)
		}
	case "model":
		f.Model = value
		if value == "" {
			err = errors.New("model= names no model")
		}
	case "from":
		f.From, f.Since, err = parseBound(key, value)
	case "to":
		f.To, f.Until, err = parseBound(key, value)
		if err == nil && f.To == 0 && f.Until.IsZero() {
			err = errors.New("to=0s: it would never begin")
		}
	case "retry_after":
		f.RetryAfter, err = parseDuration(key, value)
	case "":
		err = errors.New("an empty pair")
	default:
		err = f.setKind(FaultKind(key), value, given)
	}
	return err
}

func (f *Fault) setKind(kind FaultKind, value string, given bool) (err error) {
	switch kind {
	case FaultStatus:
		if f.Status, err = strconv.Atoi(value); err != nil {
			err = fmt.Errorf("status=%s: a number from 400 to 599", value)
		}
	case FaultLatency:
		f.Factor, err = parseNumber(string(kind), value)
	case FaultDelay, FaultTrickle:
		f.Wait, err = parseDuration(string(kind), value)
	case FaultStall, FaultCut, FaultGarbage, FaultErrorEvent:
		if given {
			if f.After, err = strconv.Atoi(value); err != nil {
				err = fmt.Errorf("%s=%s: a number of chunks", kind, value)
			}
		}
	case FaultHang, FaultRefuse, FaultNoEnd:
		if given {
			err = fmt.Errorf("%s takes no value", kind)
		}
	default:
		return fmt.Errorf("unknown key %q: a kind (%s) or share, from, to, model, retry_after", kind, kindList)
	}
	if f.Kind != "" {
		return fmt.Errorf("two kinds, %s and %s: set two faults", f.Kind, kind)
	}
	f.Kind = kind
	return err
}

func parseNumber(key, value string) (float64, error) {
	n, err := strconv.ParseFloat(value, 64)
	if err != nil || n != n {
		return 0, fmt.Errorf("%s=%s: not a number", key, value)
	}
	return n, nil
}

func parseDuration(key, value string) (time.Duration, error) {
	d, err := time.ParseDuration(value)
	if err != nil {
		return 0, fmt.Errorf("%s=%s: not a duration such as 1.5s", key, value)
	}
	return d, nil
}

// parseBound reads a duration or a time.
func parseBound(key, value string) (time.Duration, time.Time, error) {
	if d, err := time.ParseDuration(value); err == nil {
		return d, time.Time{}, nil
	}
	at, err := time.Parse(time.RFC3339, value)
	if err != nil || at.IsZero() {
		return 0, time.Time{}, fmt.Errorf("%s=%s: neither a duration such as 2s nor a time such as 2026-01-02T15:04:05Z", key, value)
	}
	return 0, at, nil
}
